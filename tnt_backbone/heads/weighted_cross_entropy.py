"""Cross entropy with a weight for each class, for label maps that have ignored pixels.

MMSegmentation's ``CrossEntropyLoss`` looks up the weight of every pixel, also of those that are
ignored (label 255, and what a batch is padded with). With ``class_weight`` it ends with an
IndexError at the first of them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import InputError
from ..registry import MODELS


@MODELS.register_module()
class WeightedCrossEntropyLoss(nn.Module):
    """The mean over the pixels that count, each with the weight of its class, as PyTorch takes it.

    Args:
        class_weight: A weight above 0 for each class.
        loss_weight: Factor of the loss.
        loss_name: Name in the log, ``loss_...``.

    Raises:
        ValueError: If a weight is not above 0.
    """

    class_weight: Tensor

    def __init__(
        self,
        class_weight: Sequence[float],
        loss_weight: float = 1.0,
        loss_name: str = 'loss_ce',
    ) -> None:
        super().__init__()
        weights = [float(value) for value in class_weight]
        if not weights or not all(0 < value < float('inf') for value in weights):
            raise InputError(f'class_weight={weights} must be numbers above 0, one for each class')
        self.register_buffer('class_weight', torch.tensor(weights), persistent=False)
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(
        self,
        scores: Tensor,
        labels: Tensor,
        weight: Tensor | None = None,
        ignore_index: int = 255,
        **_: object,
    ) -> Tensor:
        """Return the loss.

        Args:
            scores: ``(N, C, H, W)``, before the softmax.
            labels: ``(N, H, W)``.
            weight: ``(N, H, W)``, of a sampler of pixels.
            ignore_index: The label of pixels that do not count.

        Raises:
            ValueError: If there are more or fewer classes than weights.
        """
        number = len(self.class_weight)
        if scores.shape[1] != number:
            raise InputError(
                f'class_weight has {number} weights, and the head has {scores.shape[1]} classes. '
                'Give one for each class'
            )
        classes = self.class_weight.to(scores.dtype)
        losses = F.cross_entropy(
            scores, labels, classes, ignore_index=ignore_index, reduction='none'
        )
        counted = labels[labels != ignore_index]
        total = self.class_weight[counted].sum().clamp(min=torch.finfo(torch.float32).eps)
        return self.loss_weight * (losses if weight is None else losses * weight).sum() / total

"""The network of a detector whose queries become objects (DETR), made ready for the exporter.

It chooses no boxes by suppression. It reads the size of each picture inside, to leave padding out
of attention. Here all pictures of a batch have one size and no padding, so nothing is left out.
"""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError


class QueryDetector(nn.Module):
    """Normalised pictures ``(N, 3, H, W)`` to scores ``(N, Q, C)`` and boxes ``(N, Q, 4)``.

    Boxes are centre x, centre y, width and height, relative to the picture, 0 to 1.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores and boxes of the last layer's queries."""
        size = images.shape[2:]
        samples = [SimpleNamespace(batch_input_shape=size, img_shape=size)]
        features = self.model.extract_feat(images)
        found = self.model.forward_transformer(features, samples)
        logits, boxes = (levels[-1] for levels in self.model.bbox_head(**found))
        return torch.softmax(logits, dim=-1)[..., :-1], boxes


def query_network(model: Any) -> tuple[dict[str, nn.Module], dict[str, Any]]:
    """Return the network by its part, and what the metadata says.

    Args:
        model: MMDetection's ``DETR``.

    Raises:
        ValueError: If a part of it is none that is known here.
    """
    from mmdet.models import DETR
    from mmdet.models.dense_heads import DETRHead
    from mmdet.models.layers import SinePositionalEncoding

    head, positions = model.bbox_head, model.positional_encoding
    for part, known in ((model, DETR), (head, DETRHead), (positions, SinePositionalEncoding)):
        if type(part) is not known:
            raise InputError(
                f'{type(part).__name__} cannot be exported. Of detectors with queries, DETR can, '
                'in the form of its stock config'
            )
    if head.loss_cls.use_sigmoid:
        raise InputError('DETR whose loss_cls has use_sigmoid=True cannot be exported')
    divisor = model.data_preprocessor.pad_size_divisor
    if divisor > 1:
        raise InputError(
            f'DETR whose pictures are padded to multiples of {divisor} cannot be exported, as it '
            'leaves the padding out. Pass a config with data_preprocessor=dict(pad_size_divisor=1):'
            ' --config FILE'
        )
    most = head.test_cfg.get('max_per_img', model.num_queries)
    return {'': QueryDetector(model)}, {'queries': {'max_per_img': most}}

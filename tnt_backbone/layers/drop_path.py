"""Stochastic depth (https://arxiv.org/abs/1603.09382), per sample.

It does not come from torchvision or mmcv, because the backbones need only torch.
"""

from torch import Tensor, nn


class DropPath(nn.Module):
    """Zero a residual branch for whole samples: ``(B, ...) -> (B, ...)``.

    In the word branch a "sample" is one sentence, since its batch is ``B * N``; the authors' code
    does the same.

    Args:
        drop_prob: Probability that a sample is dropped, in [0, 1). Survivors are scaled by
            ``1 / (1 - drop_prob)``.
    """

    def __init__(self, drop_prob: float = 0.0) -> None:
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, branch: Tensor) -> Tensor:
        """Return the branch, with dropped samples in training."""
        if not self.training or self.drop_prob == 0.0:
            return branch
        keep_prob = 1.0 - self.drop_prob
        mask = branch.new_empty((branch.shape[0],) + (1,) * (branch.ndim - 1)).bernoulli_(keep_prob)
        return branch * (mask / keep_prob)

    def extra_repr(self) -> str:
        """Return what ``print(model)`` shows: the probability."""
        return f'drop_prob={self.drop_prob}'


def rising_rates(last: float, depth: int) -> list[float]:
    """Return the drop path rate of each of ``depth`` blocks: linear from 0 to ``last``."""
    # not torch.linspace: FakeTensorMode has no values, and a model may be built on another device
    return [last * (i / max(depth - 1, 1)) for i in range(depth)]

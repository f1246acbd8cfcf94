"""Where in the picture the evidence for a prediction lies: LayerCAM over the backbone's maps.

Source: Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization",
IEEE TIP 2021, Eq. 6 and 7 (https://ieeexplore.ieee.org/document/9462463). The map of a level is the
sum over its channels of the activation times its positive gradient, where that is positive. The
levels are added: both factors have the same meaning on each of them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from ..errors import InputError


@dataclass(frozen=True)
class HeatMap:
    """Where the evidence for one prediction lies.

    Attributes:
        title: What was predicted, such as ``'cat: 0.93'``.
        heat: ``(H, W)`` over the network's input, in [0, 1], float32; zeros if no place speaks for
            the prediction.
        boxes: ``(N, 4)``: x1, y1, x2, y2 of the objects it is about, in pixels of the network's
            input.
    """

    title: str
    heat: np.ndarray
    boxes: np.ndarray


@dataclass
class Layer:
    """A layer whose maps explain a prediction.

    Attributes:
        module: Its output is a tensor, or a tuple of them.
        strides: Stride of each output in pixels; ``None`` takes the nearest power of two.
        grid: ``(h, w)``, if the output is tokens ``(B, P + h*w, C)`` and not maps.
    """

    module: nn.Module
    strides: Sequence[int] | None = None
    grid: tuple[int, int] | None = None

    def to_map(self, output: Tensor) -> Tensor:
        """Return an output, or its gradient, as a map ``(B, C, h, w)``."""
        if self.grid is None:
            return output
        number = self.grid[0] * self.grid[1]
        return output[:, -number:].transpose(1, 2).unflatten(2, self.grid)


# They refuse tensors that have a gradient, or warn.
READERS = (torch.Tensor.numpy, torch.Tensor.item, torch.Tensor.__float__)


class KeepGradients(TorchFunctionMode):
    """A mode in which ``detach`` does nothing: MMDetection cuts its scores off when it predicts."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call a function of torch."""
        if func is torch.Tensor.detach:
            return args[0]
        if func in READERS:
            args = (args[0].detach(), *args[1:])
        return func(*args, **(kwargs or {}))


@contextmanager
def gradients_from(model: nn.Module, layer: Layer) -> Iterator[list[Tensor]]:
    """Let gradients begin at the outputs of a layer, so that nothing before it takes memory.

    Yields:
        A list. The next forward pass puts the outputs into it.
    """
    outputs: list[Tensor] = []

    def restart(module: nn.Module, args: Any, result: Any) -> Any:
        parts = result if isinstance(result, list | tuple) else (result,)
        outputs[:] = [part.clone().requires_grad_() for part in parts]
        return tuple(outputs) if isinstance(result, list | tuple) else outputs[0]

    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    handle = layer.module.register_forward_hook(restart)
    try:
        for parameter in trained:
            parameter.requires_grad_(False)
        with torch.enable_grad(), KeepGradients():
            yield outputs
    finally:
        handle.remove()
        for parameter in trained:
            parameter.requires_grad_(True)


def layer_cam(
    target: Tensor, layer: Layer, outputs: Sequence[Tensor], size: tuple[int, int]
) -> np.ndarray:
    """Return where the evidence for a number lies: ``(H, W)``, in [0, 1], float32.

    Args:
        target: A scalar: the score of an object or of a class.
        layer: The layer.
        outputs: Its outputs in the forward pass that made the target.
        size: ``(H, W)`` of the network's input.

    Raises:
        ValueError: If the target has no gradient.
    """
    if not target.requires_grad:
        raise InputError(
            'the score does not depend on the features in a way that has a gradient, so this model '
            'has no heat maps. Pass --no-heat'
        )
    gradients = torch.autograd.grad(target, outputs, retain_graph=True, allow_unused=True)
    total = torch.zeros(size, device=target.device)
    with torch.no_grad():
        for i, (output, gradient) in enumerate(zip(outputs, gradients, strict=True)):
            if gradient is None:
                continue
            features, slope = layer.to_map(output), layer.to_map(gradient)
            level = (features * slope.clamp(min=0)).sum(dim=1, keepdim=True).clamp(min=0)
            stride = layer.strides[i] if layer.strides else nearest_stride(size, level)
            height, width = (side * stride for side in level.shape[2:])
            grown = F.interpolate(level.float(), size=(height, width), mode='bilinear')
            total += grown[0, 0, : size[0], : size[1]]
        total /= total.max().clamp(min=torch.finfo(total.dtype).tiny)
    return total.cpu().numpy()


def nearest_stride(size: tuple[int, int], level: Tensor) -> int:
    """Return the stride of a map as a power of two."""
    ratio = max(n / m for n, m in zip(size, level.shape[2:], strict=True))
    return 2 ** round(np.log2(ratio))

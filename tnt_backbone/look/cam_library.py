"""Heat maps of classifiers by the methods of grad-cam, a package of its own.

https://github.com/jacobgil/pytorch-grad-cam (MIT).
"""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import InputError, MissingPackageError
from .heat import Layer

# Names of the command, and grad-cam's classes
METHODS = {
    'ablationcam': 'AblationCAM',
    'eigencam': 'EigenCAM',
    'eigengradcam': 'EigenGradCAM',
    'gradcam': 'GradCAM',
    'gradcam++': 'GradCAMPlusPlus',
    'hirescam': 'HiResCAM',
    'scorecam': 'ScoreCAM',
    'xgradcam': 'XGradCAM',
}


def check_method(method: str) -> None:
    """Check that a method of heat maps exists and can be used.

    Args:
        method: ``'layercam'``, which needs no package, or a key of :data:`METHODS`.

    Raises:
        ValueError: If there is no such method.
        ImportError: If it needs grad-cam, which is not installed.
    """
    if method == 'layercam':
        return
    if method not in METHODS:
        raise InputError(
            f'--cam {method} is unknown. Choose one of layercam, {", ".join(sorted(METHODS))}'
        )
    if find_spec('pytorch_grad_cam') is None:
        raise MissingPackageError(
            f"--cam {method} needs grad-cam. Run: pip install 'tnt-backbone[look]'. Or leave it "
            'out: layercam needs nothing'
        )


def library_cam(
    network: Any, layer: Layer, tensor: Tensor, labels: Sequence[int], method: str
) -> list[np.ndarray]:
    """Return a heat map per class: ``(H, W)``, in [0, 1].

    Args:
        network: MMPretrain's classifier.
        layer: The layer whose maps are read; of several maps, the last.
        tensor: ``(1, 3, H, W)``, normalised.
        labels: Numbers of the classes.
        method: A key of :data:`METHODS`.
    """
    check_method(method)
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    last = nn.Identity()

    def pass_through(module: nn.Module, args: Any, result: Any) -> Any:
        """Send the last map through a layer of its own, since grad-cam takes one tensor a layer."""
        if isinstance(result, list | tuple):
            return (*result[:-1], last(result[-1]))
        return last(result)

    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network, self.last = network, last

        def forward(self, image: Tensor) -> Tensor:
            return self.network(image, mode='tensor')

    handle = layer.module.register_forward_hook(pass_through)
    options: dict[str, Any] = {'reshape_transform': layer.to_map} if layer.grid else {}
    try:
        with getattr(pytorch_grad_cam, METHODS[method])(Logits(), [last], **options) as cam:
            cam.compute_input_gradient = True  # also if the backbone is frozen
            with torch.enable_grad():
                return [cam(tensor.clone(), [ClassifierOutputTarget(i)])[0] for i in labels]
    finally:
        handle.remove()
        network.zero_grad(set_to_none=True)

"""What a network is given of a picture: pixels and tensor behind the test pipeline."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.dataset import default_collate, pseudo_collate
from mmengine.registry import DefaultScope
from torch import Tensor

from ..errors import InputError
from ..predict.model import TrainedModel
from ..predict.pictures import Picture


@dataclass(frozen=True)
class NetworkInput:
    """A picture behind the test pipeline and the data preprocessor.

    Attributes:
        name: What the picture is called.
        pixels: ``(H, W, 3)``, RGB, uint8: what the network sees, with its padding.
        content: ``(h, w)``: the upper left part of ``pixels`` that is not padding.
        tensor: ``(1, 3, H, W)``, normalised.
        samples: The library's data sample of the picture, in a list.
    """

    name: str
    pixels: np.ndarray
    content: tuple[int, int]
    tensor: Tensor
    samples: list[Any]


def network_input(model: TrainedModel, picture: Picture) -> NetworkInput:
    """Return what the network is given of a picture.

    Raises:
        UnreadablePictureError: If the picture is damaged.
        ValueError: If the test pipeline makes several pictures of one.
    """
    with DefaultScope.overwrite_default_scope(model.cfg.default_scope):
        data = model.prepare(picture)
        given = data['inputs']
        if not isinstance(given, Tensor) or given.ndim != 3:
            raise InputError(
                'the test pipeline makes several pictures of one, and only one can be looked at. '
                'Pass a config with a plain test pipeline: --config FILE'
            )
        collate = default_collate if model.task == 'classification' else pseudo_collate
        ready = model.model.data_preprocessor(collate([data]), False)
    tensor = ready['inputs']
    height, width = given.shape[1:]
    pixels = np.zeros((*tensor.shape[2:], 3), np.uint8)
    pixels[:height, :width] = _shown(given)
    return NetworkInput(picture.name, pixels, (height, width), tensor, ready['data_samples'])


def _shown(given: Tensor) -> np.ndarray:
    """Return an image of a pipeline ``(C, h, w)``, BGR, as ``(h, w, 3)``, RGB, uint8."""
    image = given.float()
    low, high = image.min(), image.max()
    if given.is_floating_point() and (low < 0 or high > 255 or high <= 1):
        # normalised by the pipeline itself
        image = (image - low) / (high - low).clamp(min=1e-6) * 255
    image = image.round().to(torch.uint8)
    image = image[:3].flip(0) if len(image) >= 3 else image[:1].expand(3, -1, -1)
    return image.permute(1, 2, 0).cpu().numpy()

"""Which sizes of pictures a file takes, and the example that PyTorch's exporter traces for them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.export import Dim

from ..backbones import PyramidTNT
from ..errors import InputError
from ..predict.model import TrainedModel
from ..predict.pictures import Picture, UnreadablePictureError

Sizes = dict[tuple[int, int], list[Picture]]  # height and width

LARGEST = 8192  # pixels of a side

BATCH = Dim('batch', max=1024)


@dataclass(frozen=True)
class Example:
    """Inputs of a network.

    Attributes:
        inputs: What the exporter traces.
        free: Which of their sizes are free.
        others: Inputs of other sizes, which the file is tried with.
    """

    inputs: tuple[Any, ...]
    free: tuple[Any, ...]
    others: list[tuple[Any, ...]]


def parted_by_size(
    trained: TrainedModel, pictures: Iterable[Picture]
) -> tuple[Sizes, list[UnreadablePictureError]]:
    """Return the pictures of each height and width after the test pipeline, and the damaged ones.

    Args:
        trained: The model.
        pictures: Files, no videos.
    """
    found: Sizes = {}
    damaged = []
    for picture in pictures:
        try:
            height, width = trained.prepare(picture)['inputs'].shape[-2:]
        except UnreadablePictureError as error:
            damaged.append(error)
            continue
        found.setdefault((int(height), int(width)), []).append(picture)
    return found, damaged


def require_one_size(size: tuple[int, int], sizes: Sizes) -> None:
    """Check that all pictures have the only size that a file takes.

    Args:
        size: Height and width after the test pipeline.
        sizes: Of :func:`parted_by_size`.

    Raises:
        ValueError: If one has another.
    """
    for (height, width), (picture, *_) in sizes.items():
        if (height, width) != size:
            raise InputError(
                f'--pictures: {picture.path} has {height}x{width} pixels (height x width) after '
                f'the test pipeline, and the file would take {size[0]}x{size[1]} only. Pass '
                'pictures of one size, or a config whose test pipeline resizes all to one, such as '
                'with ResizeEdge and CenterCrop: --config FILE'
            )


class FromSquares(nn.Module):
    """A network of pictures that takes them as ``(N, 3, rows, side, columns, side)``.

    It is the memory of ``(N, 3, H, W)``. If the exporter counts whole squares, it can prove what
    networks do with sizes, and does so in less time.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, squares: torch.Tensor) -> Any:
        """Return what the network returns."""
        batch, channels, rows, side, columns, _ = squares.shape
        return self.network(squares.reshape(batch, channels, rows * side, columns * side))


def is_free(trained: TrainedModel, settings: dict[str, Any]) -> bool:
    """Whether the network of one file takes inputs of all sizes.

    Args:
        trained: The model.
        settings: ``slide`` and ``size_divisor`` of the file's metadata.
    """
    model = trained.model
    if trained.task == 'classification':  # its pipeline crops
        return False
    # Pooling to a fixed number of cells (PSPHead, UPerHead) has no form in ONNX for free sizes.
    if trained.task == 'segmentation' and any(_pools(part) for part in model.modules()):
        return False
    return square_of(model, settings) is not None or not isinstance(model.backbone, PyramidTNT)


def _pools(module: nn.Module) -> bool:
    return isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size not in (1, (1, 1))


def square_of(model: Any, settings: dict[str, Any]) -> int | None:
    """Return the side of the squares that inputs consist of; ``None`` if they are not padded so."""
    divisor = 1 if 'slide' in settings else settings['size_divisor']  # windows are not padded
    is_whole = divisor > 1 and not divisor % getattr(model.backbone, 'pad_divisor', 1)
    return divisor if is_whole else None


def one_size(size: tuple[int, ...], divisor: int) -> Example:
    """Return an example for pictures of one size.

    Args:
        size: Height and width before padding.
        divisor: They are padded to multiples of it.
    """
    padded = [side + -side % divisor for side in size]
    # One picture would make the exporter take the size of the batch for a constant.
    return Example((_noise(2, 3, *padded),), ({0: BATCH},), [(_noise(1, 3, *padded),)])


def any_size(square: int | None) -> Example:
    """Return an example for pictures of any size, of whole squares or of pixels."""
    # Sides that are no multiples of each other and of no power of 2: the exporter takes what is
    # special for the rule.
    if square is None:
        free = {axis: Dim(f'side{axis}', min=33, max=LARGEST) for axis in (2, 3)}
        others = [(64, 96), (130, 50)]
        tried = [_noise(1, 3, *size) for size in others]
        return Example((_noise(2, 3, 101, 167),), ({0: BATCH, **free},), [(x,) for x in tried])
    free = {axis: Dim(f'side{axis}', min=3, max=LARGEST // square) for axis in (2, 4)}
    tried = [_noise(1, 3, rows, square, columns, square) for rows, columns in ((4, 7), (6, 2))]
    images = _noise(2, 3, 13, square, 9, square)
    return Example((images,), ({0: BATCH, **free},), [(x,) for x in tried])


def regions(features: list[torch.Tensor]) -> Example:
    """Return an example for a head of regions: another number of them on each level.

    Args:
        features: The maps of two pictures.
    """
    boxes = torch.tensor([[0.0, 4.0, 4.0, 60.0, 60.0], [1.0, 0.0, 9.5, 30.0, 20.0]])
    found = [boxes.repeat(2 + level, 1) for level in range(len(features))]
    free_maps = [{0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC} for _ in features]
    few = [boxes[:0], *(boxes[1:] for _ in features[1:])]  # none on the first level
    others = ([level[..., 1:, :] for level in features], few)
    return Example((features, found), (free_maps, [{0: Dim.DYNAMIC} for _ in found]), [others])


def _noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))

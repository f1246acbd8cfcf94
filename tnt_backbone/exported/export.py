"""A trained model as files that need no torch to predict, for any number of pictures."""

import json
import math
import secrets
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn
from torch.export import Dim

from ..predict.model import TrainedModel
from ..run.embedded_config import test_dataset
from ..version import __version__
from .networks import FromSquares, networks_of
from .pipeline import portable
from .session import KEY, part_path

LARGEST = 8192  # pixels of a side
# Without `optimize`, whose rules take numbers up to 1e-8 for zero: they drop the epsilon of
# T2T-ViT's Performer. The program that runs the file optimises by itself.
OPTIONS: dict[str, Any] = {
    'dynamo': True,
    'optimize': False,
    'verbose': False,
    'external_data': False,
}

Example = tuple[tuple[Any, ...], tuple[Any, ...]]  # inputs, and which of their sizes are free


def export_model(trained: TrainedModel, path: Path, size: tuple[int, int] | None) -> None:
    """Write a model and all that a prediction needs to know.

    What is inside the files and what is beside them: docs/export.md.

    Args:
        trained: On the CPU.
        path: The first file. Its folder exists. Further networks of a detector are written beside
            it (:func:`part_path`).
        size: Height and width of the pictures after the test pipeline, before padding. ``None``
            unless :func:`takes_one_size`; a segmentor's windows are then those of ``test_cfg``.

    Raises:
        ValueError: If the model cannot be exported.
    """
    steps = portable(test_dataset(trained.cfg)['pipeline'])
    networks, settings = networks_of(trained)
    size = _check_size(size, trained.task, settings)
    first, *others = networks
    about = {
        'version': __version__,
        'id': secrets.token_hex(8),
        'task': trained.task,
        'classes': trained.classes,
        'palette': trained.palette,
        'pipeline': steps,
        'size': size,
        'parts': others,
        **settings,
    }
    if size is None:
        networks[first] = FromSquares(networks[first])
        example = _any_size(_divisor(trained, settings))
    else:
        example = _one_size(size, 1 if 'slide' in settings else settings['size_divisor'])
    with torch.no_grad():
        features = networks[first](*example[0])
    for part in others:
        part_about = {'id': about['id'], 'part': part}
        levels = settings['detector'][part]['levels']
        maps = list(features[2 * len(settings['detector']['proposals']['anchors']) :][:levels])
        _write(networks[part], _regions(maps), part_path(path, part), part_about, str(trained))
    _write(networks[first], example, path, about, str(trained))


def takes_one_size(trained: TrainedModel) -> bool:
    """Whether a file of the model is for pictures of one size, which must be given."""
    if trained.task == 'segmentation':
        return trained.model.test_cfg.mode != 'slide'
    return trained.task == 'classification'


def _check_size(
    size: tuple[int, int] | None, task: str, settings: dict[str, Any]
) -> tuple[int, int] | None:
    """Return the size of the network's input before padding; ``None`` is any."""
    if task == 'detection':
        if size is not None:
            raise ValueError('--size is not for detectors: their files take pictures of any size')
        return None
    if 'slide' in settings:
        height, width = settings['slide']['crop_size']
        return (min(height, size[0]), min(width, size[1])) if size else (height, width)
    return size


def _divisor(trained: TrainedModel, settings: dict[str, Any]) -> int:
    """Return what both sides of every input are multiples of."""
    divisor = settings['size_divisor']
    needed = getattr(trained.model.backbone, 'pad_divisor', 1)
    if divisor % needed:
        raise ValueError(
            f'the pictures are padded to multiples of {divisor}, but PyTorch can export '
            f'{type(trained.model.backbone).__name__} for any size only if it is a multiple of '
            f'{needed}. Pass a config with data_preprocessor=dict(pad_size_divisor='
            f'{math.lcm(divisor, needed)}): --config FILE'
        )
    return divisor


def _one_size(size: tuple[int, int], divisor: int) -> Example:
    padded = [side + -side % divisor for side in size]
    # One picture would make the exporter take the size of the batch for a constant.
    return (torch.zeros(2, 3, *padded),), ({0: Dim('batch', max=1024)},)


def _any_size(divisor: int) -> Example:
    # Odd numbers of squares, and not of one: the exporter takes what is special for the rule.
    free = {0: Dim('batch', max=1024)}
    free |= {axis: Dim(f'squares{axis}', min=3, max=LARGEST // divisor) for axis in (2, 4)}
    return (torch.zeros(2, 3, 5, divisor, 3, divisor),), (free,)


def _regions(features: list[torch.Tensor]) -> Example:
    """Return an example for a head of regions: another number of them on each level."""
    boxes = torch.tensor([0.0, 4.0, 4.0, 60.0, 60.0])
    regions = [boxes.repeat(3 + level, 1) for level in range(len(features))]
    free_maps = [{0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC} for _ in features]
    free_regions = [{0: Dim.DYNAMIC} for _ in regions]
    return (features, regions), (free_maps, free_regions)


def _write(
    network: nn.Module, example: Example, path: Path, about: dict[str, Any], name: str
) -> None:
    inputs, free = example
    try:
        # What the exporter cannot prove of free sizes it leaves unchecked, instead of giving up.
        program = torch.export.export(
            network,
            inputs,
            dynamic_shapes=free,
            strict=False,
            prefer_deferred_runtime_asserts_over_guards=True,
        )
        torch.onnx.export(program, f=str(path), **OPTIONS)
    except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
        reason = str(error).strip().partition('\n')[0]
        raise ValueError(f'PyTorch cannot export {name}: {reason}') from error
    except OSError as error:
        raise ValueError(f'{path.name} cannot be written: {error}') from error
    content = onnx.load(str(path))
    onnx.helper.set_model_props(content, {KEY: json.dumps(about)})
    onnx.save(content, str(path))

"""A trained model as files that need no torch to predict, for any number of pictures."""

import copy
import json
import math
import secrets
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from ..errors import InputError
from ..predict.model import TrainedModel
from ..run.embedded_config import test_dataset
from ..version import __version__
from .formats import FORMATS, not_written
from .networks import networks_of
from .pipeline import portable
from .session import open_session, part_path
from .sizes import Example, FromSquares, any_size, is_free, one_size, regions, square_of

TOLERANCE = 1e-3  # of outputs, relative to the largest
# Without `optimize`, whose rules take numbers up to 1e-8 for zero: they drop the epsilon of
# T2T-ViT's Performer. The program that runs the file optimises by itself.
OPTIONS: dict[str, Any] = {
    'dynamo': True,
    'optimize': False,
    'verbose': False,
    'external_data': False,
}


def export_model(
    trained: TrainedModel, path: Path, size: tuple[int, int] | None = None, *, half: bool = False
) -> None:
    """Write a model and all that a prediction needs to know.

    What is inside the files and what is beside them: docs/export.md.

    Args:
        trained: On the CPU.
        path: The first file. Its folder exists. Further networks of a detector are written beside
            it (:func:`part_path`).
        size: Height and width of the pictures after the test pipeline, before padding: the only
            ones that the file takes. By default all, if :func:`needs_size` is false.
        half: Store weights in half precision: half the file. They are computed with in single.

    Raises:
        ValueError: If the model cannot be exported, or not for this size.
    """
    if half:
        trained = _rounded(trained)
    steps = portable(test_dataset(trained.cfg)['pipeline'])
    networks, settings = networks_of(trained)
    if trained.task == 'detection':
        _check_detector(trained, size, settings)
    elif size is None and not (is_free(trained, settings) or 'slide' in settings):
        raise InputError(
            f'PyTorch cannot export {trained} for pictures of any size, but for one size it can. '
            'Pass --size HEIGHT WIDTH'
        )
    if 'slide' in settings and (size or not is_free(trained, settings)):
        windows = settings['slide']['crop_size']
        size = tuple(map(min, size or windows, windows))
    square = None if size else square_of(trained.model, settings)
    if square:
        networks[''] = FromSquares(networks[''])
    example = (
        one_size(size, 1 if 'slide' in settings else settings['size_divisor'])
        if size
        else any_size(square)
    )
    first, *parts = networks
    about = {
        'version': __version__,
        'id': secrets.token_hex(8),
        'task': trained.task,
        'classes': trained.classes,
        'palette': trained.palette,
        'pipeline': steps,
        'size': size,
        'square': square,
        'parts': parts,
        'token_side': trained.token_side,
        **settings,
    }
    for part in parts:
        with torch.no_grad():
            outputs = networks[first](*example.inputs)
        maps = outputs[2 * len(settings['detector']['proposals']['anchors']) :]
        inputs = regions(list(maps[: settings['detector'][part]['levels']]))
        part_about = {'id': about['id'], 'part': part}
        _write(networks[part], inputs, part_path(path, part), part_about, str(trained), half=half)
    _write(networks[first], example, path, about, str(trained), half=half)


def needs_size(trained: TrainedModel) -> bool:
    """Whether a file of the model takes pictures of one size only.

    Raises:
        ValueError: If the model cannot be exported.
    """
    settings = networks_of(trained)[1]
    return not ('slide' in settings or is_free(trained, settings))


def _check_detector(
    trained: TrainedModel, size: tuple[int, int] | None, settings: dict[str, Any]
) -> None:
    if size is not None:
        raise InputError('--size is not for detectors: their files take pictures of any size')
    if not is_free(trained, settings):
        divisor = settings['size_divisor']
        raise InputError(
            f'PyTorch cannot export {trained} for pictures of any size if they are padded to '
            f'multiples of {divisor}. Pass a config with data_preprocessor=dict(pad_size_divisor='
            f'{math.lcm(divisor, trained.model.backbone.pad_divisor)}): --config FILE'
        )


def _write(
    network: nn.Module,
    example: Example,
    path: Path,
    about: dict[str, Any],
    name: str,
    *,
    half: bool = False,
) -> None:
    try:
        # What the exporter cannot prove of free sizes it leaves unchecked, instead of giving up.
        onnx_file = path.with_suffix('.onnx')
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', FutureWarning)  # PyTorch's, about itself
            program = torch.export.export(
                network,
                example.inputs,
                dynamic_shapes=example.free,
                strict=False,
                prefer_deferred_runtime_asserts_over_guards=True,
            )
            torch.onnx.export(program, f=str(onnx_file), **OPTIONS)
        FORMATS[path.suffix](onnx_file, path, json.dumps(about), half)
    except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
        reason = str(error).strip().partition('\n')[0]
        raise InputError(f'{name} cannot be exported to {path.suffix}: {reason}') from error
    except OSError as error:
        raise not_written(path, error) from error
    for inputs in example.others:
        _try(network, inputs, path, name)


def _rounded(trained: TrainedModel) -> TrainedModel:
    """Return a copy whose weights are numbers of half precision, where their range allows it."""
    trained = copy.copy(trained)
    trained.model = copy.deepcopy(trained.model)
    for weight in trained.model.parameters():
        rounded = weight.detach().half()
        if rounded.isfinite().all():
            weight.data = rounded.float()
    return trained


@torch.no_grad()
def _try(network: nn.Module, inputs: tuple[Any, ...], path: Path, name: str) -> None:
    """Compare the file with the network, on other sizes than those that were traced.

    Raises:
        ValueError: If they differ: tracing made a constant of something that is none.
    """
    expected = tree_leaves(network(*inputs))
    given = [leaf.numpy() for leaf in tree_leaves(inputs)]
    sizes = [list(value.shape) for value in given]
    try:
        found = open_session(path).run(given)
    except Exception as error:  # the classes of the programs have no common base
        raise InputError(f'{name} cannot be exported: inputs of {sizes} fail: {error}') from error
    for ours, theirs in zip(expected, found, strict=True):
        largest = float(ours.abs().max()) if ours.numel() else 0.0
        if ours.shape != theirs.shape or not np.allclose(
            ours.numpy(), theirs, rtol=0, atol=TOLERANCE * max(largest, 1.0)
        ):
            raise InputError(
                f'{name} cannot be exported for any size: on inputs of {sizes} the file differs '
                'from the model. For one size it may: --size HEIGHT WIDTH'
            )

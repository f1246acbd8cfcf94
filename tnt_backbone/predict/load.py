"""From a checkpoint to a model with its weights, its test pipeline and the names of its classes."""

import copy
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, DefaultScope
from torch import nn

from ..checkpoints import resolve_checkpoint
from ..checkpoints.read import read_meta, read_tensors
from ..checkpoints.usable import require_finite
from ..data_checks.datasets import class_counts
from ..data_checks.findings import shorten
from ..datasets.arrays import let_read_files
from ..errors import InputError, UserError
from ..run.config import read_config
from ..run.embedded_config import UntrustedConfigError, test_dataset, trusted_config
from ..run.missing_checkpoint import missing_checkpoint
from ..run.operators import replace_missing_operators
from .draw import Colour, class_colours
from .model import TrainedModel
from .pictures import Picture

LARGER, SPARE = 4, 2**26  # times the weights in the file, and numbers, that a model may have
# A small detector that comes with the package. It knows handwritten digits.
BUILT_IN = {'tnt://digits': Path(__file__).with_name('digits.pth')}


def load_model(
    checkpoint: str | Path,
    *,
    config: str | Path | None = None,
    device: str | torch.device | None = None,
    trust: Collection[str] = (),
) -> TrainedModel:
    """Return the model of a checkpoint, ready to predict.

    Args:
        checkpoint: A file that MMDetection, MMSegmentation, MMPretrain or ``tnt train`` wrote, its
            address, or ``'tnt://digits'``, a small detector of digits that is in the package.
        config: A config file that replaces the one in the checkpoint. It is run as Python.
        device: Such as ``'cuda:1'`` or ``'cpu'``; by default a GPU if there is one.
        trust: Types and modules that the checkpoint's config may name although they are of no
            library that is known.

    Raises:
        FileNotFoundError: If there is no such file.
        UntrustedConfigError: If the checkpoint's config names what it must not.
        ValueError: If the file is no checkpoint, has no config, or does not fit its config.
    """
    name = str(checkpoint)
    if '://' not in name and not name.startswith('timm/') and not Path(name).expanduser().is_file():
        raise missing_checkpoint(name)
    replace_missing_operators()
    path = str(BUILT_IN.get(name) or resolve_checkpoint(checkpoint))
    tensors = read_tensors(path)
    meta = read_meta(path)
    cfg = _read_cfg(path, meta, config, trust)
    blame = nullcontext() if config is not None else _config_to_blame(path)
    with blame, DefaultScope.overwrite_default_scope(cfg.default_scope):
        if config is None:
            _require_moderate(cfg, tensors, path)
        model = MODELS.build(copy.deepcopy(cfg.model))
        _load(model, tensors, path)
        classes, palette = _classes(cfg, meta, path)
        trained = TrainedModel(model.eval(), cfg, classes, palette)
        if config is None:  # a pipeline says what is wrong with it only when it runs
            trained.prepare(Picture('grey', '', np.full((256, 256, 3), 127, np.uint8)))
    if device is None:
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
    trained.model.to(device)
    return trained


@contextmanager
def _config_to_blame(path: str) -> Iterator[None]:
    """Say of every error that the config in a checkpoint is wrong: it may say anything."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise InputError(
            f'the model of the config in {path} cannot be built ({type(error).__name__}: {error}). '
            'Pass the config of the run: --config FILE'
        ) from error


def _require_moderate(cfg: Config, tensors: dict[str, torch.Tensor], path: str) -> None:
    """Check that a model is not much larger than its weights, before it takes memory.

    Raises:
        ValueError: If it is.
    """
    try:
        with torch.device('meta'):
            model = MODELS.build(copy.deepcopy(cfg.model))
    except Exception:  # some models compute with values while they are built
        return
    wanted, stored = (
        sum(tensor.numel() for tensor in state.values()) for state in (model.state_dict(), tensors)
    )
    if wanted > LARGER * stored + SPARE:
        raise InputError(
            f'the config in {path} describes a model of {wanted} numbers, but the file has '
            f'{stored}. Pass the config of the run: --config FILE'
        )


def _read_cfg(
    path: str, meta: dict[str, Any], config: str | Path | None, trust: Collection[str]
) -> Config:
    if config is not None:
        cfg = read_config(str(config), options=None, work_dir=None, launcher='none')
        if cfg.get('data_preprocessor'):
            cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)
    elif isinstance(meta.get('cfg'), str):
        try:
            cfg = trusted_config(meta['cfg'], trust=trust)
        except UntrustedConfigError as error:
            raise UntrustedConfigError(f'{path}: {error}') from error
    else:
        raise InputError(
            f'{path} has weights but no config, so its model is not known. Pass the config of the '
            'run: --config FILE'
        )
    if not test_dataset(cfg).get('pipeline'):
        raise InputError(
            f'the config of {path} has no test pipeline (test_dataloader.dataset.pipeline), which '
            'says how pictures are read. Pass one that has: --config FILE'
        )
    let_read_files(cfg, [test_dataset(cfg)])
    return cfg


def _load(model: nn.Module, tensors: dict[str, torch.Tensor], path: str) -> None:
    own = model.state_dict()
    wrong = [
        f'{key} is {tuple(tensors[key].shape)}, the model has {tuple(own[key].shape)}'
        for key in own
        if key in tensors and tensors[key].shape != own[key].shape
    ]
    wrong += [
        f'{key} is of {tensors[key].dtype}, the model has {own[key].dtype}'
        for key in own
        if key in tensors and own[key].is_floating_point() != tensors[key].is_floating_point()
    ]
    missing = [key for key, _ in model.named_parameters() if key not in tensors]
    surplus = [key for key in tensors if key not in own]
    if wrong or missing or surplus:
        found = [f'wrong shape or type: {wrong[:3]}'] if wrong else []
        found += [f'{len(missing)} missing: {missing[:3]}'] if missing else []
        found += [f'{len(surplus)} unknown: {surplus[:3]}'] if surplus else []
        raise InputError(
            f'the weights of {path} do not fit the model of its config ({"; ".join(found)}). Pass '
            'the config that it was trained with: --config FILE'
        )
    require_finite(tensors, path, infinite=True)
    model.load_state_dict(tensors, strict=False)


def _classes(
    cfg: Config, meta: dict[str, Any], path: str
) -> tuple[tuple[str, ...], list[tuple[int, int, int]]]:
    """Return names and colours of the classes, from the first place that has them."""
    dataset = test_dataset(cfg)
    with DATASETS.switch_scope_and_registry(None) as registry:  # of the config's library
        kind = registry.get(dataset['type']) if dataset.get('type') else None
    places = [
        meta.get('dataset_meta'),
        {key: meta.get(key) for key in ('CLASSES', 'PALETTE')},  # of MMDetection 2 and the like
        dataset.get('metainfo'),
        getattr(kind, 'METAINFO', {}),
    ]
    lower = [
        {str(key).lower(): value for key, value in place.items()}
        for place in places
        if isinstance(place, dict)
    ]
    known = next((place for place in lower if place.get('classes')), None)
    if known is None:
        raise InputError(
            f'{path} does not say what its classes are called. Pass a config with metainfo=dict('
            'classes=(...)) in its test data set: --config FILE'
        )
    if not isinstance(known['classes'], list | tuple):
        raise InputError(
            f'{path} says that its classes are {str(known["classes"])[:80]!r}, which is no list of '
            'names. Pass a config with metainfo=dict(classes=(...)): --config FILE'
        )
    classes = tuple(map(str, known['classes']))
    for key, number in class_counts(cfg.model, 'model'):
        if number > len(classes):
            raise InputError(
                f'{path} has the names of {len(classes)} classes ({shorten(classes)}), but {key} '
                f'is {number}. Pass a config with all names in metainfo: --config FILE'
            )
    return classes, _palette(known.get('palette'), classes)


def _palette(given: Any, classes: tuple[str, ...]) -> list[Colour]:
    """Return the colours of a checkpoint, or our own if they are not one per class.

    A data set with classes of its own has the palette of its type: MMDetection's has COCO's 80.
    """
    try:
        colours = [(int(r), int(g), int(b)) for r, g, b in given]
    except (TypeError, ValueError, OverflowError):
        return class_colours(classes)
    is_usable = len(colours) == len(classes) and all(0 <= v <= 255 for c in colours for v in c)
    return colours if is_usable else class_colours(classes)

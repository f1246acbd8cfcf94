"""The weights that a model starts from: find, replace, remove and check them in its config."""

import copy
import inspect
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODEL_WRAPPERS, MODELS, init_default_scope
from torch.nn.parallel import DistributedDataParallel

from ..backbones import BACKBONES
from ..checkpoints import resolve_checkpoint
from ..checkpoints.init_cfg import load_options, split_init_cfg
from ..checkpoints.load import select_tensors
from ..errors import InputError, UserError
from ..near_names import did_you_mean

# mmengine fetches these itself
FOREIGN_SCHEMES = (
    'torchvision://',
    'modelzoo://',
    'open-mmlab://',
    'openmmlab://',
    'mmcls://',
    's3://',
)


def _dicts(node: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every dict of a config with its dotted path."""
    if isinstance(node, dict):
        yield path, node
        for key, value in node.items():
            yield from _dicts(value, f'{path}.{key}')
    elif isinstance(node, (list, tuple)):
        for i, value in enumerate(node):
            yield from _dicts(value, f'{path}.{i}')


def pretrained_checkpoints(cfg: Config) -> dict[str, Any]:
    """Find what ``init_cfg=dict(type='Pretrained', ...)`` asks for.

    Returns:
        ``{dotted path in the config: checkpoint}``.
    """
    return {
        f'{path}.init_cfg': init.get('checkpoint')
        for path, part in _dicts(cfg.model, 'model')
        for init in split_init_cfg(part.get('init_cfg'))[0]
    }


def drop_pretrained(cfg: Config) -> None:
    """Remove every pretrained checkpoint from the model (``--from-scratch``)."""
    for _, part in _dicts(cfg.model, 'model'):
        if part.get('pretrained'):  # what some configs of mmseg say instead
            part['pretrained'] = None
        pretrained, others = split_init_cfg(part.get('init_cfg'))
        if pretrained:
            part['init_cfg'] = others or None


def leave_reading_to_first(cfg: Config) -> None:
    """Let this process, which is not the first one, get the pretrained weights from that one.

    mmengine sends the parameters and buffers of process 0 to all others after the initialisation.
    What shards a model (FSDP) may load in another way, and is left alone.
    """
    kind = (cfg.get('model_wrapper_cfg') or {}).get('type', 'MMDistributedDataParallel')
    kind = MODEL_WRAPPERS.get(kind) if isinstance(kind, str) else kind
    if isinstance(kind, type) and issubclass(kind, DistributedDataParallel):
        drop_pretrained(cfg)


def replace_backbone_weights(cfg: Config, file: str) -> None:
    """Let the backbone start from a file (``--weights``).

    Raises:
        ValueError: If the model has no backbone, or several.
    """
    backbones = {
        path: part
        for path, part in _dicts(cfg.model, 'model')
        if path.endswith('.backbone') and 'type' in part
    }
    if len(backbones) != 1:
        raise InputError(
            f'--weights is for a model with one backbone, and this one has {len(backbones)} '
            f'{sorted(backbones)}. Name the place: --cfg-options '
            f'model.backbone.init_cfg.type=Pretrained model.backbone.init_cfg.checkpoint={file}'
        )
    (backbone,) = backbones.values()
    if cfg.model.get('pretrained'):
        cfg.model['pretrained'] = None
    pretrained, others = split_init_cfg(backbone.get('init_cfg'))
    replaced = {**(pretrained or [{'type': 'Pretrained'}])[0], 'checkpoint': file}
    backbone['init_cfg'] = (
        [*others, replaced] if others else replaced
    )  # some backbones take no list


def notes_on_frozen_parts(cfg: Config) -> list[str]:
    """Return notes on parts that are frozen although they start from random numbers."""
    parts = dict(_dicts(cfg.model, 'model'))
    loaded = cfg.get('load_from') or cfg.get('resume') or pretrained_checkpoints(cfg)
    if loaded or any(part.get('pretrained') for part in parts.values()):
        return []
    return [
        f'{path}.frozen_stages={part["frozen_stages"]} keeps random numbers to the end, since '
        f'no weights are loaded. Set --cfg-options {path}.frozen_stages=-1'
        + (f' {path}.norm_eval=False' if part.get('norm_eval') else '')
        for path, part in parts.items()
        if isinstance(part.get('frozen_stages'), int) and part['frozen_stages'] >= 0
    ]


def check_pretrained(cfg: Config) -> None:
    """Fetch the weights that the model starts from: a run that cannot have them stops at once.

    Raises:
        FileNotFoundError: If they are not there; the text says which places were tried, and what
            to do.
        ValueError: If a name is not known, or a file is damaged.
    """
    for checkpoint in pretrained_checkpoints(cfg).values():
        if not str(checkpoint).startswith(FOREIGN_SCHEMES):
            resolve_checkpoint(checkpoint)


def our_backbones(cfg: Config) -> dict[str, dict[str, Any]]:
    """Find the backbones of ours in a config.

    Returns:
        ``{dotted path in the config: arguments}``, the class itself as ``type``.
    """
    init_default_scope(cfg.get('default_scope') or 'mmengine')
    found = {}
    for path, part in _dicts(cfg.model, 'model'):
        if not path.endswith('.backbone') or 'type' not in part:
            continue
        kind = part['type']  # the class itself, in mmengine's configs of the new style
        if isinstance(kind, str):
            with MODELS.switch_scope_and_registry(None) as registry:  # of the config's library
                kind = registry.get(kind)
        if isinstance(kind, type) and issubclass(kind, BACKBONES):
            found[path] = {**part, 'type': kind}
    return found


def check_backbones(cfg: Config) -> None:
    """Build the backbones of ours without memory, and compare them with their weights.

    Raises:
        ValueError: If an argument is wrong, or the weights are of another model.
        FileNotFoundError: Like :func:`check_pretrained`.
    """
    for path, options in our_backbones(cfg).items():
        options = copy.deepcopy(options)
        kind = options.pop('type')
        signature = inspect.signature(kind)
        try:
            signature.bind(**options)
        except TypeError as error:
            known = signature.parameters
            questions = [did_you_mean(key, known) for key in options if key not in known]
            raise InputError(
                f'{path} of the config: {kind.__name__}() {error}.{"".join(questions)}'
            ) from error
        try:
            with torch.device('meta'):
                backbone = kind(**options)
        except UserError as error:
            raise InputError(f'{path} of the config: {error}') from error
        for init in split_init_cfg(backbone.init_cfg)[0]:
            select_tensors(backbone, **load_options(init))

"""The config inside a checkpoint, read as data: nothing that a file says is ever run.

A checkpoint of mmengine carries the text of its config. ``Config.fromstring`` would run that text
as Python. Building a model from it could run more: a registry imports whatever a dotted ``type``
names, and the libraries call ``eval``, ``pickle.load`` and ``Config.fromfile`` on some strings.
This file reads the text with ``ast``, accepts only literals and ``dict(...)``, takes only what a
prediction needs, and compares each name with what the libraries have registered.
"""

import ast
import functools
import inspect
import re
from collections.abc import Callable, Collection, Iterator
from importlib import import_module
from typing import Any

from mmengine.config import Config
from mmengine.registry import (
    DATA_SAMPLERS,
    DATASETS,
    FUNCTIONS,
    LOOPS,
    METRICS,
    MODELS,
    TASK_UTILS,
    TRANSFORMS,
    WEIGHT_INITIALIZERS,
    Registry,
)
from mmengine.utils import get_object_from_string
from torch import nn

from ..checkpoints.init_cfg import split_init_cfg
from ..errors import InputError, InputTypeError, UserError
from .libraries import LIBRARIES

PACKAGES = (*LIBRARIES, 'mmcv', 'mmengine', 'tnt_backbone')  # of types and imports
PARTS = (MODELS, TASK_UTILS, TRANSFORMS, WEIGHT_INITIALIZERS)
TESTS = (DATASETS, DATA_SAMPLERS, FUNCTIONS, LOOPS, METRICS, TRANSFORMS)
# Classes of these modules read files, fetch models or run other programs on the strings they get.
REACHING_OUT = (
    'mmdet.datasets.openimages',  # numpy.load with pickles
    'mmdet.models.detectors.d2_wrapper',
    'mmdet.models.detectors.glip',
    'mmdet.models.detectors.kd_one_stage',
    'mmdet.models.language_models',
    'mmpretrain.models.backbones.timm_backbone',
    'mmpretrain.models.multimodal',
    'mmpretrain.models.retrievers',
    'mmpretrain.models.utils.huggingface',
    'mmpretrain.models.utils.tokenizer',
    'mmpretrain.models.utils.vector_quantizer',
    'mmpretrain.models.classifiers.hugging_face',
    'mmpretrain.models.classifiers.timm',
)
# Types that no registry knows: MMDetection finds them by their names in mmcv.ops.
OTHER_TYPES = ('nms', 'soft_nms', 'nms_match', 'RoIAlign', 'RoIPool', 'SimpleRoIAlign')
LONGEST = 4_000_000  # characters; mmengine's longest configs have 60,000
# A string with one of these could be a call, a file or an address.
SUSPICIOUS_IN_MODEL = re.compile(
    r'[()/\\]|__|pickle|\bpkl\b|\.(pth|pt|bin|py|npy|npz|json|ya?ml)$', re.I
)
# Data have paths, but a call, an address, and a file that is unpickled or run are none of theirs.
# mmengine reads YAML with the loader that makes any object.
SUSPICIOUS_IN_DATA = re.compile(
    r'[()]|__|://|pickle|\bpkl\b|\.(pth|pt|bin|py|npy|npz|ya?ml)$', re.I
)
# Keys of evaluators that write files; --out asks for them.
WRITTEN = ('outfile_prefix', 'out_file_path', 'output_dir', 'out_dir', 'format_only')
# Keys whose strings are shown to people only, so anything may stand in them.
TEXTS = ('classes',)


class UntrustedConfigError(InputError):
    """A checkpoint's config asks for something that only its owner can allow."""


def _refusing(read: Callable[..., Config]) -> Callable[..., Config]:
    """Let a reader say of every config that it cannot read that the user must pass another."""

    @functools.wraps(read)
    def read_or_refuse(text: str, *, trust: Collection[str] = ()) -> Config:
        try:
            return read(text, trust=trust)
        except Exception as error:  # what a file says may be wrong in any way
            if isinstance(error, UserError) and not isinstance(error, InputTypeError):
                raise
            if isinstance(error, ModuleNotFoundError) and error.name in LIBRARIES:
                raise  # it is not installed, which is no fault of the file
            raise UntrustedConfigError(
                f'the config in the checkpoint is not as mmengine writes them ({error!r}). Pass '
                'the config of the run: --config FILE'
            ) from error

    return read_or_refuse


def parse_config(text: str) -> dict[str, Any]:
    """Return the assignments of a config's text as a dict.

    Args:
        text: What ``Config.pretty_text`` wrote: ``name = value`` lines of literals and ``dict()``.

    Raises:
        UntrustedConfigError: If it holds anything else. Nothing of it was run.
    """
    if len(text) > LONGEST:
        raise UntrustedConfigError(f'the config has {len(text)} characters; {LONGEST} are the most')
    try:
        lines = ast.parse(text).body
        return {_target(line): _value(line.value) for line in lines}  # type: ignore[attr-defined]
    except UserError:
        raise
    except (SyntaxError, RecursionError, MemoryError, TypeError, ValueError) as error:
        raise UntrustedConfigError(f'the config is no list of assignments ({error})') from error


def _target(line: ast.stmt) -> str:
    if isinstance(line, ast.Assign) and len(line.targets) == 1:
        target = line.targets[0]
        if isinstance(target, ast.Name):
            return target.id
    raise UntrustedConfigError(f'line {line.lineno} is not of the form NAME = VALUE')


def _value(node: ast.expr) -> Any:
    """Evaluate what ``repr`` and ``dict(...)`` write, and nothing else."""
    if isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name) or node.func.id != 'dict' or node.args:
            raise UntrustedConfigError(f'line {node.lineno} calls {ast.unparse(node.func)[:80]!r}')
        content: dict[Any, Any] = {}
        for keyword in node.keywords:
            value = _value(keyword.value)
            content.update({keyword.arg: value} if keyword.arg else value)
        return content
    if isinstance(node, ast.Dict):
        if any(key is None for key in node.keys):
            raise UntrustedConfigError(f'line {node.lineno} unpacks a dict')
        keys = [_value(key) for key in node.keys if key is not None]
        return dict(zip(keys, map(_value, node.values), strict=True))
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        kind = {ast.List: list, ast.Tuple: tuple, ast.Set: set}[type(node)]
        return kind(map(_value, node.elts))
    if isinstance(node, ast.Name) and node.id in ('inf', 'nan'):  # as repr() writes them
        return float(node.id)
    try:
        return ast.literal_eval(node)
    except ValueError as error:
        raise UntrustedConfigError(
            f'line {node.lineno} holds {ast.unparse(node)[:80]!r}, which is no literal'
        ) from error


@_refusing
def trusted_config(text: str, *, trust: Collection[str] = ()) -> Config:
    """Return what a prediction needs of a checkpoint's config, after a look at every name in it.

    Args:
        text: The text in the checkpoint (``meta['cfg']``).
        trust: Types, and modules of ``custom_imports``, that the user allows by hand.

    Returns:
        A config with ``default_scope``, ``custom_imports``, ``model`` (its ``data_preprocessor``
        inside, weights to start from left out), and ``test_dataloader``, whose ``dataset`` has only
        ``type``, ``metainfo`` and ``pipeline``.

    Raises:
        UntrustedConfigError: If the config names something that is not the libraries'. The text
            has the name and the way to allow it.
    """
    content = parse_config(text)
    scope = content.get('default_scope')
    if scope not in LIBRARIES:
        raise UntrustedConfigError(
            f'default_scope={scope!r} is not one of {", ".join(LIBRARIES)}. Pass the config of the '
            'run: --config FILE'
        )
    imports = _import_modules(content.get('custom_imports'), trust)
    import_module(f'{scope}.utils').register_all_modules(init_default_scope=False)
    model = content.get('model')
    if not isinstance(model, dict):
        raise UntrustedConfigError('the config has no model')
    if 'train_cfg' in model:  # for training only; detectors with two stages demand the argument
        model = {**model, 'train_cfg': None}
    if content.get('data_preprocessor'):  # MMPretrain's stands beside the model
        model.setdefault('data_preprocessor', content['data_preprocessor'])
    dataset = test_dataset(content)
    kind = str(dataset.get('type', ''))
    model = _without_weights(model)
    pipeline = _without_backends(dataset.get('pipeline') or [])
    _require_trust(model, 'model', trust)
    _require_trust(pipeline, 'pipeline', trust)
    kept = {
        # asked for the names of its classes; of a user's own the checkpoint has them
        'type': kind if _is_known(kind, (DATASETS,)) else '',
        'metainfo': dataset.get('metainfo') or {},
        'pipeline': pipeline,
    }
    return Config(
        {
            'default_scope': scope,
            'custom_imports': {'imports': imports},
            'model': model,
            'test_dataloader': {'dataset': kept},
        }
    )


@_refusing
def trusted_test_config(text: str, *, trust: Collection[str] = ()) -> Config:
    """Return what a test needs of a checkpoint's config: also its data and metrics.

    Args:
        text: The text in the checkpoint (``meta['cfg']``).
        trust: As for :func:`trusted_config`.

    Raises:
        UntrustedConfigError: Like :func:`trusted_config`, or if the config has no test data.
    """
    cfg = trusted_config(text, trust=trust)
    content = parse_config(text)
    missing = [key for key in ('test_dataloader', 'test_evaluator') if not content.get(key)]
    if missing:
        raise UntrustedConfigError(
            f'the config has no {" and no ".join(missing)}. Pass one that has: --config FILE'
        )
    given = content['test_evaluator']
    evaluators = [
        {key: value for key, value in evaluator.items() if key not in WRITTEN}
        for evaluator in ([given] if isinstance(given, dict) else given)
    ]
    parts = {
        'test_dataloader': _without_backends(content['test_dataloader']),
        # one stays one, for --cfg-options test_evaluator.KEY=VALUE
        'test_evaluator': evaluators[0] if isinstance(given, dict) else evaluators,
        'test_cfg': content.get('test_cfg') or {},
    }
    for name, part in parts.items():
        _require_trust(part, name, trust, TESTS, SUSPICIOUS_IN_DATA)
    cfg.merge_from_dict({'test_dataloader': {'_delete_': True, **parts.pop('test_dataloader')}})
    cfg.update(parts)
    return cfg


def _import_modules(custom_imports: Any, trust: Collection[str]) -> list[str]:
    """Import the modules of our own and of the libraries, and those that the user allows."""
    names = custom_imports.get('imports', []) if isinstance(custom_imports, dict) else []
    names = [names] if isinstance(names, str) else list(names)
    for name in names:
        if str(name).partition('.')[0] not in PACKAGES and name not in trust:
            raise UntrustedConfigError(
                f'custom_imports of the config in the checkpoint asks to import {name!r}, which is '
                f'not in {", ".join(PACKAGES)}. If you trust it: --trust {name!r}. Or pass the '
                'config of the run: --config FILE'
            )
        import_module(name)
    return names


def test_dataset(content: dict[str, Any]) -> dict[str, Any]:
    """Return the data set that is tested on, out of its wrappers; an empty one if there is none."""
    for phase in ('test', 'val'):
        dataset = (content.get(f'{phase}_dataloader') or {}).get('dataset')
        while isinstance(dataset, dict) and 'pipeline' not in dataset:
            inner = dataset.get('dataset') or next(iter(dataset.get('datasets') or []), None)
            if inner is None:
                break
            dataset = inner
        if isinstance(dataset, dict):
            return dataset
    return {}


def _without_weights(node: Any) -> Any:
    """Return a copy without weights to start from: the checkpoint has them all."""
    if isinstance(node, list | tuple):
        return type(node)(map(_without_weights, node))
    if not isinstance(node, dict):
        return node
    copied = {key: _without_weights(value) for key, value in node.items()}
    if copied.get('pretrained'):
        copied['pretrained'] = None
    if split_init_cfg(copied.get('init_cfg'))[0]:
        copied['init_cfg'] = None
    return copied


def _without_backends(node: Any) -> Any:
    """Return a copy that reads local files, wherever the pictures of the training lay."""
    if isinstance(node, list | tuple):
        return type(node)(map(_without_backends, node))
    if not isinstance(node, dict):
        return node
    gone = ('backend_args', 'file_client_args')
    return {key: _without_backends(value) for key, value in node.items() if key not in gone}


def _walk(node: Any, path: str) -> Iterator[tuple[str, str, Any]]:
    """Yield every string of a config with its path and its key."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key not in TEXTS or isinstance(value, str):  # a text is the name of a file
                yield from _walk(value, f'{path}.{key}')
            if isinstance(key, str):
                yield f'{path}.{key}', '', key
    elif isinstance(node, list | tuple | set):
        for number, value in enumerate(node):
            yield from _walk(value, f'{path}.{number}')
    elif isinstance(node, str):
        yield path, path.rpartition('.')[2], node


def _require_trust(
    part: Any,
    name: str,
    trust: Collection[str],
    registries: tuple[Registry, ...] = PARTS,
    suspicious: re.Pattern[str] = SUSPICIOUS_IN_MODEL,
) -> None:
    for path, key, text in _walk(part, name):
        if text in trust:
            continue
        if key == '_scope_' and text not in (*PACKAGES, 'mmcls'):
            raise UntrustedConfigError(f'{path}={text!r} is not one of {", ".join(PACKAGES)}')
        is_known = _is_known(text, registries) if key == 'type' else not suspicious.search(text)
        if not is_known:
            what = 'no part of the libraries' if key == 'type' else 'a file, an address or a call'
            raise UntrustedConfigError(
                f'{path}={text!r} of the config in the checkpoint is {what}. If you trust it: '
                f'--trust {text!r}. Or pass the config of the run: --config FILE'
            )


def _is_known(name: str, registries: tuple[Registry, ...] = PARTS) -> bool:
    """Return whether the libraries registered a type, without importing it."""
    if name in OTHER_TYPES:
        return True
    package, _, short = name.rpartition('.')
    for registry in registries:
        for node in _nodes(registry):
            if package in ('', node.scope) and (found := node.module_dict.get(short)):
                return _is_harmless(found, registry)
            # the new style of configs names classes by their whole path
            for registered in node.module_dict.values() if package.count('.') else ():
                if _path(registered) == name or _same_class(registered, name):
                    return _is_harmless(registered, registry)
    return _is_torch_layer(name)


def _nodes(registry: Registry) -> Iterator[Registry]:
    yield registry
    yield from registry.children.values()


def _path(found: Any) -> str:
    return f'{getattr(found, "__module__", "")}.{getattr(found, "__qualname__", "")}'


def _same_class(found: Any, name: str) -> bool:
    """Return whether a short path, such as ``mmdet.models.RetinaNet``, is a registered class."""
    if name.rpartition('.')[2] != getattr(found, '__name__', None):
        return False
    parts = name.split('.')
    if parts[0] not in PACKAGES or not _path(found).startswith('.'.join(parts[:-1]) + '.'):
        return False
    return get_object_from_string(name) is found


def _is_harmless(found: Any, registry: Registry) -> bool:
    module = getattr(found, '__module__', '') or ''
    inside = module.partition('.')[0] in (*PACKAGES, 'torch')
    # the functions of the other registries load models, or stand for what is not installed
    kind = inspect.isfunction if registry is FUNCTIONS else inspect.isclass
    return kind(found) and inside and not module.startswith(REACHING_OUT)


def _is_torch_layer(name: str) -> bool:
    if not re.fullmatch(r'torch\.nn(\.\w+)+', name):
        return False
    found = get_object_from_string(name)
    return inspect.isclass(found) and issubclass(found, nn.Module)

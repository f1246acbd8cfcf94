"""What user data of all formats needs in a config: its data sets, class counts, and checkpoints."""

from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.config import Config

from ..data_checks.batch_shapes import find_batch_shapes
from ..data_checks.datasets import build_leaf_datasets
from ..errors import InputError
from ..type_names import type_name

PHASES = ('train', 'val', 'test')
CLASS_COUNTS = ('num_classes', 'num_things_classes')
# What stock configs keep beside what they pass on. In the file that is written it would stand there
# with the stock's values, and changing it would change nothing.
LEFT_OVER = ('data_root', 'dataset_type', 'metainfo', 'classes', 'train_pipeline', 'val_pipeline')


def leaf_dataset(cfg: Config, phase: str) -> dict[str, Any]:
    """The data set of a phase, out of its wrappers.

    Raises:
        ValueError: If the config has none, or several.
    """
    dataset = (cfg.get(f'{phase}_dataloader') or {}).get('dataset')
    while isinstance(dataset, dict):
        several = dataset.get('datasets')
        if several is not None and len(several) != 1:
            raise InputError(
                f'the {phase} data of the config are {len(several)} data sets in a '
                f'{dataset["type"]}: start from a config with one'
            )
        inner = dataset.get('dataset') or (several and several[0])
        if inner is None:
            return dataset
        dataset = inner
    raise InputError(f'{phase}_dataloader of the config has no data set: start from another config')


def replace_leaf(cfg: Config, phase: str, **options: Any) -> dict[str, Any]:
    """Put another data set in the place of a phase's, with the same pipeline; return it."""
    leaf = leaf_dataset(cfg, phase)
    pipeline = leaf.get('pipeline', [])
    leaf.clear()
    leaf.update(options, pipeline=pipeline)
    return leaf


def set_one_picture_a_batch(cfg: Config) -> list[str]:
    """Test one picture at a time where those of several sizes would not fit into a batch."""
    changes = []
    for phase, leaves in build_leaf_datasets(cfg, PHASES[1:]).items():
        if find_batch_shapes(cfg, phase, leaves):
            loader = cfg[f'{phase}_dataloader']
            changes.append(
                f'{phase}_dataloader.batch_size: {loader["batch_size"]} -> 1, as the pictures have '
                'several sizes'
            )
            loader['batch_size'] = 1
    return changes


def evaluators(cfg: Config, phase: str) -> list[dict[str, Any]]:
    """What measures in a phase; training has none."""
    found = cfg.get(f'{phase}_evaluator')
    return list(found) if isinstance(found, (list, tuple)) else [found] if found else []


def set_class_count(cfg: Config, number: int) -> list[str]:
    """Put a number of classes where the model counts those of the config's own data.

    Other counts stay: an RPN's one class, for instance. Weights of a loss, one per class, go; if
    there is one more, as of DETR's "no object", it is kept, and the others become 1.

    Raises:
        ValueError: If the model counts classes, but not those of its data.
    """
    datasets = build_leaf_datasets(cfg, ['train'])['train']
    classes = datasets[0].metainfo.get('classes') if datasets else None
    parts = [cfg.model, cfg.get('data_preprocessor')]  # of MMPretrain: for mixed images
    counted = [(node, key) for node in dicts(parts) for key in CLASS_COUNTS if key in node]
    counts = sorted({node[key] for node, key in counted})
    if not counted:
        return ['the model counts no classes']
    old = len(classes) if classes else max(counts)
    if old not in counts:
        raise InputError(
            f'the model counts {counts} classes, but the data of the config have {old}, so what to '
            'change is not clear: start from a config whose model and data agree'
        )
    for node, key in counted:
        if node[key] == old:
            node[key] = number
    for node in dicts(parts):
        weights = node.get('class_weight')
        if isinstance(weights, (list, tuple)) and len(weights) == old:
            del node['class_weight']  # MMSegmentation cannot ignore pixels beside such weights
        elif isinstance(weights, (list, tuple)) and len(weights) == old + 1:
            node['class_weight'] = [1.0] * number + list(weights[old:])
    return [f'num_classes: {old} -> {number}']


def finish(cfg: Config, *, best: str) -> list[str]:
    """Keep the disk from filling, and drop what no longer says the truth.

    Args:
        cfg: The config.
        best: The metric by which the best checkpoint is chosen.
    """
    for key in LEFT_OVER:
        cfg.pop(key, None)
    hook = cfg.setdefault('default_hooks', {}).setdefault('checkpoint', {'type': 'CheckpointHook'})
    hook.update(max_keep_ckpts=3, save_best=best)
    return [*skip_damaged_images(cfg), 'checkpoints: the last three and the best are kept']


def skip_damaged_images(cfg: Config) -> list[str]:
    """Let training skip damaged image files, and name them in the log, instead of ending.

    ``LoadImageFromFile``, mmcv's in all libraries, becomes ``LoadImageOrSkip``, at any place in the
    training data: within wrappers such as ``MultiImageMixDataset``, in branches of a pipeline, and
    in pipelines that a hook switches to. Validation and testing stay: they need all images.

    Returns:
        What was changed, in one line; nothing if there was none.
    """
    parts = [cfg.get('train_dataloader'), cfg.get('custom_hooks')]
    loaders = [node for node in dicts(parts) if type_name(node) == 'LoadImageFromFile']
    for node in loaders:
        node['type'] = 'LoadImageOrSkip'
    return ['training skips damaged images and names them (LoadImageOrSkip)'] if loaders else []


def dicts(node: Any) -> Iterator[dict[str, Any]]:
    """Every dict within a part of a config."""
    if isinstance(node, dict):
        yield node
        for value in list(node.values()):
            yield from dicts(value)
    elif isinstance(node, Sequence) and not isinstance(node, str):
        for value in node:
            yield from dicts(value)

"""A user's own images in a folder a class, put into a config of MMPretrain.

::

    DIR/train/cat/*.jpg   DIR/train/dog/*.jpg
    DIR/val/cat/*.jpg     DIR/val/dog/*.jpg
"""

from collections import Counter
from pathlib import Path

from mmengine.config import Config

from ..data_checks.findings import shorten
from .shared import evaluators, finish, leaf_dataset, set_class_count

SPLITS = {'train': 'train', 'val': 'val', 'test': 'val'}  # phase to folder
HEADS = ('LinearClsHead', 'StackedLinearClsHead')
# RepeatAugSampler shows a third of the images three times in an epoch: not with fewer
REPEATED = 256


def set_class_folders(cfg: Config, root: Path) -> list[str]:
    """Let a config of MMPretrain read other class folders, in place.

    Args:
        cfg: A whole config of a classifier with one label an image.
        root: Holds ``train`` and ``val``, each with a folder a class.

    Returns:
        What was changed, a line each.

    Raises:
        FileNotFoundError: If a folder is not there.
        ValueError: If the classes of both differ, one is empty, or the model is none with one label
            an image.
    """
    head = (cfg.model.get('head') or {}).get('type')
    if cfg.model['type'] != 'ImageClassifier' or head not in HEADS:
        raise ValueError(
            f'the model is {cfg.model["type"]} with the head {head}: class folders have one label '
            f'an image, so start from a config of ImageClassifier with {" or ".join(HEADS)}'
        )
    for folder in ('train', 'val'):
        if not (root / folder).is_dir():
            raise FileNotFoundError(
                f'{root} has no folder {folder}. What is wanted: DIR/train/<class>/ and '
                'DIR/val/<class>/. Where there is one folder a class, move some ten to twenty '
                'percent of the images of each to DIR/val/<class>/ and the others to '
                'DIR/train/<class>/: what was trained on cannot judge (docs/tutorial.md)'
            )
    counts = {folder: _count(root / folder) for folder in ('train', 'val')}
    classes = tuple(counts['train'])
    if tuple(counts['val']) != classes:
        odd = sorted(set(counts['val']) ^ set(classes))
        raise ValueError(
            f'{root}: {shorten(odd, 8)} is a class folder of train or val alone. MMPretrain '
            'numbers the sorted folders, so both must have the same'
        )
    if len(classes) < 2:
        raise ValueError(f'{root}/train has {len(classes)} class folders: two are the least')

    topk = (1, 5) if len(classes) > 5 else (1,)
    changes = [f'classes: {len(classes)} ({shorten(classes)})', *set_class_count(cfg, len(classes))]
    for phase, folder in SPLITS.items():
        leaf = leaf_dataset(cfg, phase)
        pipeline = leaf.get('pipeline', [])
        leaf.clear()
        leaf.update(
            type='CustomDataset',
            data_root=str(root),
            data_prefix=folder,
            metainfo={'classes': classes},
            pipeline=pipeline,
        )
        changes.append(f'{phase}: {sum(counts[folder].values())} images in {root / folder}')
        if phase != 'train':
            cfg[f'{phase}_evaluator'] = _evaluator(cfg, phase, topk)
    cfg.model['head']['topk'] = topk
    changes.append(f'measured: top-{" and top-".join(map(str, topk))}')
    changes += _suit_to_few(cfg, sum(counts['train'].values()))
    return [*changes, *finish(cfg, best='accuracy/top1')]


def _count(folder: Path) -> Counter[str]:
    """Images of each class, as MMPretrain finds them."""
    from mmpretrain.datasets import CustomDataset
    from mmpretrain.datasets.custom import find_folders

    classes, _ = find_folders(str(folder))
    if hidden := [name for name in classes if name.startswith('.')]:
        raise ValueError(f'{folder}/{hidden[0]} would count as a class: delete it')
    looks_like_image = CustomDataset(data_root=str(folder), lazy_init=True).is_valid_file
    counts = Counter(
        {
            name: sum(looks_like_image(str(file)) for file in (folder / name).rglob('*'))
            for name in classes
        }
    )
    if empty := [name for name, number in counts.items() if not number]:
        raise ValueError(f'no image in {folder}/{shorten(empty)}: add some, or delete the folder')
    return counts


def _evaluator(cfg: Config, phase: str, topk: tuple[int, ...]) -> dict[str, object]:
    kinds = [str(evaluator['type']) for evaluator in evaluators(cfg, phase)]
    if kinds not in (['Accuracy'], []):
        raise ValueError(
            f'{phase}_evaluator of the config is {", ".join(kinds)}: start from a config that '
            'measures Accuracy'
        )
    return {'type': 'Accuracy', 'topk': topk}


def _suit_to_few(cfg: Config, number: int) -> list[str]:
    """Take out of a recipe for a million images what does not work with few."""
    changes = []
    loader = cfg.train_dataloader
    if number < REPEATED and loader.get('sampler', {}).get('type') == 'RepeatAugSampler':
        loader['sampler'] = {'type': 'DefaultSampler', 'shuffle': True}
        changes.append('RepeatAugSampler sees a third of the images in an epoch: DefaultSampler')
    if loader['batch_size'] > number // 4:
        before, loader['batch_size'] = loader['batch_size'], max(2, min(32, number // 4))
        changes.append(f'batch_size of training: {before} -> {loader["batch_size"]}')
    hooks = cfg.get('custom_hooks') or []
    kept = [hook for hook in hooks if hook['type'] != 'EMAHook']
    if len(kept) < len(hooks):
        cfg.custom_hooks = kept
        changes.append('no EMAHook: the average over 25000 iterations would be the first weights')
    return changes

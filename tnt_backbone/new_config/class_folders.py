"""A user's own images, one folder per class, put into a config of MMPretrain.

::

    DIR/train/cat/*.jpg   DIR/train/dog/*.jpg
    DIR/val/cat/*.jpg     DIR/val/dog/*.jpg
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config

from ..data_checks.findings import shorten
from ..data_checks.places import hint_of_accents
from ..errors import InputError, MissingFileError
from .shared import evaluators, finish, leaf_dataset, set_class_count

# What a phase reads: the first folder that is there. Roboflow says "valid".
SPLITS = {'train': ('train', 'training'), 'val': ('val', 'valid', 'validation', 'test')}
KNOWN = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif')  # to MMPretrain
FURTHER = ('.webp', '.tiff', '.jp2')  # what OpenCV reads, too
HEADS = ('LinearClsHead', 'StackedLinearClsHead')
# RepeatAugSampler shows a third of the images three times in an epoch: not with fewer
REPEATED = 256


def set_class_folders(cfg: Config, root: Path) -> list[str]:
    """Let a config of MMPretrain read other class folders, in place.

    Args:
        cfg: A whole config of a classifier with one label an image.
        root: Holds ``train`` and ``val``, each with a folder a class.

    Returns:
        What was changed, one line per change.

    Raises:
        FileNotFoundError: If a folder is not there.
        ValueError: If the classes of both differ, one is empty, or the model is none with one label
            an image.
    """
    head = (cfg.model.get('head') or {}).get('type')
    if cfg.model['type'] != 'ImageClassifier' or head not in HEADS:
        raise InputError(
            f'the model is {cfg.model["type"]} with the head {head}: class folders have one label '
            f'an image, so start from a config of ImageClassifier with {" or ".join(HEADS)}'
        )
    folders = {}
    for phase, names in SPLITS.items():
        folders[phase] = next((name for name in names if (root / name).is_dir()), '')
        if not folders[phase]:
            raise MissingFileError(
                f'{root} has no folder {" or ".join(names)}. What is wanted: DIR/train/<class>/ '
                'and DIR/val/<class>/. Where there is one folder a class, move some ten to twenty '
                'percent of the images of each to DIR/val/<class>/ and the others to '
                'DIR/train/<class>/: what was trained on cannot judge (docs/tutorial.md)'
            )
    # many test splits have no class folders
    trained = _class_names(root / folders['train'])
    same = bool(trained) and _class_names(root / 'test') == trained
    folders['test'] = 'test' if same else folders['val']
    found = {folder: _count(root / folder) for folder in dict.fromkeys(folders.values())}
    classes = tuple(found[folders['train']].images)
    for folder, counted in found.items():
        if odd := sorted(set(counted.images) ^ set(classes)):
            missing = root / (folder if odd[0] in classes else folders['train'])
            raise InputError(
                f'{missing} has no class folder {shorten(odd, 8)}, which another split of {root} '
                'has. MMPretrain numbers the sorted folders, so all splits must have the same'
                + hint_of_accents(odd[:1], odd[1:])
            )
    if len(classes) < 2:
        place = root / folders['train']
        raise InputError(
            f'{place} has {len(classes)} class folders, and two are the least. What is wanted: '
            f'{place}/<class>/, with the images of each class'
        )

    topk = (1, 5) if len(classes) > 5 else (1,)
    changes = [f'classes: {len(classes)} ({shorten(classes)})', *set_class_count(cfg, len(classes))]
    further = sorted({suffix for counted in found.values() for suffix in counted.further})
    extensions = {'extensions': [*KNOWN, *further]} if further else {}
    for phase, folder in folders.items():
        leaf = leaf_dataset(cfg, phase)
        pipeline = leaf.get('pipeline', [])
        leaf.clear()
        leaf.update(
            type='CustomDataset',
            data_root=str(root),
            data_prefix=folder,
            metainfo={'classes': classes},
            pipeline=pipeline,
            **extensions,
        )
        changes.append(f'{phase}: {sum(found[folder].images.values())} images in {root / folder}')
        if phase != 'train':
            cfg[f'{phase}_evaluator'] = _evaluator(cfg, phase, topk)
    cfg.model['head']['topk'] = topk
    changes.append(f'measured: top-{" and top-".join(map(str, topk))}')
    if further:
        changes.append(f'images that end in {" ".join(further)} are read too (extensions)')
    for folder, counted in found.items():
        if counted.others:
            endings = ', '.join(f'{n} in {s or "no ending"}' for s, n in counted.others.items())
            changes.append(f'{root / folder}: files that are no images are left out ({endings})')
    changes += _suit_to_few(cfg, sum(found[folders['train']].images.values()))
    return [*changes, *finish(cfg, best='accuracy/top1')]


class Counted(NamedTuple):
    """The files of a folder with class folders.

    Attributes:
        images: Number of images in each class.
        further: Endings among them that MMPretrain does not read unless it is told to.
        others: Number of files of each ending that are no images.
    """

    images: dict[str, int]
    further: set[str]
    others: Counter[str]


def _class_names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set()


def _count(folder: Path) -> Counted:
    """Count the files of each class; hidden files are passed over, as MMPretrain does."""
    from mmpretrain.datasets.custom import find_folders

    classes, _ = find_folders(str(folder))
    if hidden := [name for name in classes if name.startswith('.')]:
        raise InputError(f'{folder}/{hidden[0]} would count as a class. Delete it')
    counts = {name: Counter(_suffixes(folder / name)) for name in classes}
    images = {
        name: sum(number for suffix, number in suffixes.items() if suffix in (*KNOWN, *FURTHER))
        for name, suffixes in counts.items()
    }
    if empty := [name for name, number in images.items() if not number]:
        raise InputError(f'no image in {folder}/{shorten(empty)}: add some, or delete the folder')
    total: Counter[str] = sum(counts.values(), Counter())
    others = Counter({s: number for s, number in total.items() if s not in (*KNOWN, *FURTHER)})
    return Counted(images, {suffix for suffix in FURTHER if total[suffix]}, others)


def _suffixes(folder: Path) -> Iterator[str]:
    for path in folder.rglob('*'):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith('.') for part in parts):
            yield path.suffix.lower()


def _evaluator(cfg: Config, phase: str, topk: tuple[int, ...]) -> dict[str, object]:
    kinds = [str(evaluator['type']) for evaluator in evaluators(cfg, phase)]
    if kinds not in (['Accuracy'], []):
        raise InputError(
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

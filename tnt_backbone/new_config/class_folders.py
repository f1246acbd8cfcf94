"""A user's own images, one folder per class, put into a config of MMPretrain.

::

    DIR/train/cat/*.jpg   DIR/train/dog/*.jpg
    DIR/val/cat/*.jpg     DIR/val/dog/*.jpg
    DIR/cat/*.jpg         DIR/dog/*.jpg               with --val-share, as DIR/train/ only

Tables may name the classes instead (``class_tables.py``).
Names of the folders of splits are compared without regard to capital letters.
"""

from pathlib import Path

from mmengine.config import Config

from ..data_checks.findings import shorten
from ..data_checks.places import hint_of_accents
from ..datasets.arrays import is_grey_arrays, let_read_files
from ..errors import InputError, MissingFileError
from .class_images import (
    KNOWN,
    class_names,
    count_images,
    describe_folder,
    hint_of_flat,
    hint_of_format,
    hint_of_inner,
    hint_of_names,
    is_read,
    look_at_some,
)
from .class_lists import Listed, find_listed, images_of, part_classes
from .class_names import find_alike
from .class_titles import names_of_codes
from .data_folder import find_folder, hint_of_deeper, list_files, write_list
from .shared import evaluators, finish, leaf_dataset, replace_leaf, set_class_count

# What a phase reads: the first folder that is there. Roboflow says "valid".
SPLITS = {
    'train': ('train', 'training'),
    'val': ('val', 'valid', 'validation'),
    'test': ('test', 'testing'),
}
HEADS = ('LinearClsHead', 'StackedLinearClsHead')
# RepeatAugSampler shows a third of the images three times in an epoch: not with fewer
REPEATED = 256


def set_class_folders(
    cfg: Config,
    root: Path,
    stem: Path | None = None,
    share: float | None = None,
    *,
    overwrite: bool = False,
) -> list[str]:
    """Let a config of MMPretrain read other class folders, in place.

    Args:
        cfg: A whole config of a classifier with one label an image.
        root: Holds ``train`` and ``val``, each with a folder a class; or, with a share, such
            folders itself.
        stem: Start of the names of lists of images. By default, beside the folder.
        share: Of the images of each class that are kept for the validation, if there is no
            validation split. A test split stays.
        overwrite: Whether lists of images are replaced.

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
    splits = {phase: find_folder(root, names) for phase, names in SPLITS.items()}
    listed = find_listed(root, splits, share)
    if listed.parts:
        return _set_lists(cfg, root, stem or root, listed, overwrite=overwrite)
    return [
        *_set_folders(cfg, root, splits, stem or root, share, overwrite=overwrite),
        *listed.notes,
    ]


def _set_folders(
    cfg: Config,
    root: Path,
    splits: dict[str, Path | None],
    stem: Path,
    share: float | None,
    *,
    overwrite: bool,
) -> list[str]:
    """Let a config read folders that name the classes."""
    if share:
        if splits['val']:
            raise InputError(
                f'--data {root} has a validation split already ({splits["val"]}). Leave out '
                '--val-share'
            )
        return _set_parted(cfg, root, splits, stem, share, overwrite=overwrite)
    folders = {}
    for phase, place in (('train', splits['train']), ('val', splits['val'] or splits['test'])):
        if place is None:
            known = SPLITS[phase]
            raise MissingFileError(
                f'{root} has no folder {" or ".join(known)}{hint_of_deeper(root, known)}. What is '
                'wanted: DIR/train/<class>/ and DIR/val/<class>/. Where there is no validation '
                'split, pass --val-share 0.2, which keeps a fifth of the images of each class for '
                'the validation: what was trained on cannot judge (docs/tutorial.md)'
                + hint_of_inner(root)
                + hint_of_names(root, splits.values())
            )
        folders[phase] = place.name
    test = _find_test(splits['test'], class_names(root / folders['train']))
    folders['test'] = test.name if test else folders['val']
    found = {folder: count_images(root / folder) for folder in dict.fromkeys(folders.values())}
    classes = tuple(found[folders['train']].images)
    for folder, counted in found.items():
        missing = {
            folders['train']: sorted({*counted.images} - {*classes}),
            folder: sorted({*classes} - {*counted.images}),
        }
        texts = [
            f'{root / place} has no class folder {shorten(names, 8)}'
            for place, names in missing.items()
            if names
        ]
        if texts:
            odd = [name for names in missing.values() for name in names]
            alike = ''.join(f'. {text[:1].upper()}{text[1:]}' for text in find_alike(odd))
            raise InputError(
                f'{", and ".join(texts)}, which another split of {root} has. MMPretrain numbers '
                'the sorted folders, so all splits must have the same'
                + (hint_of_accents(odd[:1], odd[1:]) or alike)
                + hint_of_flat(root / folder, root)
            )
    _require_two(classes, root / folders['train'], root, splits)
    names, titles = names_of_codes(root, classes)
    changes = [*_prepare(cfg, names), *titles]
    further = sorted({suffix for counted in found.values() for suffix in counted.further})
    for phase, folder in folders.items():
        _set_leaf(cfg, phase, root, names, further, data_prefix=folder)
        changes.append(f'{phase}: {sum(found[folder].images.values())} images in {root / folder}')
    for folder, counted in found.items():
        changes += describe_folder(root / folder, counted)
        files = (file for name in classes for file in list_files(root / folder / name))
        changes += look_at_some(filter(is_read, files), root / folder)
    return [*changes, *_finish(cfg, sum(found[folders['train']].images.values()), further)]


def _require_two(
    classes: tuple[str, ...], place: Path, root: Path, splits: dict[str, Path | None]
) -> None:
    if len(classes) < 2:
        raise InputError(
            f'{place} has {len(classes)} class folders, and two are the least. What is wanted: '
            f'{place}/<class>/, with the images of each class'
            + hint_of_inner(place)
            + hint_of_names(root, splits.values())
            + hint_of_format(root)
        )


def _find_test(folder: Path | None, classes: set[str]) -> Path | None:
    """Return the folder of a test split if it has the classes; many have no class folders."""
    return folder if folder and classes and class_names(folder) == classes else None


def _set_parted(
    cfg: Config,
    root: Path,
    splits: dict[str, Path | None],
    stem: Path,
    share: float,
    *,
    overwrite: bool,
) -> list[str]:
    """Part the images of each class, always in the same way, into lists to train and to judge."""
    place = splits['train'] or root
    if place == root and splits['test']:
        raise InputError(
            f'--data {root} has a folder {splits["test"].name}, but none for training. Move the '
            f'class folders into {root}/train'
        )
    counted = count_images(place)
    classes = tuple(counted.images)
    _require_two(classes, place, root, splits)
    if place != root and (beside := sorted(class_names(root) & set(classes))):
        raise InputError(
            f'{root} has folders of classes ({shorten(beside)}), and so has {place}. Move their '
            'images into one of the two'
        )
    files = {name: list(filter(is_read, list_files(place / name))) for name in classes}
    parts: dict[str, dict[Path, str]] = dict(
        zip(('train', 'val'), part_classes(files, share), strict=True)
    )
    further = counted.further
    notes = describe_folder(place, counted)
    if test := _find_test(splits['test'], set(classes)):
        tested = count_images(test)
        further |= tested.further
        notes += describe_folder(test, tested)
        parts['test'] = images_of(test, classes)
    notes += [f'images that end in {" ".join(sorted(further))} are read too'] * bool(further)
    return _set_lists(cfg, root, stem, Listed(parts, classes, notes), overwrite=overwrite)


def _set_lists(
    cfg: Config, root: Path, stem: Path, listed: Listed, *, overwrite: bool
) -> list[str]:
    """Write a list of the images of each split, and let the config read them."""
    parts, classes, notes = listed
    numbers = {name: i for i, name in enumerate(classes)}
    names, titles = names_of_codes(root, classes)
    changes = [*_prepare(cfg, names), *titles]
    for split, images in parts.items():
        path = stem.with_name(f'{stem.name}_{split}.txt')
        lines = [f'{_below(image, root)} {numbers[label]}' for image, label in images.items()]
        write_list(path, lines, overwrite=overwrite)
        phases = ('val', 'test') if split == 'val' and 'test' not in parts else (split,)
        for phase in phases:
            _set_leaf(cfg, phase, root, names, [], ann_file=str(path.absolute()))
            changes.append(f'{phase}: {len(lines)} images of {root}, those of {path}')
        changes += look_at_some(images, root)
        if absent := sorted(set(classes) - set(images.values())):
            changes.append(f'note: the {split} split has no image of {shorten(absent, 8)}')
    return [*changes, *notes, *_finish(cfg, len(parts['train']), [])]


def _below(image: Path, root: Path) -> str:
    """Return the path of an image in a list, whose lines lose the blanks at their start."""
    path = image.relative_to(root).as_posix()
    return f'./{path}' if path[0].isspace() else path


def _prepare(cfg: Config, classes: tuple[str, ...]) -> list[str]:
    """Set what counts the classes, and how they are measured."""
    topk = (1, 5) if len(classes) > 5 else (1,)
    changes = [
        f'classes: {len(classes)} ({shorten(classes)})',
        *set_class_count(cfg, len(classes)),
        *_read_files(cfg),
    ]
    cfg.model['head']['topk'] = topk
    for phase in ('val', 'test'):
        cfg[f'{phase}_evaluator'] = _evaluator(cfg, phase, topk)
    measured = f'measured: top-{" and top-".join(map(str, topk))}'
    return [*changes, measured, *find_alike(classes)]


def _read_files(cfg: Config) -> list[str]:
    """Let pipelines read files, where the config's own data set holds arrays."""
    leaves = [leaf_dataset(cfg, phase) for phase in SPLITS]
    changed = let_read_files(cfg, leaves)
    for leaf in leaves:
        if is_grey_arrays(leaf):
            raise InputError(
                f'the data set {leaf["type"]} of the config holds grey arrays, and its pipeline '
                'loads no files. Start --from a config that reads files'
            )
    return ['files are read, in BGR; the data set of the config holds arrays in RGB'] * changed


def _set_leaf(
    cfg: Config, phase: str, root: Path, classes: tuple[str, ...], further: list[str], **paths: str
) -> None:
    replace_leaf(
        cfg,
        phase,
        type='CustomDataset',
        data_root=str(root),
        **paths,
        metainfo={'classes': classes},
        **({'extensions': [*KNOWN, *further]} if further else {}),
    )


def _finish(cfg: Config, number: int, further: list[str]) -> list[str]:
    changes = [f'images that end in {" ".join(further)} are read too (extensions)'] * bool(further)
    return [*changes, *_suit_to_few(cfg, number), *finish(cfg, best='accuracy/top1')]


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

"""A user's own images and label maps, put into a config of MMSegmentation.

::

    DIR/images/train/a.jpg    DIR/labels/train/a.png     pixels: 0, 1, ... = class, 255 = ignored
    DIR/images/val/b.jpg      DIR/labels/val/b.png
    DIR/classes.txt                                      one name a line: class 0, class 1, ...

``mask_layouts.py`` finds other layouts, ``mask_colours.py`` reads colours that stand for classes.
"""

import sys
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from mmengine.config import Config
from tqdm import tqdm

from ..data_checks.findings import Finding, notes_unless_error, shorten
from ..data_checks.image_headers import Header, find_unusual
from ..data_checks.label_maps import (
    IGNORED,
    Pairs,
    check_size,
    find_in_labels,
    find_other_colours,
    labels_in,
    pair,
)
from ..datasets import paired_seg
from .class_names import find_alike
from .data_folder import SAMPLED, write_list
from .mask_colours import convert_colours, find_colours, is_coloured, without_void
from .mask_layouts import Place, find_other_labels, find_places
from .mask_names import check_ade20k, check_objects, name_labels, read_palette
from .rare_classes import describe_rare
from .shared import dicts, evaluators, finish, replace_leaf, set_class_count
from .unreadable import find_unreadable
from .write_coco import find_shared


def set_mask_data(
    cfg: Config,
    root: Path,
    new_labels: Mapping[int, int] | None = None,
    stem: Path | None = None,
    share: float | None = None,
    *,
    places: Mapping[str, Place] | None = None,
    overwrite: bool = False,
) -> list[str]:
    """Let a config of MMSegmentation read other images and label maps, in place.

    Args:
        cfg: A whole config.
        root: The folder; its layout is one of those in ``mask_layouts.py``.
        new_labels: Labels in the files to labels to train on, such as ``{255: 1}``.
        stem: Start of the names of what is written: lists of images, and label maps that were made
            of colours. By default, beside the folder.
        share: Of the images that are kept for the validation, if there is no split.
        places: Of the images and label maps of each phase; by default they are looked for.
        overwrite: Whether lists of images are replaced.

    Returns:
        What was changed, one line per change.

    Raises:
        FileNotFoundError: If a folder, or the label map of an image, is not there.
        ValueError: If the label maps are not what MMSegmentation reads as classes.
    """
    new_labels = dict(new_labels or {})
    stem = stem or root
    is_given = places is not None
    places = places or find_places(root, share)
    pairs = {place: pair(*place) for place in dict.fromkeys(places.values())}
    colours = find_colours(root)
    read = {folder for place in pairs for folder in place[:2]}
    others = {
        folder: place
        for place in (() if is_given else pairs)
        for folder in find_other_labels(place)
        if folder not in read
    }
    notes = [
        f'{folder} has pictures like label maps, too. Those of {place.labels} are read'
        for folder, place in others.items()
    ]
    folders = {place: place.labels for place in pairs}
    first = pairs[places['train']].labels[:SAMPLED]
    if colours and not new_labels and all(is_coloured(path, colours) for path in first):
        target = stem.with_name(f'{stem.name}_label_maps')
        if not (root / 'classes.txt').is_file():
            colours = without_void(colours)
        for place, found in pairs.items():
            converted, more = convert_colours(colours, found.labels, root, target)
            notes += [note for note in more if note not in notes]
            suffix = found.label_suffix and f'{found.label_suffix.rpartition(".")[0]}.png'
            pairs[place] = found._replace(labels=converted, label_suffix=suffix)
            folders[place] = target.absolute() / place.labels.relative_to(root)
    sys.stdout.write(f'label maps of {root}:\n')
    headers: dict[Path, Header] = {}
    used = {place: _used_labels(found, new_labels, headers) for place, found in pairs.items()}
    trained = places['train']
    if not new_labels:
        check_ade20k(root, pairs[trained].images)
        check_objects(root, used[trained])
    classes, more = name_labels(root, used[trained], colours)
    notes += [*more, *find_alike(classes)]
    turned = [image for image, header in headers.items() if header.turn != 1]
    findings = [_find_turned(turned, root)] if turned else []
    findings += find_unusual(headers, str(root))
    for place, found in pairs.items():
        suspect = [image for image in found.images if image not in headers]
        findings += find_unreadable(suspect, place.images, len(found.images))
    findings += find_shared({phase: _resolved(pairs[place]) for phase, place in places.items()})
    for place, files in used.items():
        where = str(folders[place])
        findings += find_in_labels(files, classes, where, is_training=place == trained)
    if not new_labels:  # validation maps may have another palette
        every: dict[int, list[str]] = {}
        for label, paths in chain.from_iterable(files.items() for files in used.values()):
            every.setdefault(label, []).extend(paths)
        findings += find_other_colours(every, str(root))
    notes += notes_unless_error(findings)
    shown = {name: len(used[trained].get(i, ())) for i, name in enumerate(classes)}
    notes += describe_rare(shown, len(pairs[trained].images))
    palette = read_palette(pairs[trained].labels[0], len(classes)) if not new_labels else []
    if colours and classes == tuple(colours.classes):
        palette = [list(colour) for colour in colours.classes.values()]

    metainfo: dict[str, Any] = {'classes': classes}
    if palette:
        metainfo['palette'] = palette
    changes = [f'classes: {len(classes)} ({shorten(classes)})', *set_class_count(cfg, len(classes))]
    lists: dict[Place, Path | None] = {}
    for phase, place in places.items():
        if place not in lists:
            lists[place] = None
            if lines := _listed(place, pairs[place], folders[place]):
                lists[place] = list_file = stem.with_name(f'{stem.name}_{phase}.txt')
                write_list(list_file, lines, overwrite=overwrite)
    for phase, place in places.items():
        leaf = replace_leaf(
            cfg,
            phase,
            **_data_set_of(pairs[place]),
            data_root=str(root),
            data_prefix={
                'img_path': str(_below(place.images, root)),
                'seg_map_path': str(_below(folders[place], root)),
            },
            metainfo=metainfo,
            reduce_zero_label=False,
        )
        if file := lists[place]:
            leaf['ann_file'] = str(file.absolute())
        number = len(pairs[place].images)
        listed = f', those of {file}' if file else ''
        changes.append(
            f'{phase}: {number} images in {place.images}, labels in {folders[place]}{listed}'
        )
        measures = evaluators(cfg, phase)
        if phase != 'train' and [measure['type'] for measure in measures] != ['IoUMetric']:
            cfg[f'{phase}_evaluator'] = {'type': 'IoUMetric', 'iou_metrics': ['mIoU']}
    if any(_data_set_of(found)['type'] == 'PairedSegDataset' for found in pairs.values()):
        _import_paired(cfg)
    _set_labels(cfg, new_labels)
    if new_labels:
        changes.append(
            'labels: ' + ', '.join(f'{old} -> {new}' for old, new in sorted(new_labels.items()))
        )
    changes.append(f'label 0 is {classes[0]!r}; {IGNORED} is ignored')
    return [*changes, *notes, *finish(cfg, best='mIoU')]


def _data_set_of(pairs: Pairs) -> dict[str, Any]:
    """Return the type of data set that reads names of such endings, and its endings."""
    if pairs.image_suffix and pairs.label_suffix:
        suffixes = {'img_suffix': pairs.image_suffix, 'seg_map_suffix': pairs.label_suffix}
        return {'type': 'BaseSegDataset', **suffixes}
    return {'type': 'PairedSegDataset'}


def _listed(place: Place, pairs: Pairs, folder: Path) -> Sequence[str]:
    """Return the lines of a split's list: none if the data set finds its files without one.

    Args:
        place: Of the split.
        pairs: Its images and label maps.
        folder: That of the label maps.
    """
    if pairs.image_suffix and pairs.label_suffix:
        return place.names or ()
    folder = folder.absolute()
    return [
        f'{image.relative_to(place.images).as_posix()}\t'
        f'{label_map.absolute().relative_to(folder).as_posix()}'
        for image, label_map in zip(pairs.images, pairs.labels, strict=True)
    ]


def _import_paired(cfg: Config) -> None:
    """Let a config, and this process, know ``PairedSegDataset``."""
    imports = cfg.setdefault('custom_imports', {'imports': [], 'allow_failed_imports': False})
    imports['imports'] = list(dict.fromkeys([*imports['imports'], paired_seg.__name__]))


def _below(folder: Path, root: Path) -> Path:
    return folder.relative_to(root) if folder.is_relative_to(root) else folder


def _resolved(pairs: Pairs) -> list[Path]:
    return [image.resolve() for image in pairs.images]


def _find_turned(images: Sequence[Path], root: Path) -> Finding:
    text = (
        f'EXIF turns {len(images)} images ({shorten(images)}), and the libraries read them turned. '
        'Label maps are never turned, so they must fit the turned pictures. tnt browse CONFIG '
        'shows whether they do'
    )
    return Finding('image that is turned by EXIF', str(root), text)


def _used_labels(
    pairs: Pairs, new_labels: Mapping[int, int], headers: dict[Path, Header]
) -> dict[int, list[str]]:
    """Read all label maps; return which ones hold each label, as it is trained on.

    Args:
        pairs: Images and label maps.
        new_labels: Labels in the files to labels to train on.
        headers: Gets those of images.
    """
    files: dict[int, list[str]] = {}
    for image, path in tqdm(
        zip(pairs.images, pairs.labels, strict=True), total=len(pairs.images), disable=None
    ):
        if header := check_size(image, path):
            headers[image] = header
        for label in labels_in(path):
            files.setdefault(new_labels.get(label, label), []).append(str(path))
    return files


def _set_labels(cfg: Config, new_labels: Mapping[int, int]) -> None:
    """Let all pipelines read 0 as a class, and give labels their new numbers."""
    parts = [cfg[key] for key in cfg if key.endswith(('_dataloader', '_pipeline'))]
    for node in dicts(parts):
        if _loads_labels(node):
            # The data set tells the pipelines that 0 is a class; this would contradict it.
            node.pop('reduce_zero_label', None)
    if new_labels:
        _insert_behind(parts, {'type': 'RelabelPixels', 'new_labels': sorted(new_labels.items())})


def _loads_labels(node: Any) -> bool:
    kind = node.get('type') if isinstance(node, dict) else None
    return str(kind).rpartition('.')[2] == 'LoadAnnotations'


def _insert_behind(node: Any, change: dict[str, Any]) -> None:
    """Insert a transform behind each ``LoadAnnotations``, and a stage of ``TestTimeAug`` too."""
    if isinstance(node, dict):
        for value in node.values():
            _insert_behind(value, change)
    elif isinstance(node, list):
        for number in reversed(range(len(node))):
            part = node[number]
            if _loads_labels(part) and change not in node:
                node.insert(number + 1, dict(change))
            elif isinstance(part, list) and any(map(_loads_labels, part)):
                node.insert(number + 1, [dict(change)])
            else:
                _insert_behind(part, change)

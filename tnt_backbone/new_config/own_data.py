"""A user's own data, put into a config: which format it has, and who reads it."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config

from ..data_checks.coco_file import HOW_TO_CORRECT, load_json, read_coco
from ..data_checks.findings import notes_unless_error
from ..data_checks.label_maps import parse_label_map
from ..errors import InputError, MissingFileError
from ..predict.pictures import describe_others
from . import FORMATS
from .backbone import find_misfit
from .class_folders import set_class_folders
from .class_images import hint_of_format
from .coco import find_images, set_coco_data, split_coco
from .coco_folder import assign_splits, find_coco, find_damaged
from .correct_coco import correct_coco
from .correct_sizes import turn_with_exif
from .createml import read_createml
from .cvat import read_cvat
from .data_folder import is_image, list_files
from .drawn_masks import draw_label_maps
from .file_names import match_file_names
from .formats import find_known, find_signs, recognise
from .hugging_face import read_hugging_face
from .labelme import read_labelme
from .labelme_xml import read_labelme_xml
from .listed_splits import split_by_lists
from .mask_layouts import has_label_maps
from .masks import set_mask_data
from .named_rows import read_dota, read_kitti, read_visdrone
from .rare_classes import balance_classes
from .shared import set_one_picture_a_batch
from .slices import slice_data
from .supervisely import read_supervisely
from .tables import ENDINGS, read_tables
from .via import read_via
from .voc import read_voc
from .write_coco import find_shared, require_own, write_coco
from .yolo import read_yolo
from .yolo_splits import YAML

NOT_CORRECTED = (
    'Export the file again, or correct it: it could be meant in several ways (docs/datasets.md)'
)
FOR_CLASSES = (
    'If its annotations are classes of whole images, as those of iNaturalist, write a table with '
    'the columns filename and label'
)
TESTED = 'evaluation is on the test split: there is no validation split'
READERS = {
    'voc': read_voc,
    'yolo': read_yolo,
    'cvat': read_cvat,
    'csv': read_tables,
    'createml': read_createml,
    'huggingface': read_hugging_face,
    'via': read_via,
    'supervisely': read_supervisely,
    'kitti': read_kitti,
    'dota': read_dota,
    'labelme_xml': read_labelme_xml,
    'visdrone': read_visdrone,
}
DESCRIPTIONS = (*YAML, '.data')  # files that stand for a folder in YOLO's format


def set_own_data(cfg: Config, args: argparse.Namespace) -> list[str]:
    """Put ``--data`` into a config, and return the changes, one line each.

    Args:
        cfg: The whole config.
        args: The command line of ``tools/new_config.py``.

    Raises:
        ValueError: If the library of the config cannot read the data.
        FileNotFoundError: If a file or folder is missing.
        FileExistsError: If a file would be overwritten.
    """
    scope = cfg.get('default_scope')
    has_outlines = scope == 'mmseg' and _has_outlines(args)
    _check_options(args, scope, has_outlines=has_outlines)
    if scope == 'mmpretrain' or (scope == 'mmseg' and not has_outlines):
        changes = _set_pictures(cfg, args, scope)
    else:
        try:
            files = _find_files(args)
            changes = [*files.changes, *_set_files(cfg, args, files)]
        except InputError as error:
            if HOW_TO_CORRECT not in str(error):
                raise
            # what could be corrected is corrected here
            raise InputError(str(error).replace(HOW_TO_CORRECT, NOT_CORRECTED)) from error
    if scope != 'mmpretrain' and args.data.is_dir():  # class folders tell of all other endings
        changes += filter(None, [describe_others(list_files(args.data))])
    if args.slice:
        stem = args.output.with_suffix('')
        folder = stem.with_name(f'{stem.name}_slices')
        changes += slice_data(cfg, args.slice, folder, overwrite=args.force)
    if scope != 'mmseg':
        changes += balance_classes(cfg, repeat=args.balance)
    changes += set_one_picture_a_batch(cfg)
    if misfit := find_misfit(cfg):
        raise InputError(
            f'The model does not run with the number of classes in --data {args.data} ({misfit}). '
            'Start --from another config'
        )
    return list(dict.fromkeys(changes))  # of a file for several phases, notes are the same


def _set_pictures(cfg: Config, args: argparse.Namespace, scope: str) -> list[str]:
    """Use label maps or class folders."""
    stem = args.output.with_suffix('')
    try:
        if scope == 'mmpretrain':
            return set_class_folders(cfg, args.data, stem, args.val_share, overwrite=args.force)
        new_labels = parse_label_map(args.label_map or ())
        return set_mask_data(cfg, args.data, new_labels, stem, args.val_share, overwrite=args.force)
    except FileNotFoundError as error:
        files = list_files(args.data)
        signs = find_signs(args.data, files)
        if signs:
            text = (
                f'. --data {args.data} looks like {" or ".join(signs)}, which configs of '
                'MMDetection read: start --from one of these'
            )
            if scope == 'mmpretrain':
                text += f'. {FOR_CLASSES}'
        elif scope == 'mmpretrain':
            text = hint_of_format(args.data)
        else:  # a table is one of colours, or of another task
            known = find_known([file for file in files if file.suffix.lower() not in ENDINGS])
            text = f'. {known[0]} is of {known[1]}' if known else ''
        if not text:
            raise
        raise MissingFileError(f'{error}{text}') from error


def _has_outlines(args: argparse.Namespace) -> bool:
    """Return whether a segmentor's label maps are to be drawn from outlines of objects."""
    if args.format or args.data.is_file():
        return args.format != 'masks'
    if has_label_maps(args.data):
        return False
    return bool(set(find_signs(args.data, list_files(args.data))) & set(FORMATS['mmseg']))


def _set_files(cfg: Config, args: argparse.Namespace, files: 'CocoFiles') -> list[str]:
    """Use files in COCO's format: as boxes and masks, or as outlines of label maps."""
    images, val_images = files.images, args.val_images
    if cfg.default_scope == 'mmdet':
        return set_coco_data(
            cfg,
            files.train,
            files.val,
            images,
            val_images,
            test=files.test,
            keeps_background=files.keeps_background,
        )
    if not files.val:
        raise InputError(
            f'--data {args.data} has no validation split. Pass --val-share 0.2, which keeps a '
            'fifth of the images for it'
        )
    sources = {
        phase: (read_coco(path), find_images(read_coco(path), folder))
        for phase, path, folder in (
            ('train', files.train, images),
            ('val', files.val, val_images or images),
            ('test', files.test or files.val, val_images or images),
        )
    }
    stem = args.output.with_suffix('')
    drawing = draw_label_maps(sources, stem.with_name(f'{stem.name}_label_maps'))
    changes = set_mask_data(
        cfg,
        drawing.root,
        parse_label_map(args.label_map or ()),
        stem,
        places=drawing.places,
        overwrite=args.force,
    )
    return [*drawing.notes, *changes]


def _check_options(args: argparse.Namespace, scope: str | None, *, has_outlines: bool) -> None:
    """Check that the options fit the library of the config.

    Raises:
        ValueError: If they do not.
    """
    known = FORMATS.get(scope or '', ())
    if not known:
        raise InputError(f'The config is of {scope}. --data is for configs of {", ".join(FORMATS)}')
    if args.label_map and scope != 'mmseg':
        raise InputError('--label-map is for label maps of MMSegmentation. Leave it out')
    if args.format and args.format not in known:
        readers = [library for library, names in FORMATS.items() if args.format in names]
        raise InputError(
            f'--format {args.format} is for configs of {", ".join(readers)}, but the config is of '
            f'{scope}. Pass one of {", ".join(known)}, or start --from another config'
        )
    if args.balance and scope == 'mmseg':
        raise InputError(
            '--balance repeats images with rare classes, and the data sets of MMSegmentation do '
            'not tell which classes an image shows. Leave it out. Weights of the classes do '
            'something similar: type="tnt_backbone.WeightedCrossEntropyLoss", class_weight=[...] '
            'in loss_decode of the heads (docs/tutorial.md, "Rare classes")'
        )
    if scope == 'mmdet':
        return
    if args.slice:
        raise InputError(
            f'--slice {args.slice} is for configs of mmdet, but the config is of {scope}. Leave it '
            "out. Segmentors read large pictures with test_cfg=dict(mode='slide')"
        )
    if has_outlines:
        return
    if not args.data.is_dir():
        raise InputError(
            f'--data {args.data} is a file, but the config is of {scope}. Pass a folder '
            '(docs/tutorial.md). Only configs of mmdet read a file'
        )
    if args.val_data or args.images or args.val_images:
        raise InputError(
            '--val-data, --images and --val-images are for configs of mmdet, but the config is of '
            f'{scope}, and --data {args.data} is a folder. Leave them out'
        )


class CocoFiles(NamedTuple):
    """Files in COCO's format.

    Attributes:
        train: To train on.
        val: To evaluate on, if there is one.
        test: To test on, if it is another.
        images: The folder of the images, if it is known.
        keeps_background: Whether images without annotation are trained on.
        changes: What was done, one line each.
    """

    train: Path
    val: Path | None
    test: Path | None
    images: Path | None
    keeps_background: bool
    changes: list[str]


def _find_files(args: argparse.Namespace) -> CocoFiles:
    """Return files in COCO's format: those of the user, corrected, or made of other formats."""
    if args.data.is_dir() or args.data.suffix.lower() in DESCRIPTIONS:
        return _files_of_folder(args)
    if args.format not in (None, 'coco'):
        raise InputError(f'--format {args.format} needs a folder, but --data {args.data} is a file')
    if args.val_share and args.val_data:
        raise InputError(
            '--val-share and --val-data exclude each other: --val-share writes the '
            'validation split, --val-data names it. Pass one of them'
        )
    if args.val_data and not args.val_data.is_file():
        raise MissingFileError(f'--val-data {args.val_data} was not found. Pass a JSON file')
    return _corrected(args, args.data, args.val_data, None, [])


def _files_of_folder(args: argparse.Namespace) -> CocoFiles:
    """Write the labels of a folder as files in COCO's format, or find such files in it."""
    if args.val_data or args.images or args.val_images:
        raise InputError(
            f'--data {args.data} is a folder. --val-data, --images and --val-images need a JSON '
            'file. Leave them out'
        )
    if args.data.is_file() and args.format not in (None, 'yolo'):
        raise InputError(
            f'--format {args.format} needs a folder, but --data {args.data} is a file that '
            "describes data in YOLO's format. Leave out --format, or pass the folder"
        )
    changes: list[str] = []
    name = recognise(args.data, args.format, changes) if args.data.is_dir() else 'yolo'
    if name == 'coco':
        return _files_in_folder(args, changes)
    stem = args.output.with_suffix('')
    if name == 'labelme':
        data = read_labelme(args.data, stem.with_name(f'{stem.name}_coco_images'))
    else:
        data = READERS[name](args.data)
    parted = bool(args.val_share) and not data.splits.get('val')
    if args.val_share and not parted:
        raise InputError(
            f'--data {args.data} has a validation split of {len(data.splits["val"])} images. Leave '
            'out --val-share'
        )
    written = write_coco(data, stem, overwrite=args.force)
    train, val = written.files['train'], written.files.get('val')
    test = written.files.get('test')
    changes = [f'format: {name}', *changes, *written.notes]
    if parted:
        for part in ('train', 'val') if not args.force else ():
            require_own(train.with_name(f'{train.stem}_{part}.json'))
        train, val = split_coco(train, args.val_share, overwrite=True)
    elif val is None and test is not None:
        val = test
        changes.append(TESTED)
    return CocoFiles(train, val, test, written.images, True, changes)


def _files_in_folder(args: argparse.Namespace, changes: list[str]) -> CocoFiles:
    """Find the files in COCO's format that lie in a folder."""
    found = find_coco(args.data, list_files(args.data))
    if not found:
        raise InputError(f"--data {args.data} has no JSON file in COCO's format")
    splits = assign_splits(args.data, found)
    if args.val_share and 'val' in splits:
        raise InputError(
            f'--data {args.data} has a validation split already ({splits["val"]}). Leave out '
            '--val-share'
        )
    changes = ['format: coco', *changes, *_find_lists(args.data, splits)]
    changes += find_damaged(args.data, list_files(args.data), splits)
    return _corrected(args, splits['train'], splits.get('val'), splits.get('test'), changes)


def _find_lists(root: Path, splits: Mapping[str, Path]) -> list[str]:
    """Return a note about lists of splits beside a single COCO file, which are not read."""
    if len(splits) > 1:
        return []
    files = list_files(root)
    images = [file for file in files if is_image(file)]
    texts = [file for file in files if file.suffix.lower() == '.txt']
    try:
        parts = split_by_lists(images, texts, every=False)
    except InputError:  # such as the lists of several folds
        return []
    if not parts:
        return []
    return [
        f'note: text files in {root} list the images of {", ".join(parts)}, and are not read, '
        f'since {splits["train"]} has all images. Write a COCO file for each split'
    ]


def _corrected(
    args: argparse.Namespace, train: Path, val: Path | None, test: Path | None, changes: list[str]
) -> CocoFiles:
    """Correct files in COCO's format where they need it, and part them if that is asked for."""
    val_images = args.val_images or args.images
    train, more = _correct(train, args.images)
    changes = [*changes, *more]
    names = read_coco(train).names if val or test else None
    if val:
        val, more = _correct(val, val_images, names)
        changes += more
    if test and not _has_annotations(test):
        changes.append(f'{test} has no annotations, so it is left out: there is no test split')
        test = None
    if test:
        test, more = _correct(test, val_images, names)
        changes += more
    if args.val_share:
        train, val = split_coco(train, args.val_share, overwrite=args.force)
    else:
        changes += _find_shared(args, {'train': train, 'val': val, 'test': test})
        if test and not val:
            val = test
            changes.append(TESTED)
    return CocoFiles(train, val, test, args.images, False, changes)


def _find_shared(args: argparse.Namespace, files: dict[str, Path | None]) -> list[str]:
    """Return notes about images that several COCO files list."""
    places = {}
    for split, path in files.items():
        if path:
            file = read_coco(path)
            given = args.images if split == 'train' else args.val_images or args.images
            folder = find_images(file, given).absolute()
            places[split] = [folder / image['file_name'] for image in file.images.values()]
    return notes_unless_error(find_shared(places))


def _correct(
    path: Path, images: Path | None, names: list[str] | None = None
) -> tuple[Path, list[str]]:
    """Correct a file, and the file names in it; return the copy, and the changes."""
    corrected, changes = correct_coco(path, names, images)
    corrected, more = match_file_names(corrected, path, images)
    corrected, turned = turn_with_exif(corrected, path, images)
    return corrected, [*changes, *more, *turned]


def _has_annotations(path: Path) -> bool:
    """Return whether a file has annotations; of many test splits, they are not published."""
    content = load_json(path)[0]
    return bool(isinstance(content, dict) and content.get('annotations'))

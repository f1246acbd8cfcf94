"""Folders whose label maps are not found: what they look like, and what is missing."""

import re
from collections import Counter
from pathlib import Path

from ..data_checks.findings import shorten
from ..data_checks.foreign_formats import name_file
from .data_folder import find_folder, hint_of_deeper, is_image, list_files
from .mask_folders import IMAGES, LABELS, LAYOUT, SPLITS
from .mask_guess import find_partners, name_deep_masks, pictures_in

FULL_ADE20K = re.compile(r'ADE_(train|val)_\d+_seg\.png')
CITYSCAPES = (
    'It has the layout of Cityscapes. Start --from a config of Cityscapes without --data, such as '
    'configs/upernet_tnt_s_cityscapes.py, and link the folder to data/cityscapes '
    '(docs/segmentation.md). It reads gtFine/*/*_labelTrainIds.png, which '
    'pip install cityscapesscripts, then csCreateTrainIdLabelImgs, makes of the *_labelIds.png. '
    "For other classes than Cityscapes', put the images and label maps into other folders. "
)
ONE_PER_OBJECT = (
    '. There are several masks for one image, so they seem to be one per object. For a '
    'segmentor, draw them into one label map. For masks of single objects, make '
    "annotations in COCO's format and start --from a config of Mask R-CNN"
)


def name_layout(root: Path, images: Path | None, labels: Path | None) -> str:
    """Return why a folder cannot be read, and how to go on.

    Args:
        root: The folder.
        images: The folder of images that was found in it.
        labels: The folder of label maps that was found in it.
    """
    files = list_files(root)
    return _known(root, labels, files) or _missing(root, images, labels, files)


def _known(root: Path, labels: Path | None, files: list[Path]) -> str:
    """Return what is known of the layout, or nothing."""
    folders = {path.name for path in root.iterdir() if path.is_dir()}
    if {'leftImg8bit', 'gtFine'} <= folders:
        return f'{root} has no folder of images. {CITYSCAPES}{LAYOUT}'
    if {'imgsFine', 'gtFine'} <= folders:
        return (
            f'{root} has no folder of images. It has the layout of Cityscapes of CVAT. Export the '
            f'task again as \'Segmentation mask 1.1\' with "Save images". {LAYOUT}'
        )
    if labels and (root / 'ImageSets').is_dir():
        return (
            f'{root} has label maps in {labels}, but no images in JPEGImages/. If CVAT exported '
            'it, export it again with "Save images", or put the images there'
        )
    if full := [file for file in files if FULL_ADE20K.fullmatch(file.name)]:
        return (
            f'{root} seems to be the full ADE20K, with {full[0]}. In it, red // 10 * 256 + green '
            'is the number of one of some thousand names. Take the 150 classes of its benchmark, '
            'ADEChallengeData2016 (docs/datasets.md), or write label maps of the classes that you '
            f'want. {LAYOUT}'
        )
    arrays = [file for file in files if file.suffix.lower() in ('.npy', '.npz')]
    if arrays and (known := name_file(arrays[0])):
        return f'{root} has arrays, such as {arrays[0]}: {known}. {LAYOUT}'
    return ''


def _missing(root: Path, images: Path | None, labels: Path | None, files: list[Path]) -> str:
    """Return which folder is missing, where pictures lie, and what these could be."""
    if images and labels:
        return f'{labels} has not the folders that {images} has{_hints(root, files, "")}'
    deeper = '' if images else hint_of_deeper(root, (*IMAGES, *SPLITS['train']))
    split = find_folder(root, SPLITS['train'])
    if not images and split and (inner := find_folder(split, IMAGES)):
        images, deeper = inner, ''  # Mapillary's training/images, beside training/v2.0/labels
    place, names = (images.parent, LABELS) if images else (root, IMAGES)
    return f'{place} has no folder {" or ".join(names[:3])}{_hints(root, files, deeper)}'


def _hints(root: Path, files: list[Path], deeper: str) -> str:
    """Return what the pictures in a folder could be, where they lie, and what is wanted."""
    counts = Counter(str(file.parent.relative_to(root)) for file in files if is_image(file))
    there = [f'{folder} ({number})' for folder, number in counts.items()]
    lying = f'. Folders with pictures: {shorten(there, 8)}' if there else ''
    if any(map(_has_one_per_object, sorted({file.parent.parent for file in files}))):
        deeper = ONE_PER_OBJECT
    doubtful = _name_doubtful(root) or name_deep_masks(root)
    return f'{deeper}{doubtful}{lying}. {LAYOUT}'


def _has_one_per_object(folder: Path) -> bool:
    """Return whether a folder has one image and several masks, as that of a nucleus."""
    images, labels = find_folder(folder, IMAGES), find_folder(folder, ('masks', 'mask'))
    return bool(
        images and labels and len(pictures_in(images)) == 1 and len(pictures_in(labels)) > 1
    )


def _name_doubtful(root: Path) -> str:
    """Return which folders could be the label maps of the same images, as a sentence, or nothing.

    KITTI has ``instance`` beside ``semantic``, and iSAID ``Instance_masks``.
    """
    found = {images: maps for images, maps in find_partners(root).items() if len(maps) > 1}
    if not found:
        return ''
    images, maps = next(iter(found.items()))
    return (
        f'. {shorten(maps, 8)} could all be the label maps of {images}. Move those away whose '
        'pixels are not the numbers of the classes'
    )

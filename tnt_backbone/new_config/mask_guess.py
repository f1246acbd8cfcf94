"""Folders of images and label maps of any name, told apart by what lies in them.

::

    DIR/PNGImages/a.png                  DIR/PedMasks/a_mask.png
    DIR/Task1_Training_Input/a.jpg       DIR/Task1_Training_GroundTruth/a_segmentation.png
    DIR/2_Ortho_RGB/a_RGB.tif            DIR/5_Labels_all/a_label.tif
    DIR/Train/Urban/images_png/1.png     DIR/Train/Urban/masks_png/1.png

Two folders belong together if each image has one file in the other whose name begins with its own,
which may have an end that all images have, and if those files look like label maps.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from ..data_checks.label_maps import UNREADABLE
from .coco_folder import split_of
from .data_folder import is_image, list_files

FEW = 64  # colours: a label map has at most so many
EDGES = 0.02  # share of grey pixels in a map of black and white that JPEG has compressed
Folders = tuple[Path, Path]  # of images and of label maps


def guess_folders(root: Path) -> dict[str, list[Folders]]:
    """Return pairs of folders by their split; an empty text is that of folders without one."""
    found: dict[str, list[Folders]] = {}
    for images, partners in find_partners(root).items():
        if len(partners) == 1:
            found.setdefault(split_of(images / '_', root), []).append((images, partners[0]))
    return found


def find_partners(root: Path) -> dict[Path, list[Path]]:
    """Return the folders of images, and the nearest ones that could hold their label maps."""
    files: dict[Path, dict[str, Path]] = {}
    for file in list_files(root):
        if is_image(file):
            files.setdefault(file.parent, {})[file.stem] = file
    maps = {folder: stems for folder, stems in files.items() if are_maps(stems)}
    found: dict[Path, list[Path]] = {}
    for images, stems in files.items():
        if images in maps:
            continue
        end = common_end(list(stems))
        bare = {stem.removesuffix(end): file for stem, file in stems.items()}
        partners = [
            labels
            for labels, others in maps.items()
            if _ends_alike(stems, others) or (end and _ends_alike(bare, others))
        ]
        if len(partners) > 1:  # the nearest
            near = [len(os.path.commonpath([images, labels])) for labels in partners]
            partners = [p for p, n in zip(partners, near, strict=True) if n == max(near)]
        if partners:
            found[images] = partners
    return found


def name_deep_masks(root: Path) -> str:
    """Return which folder has masks of objects in 16 bits, as a sentence, or nothing."""
    files: dict[Path, dict[str, Path]] = {}
    for file in list_files(root):
        if is_image(file):
            files.setdefault(file.parent, {})[file.stem] = file
    for folder, stems in files.items():
        if not _is_deep(stems[min(stems)]):
            continue
        images = [f for f, others in files.items() if f != folder and others.keys() == stems.keys()]
        if images and not _is_deep(files[images[0]][min(stems)]):
            return (
                f'. {folder} has pictures of 16 bits of the same names as {images[0]}. If these '
                "are masks of single objects, as KITTI's instance, make label maps of them (the "
                'class is the number divided by 256 there, or by 1000 in Cityscapes), or '
                "annotations in COCO's format for Mask R-CNN"
            )
    return ''


def _is_deep(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            return image.mode.startswith('I')
    except UNREADABLE:
        return False


def common_end(stems: Sequence[str]) -> str:
    """Return what stands behind the last ``_`` of all names, with it; numbers are no end."""
    ends = {stem.rpartition('_')[2] for stem in stems if '_' in stem}
    end = next(iter(ends), '')
    is_common = len(ends) == 1 and all('_' in stem for stem in stems) and not end.isdecimal()
    return f'_{end}' if is_common and end else ''


def pictures_in(folder: Path) -> dict[str, Path]:
    """Return the pictures that lie in a folder, by their names without an ending."""
    return {file.stem: file for file in sorted(folder.iterdir()) if is_image(file)}


def are_maps(stems: dict[str, Path]) -> bool:
    """Return whether the first files of a folder have few colours."""
    try:
        return all(_has_few_colours(stems[stem]) for stem in sorted(stems)[:3])
    except UNREADABLE:
        return False


def _has_few_colours(path: Path) -> bool:
    with Image.open(path) as image:
        if image.format == 'JPEG':  # it has more, but a map of two values is a grey one
            counts = image.convert('L').histogram()
            return sum(counts[16:240]) < EDGES * sum(counts)
        return image.mode in ('1', 'P') or image.getcolors(FEW) is not None


def _ends_alike(stems: dict[str, Path], others: dict[str, Path]) -> bool:
    """Return whether each image has one label map, whose name ends in the same way as all."""
    if len(stems) != len(others):
        return False
    first = min(stems)
    endings = [other[len(first) :] for other in others if other.startswith(first)]
    return any(all(f'{stem}{ending}' in others for stem in stems) for ending in endings)

"""A user's own data of KITTI, DOTA or VisDrone: a text file per image, with a row per object.

::

    DIR/training/image_2/000000.png   DIR/training/label_2/000000.txt                    KITTI
    DIR/train/images/P0000.png        DIR/train/labelTxt/P0000.txt    DIR/val/...        DOTA
    DIR/VisDrone2019-DET-train/images/a.jpg   .../annotations/a.txt   ...-val/...        VisDrone

KITTI's rows have corners of a box in pixels; its ``DontCare`` is ignored. DOTA's rows have four
corners of an oriented box: the outline is read as a mask, with the upright box around it.
VisDrone's have left, top, width and height, and the number of a class; its ignored regions (0) and
other objects (11) are left out.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from ..data_checks.foreign_formats import encoding_of, is_dota_row, is_kitti_row, is_visdrone_row
from ..errors import InputError
from .data_folder import list_files, read_text
from .labelled import LabelledImages, Labels, Shape, Size
from .listed import Listed, gather
from .shapes import around

IGNORED = 'DontCare'  # KITTI's regions that are neither trained on nor measured
VISDRONE = (  # from 1 on
    *('pedestrian', 'people', 'bicycle', 'car', 'van', 'truck', 'tricycle', 'awning-tricycle'),
    *('bus', 'motor'),
)
HEADS = ('imagesource:', 'gsd:')  # DOTA's first lines


def _rows(file: Path) -> list[list[str]]:
    lines = [line.split() for line in read_text(file).splitlines()]
    return [cells for cells in lines if cells and not cells[0].lower().startswith(HEADS)]


def _finder(is_row: Callable[[list[str]], bool]) -> Callable[[list[Path]], list[Path]]:
    def find(files: list[Path]) -> list[Path]:
        texts = [file for file in files if file.suffix.lower() == '.txt']
        return [file for file in texts if any(map(is_row, _first_rows(file)))]

    return find


def _first_rows(file: Path) -> list[list[str]]:
    with file.open(encoding=encoding_of(file), errors='replace') as opened:
        return [opened.readline(2000).split() for _ in range(3)]


find_dota = _finder(is_dota_row)
find_kitti = _finder(is_kitti_row)
find_visdrone = _finder(is_visdrone_row)


def read_dota(root: Path) -> LabelledImages:
    """Return the images and oriented boxes of a folder of DOTA."""
    return _read(root, find_dota, is_dota_row, _of_dota, lambda row: row[8])


def read_kitti(root: Path) -> LabelledImages:
    """Return the images and boxes of a folder of KITTI."""
    return _read(root, find_kitti, is_kitti_row, _of_kitti, lambda row: row[0])


def read_visdrone(root: Path) -> LabelledImages:
    """Return the images and boxes of a folder of VisDrone's detection task."""
    return _read(root, find_visdrone, is_visdrone_row, _of_visdrone, _visdrone_class, VISDRONE)


def _read(
    root: Path,
    find: Callable[[list[Path]], list[Path]],
    is_row: Callable[[list[str]], bool],
    to_shape: Callable[[list[str]], Shape],
    class_of: Callable[[list[str]], str],
    classes: Sequence[str] = (),
) -> LabelledImages:
    files = list_files(root)
    folders = {file.parent for file in find(files)}
    texts = [file for file in files if file.suffix.lower() == '.txt' and file.parent in folders]

    def entry(file: Path) -> Listed:
        rows = _rows(file)

        def read(_size: Size) -> Labels:
            if wrong := [row for row in rows if not is_row(row)]:
                raise InputError(f'a row of another format: {wrong[0]}')
            kept = [row for row in rows if class_of(row) != IGNORED]
            left_out = ['region or object of no class'] * (len(rows) - len(kept))
            return Labels([to_shape(row) for row in kept], left_out=left_out)

        names = [class_of(row) for row in rows if is_row(row) and class_of(row) != IGNORED]
        return Listed(file, file.stem, read, names)

    entries = map(entry, texts)
    return gather(root, entries, classes=classes, ending=False, per_image=True)


def _of_dota(row: list[str]) -> Shape:
    xs, ys = [float(v) for v in row[:8:2]], [float(v) for v in row[1:8:2]]
    points = list(zip(xs, ys, strict=True))
    return Shape(row[8], around(points), [[v for point in points for v in point]])


def _of_kitti(row: list[str]) -> Shape:
    left, top, right, bottom = (float(v) for v in row[4:8])
    if left > right or top > bottom:
        raise InputError(f'a maximum under its minimum: {row}')
    return Shape(row[0], (left, top, right, bottom))


def _visdrone_class(row: list[str]) -> str:
    number = int(''.join(row).split(',')[5])
    return VISDRONE[number - 1] if 0 < number <= len(VISDRONE) else IGNORED


def _of_visdrone(row: list[str]) -> Shape:
    left, top, width, height = (int(value) for value in ''.join(row).split(',')[:4])
    if width < 0 or height < 0:
        raise InputError(f'a width or height under 0: {row}')
    return Shape(_visdrone_class(row), (left, top, left + width, top + height))

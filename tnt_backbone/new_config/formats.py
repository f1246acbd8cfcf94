"""Which format a folder of a user's own data has."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from ..data_checks.findings import shorten
from ..errors import InputError
from .coco_folder import find_coco, read_json
from .data_folder import is_image, list_files, some_of_each_folder
from .labelme import is_labelme
from .voc import is_voc
from .yolo import find_labels
from .yolo_splits import find_descriptions


def recognise(root: Path, given: str | None = None) -> str:
    """Return the format of a folder with boxes or masks for MMDetection.

    Args:
        root: The folder.
        given: The format that the user named, which is not questioned.

    Raises:
        ValueError: If the folder fits none of the formats, or several.
    """
    if given:
        return given
    files = list_files(root)
    found = find_signs(root, files)
    if len(found) == 1:
        return next(iter(found))
    if found:
        listed = '; '.join(f'{name}: {evidence}' for name, evidence in found.items())
        raise InputError(
            f'--data {root} fits several formats ({listed}). Pass --format with one of '
            f'{", ".join(found)}'
        )
    raise InputError(
        f'--data {root} fits none of the formats that a config of MMDetection can have here. '
        f'Looked for: {"; ".join(LOOKED_FOR.values())}. Found: {_describe(files)}. '
        'Label maps need a config of MMSegmentation, class folders one of MMPretrain '
        '(docs/tutorial.md)'
    )


def find_signs(root: Path, files: list[Path]) -> dict[str, str]:
    """Return the formats that a folder fits, each with what shows it."""
    return {name: evidence for name, look in SIGNS.items() if (evidence := look(root, files))}


def _voc(root: Path, files: list[Path]) -> str:
    found = [file for file in files if file.suffix.lower() == '.xml']
    known = [file for file in some_of_each_folder(found) if is_voc(file)]
    return f'{len(found)} XML files, such as {known[0].relative_to(root)}' if known else ''


def _yolo(root: Path, files: list[Path]) -> str:
    if found := find_descriptions(files):
        return f'{found[0].relative_to(root)}, which names classes and splits'
    images = some_of_each_folder([file for file in files if is_image(file)])
    labels = [path for path in map(find_labels, images) if path and _has_rows(path)]
    # labels/ may lie beside the folder
    return f'text files with rows of numbers, such as {labels[0]}' if labels else ''


def _has_rows(path: Path) -> bool:
    with path.open(encoding='utf-8-sig', errors='replace') as file:
        first = file.readline().split()
    return len(first) >= 5 and all(map(_is_number, first))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _labelme(root: Path, files: list[Path]) -> str:
    found = [file for file in files if file.suffix.lower() == '.json']
    known = [file for file in some_of_each_folder(found) if is_labelme(read_json(file))]
    return f'JSON files with shapes, such as {known[0].relative_to(root)}' if known else ''


def _coco(root: Path, files: list[Path]) -> str:
    found = [str(file.relative_to(root)) for file in find_coco(root, files)]
    return f"files in COCO's format, {shorten(found)}" if found else ''


def _describe(files: list[Path]) -> str:
    endings = Counter(file.suffix.lower() or 'no ending' for file in files)
    return ', '.join(f'{n} files in {ending}' for ending, n in sorted(endings.items())) or 'no file'


# What shows that a folder has a format: the evidence in words, or nothing
SIGNS: dict[str, Callable[[Path, list[Path]], str]] = {
    'coco': _coco,
    'yolo': _yolo,
    'voc': _voc,
    'labelme': _labelme,
}
LOOKED_FOR = {
    'coco': "JSON files in COCO's format (coco)",
    'yolo': 'data.yaml, or text files with rows of numbers, beside images or in labels/ (yolo)',
    'voc': "Pascal VOC's XML files (voc)",
    'labelme': "LabelMe's JSON files with shapes (labelme)",
}

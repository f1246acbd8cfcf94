"""Which format a folder of a user's own data has."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from ..data_checks.findings import shorten
from ..data_checks.foreign_formats import (
    Known,
    encoding_of,
    is_number,
    is_pointer,
    name_content,
    name_file,
)
from ..errors import InputError
from .coco_folder import find_coco, read_json
from .createml import find_createml
from .cvat import find_cvat
from .data_folder import SAMPLED, composed, is_image, list_files, some_of_each_folder
from .hugging_face import find_hugging_face
from .labelme import is_labelme
from .labelme_xml import find_labelme_xml
from .mask_guess import name_deep_masks
from .named_rows import find_dota, find_kitti, find_visdrone
from .supervisely import find_supervisely
from .tables import find_tables
from .via import find_via
from .voc import is_voc
from .yolo import find_labels
from .yolo_splits import find_descriptions

Look = Callable[[Path, list[Path]], str]


def recognise(root: Path, given: str | None = None, notes: list[str] | None = None) -> str:
    """Return the format of a folder with boxes or masks for MMDetection.

    Many data sets have a table or another copy beside their labels: a format of ``FIRST`` is taken
    before the others.

    Args:
        root: The folder.
        given: The format that the user named, which is not questioned.
        notes: Gets a line about other formats that the folder fits.

    Raises:
        ValueError: If the folder fits none of the formats, or several.
    """
    if given:
        return given
    files = list_files(root)
    found = find_signs(root, files)
    first = [name for name in found if name in FIRST] or list(found)
    if len(first) == 1:
        if others := [f'{name} ({found[name]})' for name in found if name not in first]:
            text = f'{root} also fits {", ".join(others)}. {first[0]} is read; --format decides'
            (notes if notes is not None else []).append(text)
        return first[0]
    if found:
        listed = '; '.join(f'{name}: {found[name]}' for name in first)
        raise InputError(
            f'--data {root} fits several formats ({listed}). Pass --format with one of '
            f'{", ".join(first)}'
        )
    if known := find_known(files):
        file, form = known
        raise InputError(f'--data {root} is in the format of {form}. It has {file}')
    raise InputError(
        f'--data {root} fits none of the formats that a config of MMDetection can have here. '
        f'Looked for: {"; ".join(LOOKED_FOR.values())}. Found: {_describe(files)}'
        f'{_hint_of_texts(files)}{name_deep_masks(root)}. '
        'Label maps need a config of MMSegmentation, class folders one of MMPretrain '
        '(docs/tutorial.md)'
    )


def find_signs(root: Path, files: list[Path]) -> dict[str, str]:
    """Return the formats that a folder fits, each with what shows it.

    With a format of ``FIRST``, only tables are looked for besides: large JSON files are not parsed
    again for each format.
    """
    found = {name: evidence for name in FIRST if (evidence := SIGNS[name](root, files))}
    others = ['csv'] if found else [name for name in SIGNS if name not in FIRST]
    return found | {name: evidence for name in others if (evidence := SIGNS[name](root, files))}


def find_known(files: list[Path]) -> tuple[Path, Known] | None:
    """Return a file of a format that is only known by name, and that format."""
    for file in some_of_each_folder(files):
        is_json = file.suffix.lower() == '.json' and not is_pointer(file)
        if form := name_content(read_json(file)) if is_json else name_file(file):
            return file, form
    return None


def _voc(root: Path, files: list[Path]) -> str:
    found = [file for file in files if file.suffix.lower() == '.xml']
    known = [file for file in some_of_each_folder(found) if is_voc(file)]
    return f'{len(found)} XML files, such as {known[0].relative_to(root)}' if known else ''


def _yolo(root: Path, files: list[Path]) -> str:
    described = find_descriptions(files)
    # Roboflow's yolov5-obb has a data.yaml, and DOTA's rows in labelTxt/
    if described and not find_dota(some_of_each_folder(files)):
        return f'{described[0].relative_to(root)}, which names classes and splits'
    # the first images may be without objects
    found = [path for path in map(find_labels, filter(is_image, files)) if path]
    full = some_of_each_folder([path for path in found if path.stat().st_size])
    labels = [path for path in full if _has_rows(path)]
    # labels/ may lie beside the folder
    return f'text files with rows of numbers, such as {labels[0]}' if labels else ''


def _has_rows(path: Path) -> bool:
    return _are_numbers(_first_row(path))


def _first_row(path: Path) -> list[str]:
    """Return the first words of a text file."""
    with path.open(encoding=encoding_of(path), errors='replace') as file:
        return file.readline().split()


def _are_numbers(row: list[str]) -> bool:
    return len(row) >= 5 and all(map(is_number, row))


def _hint_of_texts(files: list[Path]) -> str:
    """Return why text files with the names of images are not YOLO's, if there are some."""
    images = {composed(file.stem): file for file in files if is_image(file)}
    texts = [f for f in files if f.suffix.lower() == '.txt' and composed(f.stem) in images]
    rows = {path: row for path in texts[:SAMPLED] if (row := _first_row(path))}
    if not rows:
        return ''
    path, row = next(iter(rows.items()))
    if not _are_numbers(row):
        return f'. {path} has the name of an image, and the row {" ".join(row)[:60]!r}'
    image = images[composed(path.stem)]
    return (
        f'. {path} has the name of {image}, but lies elsewhere than where YOLO has it: beside the '
        'image, or in labels/ for images/, in folders of the same names'
    )


def _labelme(root: Path, files: list[Path]) -> str:
    found = [file for file in files if file.suffix.lower() == '.json']
    known = [file for file in some_of_each_folder(found) if is_labelme(read_json(file))]
    return f'JSON files with shapes, such as {known[0].relative_to(root)}' if known else ''


def _coco(root: Path, files: list[Path]) -> str:
    found = [str(file.relative_to(root)) for file in find_coco(root, files)]
    return f"files in COCO's format, {shorten(found)}" if found else ''


def _listing(find: Callable[[list[Path]], list[Path]], words: str) -> Look:
    """Return a function that tells a format by files that one of the readers finds."""

    def look(root: Path, files: list[Path]) -> str:
        found = find(some_of_each_folder(files))
        return f'{words}, such as {found[0].relative_to(root)}' if found else ''

    return look


def _describe(files: list[Path]) -> str:
    endings = Counter(file.suffix.lower() or 'no ending' for file in files)
    return ', '.join(f'{n} files in {ending}' for ending, n in sorted(endings.items())) or 'no file'


# What shows that a folder has a format: the evidence in words, or nothing
SIGNS: dict[str, Look] = {
    'coco': _coco,
    'yolo': _yolo,
    'voc': _voc,
    'labelme': _labelme,
    'cvat': _listing(find_cvat, "CVAT's XML files"),
    'csv': _listing(find_tables, 'tables with boxes'),
    'createml': _listing(find_createml, "CreateML's JSON files"),
    'huggingface': _listing(find_hugging_face, "Hugging Face's metadata.jsonl with objects"),
    'via': _listing(find_via, "VIA's regions"),
    'supervisely': _listing(find_supervisely, "Supervisely's JSON files"),
    'kitti': _listing(find_kitti, "KITTI's text files"),
    'dota': _listing(find_dota, "DOTA's text files"),
    'visdrone': _listing(find_visdrone, "VisDrone's text files"),
    'labelme_xml': _listing(find_labelme_xml, "LabelMe's XML files"),
}
FIRST = ('coco', 'yolo', 'voc', 'labelme')
LOOKED_FOR = {
    'coco': "JSON files in COCO's format (coco)",
    'yolo': 'data.yaml, or text files with rows of numbers, beside images or in labels/ (yolo)',
    'voc': "Pascal VOC's XML files (voc)",
    'labelme': "LabelMe's JSON files with shapes (labelme)",
    'cvat': "CVAT's XML files (cvat)",
    'csv': 'tables with columns such as filename, xmin, ymin, xmax, ymax, class (csv)',
    'createml': "Apple CreateML's JSON files (createml)",
    'huggingface': "Hugging Face's metadata.jsonl with objects (huggingface)",
    'via': "VIA's projects and exports (via)",
    'supervisely': "Supervisely's projects (supervisely)",
    'kitti': 'text files of KITTI, DOTA and VisDrone (kitti, dota, visdrone)',
    'labelme_xml': "XML files of LabelMe's web tool (labelme_xml)",
}

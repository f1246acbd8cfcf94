"""Names that a file gives to classes which are numbers, or codes of ImageNet or Open Images.

::

    words.txt, LOC_synset_mapping.txt      n02123045 tabby, tabby cat
    class-descriptions.csv                 /m/01yrx,Cat
    label_map.json                         {"0": "cat"} or {"cat": 0}
    names.csv, categories.txt              0,cat        /c/cat 0
    classes.txt, labels.txt                a name per line, the first is that of class 0
    README.md                              class_label: names: '0': cat      Hugging Face
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ..data_checks.findings import shorten
from ..data_checks.foreign_formats import encoding_of
from .data_card import titles_in_card
from .data_folder import is_image, list_files

CODE = r'n\d{8}|\d+|/[mg]/\w+'
LINE = re.compile(rf'(?P<first>{CODE})(?:[\s:]+(?P<name>\S.*)|,(?P<cell>[^,]+))')
CODE_LAST = re.compile(rf'(?P<name>\S.*?)[\s,]+(?P<first>{CODE})')
CARD = 'README.md'
BY_LINE = (
    'classes.txt',
    'labels.txt',
    'names.txt',
    'class_names.txt',
    'categories.txt',
    'synsets.txt',
)
LARGEST = 10_000_000  # bytes of a file that names classes


def names_of_codes(root: Path, codes: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """Return the names of classes, and notes.

    Args:
        root: The folder of the data. Files in it, and in the folders in it, are looked at.
        codes: The classes in their order.

    Returns:
        The codes themselves, unless each is a number or such a code, and one file names all
        of them.
    """
    codes = tuple(codes)
    if not all(re.fullmatch(CODE, code) for code in codes):
        return codes, []
    found: dict[tuple[str, ...], Path] = {}
    for file in _files(root, codes):
        for table in _tables(file, codes):
            names = tuple(table.get(code, '') for code in codes)
            # a longer table of numbers is one of images
            is_of_classes = len(table) == len(codes) or not codes[0].isdecimal()
            if all(names) and len(set(names)) == len(names) and is_of_classes:
                found.setdefault(names, file)
    if found:  # a short table of images and their classes names none
        stems = {image.stem for image in filter(is_image, list_files(root))}
        found = {names: file for names, file in found.items() if not {*names} <= stems}
    if len(found) > 1:
        listed = shorten(found.values(), 8)
        return codes, [f'{listed} name the classes in different ways. They keep their codes']
    for names, file in found.items():
        return names, [f'the names of the classes are those of {file}: {codes[0]} is {names[0]}']
    return codes, []


def _files(root: Path, codes: Iterable[str]) -> Iterator[Path]:
    """Yield the text files that may name classes."""
    folders = [path for path in sorted(root.iterdir()) if path.is_dir()]
    for folder in (root, *(path for path in folders if path.name not in codes)):
        for file in sorted(folder.iterdir()):
            is_text = file.suffix.lower() in ('.json', '.txt', '.csv', '.tsv') or file.name == CARD
            is_hidden = file.name.startswith('.')  # such as ._classes.txt of macOS
            if is_text and not is_hidden and file.is_file() and file.stat().st_size < LARGEST:
                yield file


def _tables(file: Path, codes: Sequence[str]) -> Iterator[dict[str, str]]:
    """Yield the names of codes, in each way in which a file can be understood."""
    if file.name == CARD:
        yield _unique(list(titles_in_card(file).items()))
        return
    text = file.read_text(encoding=encoding_of(file), errors='replace')
    if file.suffix.lower() == '.json':
        yield from _of_json(text)
        return
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for form in (LINE, CODE_LAST):
        matches = [match for match in map(form.fullmatch, lines) if match]
        names = [match.groupdict() for match in matches]
        pairs = [(one['first'], one['name'] or one.get('cell') or '') for one in names]
        yield _unique(pairs)
        if len(pairs) == len(lines):  # "0: cat" is no name of a class
            return
    if file.name.lower() in BY_LINE and {*codes} == {str(i) for i in range(len(lines))}:
        yield {str(i): line for i, line in enumerate(lines)}


def _of_json(text: str) -> Iterator[dict[str, str]]:
    try:
        content = json.loads(text)
    except ValueError:
        return
    if isinstance(content, dict):
        for pairs in (content.items(), ((code, name) for name, code in content.items())):
            yield _unique([(str(c), n) for c, n in pairs if isinstance(n, str)])


def _unique(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Return the first of the synonyms of each code; nothing if these are no names."""
    names = dict(pairs)
    are_names = not any(is_image(Path(n)) or re.fullmatch(CODE, n) for n in names.values())
    if len(names) < len(pairs) or not are_names:
        return {}
    short = {code: name.split(',')[0].strip() for code, name in names.items()}
    return short if len(set(short.values())) == len(short) else names

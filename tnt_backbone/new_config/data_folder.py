"""What lies in a folder of a user's own data: its files, splits, pictures, and text files."""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from ..data_checks.findings import shorten
from ..data_checks.foreign_formats import encoding_of, without_hint
from ..errors import ExistingFileError, InputError
from ..predict.pictures import PICTURES as IMAGES
from ..whole_file import write_whole
from .listed_splits import split_by_lists

SAMPLED = 20  # files of an ending in a folder
SPLITS = {
    'train': ('train', 'training', 'trainval'),
    'val': ('val', 'valid', 'validation'),
    'test': ('test', 'testing'),
}


def list_files(root: Path) -> list[Path]:
    """Return all files below a folder, sorted; links to folders are followed.

    Hidden files and folders are left out. Among them are the ``._*`` files that macOS writes.
    """
    files: list[Path] = []
    for folder, children, names in os.walk(root, followlinks=True):
        children[:] = [name for name in children if not _is_hidden(name)]
        children[:] = [name for name in children if not _is_above(Path(folder, name), folder)]
        files += [Path(folder, name) for name in names if not _is_hidden(name)]
    return sorted(files)


def _is_above(child: Path, folder: str) -> bool:
    """Return whether a link leads back to a folder that it lies in."""
    return child.is_symlink() and Path(folder).resolve().is_relative_to(child.resolve())


def _is_hidden(name: str) -> bool:
    return name.startswith('.') or name == '__MACOSX'


def find_folder(parent: Path, names: Iterable[str]) -> Path | None:
    """Return the folder of the first of some names that is there; capital letters do not count.

    Raises:
        ValueError: If several folders differ from a name in capital letters only.
    """
    there = sorted(path for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []
    for name in names:
        alike = [path for path in there if path.name.lower() == name.lower()]
        if exact := [path for path in alike if path.name == name]:
            return exact[0]
        if len(alike) > 1:
            raise InputError(
                f'{parent} has {" and ".join(path.name for path in alike)}. Rename one of them'
            )
        if alike:
            return alike[0]
    return None


def some_of_each_folder(files: list[Path]) -> list[Path]:
    """Return the first few files of each ending in each folder: enough to tell what all are."""
    some: dict[tuple[Path, str], list[Path]] = {}
    for file in files:
        listed = some.setdefault((file.parent, file.suffix.lower()), [])
        if len(listed) < SAMPLED:
            listed.append(file)
    return [file for listed in some.values() for file in listed]


def is_image(path: Path) -> bool:
    """Return whether a file is an image by its ending, in small or capital letters."""
    return path.suffix.lower() in IMAGES


def split_by_folders(images: Iterable[Path], root: Path) -> dict[str, list[Path]]:
    """Return the images of the splits that folders name, else lists; else all are to train on.

    Args:
        images: Images below ``root``.
        root: Folders above it do not count.

    Raises:
        ValueError: If only some images are in such folders or lists, or none is to train on.
    """
    splits: dict[str, list[Path]] = defaultdict(list)
    for image in images:
        splits[_split_of(image, root)].append(image)
    loose = splits.pop('', [])
    if not loose and set(splits) == {'train'}:  # KITTI's training/, and ImageSets/val.txt
        loose = splits.pop('train')
    if not splits:
        texts = [file for file in list_files(root) if file.suffix.lower() == '.txt']
        return split_by_lists(loose, texts) or {'train': loose}
    if loose:
        raise InputError(
            f'{root} has folders for splits ({", ".join(splits)}), and {len(loose)} images that '
            f'are in none of them, such as {loose[0]}. Move them into one'
        )
    if 'train' not in splits:
        raise InputError(
            f'{root} has folders for {", ".join(splits)}, but none for training. Add train/'
        )
    return dict(splits)


def _split_of(path: Path, root: Path) -> str:
    for part in path.relative_to(root).parts[:-1]:
        for split, names in SPLITS.items():
            if part.lower() in names:
                return split
    return ''


def composed(name: str) -> str:
    """Return a name as it is compared: macOS stores an accent as a character of its own."""
    return unicodedata.normalize('NFC', name)


def by_stem(files: Iterable[Path]) -> dict[str, list[Path]]:
    """Return the files by their names without folder and ending, which are composed."""
    found: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        found[composed(file.stem)].append(file)
    return found


def read_text(path: Path) -> str:
    """Return a text file's content, without Windows' byte order mark and Excel's ``sep=;``.

    Raises:
        ValueError: If it is neither in UTF-8 nor in UTF-16 with its mark.
    """
    try:
        return without_hint(path.read_text(encoding=encoding_of(path)))
    except UnicodeError as error:
        raise InputError(f'{path} is not in UTF-8 ({error}). Save it in UTF-8') from error


def write_list(path: Path, lines: Iterable[str], *, overwrite: bool) -> None:
    """Write which images belong to a split.

    Raises:
        FileExistsError: If there is another file of that name.
    """
    text = ''.join(f'{line}\n' for line in lines)
    if path.exists() and path.read_bytes() != text.encode() and not overwrite:
        raise ExistingFileError(
            f'{path} exists, and the list of the images of a split would be written there. Pass '
            'another name than OUT.py, or --force'
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text)


def hint_of_deeper(root: Path, names: Iterable[str]) -> str:
    """Return a sentence if a folder below ``root`` holds what is missing in it, else an empty text.

    Args:
        root: The folder of the data.
        names: Names of folders, one of which is missing in it.
    """
    names = list(names)
    for level in ('*', '*/*'):  # VOCdevkit/VOC2012
        children = sorted(path for path in root.glob(level) if path.is_dir())
        deeper = [child for child in children if not _is_hidden(child.name)]
        if found := [child for child in deeper if find_folder(child, names)]:
            if len(found) > 1:
                return f'. {shorten(found)} have one each: pass one of them, or put them together'
            return f'. {found[0]} has one: pass it as --data'
    return ''

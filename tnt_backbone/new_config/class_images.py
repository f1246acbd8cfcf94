"""Class folders: how many images each has, and what else lies in them."""

import itertools
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..data_checks.findings import notes_unless_error, shorten
from ..data_checks.foreign_formats import LINES, OF_ENDING, READ_HERE
from ..data_checks.image_headers import find_unusual, read_header
from ..datasets.load_image import LoadImageOrSkip
from ..errors import InputError
from .coco_folder import split_of
from .data_folder import list_files
from .formats import find_known
from .unreadable import are_small, find_unreadable

KNOWN = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif')  # to MMPretrain
FURTHER = ('.webp', '.tiff', '.jp2')  # what OpenCV reads, too
NUMBER = r'[\W_]*[0-9]'  # where the number of an image's name begins
LOOKED_AT = 10  # images, until one can be read
# Folders that hold data sets or parts of them: classes are called otherwise
PARTS = ('images', 'image', 'imgs', 'img', 'part', 'fold', 'folder', 'batch')
NO_CLASSES = (
    *(*PARTS, 'jpegimages', 'annotations', 'annotation', 'labels', 'masks', 'trimaps'),
    *('groundtruth', 'ground', 'truth', 'gt', 'segmentation', 'segmentations', 'data'),
)
# Folders that hold the same classes in several versions: PlantVillage
VERSIONS = (
    *('color', 'colour', 'gray', 'grey', 'grayscale', 'greyscale', 'segmented', 'rgb', 'depth'),
    *('original', 'raw', 'augmented', 'cropped', 'resized', 'with', 'without', 'augmentation'),
)
# Folders of images that nobody labelled, such as STL-10's
WITHOUT_CLASS = ('unlabeled', 'unlabelled', 'unsup', 'void', 'ignore', 'ignored')
MASK = re.compile(r'(.+)[ _-](mask|segmentation|groundtruth)([ _-]?\d+)?', re.IGNORECASE)
# Moves cat.0.jpg of the folders that follow to cat/cat.0.jpg
SORT = (
    'import re, sys, pathlib; [(f.parent / n).mkdir(exist_ok=True) or f.rename(f.parent / n / '
    "f.name) for d in sys.argv[1:] for f in [*pathlib.Path(d).glob('*.*')] if (n := re.split("
    f"r'{NUMBER}', f.stem)[0])]"
)


class Counted(NamedTuple):
    """The files of a folder with class folders.

    Attributes:
        images: Number of images in each class.
        further: Endings among them that MMPretrain does not read unless it is told to.
        others: Number of files of each ending that are no images.
    """

    images: dict[str, int]
    further: set[str]
    others: Counter[str]


def class_names(folder: Path) -> set[str]:
    """Return the names of the folders in a folder."""
    return {path.name for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set()


def count_images(folder: Path) -> Counted:
    """Count the files of each class; hidden files are passed over, as MMPretrain does."""
    from mmpretrain.datasets.custom import find_folders

    classes, _ = find_folders(str(folder))
    if hidden := [name for name in classes if name.startswith('.')]:
        raise InputError(f'{folder}/{hidden[0]} would count as a class. Delete it')
    counts = {name: Counter(_suffixes(folder / name)) for name in classes}
    images = {
        name: sum(number for suffix, number in suffixes.items() if suffix in (*KNOWN, *FURTHER))
        for name, suffixes in counts.items()
    }
    empty = [name for name, number in images.items() if not number]
    _check_classes(folder, [name for name in images if name not in empty])
    if len(images) - len(empty) < 2 and any(counts[name] for name in empty):
        # such as images/ and annotations/
        images = {name: number for name, number in images.items() if number}
    elif empty:
        raise InputError(
            f'no image in {folder}/{shorten(empty)}: add some. Or delete the folder, in all splits'
        )
    total: Counter[str] = sum(counts.values(), Counter())
    others = Counter({s: number for s, number in total.items() if s not in (*KNOWN, *FURTHER)})
    return Counted(images, {suffix for suffix in FURTHER if total[suffix]}, others)


def _check_classes(folder: Path, names: Sequence[str]) -> None:
    """Check that folders seem to be classes, and pictures in them no masks of others.

    Raises:
        ValueError: If the names are those of splits or parts of a data set, if the classes have
            splits of their own or each other's names, or if one has masks beside its images.
    """
    inside = {name: class_names(folder / name) for name in names}
    _check_names(folder, inside)
    for name, inner in inside.items():
        _check_inner(folder, name, inner, names)
        _check_masks(folder, name)


def _check_names(folder: Path, inside: Mapping[str, set[str]]) -> None:
    """Check that the names of folders are no splits, parts or versions of a data set.

    Args:
        folder: Where the folders lie.
        inside: Name of each folder to the names of those in it.
    """
    names = list(inside)
    if len(names) < 2:
        return
    words = {name: re.findall('[a-z]+', name.lower()) for name in names}
    found = list(filter(None, (split_of(Path(name), Path()) for name in names)))
    are_splits = len({*found}) > 1 and 2 * len(found) >= len(names)
    if split_of(folder / '_', folder.parent):  # in train/, a train is one of railways
        are_splits = False
    are_numbered = len({tuple(some) for some in words.values()}) == 1
    if (
        are_splits
        or all(some and {*some} <= {*NO_CLASSES} for some in words.values())
        or (are_numbered and {*words[names[0]]} & {*PARTS})
    ):
        raise InputError(
            f'{folder} has the folders {shorten(names, 8)}. Their names are those of splits or '
            'parts of a data set, so they seem to be no classes. What is wanted: '
            'DIR/train/<class>/ and DIR/val/<class>/, or a table with the columns filename and '
            'label (docs/tutorial.md). If they are the classes, rename them'
            + hint_of_inner(folder)
            + hint_of_names(folder, ())
        )
    first = inside[names[0]]
    have_classes = len(first) > 1 and all(inner == first for inner in inside.values())
    known = {*NO_CLASSES, *VERSIONS}
    if have_classes and all(some and {*some} <= known for some in words.values()):
        raise InputError(
            f'{folder} has the folders {shorten(names, 8)}, each with the folders '
            f'{shorten(sorted(first), 8)}. They seem to be versions of one data set, and no '
            f'classes. Pass one of them as --data, such as {folder / names[0]}. If they are the '
            'classes, rename them'
        )
    if len(names) > 2 and (without := [n for n in names if n.lower() in WITHOUT_CLASS]):
        raise InputError(
            f'{folder / without[0]} seems to hold images without a class, which would be learned '
            'as one. Move it away. If it is a class, rename it'
        )


def _check_inner(folder: Path, name: str, inner: set[str], names: Sequence[str]) -> None:
    """Check that the folders in a class are neither splits nor other classes."""
    if len({split_of(Path(child), Path()) for child in inner} - {''}) > 1:
        raise InputError(
            f'{folder / name} has folders for splits ({shorten(sorted(inner), 8)}), and they '
            f'would be mixed. What is wanted: DIR/train/{name}/ and DIR/val/{name}/, so move '
            f'them. If {folder / name} is a data set of its own, pass it as --data'
        )
    if both := sorted(inner & {*names}):
        raise InputError(
            f'{folder / name} has folders of the classes {shorten(both)}, and so has {folder}. '
            f'Move the images of each class into one folder, and delete {folder / name}'
        )


def _check_masks(folder: Path, name: str) -> None:
    """Check that no pictures of a class are called like masks of others."""
    files = [path for path in list_files(folder / name) if is_read(path)]
    stems = {path.with_suffix('') for path in files}
    matches = ((path, MASK.fullmatch(path.stem)) for path in files)
    if masks := [path for path, match in matches if match and path.with_name(match[1]) in stems]:
        raise InputError(
            f'{len(masks)} pictures in {folder / name} are called like masks of others '
            f'({shorten(masks)}). They would be learned as images of the class. Move them out '
            f'of {folder}, in all classes'
        )


def _suffixes(folder: Path) -> Iterator[str]:
    for path in folder.rglob('*'):
        *folders, name = path.relative_to(folder).parts
        if not path.is_file() or name.startswith('.'):
            continue
        if not any(part.startswith('.') for part in folders):
            yield path.suffix.lower()
        elif path.suffix.lower() in (*KNOWN, *FURTHER):
            raise InputError(
                f'{path} is in a hidden folder, and would be learned as an image of the class '
                f'{folder.name}: MMPretrain passes over hidden files only. Delete the folder '
                f'{path.parent}'
            )


def is_read(path: Path) -> bool:
    """Return whether a file is an image that the data set reads, by its ending."""
    return path.is_file() and path.suffix.lower() in (*KNOWN, *FURTHER)


def look_at_some(images: Iterable[Path], place: Path) -> list[str]:
    """Open some images, and all files of few bytes; return notes about them.

    Raises:
        ValueError: If none can be read, such as TIFFs of 13 channels, or more than a tenth is
            damaged.
    """
    images = list(images)
    headers, faults = {}, []
    for image in itertools.islice(images, LOOKED_AT):
        if header := read_header(image):
            headers[image] = header
        try:
            LoadImageOrSkip().read(str(image))
        except (OSError, ValueError, SyntaxError) as error:
            faults.append(f'{image}: {error}')
        else:
            found = find_unreadable(are_small(images), place, len(images))
            return notes_unless_error([*find_unusual(headers, str(place)), *found])
    if not faults:
        return []
    raise InputError(
        f'None of the {len(faults)} images of {place} that were opened can be read '
        f'({shorten(faults)}). Convert them to PNG or JPEG, with one, three or four channels of 8 '
        'bits'
    )


def describe_folder(folder: Path, counted: Counted) -> list[str]:
    """Return notes about files and folders that may be meant in another way."""
    notes = []
    if counted.others:
        endings = ', '.join(f'{n} in {s or "no ending"}' for s, n in counted.others.items())
        notes.append(f'{folder}: files that are no images are left out ({endings})')
    if loose := sorted(file.name for file in filter(is_read, folder.iterdir())):
        notes.append(
            f'{folder}: {len(loose)} images are in no class folder, and are left out '
            f'({shorten(loose)}). Move them into the folders of their classes'
        )
    if nested := [name for name in counted.images if _is_nested(folder / name)]:
        inner = shorten(sorted(class_names(folder / nested[0])))
        notes.append(
            f'{folder}: {len(nested)} classes have their images in folders of their own '
            f'({nested[0]}: {inner}), which all count as one class. If these are the classes, move '
            f'them into {folder}'
        )
    return notes


def hint_of_inner(root: Path) -> str:
    """Return which folder in a folder has class folders, if one has, else nothing."""
    places = [root / name for name in sorted(class_names(root))]
    inner = [p for p in places if sum(map(_has_images, map(p.joinpath, class_names(p)))) > 1]
    if len(inner) != 1:
        return ''
    return f'. If the folders in {inner[0]} are the classes, pass it as --data'


def _has_images(folder: Path) -> bool:
    return any(map(is_read, folder.iterdir()))


def hint_of_flat(folder: Path, root: Path) -> str:
    """Return what to do if the images of a split are in no class folder, else nothing."""
    if class_names(folder) or not _has_images(folder):
        return ''
    return (
        f'. The images in {folder} are in no class folder. Put a table with their classes into '
        f'{root}, such as {folder.name}.csv with the columns filename and label'
    )


def hint_of_format(root: Path) -> str:
    """Return which format a folder has, if its JSON or packed files are of one, else nothing."""
    endings = ('.json', '.csv', '.xml', *LINES, *OF_ENDING)
    known = find_known([file for file in list_files(root) if file.suffix.lower() in endings])
    if not known:
        return ''
    file, form = known
    if form.advice != READ_HERE:
        return f'. {file} is of {form}'
    return (
        f'. {file} is of {form.name}, whose boxes configs of MMDetection read. For a classifier, '
        'export the images into class folders (ImageNet), or write a table with the columns '
        'filename and label'
    )


def hint_of_names(root: Path, folders: Iterable[Path | None]) -> str:
    """Return how to sort images whose names begin with words into class folders, else nothing.

    Args:
        root: The folder of the data, which is looked at if there is no folder of a split.
        folders: Those of the splits.
    """
    places = [folder for folder in folders if folder]
    places = places or [root, *sorted(path for path in root.iterdir() if path.is_dir())]
    begins: Counter[str] = Counter()
    flat = []
    for place in places:
        files = [file for file in sorted(place.iterdir()) if is_read(file)]
        found = Counter(re.split(NUMBER, file.stem)[0] for file in files)
        if len(found) > 1 and '' not in found and min(found.values()) > 1:
            begins += found
            flat.append(str(place))
    if not flat:
        return ''
    return (
        f'. The names of {begins.total()} images begin with {shorten(begins, 8)}. If these are the '
        f'classes, this command moves the images into class folders: python -c "{SORT}" '
        + shlex.join(flat)
    )


def _is_nested(folder: Path) -> bool:
    """Return whether a class has several folders of images, and no image itself."""
    return len(class_names(folder)) > 1 and not any(map(is_read, folder.iterdir()))

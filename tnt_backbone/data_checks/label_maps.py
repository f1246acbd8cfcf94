"""Label maps: how they pair with images, which labels they hold, and whether classes fit these."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mmcv
import numpy as np
from mmengine.dataset import BaseDataset
from PIL import Image

from ..datasets.decodable import fault_of
from ..errors import InputError, MissingFileError
from .findings import Finding, notes_unless_error, shorten
from .image_headers import ONE_PAGE, READ_BEFORE_A_RUN, Header, read_header
from .places import hint_of_accents

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
LOSSY = ('.jpg', '.jpeg', '.webp')
IGNORED = 255  # MMSegmentation's ignore_index
# What Pillow raises for files that are no picture, damaged, or larger than it accepts
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
TO_PNG = (
    "python -c \"from pathlib import Path; from PIL import Image; [Image.open(p).convert('L')"
    ".point(lambda v: int(v > 127)).save(p.with_suffix('.png')) for p in "
    "Path('{folder}').rglob('*{ending}')]\""
)
TO_ONE_CHANNEL = (
    'python -c "from pathlib import Path; from PIL import Image; '
    "[Image.open(p).getchannel({channel}).save(p) for p in Path('{folder}').rglob('*{ending}')]\""
)
MOST_NAMED = 8  # colours in a message
HOW_TO_RELABEL = (
    'Give other numbers to labels with tnt new --label-map OLD=NEW ..., such as '
    '--label-map 255=1, or write the label maps again with 0, 1, ... for the classes and 255 for '
    'pixels of no class'
)


class Pairs(NamedTuple):
    """Images and their label maps.

    Attributes:
        image_suffix: How the names of all images end; ``None`` if they end in several ways.
        label_suffix: What stands behind the rest of an image's name in its label map's name;
            ``None`` if that differs.
        images: The images.
        labels: The label map of each.
    """

    image_suffix: str | None
    label_suffix: str | None
    images: list[Path]
    labels: list[Path]


def pair(images: Path, labels: Path, names: Sequence[str] | None = None, end: str = '') -> Pairs:
    """Find the label map of each image of a folder.

    Hidden files are passed over, as MMSegmentation does. Of several files that could be label maps,
    lossless ones come before JPEGs, then the one with the image's own name, then ``.png``. Images
    of one ending have label maps of one ending.

    Args:
        images: Folder with the images, which may lie in folders of their own.
        labels: Folder with the label maps, in the same folders.
        names: The images that count, without endings; by default all.
        end: What the names of images have before their ending, and those of label maps do not.

    Raises:
        FileNotFoundError: If there are no images, or one has no label map.
        ValueError: If two images have one name, or the label maps are JPEGs.
    """
    found = sorted(_pictures(images))
    if names is not None:
        wanted = set(names)
        with_end = (path for path in found if path.stem.endswith(end))
        found = [path for path in with_end if _name(path, images, end) in wanted]
        if absent := sorted(wanted - {_name(path, images, end) for path in found}):
            raise MissingFileError(
                f'{len(absent)} of {len(names)} images that a list names are not in {images}: '
                f'{shorten(absent)}. Add them, or take them out of the list'
                + hint_of_accents(absent, (_name(path, images, end) for path in _pictures(images)))
            )
    if not found:
        raise MissingFileError(f'{images} has no images. Endings: {" ".join(IMAGE_SUFFIXES)}')
    groups: dict[str, list[Path]] = {}
    for path in found:
        groups.setdefault(end + path.suffix, []).append(path)
    if len(groups) > 1:
        _refuse_equal_names(found, images, end)
    there = {str(path.relative_to(labels)) for path in _pictures(labels)}
    if images == labels:  # an image is not its own label map
        there -= {str(path.relative_to(images)) for path in found}
    partners: dict[Path, Path] = {}
    endings = set()
    for suffix, group in groups.items():
        stems = [str(path.relative_to(images))[: -len(suffix)] for path in group]
        own = _label_endings(stems, there, images, labels)
        endings |= set(own)
        names_of_maps = (stem + ending for stem, ending in zip(stems, own, strict=True))
        partners |= zip(group, map(labels.joinpath, names_of_maps), strict=True)
    return Pairs(
        next(iter(groups)) if len(groups) == 1 else None,
        next(iter(endings)) if len(endings) == 1 else None,
        found,
        [partners[path] for path in found],
    )


def _refuse_equal_names(found: Iterable[Path], images: Path, end: str) -> None:
    """Refuse images that differ in their ending only: one label map cannot be that of both."""
    first: dict[str, Path] = {}
    for path in found:
        other = first.setdefault(_name(path, images, end), path)
        if other != path:
            raise InputError(
                f'{other} and {path} would have the same label map. Keep one of them, and do so '
                'with all images that differ in their ending only'
            )


def _label_endings(
    stems: Sequence[str], there: Collection[str], images: Path, labels: Path
) -> list[str]:
    """Return what stands behind each image's name in the name of its label map.

    It is the same for all, but for capital letters.

    Args:
        stems: The names of the images, without ending.
        there: The names of the files in the folder of the label maps.
        images: The folder of the images.
        labels: That of the label maps.

    Raises:
        FileNotFoundError: If an image has no label map.
        ValueError: If the label maps are JPEGs.
    """
    endings = {name[len(stem) :] for stem in stems[:1] for name in there if name.startswith(stem)}

    def find(stem: str, ending: str) -> str | None:
        spelled = (ending, ending.lower(), ending.upper())
        return next((other for other in spelled if stem + other in there), None)

    def missing(ending: str) -> list[str]:
        return [stem + ending for stem in stems if find(stem, ending) is None]

    def preference(ending: str) -> tuple[Any, ...]:
        is_lossy = ending.lower().endswith(LOSSY)
        is_exact = ending.count('.') == 1 and ending.startswith('.')
        return len(missing(ending)), is_lossy, not is_exact, ending.lower() != '.png', ending

    ending = min(endings or {'.png'}, key=preference)
    # of no image is one missing, all are lossless, and none has the name of its image
    alike = [other for other in endings if preference(other)[:3] == (0, False, True)]
    if ending in alike and len(alike) > 1:
        raise InputError(
            f'{labels} has several pictures for each image of {images}, which end in '
            f'{", ".join(sorted(alike))}. Keep those whose pixels are the numbers of the classes, '
            'and move the others away'
        )
    if absent := missing(ending):
        raise MissingFileError(
            f'{len(absent)} of {len(stems)} images of {images} have no label map in {labels}: '
            f'{shorten(absent)}. Add the label maps, or take out the images'
            + hint_of_accents(absent, there)
            + _hint_of_others(
                labels, {stem + found for stem in stems if (found := find(stem, ending))}
            )
        )
    if ending.lower().endswith(LOSSY):
        raise InputError(
            f'The label maps of {labels} end in {ending}, which changes values when it is '
            'compressed. Write them as .png. If they have two values, black and white, this makes '
            f'0 and 1 of them: {TO_PNG.format(folder=labels, ending=ending)}'
        )
    return [find(stem, ending) or ending for stem in stems]


def _hint_of_others(labels: Path, used: Collection[str]) -> str:
    """Return which other files lie in a folder of label maps, if some do."""
    files = sorted(str(p.relative_to(labels)) for p in labels.rglob('*') if p.is_file())
    others = [name for name in files if name not in used and not name.startswith('.')]
    if not others:
        return ''
    read = ' '.join(suffix for suffix in IMAGE_SUFFIXES if suffix not in LOSSY)
    return (
        f'. {labels} has {shorten(others)}. The name of a label map begins with that of its image, '
        f'and ends in one of {read}. Rename or convert the files, if they are the label maps'
    )


def _name(path: Path, folder: Path, end: str) -> str:
    return str(path.relative_to(folder).with_suffix('')).removesuffix(end)


def _pictures(folder: Path) -> list[Path]:
    return [
        path
        for path in folder.rglob('*')
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not any(part.startswith('.') for part in path.relative_to(folder).parts)
        and path.is_file()
    ]


def read_label_map(path: str | Path) -> np.ndarray:
    """Return the labels of a map ``(H, W)``, 0 to 255, as MMSegmentation reads them.

    Raises:
        ValueError: If it cannot be read, has several channels or pages, or holds what is no label:
            a number above 255, under -1, or no whole one.
    """
    try:
        pixels = mmcv.imread(str(path), flag='unchanged', backend='pillow')
    except Image.DecompressionBombError as error:
        raise InputError(
            f'{path} is larger than Pillow reads ({error}), in training too. Cut the picture and '
            'its label map into tiles'
        ) from error
    except UNREADABLE as error:
        fault = fault_of(Path(path).read_bytes()) if Path(path).is_file() else None
        raise InputError(
            f'{path} cannot be read as a picture ({fault or error}). Write it again'
        ) from error
    if pixels.ndim != 2:
        channels = pixels.shape[-1]
        listed = ' '.join(','.join(map(str, colour)) for colour in _first_colours(pixels))
        hint = ''
        colours = pixels[..., :3] if channels > 2 else pixels[..., :1]
        if (colours == colours[..., :1]).all():
            place = Path(path)
            # of a constant picture, alpha is the map
            is_alpha = channels in (2, 4) and (colours == colours[:1, :1]).all()
            command = TO_ONE_CHANNEL.format(
                channel=channels - 1 if is_alpha else 0, folder=place.parent, ending=place.suffix
            )
            hint = (
                '. All channels of colours are equal. If one channel holds the numbers of the '
                f'classes, keep it: {command}'
            )
        raise InputError(
            f'{path} has {channels} channels. A label map has one, with the number of the class; a '
            "PNG's own palette is right. If colours stand for classes, write them into "
            'class_dict.csv in the folder that --data names: a line name,r,g,b, then a line per '
            f'class, such as road,255,255,255. tnt new converts them. Its colours: {listed}{hint}'
        )
    if pixels.dtype.itemsize > 1:
        is_label = (pixels >= -1) & (pixels <= IGNORED) & (pixels == np.trunc(pixels))
        if not is_label.all():
            raise InputError(
                f'{path} holds {pixels[~is_label].max():g}. Labels are whole numbers from 0 to '
                '254, and 255 is ignored'
            )
        pixels = pixels.astype(np.int16)  # -1 becomes 255
    is_tiff = Path(path).suffix.lower() in ('.tif', '.tiff')
    if is_tiff and (header := read_header(path)) and header.is_stack:
        raise InputError(f'{path} has several pages. {ONE_PAGE}')
    return pixels.astype(np.uint8)


def _first_colours(pixels: np.ndarray) -> list[list[int]]:
    """Return the least colours in ``(H, W, C)`` of mmcv, at most ``MOST_NAMED``, without alpha."""
    # a number for each colour: to sort rows of 12 million pixels takes minutes
    channels = pixels[..., :3].astype(np.uint64)
    if channels.shape[-1] == 3:
        channels = channels[..., ::-1]  # mmcv reads blue, green, red
    shifts = np.arange(channels.shape[-1], dtype=np.uint64)[::-1] * np.uint64(16)
    numbers = np.unique((channels << shifts).sum(-1, dtype=np.uint64))[:MOST_NAMED]
    return (numbers[:, None] >> shifts & np.uint64(0xFFFF)).tolist()


def labels_in(path: str | Path) -> dict[int, int]:
    """Return how many pixels each label of a map has.

    Raises:
        ValueError: Like :func:`read_label_map`.
    """
    counts = np.bincount(read_label_map(path).ravel(), minlength=1)
    return {int(label): int(counts[label]) for label in np.flatnonzero(counts)}


def check_size(image: Path, label_map: Path) -> Header | None:
    """Compare the size of a label map with its image's as it is read, from their headers.

    Returns:
        The header of the image, if both can be read.

    Raises:
        ValueError: If they differ.
    """
    header = read_header(image)
    try:
        with Image.open(label_map) as opened:
            width, height = opened.size
    except UNREADABLE:  # reported where the file is read
        return None
    if header and header.size != (height, width):
        turned = ', as EXIF turns it' if header.turn >= 5 else ''
        raise InputError(
            f'{label_map} has {width}x{height} pixels, but {image} has '
            f'{header.size[1]}x{header.size[0]}{turned}. Both must have the same size. Label maps '
            'are never turned. Make the label map again'
        )
    return header


def find_in_labels(
    files: Mapping[int, Sequence[str]],
    classes: Sequence[str],
    place: str,
    *,
    is_training: bool,
    is_whole: bool = True,
) -> list[Finding]:
    """Compare the labels that were found with the classes.

    Args:
        files: Label to the label maps that hold it, as the pipeline passes it on.
        classes: Names of the classes; label 0 is the first.
        place: The folder of the label maps.
        is_training: Whether they are trained on.
        is_whole: Whether all label maps were read.
    """
    findings = []
    used = set(files) - {IGNORED}
    outside = sorted(label for label in used if label >= len(classes))
    absent = [i for i in range(len(classes)) if i not in used]
    if outside:
        paths = sorted({path for label in outside for path in files[label]})
        text = (
            f'{len(paths)} label maps hold {shorten(outside, 8)}, but the {len(classes)} classes '
            f'have the labels 0 to {len(classes) - 1} ({shorten(paths)}). {HOW_TO_RELABEL}'
        )
        findings.append(Finding('label out of range', place, text))
    if not used:
        text = f'the label maps hold nothing but {IGNORED}, which is ignored. {HOW_TO_RELABEL}'
        findings.append(Finding('class without pixels', place, text))
    elif absent and is_whole:
        names = shorten([f'{i} ({classes[i]})' for i in absent])
        text = f'no label map has a pixel of {len(absent)} of {len(classes)} classes: {names}. '
        if is_training:
            if IGNORED in files:
                text += f'{len(files[IGNORED])} maps hold {IGNORED}, which is ignored. '
            text += f'{HOW_TO_RELABEL}. Or take the class out of the list of classes'
            findings.append(Finding('class without pixels', place, text))
        else:
            text += 'They are not measured'
            findings.append(Finding('class without pixels to measure', place, text))
    return findings


def find_other_colours(files: Mapping[int, Sequence[str]], place: str) -> list[Finding]:
    """Return labels that have one colour in one palette, and another one in another.

    Some tools make a new palette for each picture. Then a number means another class in each file.

    Args:
        files: Label, as it is stored, to the label maps that hold it.
        place: Of the label maps.
    """
    palettes: dict[str, list[int]] = {}
    for path in {path for paths in files.values() for path in paths}:
        with Image.open(path) as image:
            palettes[path] = (image.getpalette() or []) if image.mode == 'P' else []
    findings = []
    for label in sorted(files.keys() - {IGNORED}):
        first: dict[tuple[int, ...], str] = {}
        for path in files[label]:
            colour = tuple(palettes[path][3 * label : 3 * label + 3])
            if colour and colour != (label,) * 3:  # a grey one says nothing
                first.setdefault(colour, path)
        if len(first) > 1:
            (one, path), (other, also) = list(first.items())[:2]
            text = (
                f'label {label} is the colour {one} in {path}, and {other} in {also}. So it means '
                'several classes. Write all label maps with one palette. If the numbers are right, '
                'write them without a palette (mode L)'
            )
            findings.append(Finding('label of several colours', place, text))
    return findings


def relabelled(label: int, dataset: BaseDataset) -> int:
    """Return the label that the pipeline of a data set makes of one in a file."""
    for transform in getattr(dataset.pipeline, 'transforms', ()):
        mapping = getattr(transform, 'new_labels', None)
        if mapping is not None:
            return mapping.get(label, label)
    return label


def check_label_maps(dataset: BaseDataset, *, is_training: bool) -> list[str]:
    """Check some label maps of a data set of MMSegmentation before a run starts.

    Args:
        dataset: Built with ``lazy_init=True``; its files exist.
        is_training: Whether it is trained on.

    Returns:
        Notes for the log.

    Raises:
        ValueError: If a label map cannot be read or does not fit the classes.
    """
    from mmseg.datasets import BaseSegDataset

    is_known = isinstance(dataset, BaseSegDataset) and not dataset.reduce_zero_label
    if not is_known or dataset.backend_args or dataset.label_map:
        return []
    paths = [info['seg_map_path'] for info in dataset.load_data_list() if 'seg_map_path' in info]
    step = max(1, len(paths) // READ_BEFORE_A_RUN)
    files: dict[int, list[str]] = {}
    stored: dict[int, list[str]] = {}
    for path in paths[::step]:
        for label in labels_in(path):
            stored.setdefault(label, []).append(path)
            files.setdefault(relabelled(label, dataset), []).append(path)
    place = str(dataset.data_prefix.get('seg_map_path'))
    if not files:
        return []
    found = find_in_labels(
        files,
        dataset.metainfo['classes'],
        place,
        is_training=is_training,
        is_whole=step == 1,
    )
    return notes_unless_error(found + find_other_colours(stored, place))


def parse_label_map(pairs: Iterable[str]) -> dict[int, int]:
    """Return ``--label-map`` as a dict.

    Args:
        pairs: Such as ``'255=1'``: label in the files, label to train on.

    Raises:
        ValueError: If one is not two labels from 0 to 255, or a label is named twice.
    """
    mapping: dict[int, int] = {}
    for text in pairs:
        old, separator, new = text.partition('=')
        if not (separator and old.isdecimal() and new.isdecimal()):
            raise InputError(f'--label-map {text} is not of the form OLD=NEW, such as 255=1')
        if max(int(old), int(new)) > IGNORED:
            raise InputError(f'--label-map {text}: labels are 0 to 255, and 255 is ignored')
        if int(old) in mapping:
            raise InputError(f'--label-map names {old} twice')
        mapping[int(old)] = int(new)
    return mapping

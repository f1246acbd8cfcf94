"""Predictions of many pictures as files, so that a run that was ended goes on where it stopped."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

from PIL import Image

from ..errors import DiskError, ExistingFileError, InputError
from ..whole_file import whole_file
from .pictures import Picture, UnreadablePictureError
from .results import Detection, Result, Segmentation

LINES = 'predictions.jsonl'  # a line for each picture, written as soon as it is done
WHOLE = 'predictions.json'  # all of them, written at the end
PANOPTIC = 'panoptic.json'  # the segments of all pictures, written at the end
CLASSES = 'classes.json'  # which number in a label map is which class
FOLDERS = ('pictures', 'labels', 'panoptic')
DRAWN = ('.jpg', '.jpeg', '.png')  # other pictures are drawn into JPEGs


class PredictionFolder:
    """The folder that predictions are written into.

    ::

        predictions.jsonl   a line for the settings, then a line for each picture
        predictions.json    the same as one list, written when all pictures are done
        pictures/           each picture with its predictions drawn, in the tree of the sources
        labels/             label maps (segmentation), PNG with a palette, in the same tree
        classes.json        number, name and colour of each class in the label maps
        panoptic/           segments (panoptic segmentors), PNG as COCO's, in the same tree
        panoptic.json       what each segment is, in COCO's form

    Args:
        folder: Made if it does not exist.
        settings: What the predictions depend on. A folder that was begun with others is refused.
        force: Start again, whatever the folder holds. What an earlier run wrote is removed.
        draw: Whether ``pictures/`` is wanted.
        pictures: All that are predicted on now, also those that are done.

    Raises:
        FileExistsError: If the folder holds predictions that were made with other settings, or of
            other files of the same name.
    """

    def __init__(
        self,
        folder: Path,
        settings: dict[str, Any],
        *,
        force: bool = False,
        draw: bool = True,
        pictures: Iterable[Picture] = (),
    ) -> None:
        self.folder = folder
        self.draw = draw
        self._lines = folder / LINES
        self._sources = {picture.name: _state_of(picture.path) for picture in pictures}
        self._settings = json.dumps({'settings': settings}, sort_keys=True)
        folder.mkdir(parents=True, exist_ok=True)
        self._taken: set[str] = set()
        stems = Counter(PurePosixPath(name).with_suffix('') for name in self._sources)
        self._ambiguous = {stem for stem, number in stems.items() if number > 1}
        self.undrawn = 0  # pictures that are done, but were not drawn
        if force:
            self._remove_earlier()
        self.done = set() if force else self._read_done()
        if not self.done:
            _replace(self._lines, [self._settings])
        for name in (WHOLE, PANOPTIC, CLASSES) if not self.done else (WHOLE, PANOPTIC):
            (folder / name).unlink(missing_ok=True)

    def _remove_earlier(self) -> None:
        """Remove the pictures and label maps of an earlier run, which would mix with new ones."""
        for entry in read_lines(self._lines):
            files = entry.get('files')
            for file in filter(_is_own, files if isinstance(files, list) else ()):
                if (self.folder / file).is_file():
                    (self.folder / file).unlink()

    def _read_done(self) -> set[str]:
        """Return the names that are done, after cutting off a line that was not finished."""
        if not self._lines.is_file():
            return set()
        lines = self._lines.read_text(encoding='utf-8', errors='replace').splitlines(keepends=True)
        whole = [line.rstrip('\n') for line in lines if line.endswith('\n')]
        if not whole:
            return set()
        if whole[0] != self._settings:
            raise ExistingFileError(
                f'{self.folder} holds predictions of another checkpoint or with other options '
                f'({_differences(whole[0], self._settings)}). Pass another --out, or --force to '
                'write them again'
            )
        if len(whole) < len(lines):
            _replace(self._lines, whole)
        try:
            entries = [json.loads(line) for line in whole[1:]]
            self._taken.update(*(entry['files'] for entry in entries))
            drawn = (any(f.startswith('pictures/') for f in entry['files']) for entry in entries)
            self.undrawn = self.draw * sum(not was_drawn for was_drawn in drawn)
            states = {entry['name']: list(entry.get('source') or ()) for entry in entries}
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(
                f'{self._lines} has a line that was not written here ({error!r}). Pass another '
                '--out, or --force to write all predictions again'
            ) from error
        for name, then in states.items():
            now = self._source(name)
            if then and now and then != now:
                changed = 'which was changed since' if then[0] == now[0] else f'not of {now[0]}'
                raise ExistingFileError(
                    f'{self.folder} holds predictions for {name} of {then[0]}, {changed}. Pass '
                    'another --out, or --force to write all predictions again'
                )
        return set(states)

    def _source(self, name: str) -> list[Any] | None:
        """Return the state of a picture's file, or of the video that a frame is of."""
        return self._sources.get(name) or self._sources.get(name.rpartition('/')[0])

    def write(
        self, results: Iterable[Result | UnreadablePictureError]
    ) -> Iterator[Result | UnreadablePictureError]:
        """Write each result and yield it; unreadable pictures are passed on."""
        with self._lines.open('a', encoding='utf-8') as file:
            for result in results:
                if isinstance(result, Result):
                    line = {
                        'name': result.name,
                        'height': result.height,
                        'width': result.width,
                        'source': self._source(result.name),
                        'files': self._write_pictures(result),
                        'predictions': result.to_json(),
                    }
                    if isinstance(result, Detection) and result.segments is not None:
                        line['segments'] = result.segments.to_json(result.classes)
                    _append(file, json.dumps(line) + '\n')
                yield result

    def _write_pictures(self, result: Result) -> list[str]:
        """Write the label map and the drawn picture; return their paths below the folder."""
        files = []
        if isinstance(result, Segmentation):
            self._write_classes(result)
            files.append(self._place('labels', result.name, '.png'))
            _save(result.to_image(), self.folder / files[-1])
        if isinstance(result, Detection) and result.segments is not None:
            files.append(self._place('panoptic', result.name, '.png'))
            _save(result.segments.to_image(), self.folder / files[-1])
        if self.draw:
            suffix = PurePosixPath(result.name).suffix
            files.append(
                self._place('pictures', result.name, suffix if suffix.lower() in DRAWN else '.jpg')
            )
            _save(Image.fromarray(result.draw()), self.folder / files[-1])
        return files

    def _write_classes(self, result: Segmentation) -> None:
        path = self.folder / CLASSES
        if not path.is_file():
            colours = zip(result.classes, result.palette, strict=True)
            entries = (
                {'number': number, 'name': name, 'color': list(map(int, colour))}
                for number, (name, colour) in enumerate(colours)
            )
            _replace(path, _as_list(entries))

    def _place(self, folder: str, name: str, suffix: str) -> str:
        """Return a path that nothing else was written to: ``a.png``, or ``a.jpg.png`` if taken.

        Of ``a.jpg`` beside ``a.png``, both label maps have the long name: which one ``a.png`` is of
        could not be told. So has the JPEG that ``a.webp`` is drawn into beside ``a.jpg``.
        """
        path = PurePosixPath(folder, *(part for part in PurePosixPath(name).parts if part != '..'))
        has_own_name = folder == 'pictures' and path.suffix == suffix
        is_ambiguous = not has_own_name and PurePosixPath(name).with_suffix('') in self._ambiguous
        place = str(path.with_suffix(suffix))
        if is_ambiguous or place in self._taken:
            place = f'{path}{suffix}'
        self._taken.add(place)
        return place

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield what was written for each picture."""
        with self._lines.open(encoding='utf-8') as file:
            next(file)  # the settings
            for line in file:
                yield json.loads(line)

    def finish(self) -> Path:
        """Write ``predictions.json`` and return its path; beside it ``panoptic.json``, if any."""

        def entries() -> Iterator[Any]:
            for line in self.lines():
                found = line['predictions']
                yield from found if isinstance(found, list) else [found]

        path = self.folder / WHOLE
        _replace(path, _as_list(entries()))
        if 'segments' in next(self.lines(), {}):
            pictures = map(_panoptic_entry, self.lines())
            _replace(self.folder / PANOPTIC, chain(['{"annotations":'], _as_list(pictures), ['}']))
        return path


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield what a run wrote for each picture; lines that are damaged are left out."""
    if not path.is_file():
        return
    with path.open(encoding='utf-8', errors='replace') as file:
        for line in file:
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(entry, dict) and isinstance(entry.get('name'), str):
                yield entry


def _is_own(file: Any) -> bool:
    """Whether a text is a path that this module writes to, and not one that leads elsewhere."""
    parts = PurePosixPath(file).parts if isinstance(file, str) else ()
    return len(parts) > 1 and parts[0] in FOLDERS and '..' not in parts


def _panoptic_entry(line: dict[str, Any]) -> dict[str, Any]:
    (place,) = (file for file in line['files'] if file.startswith('panoptic/'))
    return {
        'file_name': place.removeprefix('panoptic/'),
        'picture': line['name'],
        'segments_info': line['segments'],
    }


def _state_of(path: str) -> list[Any]:
    """Return a file or an address, and what changes with a file's content."""
    try:
        state = os.stat(path)
    except OSError:
        return [path]
    return [path, state.st_size, state.st_mtime_ns]


def _differences(before: str, now: str) -> str:
    """Say which settings differ."""
    try:
        old, new = (json.loads(text)['settings'] for text in (before, now))
        if {**old, 'written': None} == {**new, 'written': None}:
            return 'the checkpoint was written anew'
        pairs = {key: (old.get(key), new.get(key)) for key in sorted({*old, *new} - {'written'})}
        return ', '.join(f'{key}: {a!r}, now {b!r}' for key, (a, b) in pairs.items() if a != b)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return before[:200]


def _as_list(entries: Iterable[Any]) -> Iterator[str]:
    """Yield the lines of a JSON list, so that it is never whole in memory."""
    separator = '['
    for entry in entries:
        yield separator + json.dumps(entry)
        separator = ','
    yield ']' if separator == ',' else '[]'


def _append(file: TextIO, line: str) -> None:
    try:
        file.write(line)
        file.flush()
    except OSError as error:
        raise DiskError(
            f'{file.name} cannot be written: {error.strerror or error}. Free some space and call '
            'the command again: it goes on where it stopped'
        ) from error


def _save(image: Image.Image, path: Path) -> None:
    with whole_file(path) as part:
        image.save(part, quality=95)


def _replace(path: Path, lines: Iterable[str]) -> None:
    with whole_file(path) as part, part.open('w', encoding='utf-8') as file:
        file.writelines(line + '\n' for line in lines)

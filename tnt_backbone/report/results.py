"""What a test leaves for its report: one JSON file of numbers beside the test's log."""

import json
import math
import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError

FORMAT = 1  # of the file; raised when an older reader would misread it
FILE = Path('vis_data', 'report.json')  # below the folder of the test's log
TASKS = ('detection', 'segmentation', 'classification', 'multi-label')
NEEDED = {
    'detection': ('boxes', 'scores', 'labels', 'truth_boxes', 'truth_labels', 'truth_areas'),
    'segmentation': ('counts',),
    'classification': ('label', 'predicted', 'score', 'rank'),
    'multi-label': ('labels', 'scores'),
}


@dataclass(kw_only=True)
class Results:
    """The numbers of one test.

    Attributes:
        task: One of :data:`TASKS`.
        classes: Names; label 0 is the first.
        metrics: What the evaluator of the config found, under its own names.
        pictures: One dict per picture; ``record.py`` says what is in it.
        checkpoint: Path of the tested checkpoint.
        config: Text of the config.
        environment: Versions and devices.
        seconds: Of the test, from the first picture to the last metric.
        peak_memory_mb: Of each process, in MB of 2**20 bytes.
        created: Date and time of the test, ISO 8601.
        notes: What the reader of the numbers should know.
        palette: The data set's colour per class, RGB from 0 to 255; empty if it has none.
    """

    task: str
    classes: list[str]
    metrics: dict[str, float | None]
    pictures: list[dict[str, Any]]
    checkpoint: str = ''
    config: str = ''
    environment: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    peak_memory_mb: list[float] = field(default_factory=list)
    created: str = ''
    notes: list[str] = field(default_factory=list)
    palette: list[list[int]] = field(default_factory=list)

    def write(self, folder: str | Path) -> Path:
        """Write the numbers below the folder of a test's log, and return the file."""
        path = Path(folder, FILE)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix('.unfinished')
        content = {item.name: getattr(self, item.name) for item in fields(self)}
        # dumps is several times as fast as dump, and asdict would copy every number
        unfinished.write_text(to_json({'format': FORMAT, **content}), encoding='utf-8')
        os.replace(unfinished, path)
        return path


def read_results(path: str | Path) -> Results:
    """Return the numbers of a test.

    Raises:
        ValueError: If the file is damaged, or was written by a newer version.
    """
    try:
        content = json.loads(Path(path).read_text(encoding='utf-8'))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise InputError(f'{path} is damaged ({error}). Run tnt test again') from error
    found = content.get('format') if isinstance(content, dict) else None
    if found != FORMAT:
        raise InputError(
            f'{path} has format={found!r}, and this version reads {FORMAT}. Run tnt test again, or '
            'use the version that wrote it'
        )
    names = {item.name for item in fields(Results)}
    try:
        results = Results(**{key: value for key, value in content.items() if key in names})
        _check(results)
    except (TypeError, KeyError, AttributeError, IndexError, ValueError) as error:
        raise InputError(f'{path} is damaged ({error}). Run tnt test again') from error
    return results


def _check(results: Results) -> None:
    """Check that every picture has what its task needs, and labels are those of classes.

    Raises:
        ValueError: If not. Wrong types raise what Python raises.
    """
    if results.task not in TASKS:
        raise InputError(f'task={results.task!r} is not one of {", ".join(TASKS)}')
    count = len(results.classes)
    results.palette = read_palette(results.palette)
    for number, picture in enumerate(results.pictures):
        if missing := [key for key in NEEDED[results.task] if key not in picture]:
            raise InputError(f'picture {number} has no {", ".join(missing)}')
        used: list[int] = []
        if results.task == 'detection':
            for keys in (('boxes', 'scores', 'labels'), ('truth_boxes', 'truth_labels')):
                if len({len(picture[key]) for key in keys}) != 1:
                    raise InputError(f'picture {number} has {" and ".join(keys)} of unequal number')
            used = [*picture['labels'], *picture['truth_labels']]
        elif results.task == 'segmentation':
            used = [max(truth, predicted) - 1 for truth, predicted, _ in picture['counts']]
        elif results.task == 'classification':
            used = [picture['label'], picture['predicted']]
        elif len(picture['scores']) != count:
            raise InputError(f'picture {number} has {len(picture["scores"])} scores')
        else:
            used = picture['labels']
        if any(not -1 <= label < count for label in used):
            raise InputError(f'picture {number} has a label that is none of {count} classes')


def read_palette(palette: Any) -> list[list[int]]:
    """Return the colours of a data set as lists; none if they are no colours."""
    try:
        colours = [[int(red), int(green), int(blue)] for red, green, blue in palette or ()]
    except (TypeError, ValueError, OverflowError):
        return []
    return colours if all(0 <= part <= 255 for colour in colours for part in colour) else []


def to_json(content: Any) -> str:
    """Return JSON; arrays, which take less memory than lists, become lists."""
    return json.dumps(content, default=lambda array: numbers(array, array.dtype))


def numbers(values: Any, dtype: Any = np.float32) -> list[Any]:
    """Return an array as lists of the shortest decimals that give the same ``dtype`` again."""
    array: np.ndarray = np.asarray(values, dtype)
    is_float = np.issubdtype(array.dtype, np.floating)
    return (array.astype(str).astype(float) if is_float else array).tolist()


def finite_or_none(metrics: dict[str, Any]) -> dict[str, float | None]:
    """Return the metrics that are numbers, with ``None`` for those that could not be computed."""
    found = {}
    for key, value in metrics.items():
        try:
            number = float(value)
        except (TypeError, ValueError):
            continue
        found[str(key)] = number if math.isfinite(number) else None
    return found


def about(sample: Any) -> dict[str, Any]:
    """Return path and size (height, width) of a data sample's picture."""
    height, width = (sample.get('ori_shape') or (0, 0))[:2]
    path = str(sample.get('img_path') or '')
    if path and '://' not in path:
        path = os.path.abspath(path)  # the page may be made again from another folder
    return {'path': path, 'size': [int(height), int(width)]}


def as_array(values: Any) -> np.ndarray:
    """Return a tensor, or boxes of MMDetection, as an array."""
    values = getattr(values, 'tensor', values)  # of mmdet's HorizontalBoxes
    return values.detach().cpu().numpy() if hasattr(values, 'detach') else np.asarray(values)

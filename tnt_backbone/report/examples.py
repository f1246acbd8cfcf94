"""The best and worst pictures of a test, with truth and prediction."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ..datasets.load_image import LoadImageOrSkip
from ..predict.draw import Colour, class_colours, draw_labels, draw_objects
from .confusion import scores_of
from .error_kinds import BOTH, BOX, CLASS, CORRECT, CROWD, DUPLICATE, EMPTY, judge
from .record_maps import EXAMPLES, SIDE
from .summary import Summary

LINE = 2  # pixels
GREEN, RED = (46, 160, 67), (215, 58, 73)
OF_KIND: dict[int, Colour] = {
    CORRECT: GREEN,
    CLASS: (227, 98, 9),
    BOX: (219, 171, 9),
    BOTH: (160, 90, 44),
    DUPLICATE: (111, 66, 193),
    EMPTY: RED,
    CROWD: (110, 119, 129),
}
# Files that are no picture any more, or are not where they were
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)


@dataclass
class Example:
    """One picture on the page.

    Attributes:
        path: Of the file.
        text: What was measured on it.
        images: What each shows, and its pixels as a ``data:`` address.
    """

    path: str
    text: str
    images: list[tuple[str, str]]


def examples_of(summary: Summary) -> tuple[list[Example], list[Example]]:
    """Return the worst and the best pictures, the worst or best first, without a picture twice."""
    rank, show = {
        'detection': (_rank_boxes, _show_boxes),
        'segmentation': (_rank_maps, _show_maps),
        'classification': (_rank_labels, _show_label),
        'multi-label': (_rank_multi, _show_multi),
    }[summary.results.task]
    ranked = sorted(rank(summary))
    worst = ranked[:EXAMPLES]
    best = ranked[len(worst) :][::-1][:EXAMPLES]
    worst = [entry for entry in worst if entry[0] < best[0][0]] if best else worst
    return [show(summary, entry[-1]) for entry in worst], [show(summary, e[-1]) for e in best]


def jpeg(pixels: np.ndarray) -> str:
    """Return a picture ``(H, W, 3)``, RGB, as a ``data:`` address."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'jpeg', quality=82)
    return 'data:image/jpeg;base64,' + base64.b64encode(file.getvalue()).decode()


def read_small(path: str, size: tuple[int, int] | None = None) -> tuple[np.ndarray, float] | None:
    """Return a picture, RGB, no side longer than ``SIDE`` pixels, and how much smaller it is.

    Args:
        path: Of the file.
        size: Height and width to return, if not by ``SIDE``.

    Returns:
        ``None`` if there is no such file, or it cannot be read.
    """
    try:
        pixels = LoadImageOrSkip().read(path)[..., ::-1] if path else None
    except UNREADABLE:
        return None
    if pixels is None:
        return None
    factor = min(1.0, SIDE / max(pixels.shape[:2]))
    height, width = size or (max(1, round(side * factor)) for side in pixels.shape[:2])
    image = Image.fromarray(np.ascontiguousarray(pixels)).resize((width, height))
    return np.asarray(image), factor


def palette(classes: Sequence[str], given: Sequence[Sequence[int]] = ()) -> np.ndarray:
    """Return a colour per class, ``(256, 3)`` or more, RGB; labels that are no class are black.

    Args:
        classes: Names of the classes.
        given: The data set's own colours. If they are not one per class, others are made.
    """
    colours = np.zeros((max(256, len(classes) + 1), 3), np.uint8)
    if classes:
        own = given if len(given) == len(classes) else class_colours(classes)
        colours[: len(classes)] = own
    return colours


def legend(classes: Sequence[str], colours: np.ndarray) -> list[tuple[str, str]]:
    """Return each class with its colour of :func:`palette` as HTML writes it."""
    return [(name, '#' + bytes(colours[i]).hex()) for i, name in enumerate(classes)]


def _rank_boxes(summary: Summary) -> Any:
    """Yield F1, minus the errors, and the number of each picture that has boxes or objects."""
    for number, picture in enumerate(summary.pictures):
        found = picture.match
        counted = (picture.scores >= summary.score) & ~found.in_crowd
        hits = int((counted & (found.truth_of >= 0)).sum())
        boxes, objects = int(counted.sum()), int((~picture.truth_crowd).sum())
        if boxes + objects:
            f1, errors = 2 * hits / (boxes + objects), boxes + objects - 2 * hits
            # the more objects, the better a picture without errors
            yield f1, -errors if errors else objects, number


def _show_boxes(summary: Summary, number: int) -> Example:
    picture, names = summary.pictures[number], summary.results.classes
    judged = judge(picture)
    shown = picture.scores >= summary.score
    found = np.isin(np.arange(len(judged.found)), judged.target[shown & (judged.kinds == CORRECT)])
    lost = int((~found & ~picture.truth_crowd).sum())
    wrong = int((shown & (judged.kinds != CORRECT) & (judged.kinds != CROWD)).sum())
    text = (
        f'{int(found.sum())} found, {lost} not found, {wrong} wrong box{"es" if wrong != 1 else ""}'
    )
    read = read_small(picture.path)
    if read is None:
        return Example(picture.path, text, [])
    pixels, factor = read
    corners = picture.truth_boxes.copy()
    corners[:, 2:] += corners[:, :2]
    grey = OF_KIND[CROWD]
    truth = draw_objects(
        pixels,
        drawable(corners * factor),
        [names[label] for label in picture.truth_labels],
        [
            grey if crowd else GREEN if hit else RED
            for hit, crowd in zip(found, picture.truth_crowd, strict=True)
        ],
        width=LINE,
    )
    predicted = draw_objects(
        pixels,
        drawable(picture.boxes[shown] * factor),
        [
            f'{names[label]} {score:.2f}'
            for label, score in zip(picture.labels[shown], picture.scores[shown], strict=True)
        ],
        [OF_KIND[kind] for kind in judged.kinds[shown]],
        width=LINE,
    )
    return Example(picture.path, text, [('truth', jpeg(truth)), ('prediction', jpeg(predicted))])


def drawable(boxes: np.ndarray) -> np.ndarray:
    """Return boxes whose corners are in the order that Pillow asks for."""
    boxes = np.nan_to_num(boxes)
    return np.concatenate(
        [np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], 1
    )


def _rank_maps(summary: Summary) -> Any:
    size = len(summary.results.classes) + 1
    for number, record in enumerate(summary.results.pictures):
        if 'maps' in record:
            yield _picture_iou(record, size), 0, number


def _picture_iou(record: dict[str, Any], size: int) -> float:
    matrix = np.zeros((size, size), int)
    for true, predicted, pixels in record['counts']:
        matrix[true, predicted] = pixels
    return float(np.nanmean(scores_of(matrix)['iou']))


def _show_maps(summary: Summary, number: int) -> Example:
    record = summary.results.pictures[number]
    classes = summary.results.classes
    text = f'mean IoU {_picture_iou(record, len(classes) + 1):.3f}'
    colours, images = palette(classes, summary.results.palette), []
    for key, title in (('truth', 'truth'), ('predicted', 'prediction')):
        with Image.open(io.BytesIO(base64.b64decode(record['maps'][key]))) as file:
            labels = np.asarray(file)
        height, width = labels.shape
        read = read_small(record['path'], (height, width))
        drawn = draw_labels(read[0], labels, colours) if read else colours[labels]
        images.append((title, jpeg(drawn)))
    return Example(record['path'], text, images)


def _rank_labels(summary: Summary) -> Any:
    for number, record in enumerate(summary.results.pictures):
        hit = record['label'] == record['predicted']
        yield (record['score'] if hit else -record['score']), 0, number


def _show_label(summary: Summary, number: int) -> Example:
    record, names = summary.results.pictures[number], summary.results.classes
    text = f'true: {names[record["label"]]}; predicted: {names[record["predicted"]]}'
    return _plain(record['path'], f'{text} ({record["score"]:.2f})')


def _rank_multi(summary: Summary) -> Any:
    """Rank by how far the least sure true class is above the surest wrong one."""
    for number, record in enumerate(summary.results.pictures):
        scores, is_true = np.array(record['scores']), np.zeros(len(record['scores']), bool)
        is_true[record['labels']] = True
        if is_true.any() and not is_true.all():
            yield float(scores[is_true].min() - scores[~is_true].max()), 0, number


def _show_multi(summary: Summary, number: int) -> Example:
    record, names = summary.results.pictures[number], summary.results.classes
    true = ', '.join(names[label] for label in record['labels'])
    best = np.argsort(-np.array(record['scores']))[: max(3, len(record['labels']))]
    predicted = ', '.join(f'{names[label]} ({record["scores"][label]:.2f})' for label in best)
    return _plain(record['path'], f'true: {true}; surest: {predicted}')


def _plain(path: str, text: str) -> Example:
    read = read_small(path)
    return Example(path, text, [('', jpeg(read[0]))] if read else [])

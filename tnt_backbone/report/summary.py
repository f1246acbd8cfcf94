"""From the numbers of a test to what a page shows of it, one function per task."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup

from . import confusion
from .box_scores import EDGES, Bin, best_score, score_boxes
from .boxes import Picture, pictures_of
from .charts import line_chart
from .error_kinds import Errors, weigh
from .results import Results

CURVES = 8  # classes in a chart
CALIBRATION_BINS = 10
Row = tuple[str, list[float]]


@dataclass
class Sizes:
    """Average precision by the size of objects.

    Attributes:
        name: ``'boxes'`` or ``'masks'``.
        bins: The smallest first.
    """

    name: str
    bins: list[Bin]


@dataclass
class Summary:
    """What a page shows of a test.

    Attributes:
        results: The numbers it comes from.
        columns: Headings of the table of classes. Shares are from 0 to 1; counts are whole.
        rows: A class and its values; NaN where there is nothing to measure.
        extra: Further numbers beside the evaluator's, by name.
        matrix: Confusion ``(C + 1, C + 1)``: rows are true, columns predicted; or ``None``.
        outside: What the last row and the last column of the matrix are.
        sizes: Of boxes, and of masks.
        errors: Kinds of error of boxes, or ``None``.
        score: Least score of boxes that are counted in the matrix and drawn, or ``None``.
        charts: Title and chart.
        pictures: Boxes of each picture, for drawing.
    """

    results: Results
    columns: list[str]
    rows: list[Row]
    extra: dict[str, float] = field(default_factory=dict)
    matrix: np.ndarray | None = None
    outside: tuple[str, str] = ('no class', 'no class')
    sizes: list[Sizes] = field(default_factory=list)
    errors: Errors | None = None
    score: float | None = None
    charts: list[tuple[str, Markup]] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)


def summarize(
    results: Results, *, edges: Sequence[float] = EDGES, score: float | None = None
) -> Summary:
    """Return what a page shows of a test.

    Args:
        results: Its numbers.
        edges: Between sizes of objects, in pixels of the picture.
        score: Least score of boxes in the confusion matrix and the pictures; by default the one at
            which the F1 of all boxes together is best.
    """
    if results.task == 'detection':
        return _detection(results, edges, score)
    return {
        'segmentation': _segmentation,
        'classification': _classification,
        'multi-label': _multi_label,
    }[results.task](results)


def _detection(results: Results, edges: Sequence[float], score: float | None) -> Summary:
    count = len(results.classes)
    pictures = pictures_of(results.pictures)
    boxes = score_boxes(pictures, count, edges)
    score = best_score(pictures) if score is None else score
    matrix = confusion.of_boxes(pictures, count, score)
    shares = confusion.scores_of(matrix)
    columns = ['objects', 'AP', 'AP50', 'AP75', 'precision', 'recall', 'F1']
    values = [boxes.objects, boxes.ap, boxes.ap50, boxes.ap75]
    values += [shares['precision'], shares['recall'], shares['f1']]
    sizes, extra = [Sizes('boxes', boxes.bins)], {'AP': _mean(boxes.ap), 'AP50': _mean(boxes.ap50)}
    if results.pictures and all('mask_ious' in record for record in results.pictures):
        masks = score_boxes(pictures_of(results.pictures, 'segm'), count, edges)
        columns[4:4] = ['mask AP', 'mask AP50']
        values[4:4] = [masks.ap, masks.ap50]
        sizes.append(Sizes('masks', masks.bins))
        extra['mask AP'] = _mean(masks.ap)
    recalls = np.linspace(0, 1, 101)
    common = np.argsort(-boxes.objects, kind='stable')[:CURVES]
    curves = {
        results.classes[label]: list(zip(recalls, boxes.curves[label], strict=True))
        for label in common
        if boxes.objects[label]
    }
    title = 'Precision and recall at an IoU of 0.5'
    if count > CURVES:
        title += f', the {CURVES} most frequent classes'
    chart = line_chart(curves, x='recall', y='precision', limits=(0, 1))
    return Summary(
        results,
        columns,
        _rows(results, values),
        extra=extra,
        matrix=matrix,
        outside=('background', 'missed'),
        sizes=sizes,
        errors=weigh(pictures, count),
        score=score,
        charts=[(title, chart)],
        pictures=pictures,
    )


def _segmentation(results: Results) -> Summary:
    matrix = confusion.of_counts(results.pictures, len(results.classes))
    shares = confusion.scores_of(matrix)
    all_pixels = matrix[:-1].sum()
    extra = {
        'mIoU': _mean(shares['iou']),
        'mean F1': _mean(shares['f1']),
        'accuracy': float(np.diag(matrix)[:-1].sum() / all_pixels) if all_pixels else math.nan,
    }
    values = [matrix.sum(1)[:-1], *(shares[key] for key in ('iou', 'precision', 'recall', 'f1'))]
    columns = ['pixels', 'IoU', 'precision', 'recall', 'F1']
    return Summary(results, columns, _rows(results, values), extra=extra, matrix=matrix)


def _classification(results: Results) -> Summary:
    matrix = confusion.of_labels(results.pictures, len(results.classes))
    shares = confusion.scores_of(matrix)
    ranks = np.array([picture['rank'] for picture in results.pictures])
    extra = {f'top-{k}': float((ranks < k).mean()) for k in (1, 5) if k < len(results.classes)}
    extra['mean F1'] = _mean(np.where(matrix.sum(1)[:-1] > 0, shares['f1'], np.nan))
    values = [matrix.sum(1)[:-1], *(shares[key] for key in ('precision', 'recall', 'f1'))]
    scores = np.array([picture['score'] for picture in results.pictures])
    hits = np.array([picture['label'] == picture['predicted'] for picture in results.pictures])
    chart, error = _calibration(scores, hits)
    extra['calibration error'] = error
    columns = ['pictures', 'precision', 'recall', 'F1']
    return Summary(
        results,
        columns,
        _rows(results, values),
        extra=extra,
        matrix=matrix,
        charts=[('Score and accuracy', chart)] if len(scores) else [],
    )


def _calibration(scores: np.ndarray, hits: np.ndarray) -> tuple[Markup, float]:
    """Return accuracy over score, and the expected calibration error (Guo et al., 2017)."""
    bins = np.clip(np.ceil(scores * CALIBRATION_BINS).astype(int) - 1, 0, CALIBRATION_BINS - 1)
    points, error = [], 0.0
    for number in np.unique(bins):
        there = bins == number
        points.append((float(scores[there].mean()), float(hits[there].mean())))
        error += there.mean() * abs(points[-1][0] - points[-1][1])
    lines = {'this model': points, 'score equals accuracy': [(0.0, 0.0), (1.0, 1.0)]}
    return line_chart(lines, x='score', y='accuracy', limits=(0, 1)), float(error)


def _multi_label(results: Results) -> Summary:
    count = len(results.classes)
    scores = np.array([picture['scores'] for picture in results.pictures]).reshape(-1, count)
    truth = np.zeros(scores.shape, bool)
    for number, picture in enumerate(results.pictures):
        truth[number, picture['labels']] = True
    found = scores >= 0.5
    hits = (found & truth).sum(0).astype(float)
    with np.errstate(invalid='ignore', divide='ignore'):
        values = [
            truth.sum(0),
            np.array([_ap(scores[:, label], truth[:, label]) for label in range(count)]),
            hits / found.sum(0),
            hits / truth.sum(0),
            2 * hits / (found.sum(0) + truth.sum(0)),
        ]
    columns = ['pictures', 'AP', 'precision', 'recall', 'F1']
    return Summary(results, columns, _rows(results, values), extra={'mAP': _mean(values[1])})


def _ap(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean precision at each true picture, as MMPretrain's ``AveragePrecision``."""
    if not truth.any():
        return math.nan
    hits = truth[np.argsort(-scores, kind='stable')]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits].mean())


def _rows(results: Results, values: Sequence[np.ndarray]) -> list[Row]:
    return [
        (name, [float(column[label]) for column in values])
        for label, name in enumerate(results.classes)
    ]


def _mean(values: np.ndarray) -> float:
    """Return the mean of the classes that occur; NaN if none does."""
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else math.nan

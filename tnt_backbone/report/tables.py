"""The tables and charts of a page: of one run, or of several side by side."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .charts import line_chart
from .differences import config_values, differences
from .error_kinds import MEANING
from .examples import legend, palette
from .runs import Run
from .summary import Summary
from .training import Points

LARGEST_MATRIX = 30  # classes; of more, only the most frequent confusions are shown
CONFUSIONS = 20


def _table(columns: Sequence[dict[str, float | None]]) -> list[tuple[str, list[float | None]]]:
    keys = dict.fromkeys(key for column in columns for key in column)
    return [(key, [column.get(key) for column in columns]) for key in keys]


def headline_tables(runs: Sequence[Run], summaries: Sequence[Summary | None]) -> dict[str, Any]:
    """Return the evaluator's metrics and our own numbers, a column per run."""
    return {
        # COCO's -1 says that there is nothing to measure
        'evaluator': _table(
            [
                {key: None if value == -1 else value for key, value in run.results.metrics.items()}
                if run.results
                else {}
                for run in runs
            ]
        ),
        'extra': _table([{**one.extra} if one else {} for one in summaries]),
    }


def classes_table(tested: list[tuple[str, Summary]]) -> dict[str, Any]:
    """Return the table of classes: all columns of one run, or the main one of several."""
    if not tested:
        return {'columns': [], 'rows': []}
    first = tested[0][1]
    if len(tested) == 1:
        return {'columns': first.columns, 'rows': first.rows}
    main = 1 if first.results.task != 'classification' else 3
    columns = [first.columns[0], *(f'{first.columns[main]}, {name}' for name, _ in tested)]
    found = [dict(one.rows) for _, one in tested]
    names = dict.fromkeys(name for rows in found for name in rows)
    nothing = [math.nan] * (main + 1)
    rows = [
        (
            name,
            [
                next(rows[name][0] for rows in found if name in rows),
                *(rows.get(name, nothing)[main] for rows in found),
            ],
        )
        for name in names
    ]
    if len(tested) == 2:
        columns.append('change')
        rows = [(name, [*values, values[2] - values[1]]) for name, values in rows]
    return {'columns': columns, 'rows': rows}


def sizes_table(tested: list[tuple[str, Summary]]) -> list[dict[str, Any]]:
    """Return a table of the sizes of boxes, and one of masks."""
    tables = []
    for place in range(max((len(one.sizes) for _, one in tested), default=0)):
        having = [(name, one.sizes[place]) for name, one in tested if len(one.sizes) > place]
        prefix = [f'{name}: ' if len(having) > 1 else '' for name, _ in having]
        rows = []
        for bins in zip(*(sizes.bins for _, sizes in having), strict=True):
            low, high = bins[0].low, bins[0].high
            text = f'over {low:g}' if high >= 1e5 else f'{low:g} to {high:g}'
            values = [
                value for one in bins for value in (one.objects, one.ap, one.ap50, one.recall)
            ]
            rows.append((text, values))
        heads = [head + name for head in prefix for name in ('objects', 'AP', 'AP50', 'AR')]
        tables.append({'name': having[0][1].name, 'columns': heads, 'rows': rows})
    return tables


def errors_table(tested: list[tuple[str, Summary]]) -> dict[str, Any] | None:
    """Return the kinds of error, or ``None`` if nothing finds boxes."""
    having = [(name, one.errors) for name, one in tested if one.errors]
    if not having:
        return None
    prefix = [f'{name}: ' if len(having) > 1 else '' for name, _ in having]
    columns = [head + name for head in prefix for name in ('count', 'AP50 lost')]
    rows = [
        (kind, [value for _, one in having for value in (one.counts[kind], one.costs[kind])])
        for kind in MEANING
    ]
    return {'columns': columns, 'rows': rows, 'most': max(v for _, row in rows for v in row[1::2])}


def confusion_table(summary: Summary) -> dict[str, Any]:
    """Return the confusion matrix of one run, and its most frequent confusions."""
    assert summary.matrix is not None
    matrix, classes = summary.matrix, summary.results.classes
    rows, columns = [*classes, summary.outside[0]], [*classes, summary.outside[1]]
    totals = matrix.sum(1, keepdims=True)
    shares = matrix / np.maximum(totals, 1)
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind='stable')[:CONFUSIONS]
    places = [np.unravel_index(place, matrix.shape) for place in order]
    used = [place for place in range(len(rows)) if place < len(classes) or totals[place]]
    kept = [p for p in range(len(columns)) if p < len(classes) or matrix[:, p].any()]
    return {
        'score': summary.score,
        'in_shares': summary.results.task == 'segmentation',  # pixels are too many to read
        'columns': [columns[place] for place in kept],
        'rows': [
            (rows[i], [(int(matrix[i, j]), float(shares[i, j]), i == j) for j in kept])
            for i in used
        ]
        if len(classes) <= LARGEST_MATRIX
        else [],
        'top': [
            (rows[i], columns[j], int(matrix[i, j]), float(shares[i, j]))
            for i, j in places
            if wrong[i, j]
        ],
    }


def training_charts(runs: list[tuple[str, Run]]) -> list[tuple[str, Any]]:
    """Return titles and charts of the trainings."""
    charts: list[tuple[str, Any]] = []
    having = [(name, run.training) for name, run in runs if run.training]

    def lines(attribute: str, keep: Any = lambda key: True) -> dict[str, Points]:
        return {
            f'{name}: {key}' if len(having) > 1 else key: points
            for name, training in having
            for key, points in getattr(training, attribute).items()
            if keep(key)
        }

    if losses := lines('losses', lambda key: len(having) == 1 or key == 'loss'):
        charts.append(('Losses', line_chart(losses, x='iteration', y='loss')))
    if rates := lines('rates'):
        charts.append(('Learning rates', line_chart(rates, x='iteration', y='learning rate')))
    found = lines('validations')
    for is_share, title in ((True, 'Validation'), (False, 'Validation, in percent or more')):
        part = {
            key: [point for point in points if point[1] >= 0]  # -1: nothing to measure
            for key, points in found.items()
            if (max(value for _, value in points) <= 1) == is_share
        }
        if part := {key: points for key, points in part.items() if points}:
            charts.append((title, line_chart(part, x='iteration', y='metric')))
    if norms := lines('others', lambda key: 'grad_norm' in key):
        charts.append(
            ('Norm of the gradient', line_chart(norms, x='iteration', y='norm', logarithmic=True))
        )
    return charts


def costs_table(runs: Sequence[Run]) -> list[tuple[str, list[float | None]]]:
    """Return time and memory, a column per run."""
    columns: list[dict[str, float | None]] = []
    for run in runs:
        column: dict[str, float | None] = {}
        if run.results:
            count = len(run.results.pictures)
            column['test: pictures'] = count
            column['test: seconds'] = run.results.seconds
            column['test: seconds per picture'] = run.results.seconds / max(count, 1)
            column['test: processes'] = len(run.results.peak_memory_mb)
            column['test: peak memory of a process, MB'] = max(
                run.results.peak_memory_mb, default=None
            )
        if run.training:
            column['training: seconds per iteration (median)'] = run.training.seconds
            column['training: peak memory of a process, MB'] = run.training.peak_memory_mb
        columns.append(column)
    return _table(columns)


def environment_table(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """Return versions and devices, a column per run."""
    found = [run.results.environment if run.results else {} for run in runs]
    keys = dict.fromkeys(key for one in found for key in one)
    return [(key, [one.get(key, '') for one in found]) for key in keys]


def config_table(runs: Sequence[Run]) -> Any:
    """Return what differs between the configs, or a text that says why that is not known."""
    if len(runs) < 2:
        return None
    try:
        return differences([config_values(run.config) for run in runs])
    except ValueError as error:
        return f'The configs cannot be compared: {error}'


def colours_of(tested: list[tuple[str, Summary]]) -> list[tuple[str, str]]:
    """Return the colour of each class in drawn label maps."""
    if not tested or tested[0][1].results.task != 'segmentation':
        return []
    results = tested[0][1].results
    return legend(results.classes, palette(results.classes, results.palette))

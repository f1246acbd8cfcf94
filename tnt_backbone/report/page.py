"""One HTML page of one or several runs: no script, no network, no other file."""

import math
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..errors import ExistingFileError, InputError
from ..version import __version__
from ..whole_file import write_whole
from .box_scores import EDGES
from .error_kinds import MEANING
from .examples import examples_of
from .runs import Run
from .summary import summarize
from .tables import (
    classes_table,
    colours_of,
    config_table,
    confusion_table,
    costs_table,
    environment_table,
    errors_table,
    headline_tables,
    sizes_table,
    training_charts,
)

MARK = '<meta name="generator" content="tnt_backbone report">'


def write_page(path: str | Path, text: str) -> Path:
    """Write a page; an older page of this command is replaced.

    Raises:
        FileExistsError: If the file is something else.
    """
    path = Path(path)
    if path.exists():
        with path.open('rb') as file:
            if MARK.encode() not in file.read(2000):
                raise ExistingFileError(
                    f'{path} exists and is no page of this command. Pass another --out, or move it'
                )
    write_whole(path, text)
    return path


def report_page(
    runs: Sequence[Run],
    *,
    edges: Sequence[float] = EDGES,
    score: float | None = None,
    pictures: bool = True,
) -> str:
    """Return the page of one or several runs.

    Args:
        runs: The first is what the others are compared with.
        edges: See :func:`~tnt_backbone.report.summary.summarize`.
        score: Likewise.
        pictures: Whether examples are shown, too.

    Raises:
        ValueError: If the runs are of different tasks.
    """
    tasks = {run.results.task for run in runs if run.results}
    if len(tasks) > 1:
        raise InputError(
            f'the runs are of different tasks ({", ".join(sorted(tasks))}), which cannot be '
            'compared. Make a page of each'
        )
    summaries = [
        summarize(run.results, edges=edges, score=score) if run.results else None for run in runs
    ]
    names = _names(runs)
    tested = [(name, one) for name, one in zip(names, summaries, strict=True) if one]
    return render(
        'report.html',
        title=' and '.join(names),
        names=names,
        runs=list(zip(names, runs, summaries, strict=True)),
        headline=headline_tables(runs, summaries),
        classes=classes_table(tested),
        sizes=sizes_table(tested),
        errors=errors_table(tested),
        meaning=MEANING,
        matrices=[(name, confusion_table(one)) for name, one in tested if one.matrix is not None],
        charts=[(name, title, chart) for name, one in tested for title, chart in one.charts],
        curves=training_charts(list(zip(names, runs, strict=True))),
        costs=costs_table(runs),
        examples=[(name, one, *examples_of(one)) for name, one in tested] if pictures else [],
        colours=colours_of(tested),
        warning=_warning(runs),
        environment=environment_table(runs),
        differences=config_table(runs),
    )


def render(template: str, **content: Any) -> str:
    """Return a page from a template; everything in it that is no markup of ours is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name('templates')),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {'number': number, 'share': share, 'basename': os.path.basename}
    return environment.get_template(template).render(version=__version__, mark=MARK, **content)


def number(value: float | None) -> str:
    """Return a number for people: counts whole, shares with three digits."""
    if value is None or math.isnan(value):
        return '-'
    if value == int(value) and abs(value) >= 2:
        return f'{int(value):,}'
    return f'{value:.3f}' if abs(value) < 1000 else f'{value:,.0f}'


def share(value: float | None) -> float:
    """Return how much of a cell is filled, from 0 to 1."""
    return 0.0 if value is None or math.isnan(value) else min(max(float(value), 0.0), 1.0)


def _warning(runs: Sequence[Run]) -> str:
    """Return why the numbers of several runs must not be compared, or ``''``."""
    tested = [run.results for run in runs if run.results]
    if len({tuple(one.classes) for one in tested}) > 1:
        return 'The runs have different classes, so their means over classes cannot be compared'
    names = [sorted(os.path.basename(one.get('path', '')) for one in r.pictures) for r in tested]
    if any(other != names[0] for other in names[1:]):
        return 'The runs were tested on different pictures, so their numbers cannot be compared'
    return ''


def numbers_of(
    runs: Sequence[Run], *, edges: Sequence[float] = EDGES, score: float | None = None
) -> list[dict[str, Any]]:
    """Return the numbers of the page as lists and dicts, ``None`` where nothing is measured."""
    found = []
    for run in runs:
        content: dict[str, Any] = {'run': str(run.folder), 'notes': run.notes}
        if run.results:
            one = summarize(run.results, edges=edges, score=score)
            content |= {
                'task': run.results.task,
                'metrics': run.results.metrics,
                'numbers': one.extra,
                'classes': {
                    name: dict(zip(one.columns, values, strict=True)) for name, values in one.rows
                },
                'confusion': None if one.matrix is None else one.matrix.tolist(),
                'score': one.score,
                'sizes': {part.name: [asdict(item) for item in part.bins] for part in one.sizes},
                'errors': asdict(one.errors) if one.errors else None,
            }
        found.append(_without_nan(content))
    return found


def _without_nan(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_nan(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_without_nan(value) for value in node]
    return None if isinstance(node, float) and not math.isfinite(node) else node


def _names(runs: Sequence[Run]) -> list[str]:
    """Return the names, with numbers if two are equal."""
    names = [run.name for run in runs]
    return [
        f'{name} ({place + 1})' if names.count(name) > 1 else name
        for place, name in enumerate(names)
    ]

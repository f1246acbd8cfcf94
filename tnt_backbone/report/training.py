"""Losses, learning rates and validations of a training, read from mmengine's logs."""

import itertools
import json
import math
import statistics
from dataclasses import dataclass, field
from pathlib import Path

from ..engine.peak_memory import PEAK_MEMORY

LOG = 'vis_data/scalars.json'
TIMES = ('time', 'data_time', 'step', 'iter', 'epoch', 'memory')
PEAK = PEAK_MEMORY.format(rank='')
Points = list[tuple[float, float]]


@dataclass
class Training:
    """What the logs of a training say.

    Attributes:
        folder: Of the last log.
        losses: Name to points ``(iteration, value)``; the same for the others.
        rates: Learning rates.
        others: Norm of the gradient, accuracies.
        validations: Metrics.
        seconds: Median per iteration.
        peak_memory_mb: The most of any process, or ``None`` if the log does not say.
        notes: What the reader should know.
    """

    folder: Path
    losses: dict[str, Points] = field(default_factory=dict)
    rates: dict[str, Points] = field(default_factory=dict)
    others: dict[str, Points] = field(default_factory=dict)
    validations: dict[str, Points] = field(default_factory=dict)
    seconds: float = 0.0
    peak_memory_mb: float | None = None
    notes: list[str] = field(default_factory=list)


def read_training(folder: Path, until: str | None = None) -> Training | None:
    """Return the last training of a work folder, with what it resumed; ``None`` if there is none.

    Each start of a training has a log of its own. One that was resumed goes on from the iteration
    at which an earlier one was left.

    Args:
        folder: The work folder.
        until: Name of the folder of a log; later ones are left out. mmengine names them by time.
    """
    notes: list[str] = []
    lines: list[dict[str, float]] = []
    last = None
    for log in sorted(folder.glob(f'*/{LOG}'), reverse=True):
        if until is not None and log.parent.parent.name > until:
            continue
        found = _read_lines(log, notes)
        steps = [line['step'] for line in found if _is_training(line)]
        if not steps:
            continue
        if not lines:
            lines, last = found, log.parent.parent
        else:
            first = next(line['step'] for line in lines if _is_training(line))
            before = _before(found, first)
            lines = before + lines
        first = next(line['step'] for line in lines if _is_training(line))
        interval = min((b - a for a, b in itertools.pairwise(steps) if b > a), default=1)
        if first <= max(interval, 1):
            break
    if last is None:
        return None
    training = Training(last, notes=notes)
    _sort(lines, training)
    return training


def _read_lines(log: Path, notes: list[str]) -> list[dict[str, float]]:
    """Return the lines of a log; a process that was killed may have left a part of one."""
    lines, broken = [], 0
    for text in log.read_text(encoding='utf-8', errors='replace').splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            broken += bool(text.strip())
            continue
        if isinstance(line, dict) and isinstance(line.get('step'), int | float):
            lines.append(line)
    if broken:
        notes.append(f'{broken} lines of {log} cannot be read and are left out')
    return lines


def _is_training(line: dict[str, float]) -> bool:
    return any(_is_loss(key) for key in line) or 'lr' in line


def _is_loss(key: str) -> bool:
    return 'loss' in key.rpartition('.')[2]


def _before(lines: list[dict[str, float]], step: float) -> list[dict[str, float]]:
    """Return the lines up to the iteration at which another log begins."""
    kept = []
    for line in lines:
        if _is_training(line) and line['step'] >= step:
            break
        kept.append(line)
    return kept


def _sort(lines: list[dict[str, float]], training: Training) -> None:
    seconds, peaks, step, broken = [], [], 0.0, 0
    for line in lines:
        is_training = _is_training(line)
        step = line['step'] if is_training else step
        for key, value in line.items():
            if not isinstance(value, int | float) or isinstance(value, bool):
                continue
            if key.startswith(PEAK) or key == 'memory':
                peaks.append(value)
            elif key in TIMES:
                continue
            elif not is_training:
                training.validations.setdefault(key, []).append((step, value))
            else:
                rate = key == 'lr' or key.endswith(('/lr', 'base_lr'))
                target = training.rates if rate else training.others
                target = training.losses if _is_loss(key) else target
                target.setdefault(key, []).append((step, value))
                broken += _is_loss(key) and not math.isfinite(value)
        if is_training and isinstance(line.get('time'), int | float):
            seconds.append(line['time'])
    training.seconds = statistics.median(seconds) if seconds else 0.0
    training.peak_memory_mb = max(peaks, default=None)
    if training.rates.get('base_lr') == training.rates.get('lr'):
        training.rates.pop('base_lr', None)
    if broken:
        training.notes.append(f'{broken} values of the losses are not finite and are not drawn')

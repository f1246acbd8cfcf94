"""The plot of ``docs/evidence.md``: average precision by size, one group of bars a network."""

from pathlib import Path

import matplotlib

matplotlib.use('Agg')

import matplotlib.pyplot as plt
from evidence_tables import NAMES, Row, at_better_rate
from small_objects import NETWORKS, RANGES
from small_objects_digits import SIZES

matplotlib.rcParams['svg.hashsalt'] = 'evidence'  # the same rows give the same file


def plot(rows: list[Row], path: Path) -> None:
    """Draw the mean of each network, with its range over the seeds, for boxes of any class."""
    figure, (with_classes, any_class) = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
    for axes, suffix, title in (
        (with_classes, '', 'ten classes'),
        (any_class, '_any', 'boxes of any class'),
    ):
        for number, network in enumerate(NETWORKS):  # designs were measured on other machines
            runs = at_better_rate(rows, 'detect', network)
            if not runs:
                continue
            for place, size in enumerate(RANGES):
                values = [float(row[f'AP_{size}{suffix}']) * 100 for row in runs]
                mean = sum(values) / len(values)
                axes.bar(
                    place + 0.16 * number,
                    mean,
                    0.15,
                    yerr=[[mean - min(values)], [max(values) - mean]],
                    color=f'C{number}',
                    label=NAMES[network] if place == 0 else None,
                )
        axes.set_xticks(
            [place + 0.32 for place in range(len(RANGES))],
            [f'{low} to {high} pixels' for low, high in SIZES.values()],
        )
        axes.set_title(title)
    with_classes.set_ylabel('AP in percent')
    any_class.legend(fontsize='small')
    figure.tight_layout()
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, metadata=dict(Date=None))
    plt.close(figure)

"""The report on a demo run: a table, curves and a picture, all read from the logs of the runs.

``python -m tnt_backbone.demo.report WORK_DIR DATA``, where ``WORK_DIR/STAGE/train`` and
``WORK_DIR/STAGE/test`` are the work directories of ``tools/train.py`` and ``tools/test.py`` for
each of :data:`STAGES`, and ``WORK_DIR/scratch/STAGE`` those of the same stage without pretrained
weights, where it was run.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import matplotlib

from ..errors import InputError, MissingFileError

matplotlib.use('Agg')

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Rectangle
from mmengine.config import Config

from ..engine.peak_memory import PEAK_MEMORY


@dataclass(frozen=True)
class Metric:
    """A metric of a stage's test.

    Attributes:
        key: In the log.
        label: In the report.
        unit: What the log's figure is divided by to be a share.
        threshold: The least share on the val split that passes.
    """

    key: str
    label: str
    unit: float
    threshold: float

    def read(self, metrics: dict[str, float]) -> float | None:
        """Return the share from 0 to 1, or ``None`` if the line of a log does not have it."""
        return metrics[self.key] / self.unit if self.key in metrics else None


STAGES = dict(
    classify=(Metric('accuracy/top1', 'top-1', 100, 0.95),),
    detect=(
        Metric('coco/bbox_mAP', 'box AP', 1, 0.75),
        Metric('coco/bbox_mAP_50', 'box AP50', 1, 0.95),
    ),
    segment=(Metric('mIoU', 'mIoU', 100, 0.75),),
)
SCRATCH = 'scratch'  # folder of the runs that started without weights
SCORE_THRESHOLD = 0.5
SCENES = 8
COLOURS = plt.get_cmap('tab10').colors
PALETTE = ListedColormap([(0, 0, 0), *COLOURS])  # of semantic masks


@dataclass
class Run:
    """The logs of one training run and of the test that followed.

    Attributes:
        train: Lines of mmengine's ``scalars.json`` from training.
        val: Lines from evaluations during training.
        metrics: Of the test.
        images_per_iteration: Batch size of all processes together.
        peak_memory_mb: Of each process.
    """

    train: list[dict[str, float]]
    val: list[dict[str, float]]
    metrics: dict[str, float]
    images_per_iteration: int
    peak_memory_mb: list[float]


def read_run(folder: Path) -> Run:
    """Read the newest logs below ``folder/train`` and ``folder/test``.

    Raises:
        FileNotFoundError: If there are none.
        ValueError: If training ended before its first line in the log, or before its end.
    """
    scalars_file = _newest(folder / 'train', '*/vis_data/scalars.json')
    scalars = [json.loads(line) for line in scalars_file.read_text().splitlines()]
    peaks: dict[str, float] = {}
    for line in scalars:
        peaks |= {
            key: value for key, value in line.items() if key.startswith(PEAK_MEMORY.format(rank=''))
        }
    train = [line for line in scalars if 'loss' in line]
    if not train or not peaks:
        raise InputError(
            f'{scalars_file} holds {len(train)} lines of training and the peak memory of '
            f'{len(peaks)} processes: the run was stopped, or is shorter than '
            'default_hooks.logger.interval'
        )
    keys = [metric.key for metrics in STAGES.values() for metric in metrics]
    config = Config.fromfile(scalars_file.with_name('config.py'))
    return Run(
        train=train,
        val=[line for line in scalars if any(key in line for key in keys)],
        metrics=_read_metrics(_newest(folder / 'test', '*/*.json')),
        images_per_iteration=config.train_dataloader.batch_size * len(peaks),
        peak_memory_mb=list(peaks.values()),
    )


def read_runs(work_dir: Path) -> dict[str, Run]:
    """Read the run of every stage, and as ``'scratch/STAGE'`` those from scratch."""
    runs = {stage: read_run(work_dir / stage) for stage in STAGES}
    for stage in STAGES:
        if (work_dir / SCRATCH / stage).is_dir():
            runs[f'{SCRATCH}/{stage}'] = read_run(work_dir / SCRATCH / stage)
    return runs


def _read_metrics(path: Path) -> dict[str, float]:
    """Read what mmengine's LoggerHook writes after a test.

    Every process writes the same file, each with its own times: the end of a longer one may stand
    behind the last.
    """
    return json.JSONDecoder().raw_decode(path.read_text())[0]


def _newest(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))  # the folders are named by time
    if not found:
        raise MissingFileError(
            f'no {pattern} in {folder}: tools/train.py and tools/test.py write it there'
        )
    return found[-1]


def table(runs: dict[str, Run]) -> str:
    """Return the numbers of :func:`read_runs` as lines of text."""
    lines = [f'{"held-out digits":<20}{"measured":>10}{"threshold":>10}{"":14}{"from scratch":>14}']
    for stage, metrics in STAGES.items():
        for metric in metrics:
            value = metric.read(runs[stage].metrics) or 0.0  # none is logged if nothing was found
            verdict = 'reached' if value >= metric.threshold else 'NOT reached'
            line = f'{metric.label:<20}{value:>10.3f}{metric.threshold:>10.2f}  {verdict:<12}'
            if scratch := runs.get(f'{SCRATCH}/{stage}'):
                line += f'{metric.read(scratch.metrics) or 0.0:>14.3f}'
            lines.append(line.rstrip())

    def row(name: str, *cells: str) -> str:
        return f'{name:<20}' + ''.join(f'{cell:>18}' for cell in cells)

    lines += ['', row('training', *runs)]
    seconds = [statistics.median(line['time'] for line in run.train) for run in runs.values()]
    images = [run.images_per_iteration for run in runs.values()]
    peaks = [run.peak_memory_mb for run in runs.values()]
    lines += [
        row('iterations', *(str(int(run.train[-1]['step'])) for run in runs.values())),
        row('images an iteration', *map(str, images)),
        row('last loss', *(f'{run.train[-1]["loss"]:.3f}' for run in runs.values())),
        row('time per iteration', *(f'{median:.3f} s' for median in seconds)),
        row('images per second', *(f'{n / s:.1f}' for n, s in zip(images, seconds, strict=True))),
        row('peak memory', *(f'{len(peak)} x {max(peak):.0f} MB' for peak in peaks)),
    ]
    return '\n'.join(lines)


def reached(runs: dict[str, Run]) -> bool:
    """Return whether every metric reaches its threshold."""
    return all(
        (metric.read(runs[stage].metrics) or 0.0) >= metric.threshold
        for stage, metrics in STAGES.items()
        for metric in metrics
    )


def draw_curves(runs: dict[str, Run], path: Path) -> None:
    """Draw the loss of each stage, and the evaluations during training, over the iterations."""
    figure, grid = plt.subplots(1, len(STAGES), figsize=(5 * len(STAGES), 4), layout='constrained')
    for axes, (stage, metrics) in zip(grid, STAGES.items(), strict=True):
        right = axes.twinx()
        for name, style in ((stage, '-'), (f'{SCRATCH}/{stage}', ':')):
            if name not in runs:
                continue
            run = runs[name]
            steps, losses = zip(*((line['step'], line['loss']) for line in run.train), strict=True)
            axes.plot(steps, losses, f'C0{style}', label=f'loss, {name}')
            for colour, metric in zip(('k', 'C1'), metrics, strict=False):
                points = [
                    (line['step'], metric.read(line)) for line in run.val if metric.key in line
                ]
                points.append((steps[-1], metric.read(run.metrics) or 0.0))
                label = f'{metric.label}, {name}'
                right.plot(*zip(*points, strict=True), f'{colour}o{style}', label=label)
        axes.set(xlabel='iteration', ylabel='loss', ylim=(0, None), title=stage)
        right.set(ylim=(0, 1.02))
        handles, labels = (
            ours + theirs
            for ours, theirs in zip(
                axes.get_legend_handles_labels(), right.get_legend_handles_labels(), strict=True
            )
        )
        # below, where no curve is
        axes.legend(
            handles, labels, loc='upper center', bbox_to_anchor=(0.5, -0.15), fontsize=8, ncols=2
        )
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_predictions(
    data: Path, detections: Sequence[dict[str, Any]], segments: Path, path: Path
) -> None:
    """Draw the first held-out scenes: the truth, what was detected, the true and predicted mask.

    Args:
        data: The data set.
        detections: In COCO's result format, for the val split.
        segments: Folder of the predicted masks.
        path: Of the picture.
    """
    truth = json.loads((data / 'annotations' / 'instances_val.json').read_text())
    names = {category['id']: category['name'] for category in truth['categories']}
    images = truth['images'][:SCENES]
    confident = [item for item in detections if item['score'] >= SCORE_THRESHOLD]
    confident.sort(key=lambda item: item['score'])  # the surest on top
    rows = -(-len(images) // 2)
    figure, grid = plt.subplots(
        rows, 8, figsize=(20, 2.7 * rows), layout='constrained', squeeze=False
    )
    for axes in grid.flat:
        axes.axis('off')
    for number, image in enumerate(images):
        cells = grid[number // 2, number % 2 * 4 :][:4]
        file = Path(image['file_name'])
        picture = plt.imread(data / 'val' / file)
        for axes, title, boxes in (
            (cells[0], 'truth', truth['annotations']),
            (cells[1], 'TNT', confident),
        ):
            axes.imshow(picture)
            axes.set_title(f'{file}: {title}', fontsize=9)
            for item in boxes:
                if item['image_id'] == image['id']:
                    _draw_box(axes, item, names[item['category_id']])
        for axes, title, folder in (
            (cells[2], 'true mask', data / 'semantic' / 'val'),
            (cells[3], "TNT's mask", segments),
        ):
            mask = cv2.imread(str(folder / file.with_suffix('.png')), cv2.IMREAD_UNCHANGED)
            axes.imshow(mask, cmap=PALETTE, vmin=0, vmax=PALETTE.N - 1, interpolation='nearest')
            axes.set_title(title, fontsize=9)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def _draw_box(axes: Axes, item: dict[str, Any], name: str) -> None:
    x, y, width, height = item['bbox']
    colour = COLOURS[int(name)]
    # the picture's pixel 0 is drawn from -0.5 to 0.5
    axes.add_patch(
        Rectangle((x - 0.5, y - 0.5), width, height, fill=False, edgecolor=colour, linewidth=2)
    )
    text = f'{name} {item["score"]:.2f}' if 'score' in item else name
    label = dict(facecolor=colour, edgecolor='none', alpha=0.85, pad=1.5)
    drawn = axes.text(x, y - 1, text, color='white', fontsize=9, weight='bold', bbox=label)
    drawn.set_in_layout(False)  # a label that reaches out of a scene moves no other scene


def main() -> None:
    """Write the report. The exit status is 1 if a metric does not reach its threshold."""
    parser = argparse.ArgumentParser(
        prog='python -m tnt_backbone.demo.report', description='Report on a demo run.'
    )
    parser.add_argument(
        'work_dir',
        type=Path,
        metavar='WORK_DIR',
        help=f'with {", ".join(STAGES)}, detections.bbox.json and segments/',
    )
    parser.add_argument('data', type=Path, metavar='DATA', help="the demo's data set")
    args = parser.parse_args()
    try:
        runs = read_runs(args.work_dir)
        detections = json.loads((args.work_dir / 'detections.bbox.json').read_text())
    except (FileNotFoundError, ValueError) as error:
        parser.error(str(error))
    curves, pictures = args.work_dir / 'loss_curves.png', args.work_dir / 'predictions.png'
    draw_curves(runs, curves)
    draw_predictions(args.data, detections, args.work_dir / 'segments', pictures)
    (args.work_dir / 'report.txt').write_text(table(runs) + '\n')
    sys.stdout.write(f'{table(runs)}\n\ncurves:       {curves}\npredictions:  {pictures}\n')
    if not reached(runs):
        sys.exit('Metrics with the mark "NOT reached" are below their threshold.')


if __name__ == '__main__':
    main()

"""What came of the demo: a table, a loss curve and a picture, all read from the run's own logs.

``python -m tnt_backbone.demo.report WORK_DIR DATA``, where ``WORK_DIR/train`` and ``WORK_DIR/test``
are the work directories of ``tools/train.py`` and ``tools/test.py``.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use('Agg')

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from mmengine.config import Config

from .peak_memory import PEAK_MEMORY

PROMISED = {'coco/bbox_mAP': 0.75, 'coco/bbox_mAP_50': 0.95}  # on the val split
LABELS = {'coco/bbox_mAP': 'box AP', 'coco/bbox_mAP_50': 'box AP50'}
SCORE_THRESHOLD = 0.5
SCENES = 8
COLOURS = plt.get_cmap('tab10').colors


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


def read_run(work_dir: Path) -> Run:
    """Read the newest logs below ``work_dir/train`` and ``work_dir/test``.

    Raises:
        FileNotFoundError: If there are none.
        ValueError: If training ended before its first line in the log, or before its end.
    """
    scalars_file = _newest(work_dir / 'train', '*/vis_data/scalars.json')
    scalars = [json.loads(line) for line in scalars_file.read_text().splitlines()]
    peaks: dict[str, float] = {}
    for line in scalars:
        peaks |= {
            key: value for key, value in line.items() if key.startswith(PEAK_MEMORY.format(rank=''))
        }
    train = [line for line in scalars if 'loss' in line]
    if not train or not peaks:
        raise ValueError(
            f'{scalars_file} holds {len(train)} lines of training and the peak memory of '
            f'{len(peaks)} processes: the run was stopped, or is shorter than '
            'default_hooks.logger.interval'
        )
    config = Config.fromfile(scalars_file.with_name('config.py'))
    return Run(
        train=train,
        val=[line for line in scalars if any(key in line for key in PROMISED)],
        metrics=_read_metrics(_newest(work_dir / 'test', '*/*.json')),
        images_per_iteration=config.train_dataloader.batch_size * len(peaks),
        peak_memory_mb=list(peaks.values()),
    )


def _read_metrics(path: Path) -> dict[str, float]:
    """Read what mmengine's LoggerHook writes after a test.

    Every process writes the same file, each with its own times: the end of a longer one may stand
    behind the last.
    """
    return json.JSONDecoder().raw_decode(path.read_text())[0]


def _newest(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))  # the folders are named by time
    if not found:
        raise FileNotFoundError(
            f'no {pattern} in {folder}: tools/train.py and tools/test.py write it there'
        )
    return found[-1]


def table(run: Run) -> str:
    """The figures of a run as lines of text."""
    rows = []
    for key, promised in PROMISED.items():
        value = run.metrics.get(key, 0.0)  # none is logged if the detector found nothing at all
        verdict = 'reached' if value >= promised else 'NOT reached'
        rows.append((LABELS[key], f'{value:.3f}', f'at least {promised:.2f} promised: {verdict}'))
    seconds = statistics.median(line['time'] for line in run.train)
    last = run.train[-1]
    rows += [
        ('loss', f'{last["loss"]:.3f}', f'after {int(last["step"])} iterations'),
        ('time per iteration', f'{seconds:.3f} s', 'median'),
        (
            'images per second',
            f'{run.images_per_iteration / seconds:.1f}',
            f'{run.images_per_iteration} an iteration',
        ),
        (
            'peak memory',
            f'{max(run.peak_memory_mb):.0f} MB',
            f'a process, of {len(run.peak_memory_mb)}',
        ),
    ]
    return '\n'.join(f'{name:<20}{value:>10}   {note}' for name, value, note in rows)


def reached(run: Run) -> bool:
    """Whether the run is as good as the demo promises."""
    return all(run.metrics.get(key, 0.0) >= promised for key, promised in PROMISED.items())


def draw_curve(run: Run, path: Path) -> None:
    """Draw the losses, and the AP of the evaluations during training, over the iterations."""
    figure, axes = plt.subplots(figsize=(8, 4.5), layout='constrained')
    steps = [line['step'] for line in run.train]
    for key in ('loss', 'loss_cls', 'loss_bbox'):
        axes.plot(steps, [line[key] for line in run.train], label=key)
    axes.set(xlabel='iteration', ylabel='loss', ylim=(0, None))
    handles = axes.get_legend_handles_labels()
    if run.val:
        right = axes.twinx()
        for style, (key, label) in zip(('k-o', 'k--s'), LABELS.items(), strict=True):
            points = [(line['step'], line[key]) for line in run.val if key in line]
            right.plot(*zip(*points, strict=True), style, markersize=4, label=f'{label}, held out')
        right.set(ylabel='AP', ylim=(0, 1))
        handles = tuple(
            ours + theirs
            for ours, theirs in zip(handles, right.get_legend_handles_labels(), strict=True)
        )
    axes.legend(*handles, loc='center right')
    figure.savefig(path, dpi=120)
    plt.close(figure)


def draw_predictions(data: Path, detections: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the first held-out scenes: on the left the truth, on the right what was detected.

    Args:
        data: The data set.
        detections: In COCO's result format, for the val split.
        path: Of the picture.
    """
    truth = json.loads((data / 'annotations' / 'instances_val.json').read_text())
    names = {category['id']: category['name'] for category in truth['categories']}
    images = truth['images'][:SCENES]
    confident = [item for item in detections if item['score'] >= SCORE_THRESHOLD]
    confident.sort(key=lambda item: item['score'])  # the surest on top
    rows = -(-len(images) // 2)
    figure, grid = plt.subplots(
        rows, 4, figsize=(12, 3.1 * rows), layout='constrained', squeeze=False
    )
    for axes in grid.flat:
        axes.axis('off')
    for number, image in enumerate(images):
        left, right = grid[number // 2, number % 2 * 2 :][:2]
        picture = plt.imread(data / 'val' / image['file_name'])
        for axes, title, boxes in (
            (left, 'truth', truth['annotations']),
            (right, 'TNT', confident),
        ):
            axes.imshow(picture)
            axes.set_title(f'{image["file_name"]}: {title}', fontsize=9)
            for item in boxes:
                if item['image_id'] == image['id']:
                    _draw_box(axes, item, names[item['category_id']])
    figure.savefig(path, dpi=100)
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
    """Write the report; the exit status is 1 if the run is not as good as promised."""
    parser = argparse.ArgumentParser(
        prog='python -m tnt_backbone.demo.report', description='Report on a demo run.'
    )
    parser.add_argument(
        'work_dir',
        type=Path,
        metavar='WORK_DIR',
        help='with train/, test/ and detections.bbox.json',
    )
    parser.add_argument('data', type=Path, metavar='DATA', help="the demo's data set")
    args = parser.parse_args()
    try:
        run = read_run(args.work_dir)
        detections = json.loads((args.work_dir / 'detections.bbox.json').read_text())
    except (FileNotFoundError, ValueError) as error:
        parser.error(str(error))
    curve, pictures = args.work_dir / 'loss_curve.png', args.work_dir / 'predictions.png'
    draw_curve(run, curve)
    draw_predictions(args.data, detections, pictures)
    (args.work_dir / 'report.txt').write_text(table(run) + '\n')
    sys.stdout.write(f'{table(run)}\n\nloss curve:   {curve}\npredictions:  {pictures}\n')
    if not reached(run):
        sys.exit('The run is not as good as the demo promises.')


if __name__ == '__main__':
    main()

r"""How well can a map of a stride show the pictures that ``overfit.py`` learns by heart?

    python benchmarks/overfit_stride.py --data data --out work_dirs/overfit

A head gives logits of one place for each cell of 4, 8 or 16 pixels, and MMSegmentation enlarges
them to the picture. What is smaller than a cell is lost. Here such logits are trained without any
network, a number for each class and place: what they reach on the pictures of ADE20K is what a
network with a map of that stride can hope for. OUT/strides.csv gets a row a stride.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from mmseg.evaluation import IoUMetric
from overfit_data import SIDE, make
from overfit_recipes import PARTS
from study import Rows, only_one, require_data
from torch import Tensor
from torch.nn import functional as F

STRIDES = (16, 8, 4)
STEPS, RATE = 600, 1.0
IGNORED = 255
COLUMNS = ('stride', 'mIoU', 'right')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data', type=Path, default=Path('data'), metavar='DIR')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/overfit'), metavar='DIR')
    args = parser.parse_args(argv)
    require_data(parser, '--data', args.data, [PARTS['ade']])
    return args


def read_labels(folder: Path) -> tuple[Tensor, int]:
    """Return label maps of ADE20K with the classes that occur in them, and how many these are.

    Shape ``(B, 256, 256)``, filled up as in the training. 0 in a file is no class.
    """
    files = sorted(folder.glob('*.png'))
    filled = np.zeros((len(files), SIDE, SIDE), np.uint8)
    for whole, file in zip(filled, files, strict=True):
        labels = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        whole[: labels.shape[0], : labels.shape[1]] = labels
    classes = np.unique(filled[filled > 0])
    table = np.full(256, IGNORED)
    table[classes] = np.arange(len(classes))
    return torch.from_numpy(table[filled]), len(classes)


def fit(labels: Tensor, classes: int, stride: int, steps: int = STEPS) -> tuple[float, float]:
    """Return the mIoU and the share of right pixels of freely trained logits of a stride.

    Args:
        labels: Classes, or 255 where there is none, ``(B, H, W)``; ``stride`` divides both sides.
        classes: How many there are. Each must occur.
        stride: Pixels a place.
        steps: Steps of Adam.
    """
    batch, height, width = labels.shape
    logits = torch.zeros(batch, classes, height // stride, width // stride, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=RATE)

    def enlarged() -> Tensor:
        return F.interpolate(logits, (height, width), mode='bilinear', align_corners=False)

    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(enlarged(), labels, ignore_index=IGNORED).backward()
        optimizer.step()
    found = enlarged().argmax(1)
    both, either, _, there = IoUMetric.intersect_and_union(found, labels, classes, IGNORED)
    return (both / either).mean().item(), (both.sum() / there.sum()).item()


def main(argv: Sequence[str] | None = None) -> None:
    """Measure the strides that have no row."""
    args = parse_args(None if argv is None else list(argv))
    rows = Rows(args.out / 'strides.csv', COLUMNS, 1)
    with only_one(args.out):
        pictures = args.out / 'data/ade'
        make('ade', args.data, pictures)
        labels, classes = read_labels(pictures / 'annotations')
        for stride in STRIDES:
            if (str(stride),) not in rows.done():
                score, right = fit(labels, classes, stride)
                rows.add(dict(stride=stride, mIoU=f'{score:.3f}', right=f'{right:.3f}'))


if __name__ == '__main__':
    main()

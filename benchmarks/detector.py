"""One training step of whole detectors: seconds and peak memory, backbone by backbone.

    python benchmarks/detector.py
    python benchmarks/detector.py swin-t TNT:s+window_size=14 --detectors retinanet --rounds 3

A step is MMDetection's: loss, backward, AdamW. The detectors are MMDetection's own configs with
another backbone. Each runs in a process of its own, in turns, so a disturbance of the machine
affects all of them. The quickest step counts, and the ratios are to the first backbone. A backbone
is one of ours (see ``zoo.py``), ``resnet50`` or ``swin-t``.
"""

import argparse
import sys
import time
from collections import defaultdict
from itertools import product
from typing import Any

import machine
import torch
import zoo
from mmdet.testing import demo_mm_inputs
from mmengine.hub import get_config
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import MODELS, init_default_scope

from tnt_backbone.engine.amp import CpuAmpOptimWrapper

DETECTORS = {
    'retinanet': 'retinanet/retinanet_r50_fpn_1x_coco.py',
    'mask-rcnn': 'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
}
SWIN_T = 'swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py'
BACKBONES = ['swin-t', 'TNT:s', 'TNT:s+window_size=14', 'PyramidTNT:s', 'resnet50']


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('backbones', nargs='*', metavar='BACKBONE', default=BACKBONES)
    parser.add_argument('--detectors', nargs='+', choices=DETECTORS, default=list(DETECTORS))
    parser.add_argument('--shape', type=int, nargs=2, default=[800, 1333], metavar='PX')
    parser.add_argument('--batch', type=int, default=1)
    parser.add_argument('--dtype', choices=['float32', 'bfloat16'], default='float32')
    parser.add_argument('--rounds', type=int, default=2, help='processes of two steps each')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    return parser.parse_args()


def build(detector: str, backbone: str) -> Any:
    """Build MMDetection's detector with a backbone."""
    model = get_config(f'mmdet::{DETECTORS[detector]}').model
    if backbone == 'swin-t':
        model.backbone = get_config(f'mmdet::{SWIN_T}').model.backbone
        model.backbone.out_indices = tuple(range(4))
        model.neck.in_channels = [96, 192, 384, 768]
    elif backbone != 'resnet50':
        model.backbone = zoo.backbone_config(backbone)
    model.backbone.pop('init_cfg', None)
    return MODELS.build(model)


def measure(detector: str, backbone: str, args: argparse.Namespace) -> tuple[float, float]:
    """Return seconds of the quicker of two steps and GiB that they take on top of the model."""
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = build(detector, backbone).to(args.device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    if args.dtype == 'float32':
        wrapper = OptimWrapper(optimizer)
    elif args.device == 'cpu':
        wrapper = CpuAmpOptimWrapper(optimizer)
    else:
        wrapper = AmpOptimWrapper(dtype=args.dtype, optimizer=optimizer)
    before = machine.peak_memory(args.device)
    seconds = []
    for _ in range(2):
        data = demo_mm_inputs(
            args.batch, [[3, *args.shape]] * args.batch, num_classes=80, with_mask=True
        )
        start = time.perf_counter()
        model.train_step(data, wrapper)
        if args.device == 'cuda':
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return min(seconds), (machine.peak_memory(args.device) - before) / machine.GIB


def main() -> None:
    """Print a table per detector."""
    args = parse_args()
    height, width = args.shape
    print(f'training step, {height}x{width}, batch {args.batch}, {args.dtype}')
    print(machine.describe(args.device))
    costs = defaultdict(list)
    for number, detector, backbone in product(range(args.rounds), args.detectors, args.backbones):
        cost = machine.in_fresh_process(measure, detector, backbone, args)
        costs[detector, backbone].append(cost)
        print(f'  round {number + 1}, {detector}, {backbone}: {cost[0]:.1f} s', file=sys.stderr)
    for detector in args.detectors:
        print(f'\n| {detector} | seconds | relative | GiB | relative |\n{"| --- " * 5}|')
        best = {
            name: (
                min(s for s, _ in costs[detector, name]),
                max(g for _, g in costs[detector, name]),
            )
            for name in args.backbones
        }
        first = best[args.backbones[0]]
        for name, (seconds, gib) in best.items():
            print(
                f'| {name} | {seconds:.1f} | {seconds / first[0]:.2f} '
                f'| {gib:.2f} | {gib / first[1]:.2f} |'
            )


if __name__ == '__main__':
    main()

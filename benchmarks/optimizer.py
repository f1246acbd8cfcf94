"""Milliseconds of a step of AdamW on a config's model on a CPU, by how PyTorch runs it, in turns.

python benchmarks/optimizer.py configs/retinanet_tnt_s_coco.py
"""

import argparse

import machine
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

import tnt_backbone  # noqa: F401 - registers the backbones

WAYS = ('forloop', 'foreach', 'fused')


def main() -> None:
    """Print a row per way."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config')
    parser.add_argument('--rounds', type=int, default=12, help='the quickest counts')
    args = parser.parse_args()
    cfg = Config.fromfile(args.config)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    model = MODELS.build(cfg.model)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 1e-3)
    optimizers = {
        way: torch.optim.AdamW(
            model.parameters(), lr=1e-9, foreach=way == 'foreach', fused=way == 'fused'
        )
        for way in WAYS
    }
    taken = machine.in_turns({way: optimizers[way].step for way in WAYS}, args.rounds)
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    print(f'{args.config}, {millions:.1f} M parameters\n{machine.describe("cpu")}')
    print('| AdamW | ms |\n| --- | --- |')
    for way, seconds in taken.items():
        print(f'| {way} | {seconds * 1e3:.1f} |')


if __name__ == '__main__':
    main()

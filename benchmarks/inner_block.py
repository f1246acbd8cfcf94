"""Milliseconds of one inner block by each path on a CPU, in turns.

python benchmarks/inner_block.py
python benchmarks/inner_block.py --sentences 4200 --dims 40 --heads 4
"""

import argparse
import time
from collections import defaultdict

import machine
import torch

from tnt_backbone.layers import WordBlock

PATHS = ('native', 'cpu', 'reference')


def main() -> None:
    """Print a row a path."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--sentences', type=int, default=784, help='196 an image of 224 pixels')
    parser.add_argument('--words', type=int, default=16)
    parser.add_argument('--dims', type=int, default=24)
    parser.add_argument('--heads', type=int, default=4)
    parser.add_argument('--rounds', type=int, default=30, help='the quickest counts')
    args = parser.parse_args()
    words = torch.randn(args.sentences, args.words, args.dims, requires_grad=True)
    blocks = {path: WordBlock(args.dims, args.heads, backend=path) for path in PATHS}
    taken = defaultdict(list)
    for _ in range(args.rounds):
        for path, block in blocks.items():
            start = time.perf_counter()
            with torch.no_grad():
                block(words)
            middle = time.perf_counter()
            block(words).sum().backward()
            taken[path].append((middle - start, time.perf_counter() - middle))
    print(machine.describe('cpu'))
    print('| path | forward: ms | forward + backward: ms |\n| --- | --- | --- |')
    for path, rounds in taken.items():
        print(
            f'| {path} | {" | ".join(f"{min(t) * 1e3:.2f}" for t in zip(*rounds, strict=True))} |'
        )


if __name__ == '__main__':
    main()

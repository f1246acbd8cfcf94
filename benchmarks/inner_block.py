"""Milliseconds of one inner block by each path on a CPU, in turns.

python benchmarks/inner_block.py
python benchmarks/inner_block.py --sentences 4200 --dims 40 --heads 4

The bound is what a large product of matrices reaches on as many threads.
"""

import argparse
import time
from collections import defaultdict

import machine
import torch

from tnt_backbone.layers import WordBlock

PATHS = ('native', 'cpu', 'reference')


def multiply_adds_a_second(side: int = 1536, rounds: int = 10) -> float:
    """What a product of two square matrices reaches."""
    matrix = torch.randn(side, side)
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        matrix @ matrix
        taken.append(time.perf_counter() - start)
    return side**3 / min(taken)


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
    # four projections of c^2, an MLP of 8 c^2, logits and their sums
    each_word = 12 * args.dims**2 + 2 * args.words * args.dims
    work, rate = args.sentences * args.words * each_word, multiply_adds_a_second()
    print(machine.describe('cpu'))
    print(f'{work / 1e6:.1f} M multiply-adds forward, at best {rate / 1e9:.1f} G a second')
    print(
        '| path | forward: ms | of the bound | forward + backward: ms |\n| --- | --- | --- | --- |'
    )
    for path, rounds in taken.items():
        forward, both = (min(seconds) for seconds in zip(*rounds, strict=True))
        share = work / forward / rate
        print(f'| {path} | {forward * 1e3:.2f} | {share:.0%} | {both * 1e3:.2f} |')


if __name__ == '__main__':
    main()

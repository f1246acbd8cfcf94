"""Milliseconds of one inner block by each path on a CPU, in turns.

python benchmarks/inner_block.py
python benchmarks/inner_block.py --sentences 4200 --dims 40 --heads 4

The bound is what a large product of matrices reaches on as many threads.
"""

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import machine
import torch
from torch import Tensor

from tnt_backbone.layers import WordBlock

PATHS = ('native', 'cpu', 'reference')
SIDE = 1536  # of the large matrices


def forward(block: WordBlock, words: Tensor) -> None:
    """Run a block."""
    with torch.no_grad():
        block(words)


def forward_and_backward(block: WordBlock, words: Tensor) -> None:
    """Run a block and its backward pass."""
    block(words).sum().backward()


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
    matrix = torch.randn(SIDE, SIDE)
    work: dict[Any, Callable[[], object]] = {'product': partial(matrix.matmul, matrix)}
    for path in PATHS:
        block = WordBlock(args.dims, args.heads, backend=path)
        for run in (forward, forward_and_backward):
            work[path, run] = partial(run, block, words)
    taken = machine.in_turns(work, args.rounds)
    # four projections of c^2, an MLP of 8 c^2, logits and their sums
    each_word = 12 * args.dims**2 + 2 * args.words * args.dims
    amount = args.sentences * args.words * each_word
    rate = SIDE**3 / taken['product']
    print(machine.describe('cpu'))
    print(f'{amount / 1e6:.1f} M multiply-adds forward, at best {rate / 1e9:.1f} G a second')
    print(
        '| path | forward: ms | of the bound | forward + backward: ms |\n| --- | --- | --- | --- |'
    )
    for path in PATHS:
        once, both = taken[path, forward], taken[path, forward_and_backward]
        share = amount / once / rate
        print(f'| {path} | {once * 1e3:.2f} | {share:.0%} | {both * 1e3:.2f} |')


if __name__ == '__main__':
    main()

"""Milliseconds of one inner block on each path, in turns, and their ratio to the bound.

    python benchmarks/inner_block.py
    python benchmarks/inner_block.py --sentences 4200 --dims 40 --heads 4
    python benchmarks/inner_block.py --sentences 50176 --dtype bfloat16 --device cuda

On a CPU the bound is arithmetic, at the rate of a large matrix product on as many threads. On a GPU
it is memory. A forward pass reads and writes the words once, as one copy does. Both passes together
take two and a half copies (words, gradients in, gradients out, each once more).
"""

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import machine
import torch
from torch import Tensor

from tnt_backbone.layers import WordBlock

PATHS = {'cpu': ('native', 'chunked', 'reference'), 'cuda': ('triton', 'reference')}
COPIES = (1.0, 2.5)  # of the words, by a forward pass and by both
SIDE = 1536  # of the large matrices


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--sentences', type=int, default=784, help='196 an image of 224 pixels')
    parser.add_argument('--words', type=int, default=16)
    parser.add_argument('--dims', type=int, default=24)
    parser.add_argument('--heads', type=int, default=4)
    parser.add_argument('--rounds', type=int, default=30, help='the quickest counts')
    parser.add_argument('--dtype', default='float32', choices=['float32', 'bfloat16', 'float16'])
    parser.add_argument(
        '--device', default='cuda' if torch.cuda.is_available() else 'cpu', choices=PATHS
    )
    return parser.parse_args()


def forward(block: WordBlock, words: Tensor) -> None:
    """Run a block."""
    with torch.no_grad():
        block(words)
    _wait(words)


def forward_and_backward(block: WordBlock, words: Tensor) -> None:
    """Run a block and its backward pass."""
    new = block(words)
    new.backward(torch.ones_like(new))
    _wait(words)


def copy(words: Tensor) -> None:
    """Read and write words once."""
    words.detach().clone()
    _wait(words)


def _wait(words: Tensor) -> None:
    if words.is_cuda:
        torch.cuda.synchronize()


def bounds(args: argparse.Namespace, taken: dict[Any, float]) -> tuple[str, tuple[float, float]]:
    """Say what bounds a block; return the least seconds of a forward pass and of both."""
    if args.device == 'cuda':
        least = tuple(copies * taken['copy'] for copies in COPIES)
        return f'a copy of the words takes {taken["copy"] * 1e3:.3f} ms', (least[0], least[1])
    # four projections of c^2, an MLP of 8 c^2, logits and their sums
    each_word = 12 * args.dims**2 + 2 * args.words * args.dims
    amount = args.sentences * args.words * each_word
    rate = SIDE**3 / taken['product']
    once = amount / rate
    line = f'{amount / 1e6:.1f} M multiply-adds forward, at best {rate / 1e9:.1f} G a second'
    return line, (once, 3 * once)  # each product has two gradients


def main() -> None:
    """Print a row per path."""
    args = parse_args()
    dtype = getattr(torch, args.dtype)
    words = torch.randn(args.sentences, args.words, args.dims, device=args.device, dtype=dtype)
    words.requires_grad_()
    matrix = torch.randn(SIDE, SIDE)
    work: dict[Any, Callable[[], object]] = (
        {'copy': partial(copy, words)}
        if args.device == 'cuda'
        else {'product': partial(matrix.matmul, matrix)}
    )
    for path in PATHS[args.device]:
        block = WordBlock(args.dims, args.heads, backend=path).to(args.device, dtype)
        for run in (forward, forward_and_backward):
            work[path, run] = partial(run, block, words)
    taken = machine.in_turns(work, args.rounds)
    line, least = bounds(args, taken)
    print(f'{args.dtype}, {machine.describe(args.device)}\n{line}')
    print('| path | forward: ms | times the bound | forward + backward: ms | times the bound |')
    print('| --- ' * 5 + '|')
    for path in PATHS[args.device]:
        cells = []
        for run, bound in zip((forward, forward_and_backward), least, strict=True):
            cells += [f'{taken[path, run] * 1e3:.2f}', f'{taken[path, run] / bound:.2f}']
        print(f'| {path} | {" | ".join(cells)} |')


if __name__ == '__main__':
    main()

"""GiB of a training step of each backbone, by image size, batch, precision and how it is run.

    python benchmarks/memory_plan.py
    python benchmarks/memory_plan.py TNT:s --shapes 800x1344 --batches 1 2 4 --dtypes bfloat16

``plain`` keeps what autograd keeps (``inner_backend='reference'``), ``fused`` is a CPU's default
and on a GPU the Triton kernels, ``with_cp`` is fused and recomputes each block. ``memory.py``
describes the measurement, which leaves out the head, the weights and the optimizer's state.
"""

import argparse
from itertools import product

import machine
import torch
from memory import measure

WAYS = ('plain', 'fused', 'with_cp')


def options(model: str, way: str, device: str) -> str | None:
    """Return the arguments that run a model in a way, or nothing if it has no such way."""
    checkpointed = '+with_cp=True' if way == 'with_cp' else ''
    if model.startswith('T2TViT'):  # no inner block
        return None if way == 'fused' else checkpointed
    if way == 'plain':
        return "+inner_backend='reference'"
    return checkpointed + ("+inner_backend='triton'" if device == 'cuda' else '')


def shape(text: str) -> list[int]:
    """Read ``800x1344``."""
    return [int(side) for side in text.split('x')]


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'models', nargs='*', metavar='MODEL', default=['TNT:s', 'PyramidTNT:s', 'T2TViT:14']
    )
    parser.add_argument('--shapes', nargs='+', default=['512x512', '640x640', '800x1344'])
    parser.add_argument('--batches', type=int, nargs='+', default=[1, 2])
    parser.add_argument('--dtypes', nargs='+', default=['float32', 'bfloat16'])
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    return parser.parse_args()


def main() -> None:
    """Print a row per model and batch, a column per size and way."""
    args = parse_args()
    print(machine.describe(args.device))
    columns = list(product(args.shapes, WAYS))
    print(f'| model, batch, dtype | {" | ".join(f"{size}, {way}" for size, way in columns)} |')
    print('| --- ' * (len(columns) + 1) + '|')
    for dtype, batch, model in product(args.dtypes, args.batches, args.models):
        cells = []
        for size, way in columns:
            arguments = options(model, way, args.device)
            if arguments is None:
                cells.append('')
                continue
            step = argparse.Namespace(
                shape=shape(size),
                batch=batch,
                dtype=dtype,
                device=args.device,
                backward=True,
                repeat=1,
            )
            cells.append(f'{machine.in_fresh_process(measure, model + arguments, step)[1]:.2f}')
        print(f'| {model}, {batch}, {dtype} | {" | ".join(cells)} |', flush=True)


if __name__ == '__main__':
    main()

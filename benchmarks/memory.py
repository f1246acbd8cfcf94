"""Time and peak memory of one step of a backbone, each in a process of its own.

    python benchmarks/memory.py TNT:s PyramidTNT:s T2TViT:14 --shape 800 1344
    python benchmarks/memory.py timm:deit_small_patch16_224 TNT:s+window_size=14 --backward

On the CPU memory is the growth of the process's peak resident size over what it was before the
step; on a GPU it is the allocator's peak. A step is a forward pass, with ``--backward`` a backward
pass too.
"""

import argparse
import time

import machine
import torch
import zoo


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('models', nargs='+', metavar='MODEL', help='see zoo.py')
    parser.add_argument('--shape', type=int, nargs=2, default=[800, 1344], metavar='PX')
    parser.add_argument('--batch', type=int, default=1)
    parser.add_argument('--backward', action='store_true')
    parser.add_argument('--dtype', default='float32', choices=['float32', 'bfloat16', 'float16'])
    parser.add_argument('--repeat', type=int, default=1, help='steps; the quickest counts')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    return parser.parse_args()


def measure(model: str, args: argparse.Namespace) -> tuple[float, float]:
    """Return seconds of the quickest step and GiB of the largest."""
    backbone = zoo.build(model, tuple(args.shape), pyramid=True)
    backbone = backbone.to(args.device).train(args.backward)
    image = torch.randn(args.batch, 3, *args.shape, device=args.device)
    before = machine.peak_memory(args.device)
    seconds = []
    for _ in range(args.repeat):
        backbone.zero_grad()
        start = time.perf_counter()
        zoo.step(backbone, image, getattr(torch, args.dtype), backward=args.backward)
        seconds.append(time.perf_counter() - start)
    return min(seconds), (machine.peak_memory(args.device) - before) / machine.GIB


def main() -> None:
    """Print a row per model."""
    args = parse_args()
    what = 'forward + backward' if args.backward else 'forward'
    height, width = args.shape
    print(f'{what}, {height}x{width}, batch {args.batch}, {args.dtype}')
    print(machine.describe(args.device))
    print('| model | seconds | GiB |\n| --- | --- | --- |')
    for model in args.models:
        seconds, gib = machine.in_fresh_process(measure, model, args)
        print(f'| {model} | {seconds:.2f} | {gib:.2f} |', flush=True)


if __name__ == '__main__':
    main()

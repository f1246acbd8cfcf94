"""Time and peak memory of one step of a backbone, each in a process of its own.

    python benchmarks/memory.py --shape 800 1344 --models TNT:s PyramidTNT:s T2TViT:14
    python benchmarks/memory.py --models TNT:s --options window_size=14 with_cp=True --backward

On the CPU memory is the growth of the process's peak resident size over what it was before the
step; on a GPU it is the allocator's peak. A step is a forward pass, with ``--backward`` a backward
pass too.
"""

import argparse
import ast
import multiprocessing
import platform
import resource
import time
from datetime import date
from typing import Any

import torch

from tnt_backbone.registry import BACKBONES

FAMILIES = {backbone.__name__: backbone for backbone in BACKBONES}
GIB = 2**30


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--models', nargs='+', required=True, metavar='FAMILY:ARCH')
    parser.add_argument('--shape', type=int, nargs=2, default=[800, 1344], metavar='PX')
    parser.add_argument('--batch', type=int, default=1)
    parser.add_argument('--options', nargs='*', default=[], metavar='KEY=VALUE')
    parser.add_argument('--backward', action='store_true')
    parser.add_argument('--dtype', default='float32', choices=['float32', 'bfloat16', 'float16'])
    parser.add_argument('--repeat', type=int, default=1, help='steps; the quickest counts')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    return parser.parse_args()


def step(backbone: torch.nn.Module, image: torch.Tensor, dtype: str, *, backward: bool) -> None:
    """Run one step under autocast, or in fp32."""
    half = dtype != 'float32'
    with (
        torch.autocast(image.device.type, getattr(torch, dtype), enabled=half),
        torch.set_grad_enabled(backward),
    ):
        loss = sum(level.float().square().mean() for level in backbone(image))
    if backward:
        loss.backward()  # type: ignore[union-attr]
    if image.is_cuda:
        torch.cuda.synchronize()


def peak_memory(device: str) -> float:
    """Peak of the process, in bytes."""
    if device == 'cuda':
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # kibibytes on Linux


def measure(model: str, args: argparse.Namespace) -> tuple[float, float]:
    """Return seconds of the quickest step and GiB of the largest."""
    family, _, arch = model.partition(':')
    options = dict(option.split('=', 1) for option in args.options)
    parsed: dict[str, Any] = {key: ast.literal_eval(value) for key, value in options.items()}
    backbone = FAMILIES[family](arch, **parsed).to(args.device).train(args.backward)
    image = torch.randn(args.batch, 3, *args.shape, device=args.device)
    before = peak_memory(args.device)
    seconds = []
    for _ in range(args.repeat):
        backbone.zero_grad()
        start = time.perf_counter()
        step(backbone, image, args.dtype, backward=args.backward)
        seconds.append(time.perf_counter() - start)
    return min(seconds), (peak_memory(args.device) - before) / GIB


def main() -> None:
    """Print a row a model."""
    args = parse_args()
    what = 'forward + backward' if args.backward else 'forward'
    height, width = args.shape
    print(f'{what}, {height}x{width}, batch {args.batch}, {args.dtype} {" ".join(args.options)}')
    print(
        f'{platform.processor() or platform.machine()}, {args.device}, '
        f'{torch.get_num_threads()} threads, torch {torch.__version__}, {date.today()}'
    )
    print('| model | seconds | GiB |\n| --- | --- | --- |')
    for model in args.models:
        with multiprocessing.get_context('spawn').Pool(1) as pool:
            seconds, gib = pool.apply(measure, (model, args))
        print(f'| {model} | {seconds:.2f} | {gib:.2f} |', flush=True)


if __name__ == '__main__':
    main()

"""Find batch and options with which a training fits into the memory of each GPU.

    tnt plan retinanet_tnt_s_coco --gpus 4 --memory 12G

The images per optimizer step stay those that the config's learning rate is for; what does not fit
at a time is accumulated. The command knows only what was measured in this project
(docs/performance.md) and says so otherwise. The exit status is 1 if nothing fits.
"""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from .common import (
    add_cfg_options,
    errors_of_the_user,
    make_parser,
    parse_cfg_options,
    require_files,
)

if TYPE_CHECKING:
    from ..run.plan import Choice, Known

TOOL = 'tnt plan'
UNITS = {'M': 2**-10, 'G': 1, 'T': 2**10}


def _gib(text: str) -> float:
    found = re.fullmatch(r'(\d+(?:\.\d+)?)([MGT])(?:i?B)?', text, re.IGNORECASE)
    if not found or not float(found[1]):
        raise argparse.ArgumentTypeError(f'{text!r} is no size. Examples: 12G, 16384M')
    return float(found[1]) * UNITS[found[2].upper()]


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is no positive integer')
    return int(text)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = make_parser(__doc__)
    parser.add_argument('config', help='config file, or the name of one of this package')
    parser.add_argument(
        '--gpus', type=_positive, required=True, metavar='N', help='number of processes'
    )
    parser.add_argument(
        '--memory', type=_gib, required=True, metavar='SIZE', help='of each GPU, for instance 12G'
    )
    parser.add_argument(
        '--global-batch',
        type=_positive,
        metavar='IMAGES',
        help='images per optimizer step in all processes (default: those of the config)',
    )
    parser.add_argument(
        '--size',
        type=_positive,
        nargs=2,
        metavar=('H', 'W'),
        help='largest training image in pixels (default: that of the pipeline)',
    )
    parser.add_argument('--json', action='store_true', help='print JSON and nothing else')
    add_cfg_options(parser)
    return parser.parse_args(argv)


def command(args: argparse.Namespace, choice: 'Choice', images: int, path: str) -> str:
    """Return the command that trains in this way."""
    options = [f'train_dataloader.batch_size={images}']
    if choice.with_cp:
        options.append(f'{path}.with_cp=True')
    parts = ['tnt', 'train', args.config, f'--gpus {args.gpus}']
    if choice.amp:
        parts.append('--amp')
    if choice.parts > 1:
        parts.append(f'--split-batch {choice.parts}')
    if args.global_batch:
        parts.append('--auto-scale-lr')
    return ' '.join([*parts, '--cfg-options', *options, *(args.cfg_options or [])])


def assumptions(known: 'Known') -> list[str]:
    """Return what the numbers rest on."""
    from ..run.measured_memory import PART_OF, SIZES

    height, width = SIZES[known.size]
    found = [
        f'images of up to {known.image[0]}x{known.image[1]} pixels; measured were {height}x{width}',
        'measured on a CPU with one and two images; each further image takes as much as the second',
        'neck and heads take as much in mixed precision as in fp32, which is too much',
        'without the memory of CUDA itself (some hundred MB) and of other programs',
    ]
    if known.family == 'TNT':
        found += [
            'RetinaNet, two images, --amp: less was measured on an H200, 2.9 GiB',
            'window_size saves time at large images, and no memory: RetinaNet 3.68, not 3.35 GiB',
        ]
    if PART_OF[known.model] != known.model:
        found.insert(1, f'{known.model} takes at most what {PART_OF[known.model]} takes')
    if known.is_smaller:
        found.insert(1, f'the backbone takes at most what {known.family} {known.arch!r} takes')
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    out = sys.stdout
    if args.json:
        sys.stdout = sys.stderr  # whatever libraries print
    with errors_of_the_user(TOOL):
        require_files(args.config)
        import os

        os.environ['CUDA_VISIBLE_DEVICES'] = ''  # only counted here
        from ..run.config import read_config
        from ..run.libraries import set_dataloader_defaults
        from ..run.plan import choices, find_measured, fixed_memory, images_per_process
        from ..run.preflight import TRAIN_KEYS, require_keys
        from ..run.runner import suit_to_machine

        cfg = read_config(
            args.config,
            options=parse_cfg_options(args.cfg_options),
            work_dir=None,
            launcher='none',
        )
        require_keys(cfg, TRAIN_KEYS, 'training')
        set_dataloader_defaults(cfg)
        images = images_per_process(cfg, args.gpus, args.global_batch)
        known = find_measured(cfg, args.size)
        suit_to_machine(cfg)
        rows = list(choices(cfg, known, images, fixed_memory(cfg, args.gpus)))
        chosen = next((row for row in rows if row.gib <= args.memory), None)
        run = command(args, chosen, images, known.path) if chosen else None
        if args.json:
            content = {
                'choices': [asdict(row) | {'fits': row.gib <= args.memory} for row in rows],
                'command': run,
                'assumed': assumptions(known),
            }
            print(json.dumps(content, indent=1), file=out)
        else:
            show(rows, chosen, args.memory)
            print('\nAssumed:', *assumptions(known), sep='\n  ')
            print(f'\n{run or nothing(rows)}')
    sys.exit(int(chosen is None))


def show(rows: 'Sequence[Choice]', chosen: 'Choice | None', memory: float) -> None:
    """Print one line per way to run."""
    print(f'{"images":>8}{"iterations":>12}  {"precision":<10}{"with_cp":<9}{"GiB":>6}')
    print(f'{"at once":>8}{"per step":>12}')
    for row in rows:
        fits = '  <- chosen' if row is chosen else '  fits' if row.gib <= memory else ''
        precision, again = 'mixed' if row.amp else 'fp32', 'yes' if row.with_cp else 'no'
        print(f'{row.images:8}{row.parts:12}  {precision:<10}{again:<9}{row.gib:6.2f}{fits}')


def nothing(rows: 'Sequence[Choice]') -> str:
    """Return what to do if nothing fits."""
    least = min(row.gib for row in rows)
    return (
        f'Nothing fits; the least is {least:.1f} GiB. Smaller images need less: --size H W plans '
        'them, and docs/training.md (Less memory) says how to set them'
    )

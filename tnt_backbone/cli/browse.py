"""Make an HTML page of what training sees: augmented pictures with boxes, masks and classes.

    tnt browse my_config.py

The page shows pictures as the training pipeline returns them, how often each class occurs, and how
large the objects are at the training size. It needs no network and no other file.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from .common import (
    add_cfg_options,
    check_numbers,
    errors_of_the_user,
    make_folder,
    make_parser,
    parse_cfg_options,
    require_files,
)

TOOL = 'tnt browse'


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = make_parser(__doc__)
    parser.add_argument('config', help='config file whose training data are shown')
    parser.add_argument(
        '--out', type=Path, default=Path('browse.html'), metavar='FILE.html', help='the page '
        '(default: browse.html)'
    )  # fmt: skip
    parser.add_argument('--pictures', type=int, default=24, help='how many (default: 24)')
    parser.add_argument(
        '--samples',
        type=int,
        default=200,
        help='from how many pictures the sizes of objects are counted (default: 200)',
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='another one shows other pictures (default: 0)'
    )
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    check_numbers(parser, args, pictures=1, samples=0, seed=0)
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    with errors_of_the_user(TOOL):
        require_files(args.config)
        if args.out.suffix not in ('.html', '.htm'):
            raise InputError(f'--out {args.out} must end in .html')
        make_folder(args.out.parent, '--out')

        from ..data_checks.datasets import build_leaf_datasets, check_files
        from ..report.browse import browse_page
        from ..report.page import write_page
        from ..run.config import read_config

        cfg = read_config(
            args.config,
            options=parse_cfg_options(args.cfg_options),
            work_dir=None,
            launcher='none',
            needs_model=False,
        )
        check_files(cfg, build_leaf_datasets(cfg, ['train']))
        text = browse_page(
            cfg,
            Path(args.config).name,
            pictures=args.pictures,
            samples=args.samples,
            seed=args.seed,
        )
        print(f'page: {write_page(args.out, text)}')

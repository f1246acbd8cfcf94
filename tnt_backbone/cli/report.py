"""Make an HTML page of what a run has left: curves, classes, confusion, errors, pictures.

    tnt report work_dirs/mine
    tnt report work_dirs/mine work_dirs/other --out comparison.html

tnt test makes the page of a test unasked. This makes it again, with other options, or compares
several runs: their numbers, curves and configs. The page needs no network and no other file.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError, MissingFileError
from .common import check_numbers, errors_of_the_user, make_folder, make_parser

TOOL = 'tnt report'
COMPARISON = 'comparison.html'


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = make_parser(__doc__)
    parser.add_argument(
        'runs',
        nargs='+',
        metavar='RUN',
        help='work folder of a training or a test, or the folder of one log in it',
    )
    parser.add_argument(
        '--out',
        type=Path,
        metavar='FILE.html',
        help=f'the page (default: report.html in the folder of the log; {COMPARISON} for several '
        'runs)',
    )
    parser.add_argument(
        '--sizes',
        nargs='+',
        type=float,
        metavar='PIXELS',
        help='edges between sizes of objects, the square root of their areas (default: 16 32 96 '
        '256)',
    )
    parser.add_argument(
        '--score',
        type=float,
        help='least score of boxes in the confusion matrix and the pictures (default: the one with '
        'the best F1)',
    )
    parser.add_argument('--no-pictures', action='store_true', help='leave the pictures out')
    parser.add_argument(
        '--json', action='store_true', help='print the numbers as JSON and write no page'
    )
    args = parser.parse_args(argv)
    check_numbers(parser, args)
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    with errors_of_the_user(TOOL):
        for run in args.runs:
            if not Path(run).exists():
                raise MissingFileError(
                    f'the run {run!r} does not exist. Pass the work folder of a training or a test'
                )
        if args.out and args.out.suffix not in ('.html', '.htm'):
            raise InputError(f'--out {args.out} must end in .html')

        from ..report.box_scores import EDGES, check_edges
        from ..report.page import numbers_of, report_page, write_page
        from ..report.runs import find_run

        edges = EDGES if args.sizes is None else check_edges(args.sizes)
        if args.out:
            make_folder(args.out.parent, '--out')
        runs = [find_run(run) for run in args.runs]
        if args.json:
            print(json.dumps(numbers_of(runs, edges=edges, score=args.score), indent=1))
            return
        default = runs[0].folder / 'report.html' if len(runs) == 1 else Path(COMPARISON)
        text = report_page(runs, edges=edges, score=args.score, pictures=not args.no_pictures)
        print(f'report: {write_page(args.out or default, text)}')

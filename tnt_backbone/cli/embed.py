"""Write a vector per picture, or a vector per box, into a file for search, clustering and the like.

    tnt embed best.pth photos/ --out vectors.npz
    tnt embed best.pth photos/ --objects --score 0.5 --out objects.parquet
    tnt embed best.pth photos/ --boxes annotations.json --out boxes.parquet

The file has the columns name and vector; of boxes also box (x1, y1, x2, y2 in pixels), score and
category.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from ..data_checks.findings import shorten
from ..errors import InputError
from ..log import log
from ..predict.pictures import UnreadablePictureError, find_pictures
from ..run.find_config import find_config
from .common import (
    add_model_options,
    check_numbers,
    errors_of_the_user,
    make_folder,
    make_parser,
    require_trained,
)

TOOL = 'tnt embed'


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = make_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        'sources', nargs='+', metavar='SOURCE', help='picture, folder, pattern, URL or video'
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('vectors.npz'),
        help='.npz or .parquet (default: vectors.npz)',
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        '--objects', action='store_true', help='a vector per object that the detector finds'
    )
    which.add_argument(
        '--boxes',
        metavar='FILE',
        help="a vector per box of a file: COCO's annotations, or predictions.json of tnt predict",
    )
    parser.add_argument(
        '--level',
        type=int,
        metavar='N',
        help='output of the backbone that is pooled, counted from 0 (default: the last for '
        'pictures, the finest for boxes)',
    )
    parser.add_argument(
        '--score', type=float, help='with --objects: leave out objects below it (default: 0.3)'
    )
    parser.add_argument(
        '--classes', nargs='+', metavar='NAME', help='with --objects: leave out other classes'
    )
    parser.add_argument('--batch', type=int, default=1, help='pictures per step (default: 1)')
    parser.add_argument(
        '--workers',
        type=int,
        help='processes that read pictures (default: 1 with a GPU, else 0)',
    )
    add_model_options(parser)
    parser.add_argument('--force', action='store_true', help='replace --out if it exists')
    args = parser.parse_args(argv)
    check_numbers(parser, args, batch=1, workers=0)
    for name in ('score', 'classes'):
        if getattr(args, name) is not None and not args.objects:
            parser.error(f'--{name} chooses among found objects. Pass --objects, or leave it out')
    return args


def check_names(names: Sequence[str], in_file: Sequence[str], file: str) -> None:
    """Check that a file of boxes has at least one of the pictures; say how many it has beyond them.

    Raises:
        ValueError: If it has none.
    """
    if not set(names) & set(in_file):
        raise InputError(
            f'--boxes {file} has no box of the pictures. It names {sorted(in_file)[:2]}, and the '
            f'sources are called {sorted(names)[:2]}. Pass as source the folder that the names are '
            'relative to'
        )
    if others := sorted({*in_file} - {*names}):
        log(
            f'--boxes {file} has boxes of {len(others)} pictures that are not among the sources. '
            f'They get no vectors: {shorten(others)}',
            logging.WARNING,
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    unreadable = read = 0
    with errors_of_the_user(TOOL):
        require_trained(args.checkpoint)
        if args.config:
            find_config(args.config)
        pictures = find_pictures(args.sources)

        from ..look.boxes_file import read_boxes
        from ..look.embed import embed
        from ..look.vectors_file import check_out, vectors_file
        from ..predict.load import load_model
        from ..predict.results import SCORE

        boxes = None
        if args.boxes:
            boxes = read_boxes(args.boxes)
            if not any(picture.is_video for picture in pictures):
                check_names([picture.name for picture in pictures], list(boxes), args.boxes)
        check_out(args.out, force=args.force)
        make_folder(args.out.parent, '--out')

        from tqdm import tqdm

        model = load_model(
            args.checkpoint, config=args.config, device=args.device, trust=args.trust
        )
        found = embed(
            model,
            pictures,
            objects=args.objects,
            boxes=boxes,
            level=args.level,
            score=SCORE if args.score is None else args.score,
            classes=args.classes,
            batch_size=args.batch,
            workers=model.on_gpu if args.workers is None else args.workers,
        )
        with vectors_file(args.out, with_boxes=args.objects or boxes is not None) as file:
            for entry in tqdm(found, unit='picture', disable=None):
                if isinstance(entry, UnreadablePictureError):
                    unreadable += 1
                    print(f'skipped: {entry}', file=sys.stderr)
                else:
                    read += 1
                    file.add(entry)
            if not read:
                raise InputError('no picture could be read, so there are no vectors')
        print(f'{file.number} vectors of {read} pictures: {args.out}')
    if unreadable:
        print(
            f'{unreadable} pictures were skipped, for the reasons above. Correct them and call the '
            'command again with --force'
        )
        sys.exit(1)

"""Look into a trained network: what it reads, and what speaks for its predictions.

    tnt look work_dirs/mine/best_coco_bbox_mAP_epoch_12.pth photo.jpg
    tnt look best.pth photo.jpg --point 310 200 --blocks 0 5 11 --classes cat

The command writes into --out, in a folder per picture: page.html, in which one clicks a point, and
the same as PNG files: heat maps of the predictions, attention of words and sentences, outputs of
the backbone, words, sentences and position tables.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
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

TOOL = 'tnt look'


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = make_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        'sources', nargs='+', metavar='PICTURE', help='picture, folder, pattern or URL'
    )
    parser.add_argument('--out', type=Path, default=Path('look'), help='folder (default: look)')
    parser.add_argument(
        '--point',
        nargs=2,
        type=int,
        metavar=('X', 'Y'),
        help='what is read there is drawn; in pixels of what the network sees, as the page shows '
        'them (default: the strongest place of the heat map of the most certain object)',
    )
    parser.add_argument(
        '--blocks',
        nargs='+',
        type=int,
        metavar='N',
        help='blocks to show, counted from 0 through all stages (default: the first, the middle '
        'and the last; of PyramidTNT the first of each stage)',
    )
    parser.add_argument(
        '--score', type=float, help='detectors: leave out objects below it (default: 0.3)'
    )
    parser.add_argument(
        '--top', type=int, default=6, help='objects or classes with a heat map (default: 6)'
    )
    parser.add_argument(
        '--classes', nargs='+', metavar='NAME', help='heat maps of these classes only'
    )
    parser.add_argument(
        '--cam',
        default='layercam',
        metavar='METHOD',
        help='method of the heat maps; classifiers also take those of the package grad-cam, such '
        'as gradcam (default: layercam)',
    )
    parser.add_argument('--no-heat', action='store_true', help='make no heat maps')
    add_model_options(parser)
    args = parser.parse_args(argv)
    check_numbers(parser, args, top=1)
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    unreadable = 0
    with errors_of_the_user(TOOL):
        require_trained(args.checkpoint)
        if args.config:
            find_config(args.config)
        pictures = find_pictures(args.sources)
        if videos := [picture.name for picture in pictures if picture.is_video]:
            raise InputError(f'{videos[0]} is a video. Pass pictures, such as single frames of it')

        from ..look.cam_library import check_method
        from ..look.report import PAGE, look_at
        from ..predict.load import load_model
        from ..predict.own_outputs import leave_out_pages
        from ..predict.results import SCORE

        check_method(args.cam)
        pictures = leave_out_pages(pictures, args.out, PAGE)
        make_folder(args.out, '--out')
        model = load_model(
            args.checkpoint, config=args.config, device=args.device, trust=args.trust
        )
        if args.score is not None and model.task != 'detection':
            raise InputError(
                f'--score is for detectors, and this is for {model.task}. Leave it out'
            )
        for picture in pictures:
            try:
                page, notes = look_at(
                    model,
                    picture,
                    args.out,
                    point=tuple(args.point) if args.point else None,
                    blocks=args.blocks,
                    score=SCORE if args.score is None else args.score,
                    top=args.top,
                    classes=args.classes,
                    method=None if args.no_heat else args.cam,
                )
            except UnreadablePictureError as error:
                unreadable += 1
                print(f'skipped: {error}', file=sys.stderr)
                continue
            print(page)
            for note in notes:
                print(f'note: {note}', file=sys.stderr)
    if unreadable:
        sys.exit(1)

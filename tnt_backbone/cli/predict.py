"""Predict on pictures, folders or videos with a checkpoint.

    tnt predict work_dirs/mine/best_coco_bbox_mAP_epoch_12.pth photos/
    tnt predict best.pth 'data/**/*.jpg' film.mp4 --out predictions --score 0.5 --classes cat dog

The checkpoint is enough: it has its config and the names of its classes. A file of tnt export
works alike, without torch. The command writes
predictions.json and pictures/ into --out; segmentation also writes label maps into labels/. A
command that was ended goes on where it stopped when it is called again.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..predict.large_pictures import LEAST
from ..predict.pictures import UnreadablePictureError, find_pictures
from ..run.find_config import find_config
from .common import (
    EXPORTED,
    add_model_options,
    check_numbers,
    errors_of_the_user,
    make_folder,
    make_parser,
    require_checkpoint,
)

TOOL = 'tnt predict'


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = make_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        'sources',
        nargs='+',
        metavar='SOURCE',
        help='picture, folder, pattern, URL, video, or .txt file with one of them per line',
    )
    parser.add_argument(
        '--out', type=Path, default=Path('predictions'), help='folder (default: predictions)'
    )
    add_model_options(parser)
    parser.add_argument('--batch', type=int, default=1, help='pictures per step (default: 1)')
    parser.add_argument(
        '--workers',
        type=int,
        help='processes that read pictures (default: 1 with a GPU, else 0, as the model uses all '
        'cores)',
    )
    parser.add_argument('--score', type=float, help='leave out objects below it (default: 0.3)')
    parser.add_argument(
        '--classes', nargs='+', metavar='NAME', help='leave out objects of other classes'
    )
    parser.add_argument(
        '--tiles',
        type=int,
        metavar='PX',
        help='cut large pictures into overlapping tiles of this side; detectors need sahi',
    )
    parser.add_argument(
        '--size',
        type=int,
        metavar='PX',
        help='let the model see pictures with a longer side of at most so many pixels',
    )
    parser.add_argument(
        '--as',
        dest='form',
        choices=['coco', 'yolo'],
        help='also write the objects as labels of a data set, to be corrected by hand',
    )
    parser.add_argument('--no-pictures', action='store_true', help='do not draw the predictions')
    parser.add_argument(
        '--force', action='store_true', help='remove other predictions in --out, and predict again'
    )
    args = parser.parse_args(argv)
    check_numbers(parser, args, batch=1, workers=0, tiles=LEAST, size=LEAST)
    return args


def load_trained(args: argparse.Namespace) -> Any:
    """Return the model of a checkpoint."""
    from ..predict.load import load_model

    return load_model(args.checkpoint, config=args.config, device=args.device, trust=args.trust)


def load_exported(args: argparse.Namespace) -> Any:
    """Return the model of a file of ``tnt export``.

    Raises:
        ValueError: If an option is only for checkpoints.
    """
    for name in ('config', 'trust', 'device', 'tiles', 'workers'):
        if getattr(args, name):
            raise InputError(f'--{name} is for checkpoints; {args.checkpoint} is an exported file')
    from ..exported.model import ExportedModel

    return ExportedModel(args.checkpoint)


def trained_options(args: argparse.Namespace, model: Any) -> dict[str, Any]:
    """Return what only the model of a checkpoint takes."""
    return {
        'tiles': args.tiles,
        'workers': model.on_gpu if args.workers is None else args.workers,
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    with errors_of_the_user(TOOL):
        require_checkpoint(args.checkpoint)
        if args.config:
            find_config(args.config)
        found = find_pictures(args.sources)

        from ..predict.own_outputs import leave_out_predictions

        pictures = leave_out_predictions(found, args.out)
        make_folder(args.out, '--out')

        from tqdm import tqdm

        from ..predict.labels import remove_labels, write_labels
        from ..predict.results import SCORE
        from ..predict.write import LINES, PredictionFolder, read_lines

        is_exported = args.checkpoint.endswith(EXPORTED)
        model = load_exported(args) if is_exported else load_trained(args)
        file = Path(args.checkpoint)
        state = file.stat() if file.is_file() else None
        settings = {
            'checkpoint': os.path.abspath(args.checkpoint) if state else args.checkpoint,
            'written': state and state.st_mtime,
            'config': args.config,
            'score': args.score,
            'classes': args.classes,
            'tiles': args.tiles,
            **({} if args.size is None else {'size': args.size}),  # as earlier versions wrote
        }
        if args.form and model.task != 'detection':
            raise InputError(f'--as {args.form} is for detectors, and this is for {model.task}')
        if args.score is not None and model.task != 'detection':
            raise InputError(
                f'--score is for detectors, and this is for {model.task}. Leave it out'
            )
        done: set[str] = set()  # not read before the first result
        results = model.stream(
            pictures,
            score=SCORE if args.score is None else args.score,
            classes=args.classes,
            size=args.size,
            batch_size=args.batch,
            done=done,
            **({} if is_exported else trained_options(args, model)),
        )
        if args.form and args.force:
            earlier = read_lines(args.out / LINES)
            remove_labels(args.form, (entry['name'] for entry in earlier), args.out)
        out = PredictionFolder(
            args.out, settings, force=args.force, draw=not args.no_pictures, pictures=pictures
        )
        done |= out.done
    unreadable = written = objects = 0
    with errors_of_the_user(TOOL):
        is_counted = not any(picture.is_video for picture in pictures)
        left = sum(picture.name not in out.done for picture in pictures) if is_counted else None
        for result in tqdm(out.write(results), total=left, unit='picture', disable=None):
            if isinstance(result, UnreadablePictureError):
                unreadable += 1
                print(f'skipped: {result}', file=sys.stderr)
            else:
                written += 1
                objects += len(getattr(result, 'scores', ()))
        before = f', and {len(out.done)} of earlier calls' if out.done else ''
        print(f'{written} pictures{before}: {out.finish()}')
        least = SCORE if args.score is None else args.score
        if written and not objects and least and model.task == 'detection':
            wanted = f' of {", ".join(args.classes)}' if args.classes else ''
            print(
                f'no object{wanted} in them has a score of {least:g} or more. To see less certain '
                f'ones, pass --score {least / 10:g} --force'
            )
        if out.undrawn:
            print(
                f'{out.undrawn} pictures of earlier calls with --no-pictures are not drawn. Pass '
                '--force to predict and draw them again'
            )
        if args.form:
            labels = write_labels(args.form, out.lines(), model.classes, args.out, force=args.force)
            print(f'labels: {labels}')
    if unreadable:
        print(
            f'{unreadable} pictures were skipped, for the reasons above. Correct them and call the '
            'command again'
        )
        sys.exit(1)

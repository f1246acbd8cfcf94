"""Open a page on which one drops a picture and sees what a model says about it.

    tnt app work_dirs/mine/best_coco_bbox_mAP_epoch_12.pth
    tnt app model.onnx --port 8000

The page shows boxes, masks and classes, heat maps of the predictions, and the attention at a point
that one clicks. Exported files show predictions only. The page is served to this machine only;
--host 0.0.0.0 serves it to everybody who reaches this machine. Ctrl+C ends the command.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from ..errors import InputError
from ..run.find_config import find_config
from .common import EXPORTED, add_model_options, errors_of_the_user, make_parser, require_checkpoint

TOOL = 'tnt app'


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = make_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint file, or a file of tnt export')
    parser.add_argument(
        '--host', default='127.0.0.1', help='address to listen on (default: 127.0.0.1)'
    )
    parser.add_argument(
        '--port', type=int, help='default: the first free one from 7860; 0 takes any'
    )
    limits = (
        ('megabytes', 20, 'size of an upload'),
        ('megapixels', 30, 'pixels of an upload'),
        ('seconds', 120, 'time of an upload, and of each answer'),
    )
    for name, default, text in limits:
        parser.add_argument(
            f'--max-{name}',
            type=float,
            default=default,
            metavar='N',
            help=f'{text}, at most (default: {default})',
        )
    add_model_options(parser)
    args = parser.parse_args(argv)
    for name, _, _ in limits:
        if not 0 < (given := getattr(args, f'max_{name}')) < 1e6:
            parser.error(f'--max-{name} {given:g}: pass a number above 0 and below 1e6')
    if args.port is not None and not 0 <= args.port <= 65535:
        parser.error(f'--port {args.port}: pass a number from 0 to 65535')
    return args


def load(args: argparse.Namespace) -> Any:
    """Return the model of a checkpoint or of an exported file.

    Raises:
        ValueError: If an option is only for checkpoints.
    """
    if args.checkpoint.endswith(EXPORTED):
        for name in ('config', 'trust', 'device'):
            if getattr(args, name):
                raise InputError(
                    f'--{name} is for checkpoints; {args.checkpoint} is an exported file'
                )
        from ..exported.model import ExportedModel

        return ExportedModel(args.checkpoint)
    from ..predict.load import load_model

    return load_model(args.checkpoint, config=args.config, device=args.device, trust=args.trust)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    with errors_of_the_user(TOOL), tempfile.TemporaryDirectory(prefix='tnt_app_') as folder:
        require_checkpoint(args.checkpoint)
        if args.config:
            find_config(args.config)

        from ..app.server import LOOPBACK, find_port, prepare_gradio, start, wait
        from ..app.uploads import Limits

        find_port(args.host, args.port)  # before the model, which takes longer
        prepare_gradio(folder)
        from ..app.page import build_page
        from ..app.viewer import Viewer

        limits = Limits(args.max_megabytes, args.max_megapixels, args.max_seconds)
        viewer = Viewer(load(args), limits)
        page = build_page(viewer, os.path.basename(args.checkpoint))
        address = start(page, limits, host=args.host, port=args.port)
        if args.host not in LOOPBACK:
            print('Everybody who reaches this machine can use the page. It asks for no password.')
        print(f'page: {address} (Ctrl+C ends it)', flush=True)
        wait()
        page.close()
    sys.stdout.flush()
    # An answer may still be computed. The interpreter would end its thread within C++, and abort.
    os._exit(0)

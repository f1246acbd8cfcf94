"""Write a checkpoint without the state of its training: weights, config and class names.

    tnt publish work_dirs/mine/best_coco_bbox_mAP_epoch_12.pth mine.pth --half

The file is a third of the size or less. Its config has the model and the test pipeline, and no
path of this machine. tnt predict reads it like any checkpoint; tnt test also needs a config. A
training cannot be resumed from it.
"""

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

from ..errors import ExistingFileError, InputError
from ..whole_file import write_whole
from .common import add_trust, errors_of_the_user, make_parser, require_checkpoint

TOOL = 'tnt publish'
KEPT = ('cfg', 'dataset_meta', 'mmengine_version', 'epoch', 'iter')  # of the meta data


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = make_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint of a training')
    parser.add_argument('output', metavar='OUT.pth', type=Path, help='file to write')
    parser.add_argument(
        '--half', action='store_true', help='store float32 as float16: half the size'
    )
    add_trust(parser)
    parser.add_argument('--force', action='store_true', help='overwrite OUT.pth if it exists')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    with errors_of_the_user(TOOL):
        if args.output.suffix != '.pth':
            raise InputError(f'OUT is {args.output}: it must end in .pth')
        if args.output.exists() and not args.force:
            raise ExistingFileError(f'{args.output} exists. Pass another name, or --force')
        require_checkpoint(args.checkpoint)

        import torch

        from ..checkpoints import resolve_checkpoint
        from ..checkpoints.read import read_meta, read_tensors
        from ..checkpoints.usable import require_finite
        from ..run.embedded_config import trusted_config

        path = resolve_checkpoint(args.checkpoint)
        tensors = read_tensors(path)
        require_finite(tensors, path, infinite=True)
        meta = read_meta(path)
        if not isinstance(meta.get('cfg'), str):
            raise InputError(
                f'{args.checkpoint} has no config, so it is no checkpoint of a training. Weights '
                'without one are converted by tnt convert'
            )
        meta['cfg'] = trusted_config(meta['cfg'], trust=args.trust).pretty_text
        half = {torch.float32: torch.float16} if args.half else {}
        tensors = {
            key: value.to(half.get(value.dtype, value.dtype)).clone()
            for key, value in tensors.items()
        }
        kept = {key: meta[key] for key in KEPT if key in meta}
        content = io.BytesIO()  # torch's own files raise errors without a reason
        torch.save({'meta': kept, 'state_dict': tensors}, content)
        write_whole(args.output, content.getvalue())
    print(f'{args.output}: {len(tensors)} tensors, {args.output.stat().st_size / 1e6:.1f} MB')

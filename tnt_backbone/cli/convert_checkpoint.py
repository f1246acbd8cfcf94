"""Convert weights to the tensor names of another project, without the rest of the checkpoint.

    python tools/convert_checkpoint.py tnt_s_81.5.pth.tar tnt_s.pth --to tnt_backbone
    python tools/convert_checkpoint.py work_dirs/tnt_s/epoch_310.pth tnt_s.safetensors --to timm

IN is a file, a URL, tnt://<published name> or timm/<model of the hub>. The command recognises its
form by its keys. It keeps the head of a classifier. It drops the heads of detectors and segmentors,
and it drops our feature pyramid if the other form has none.
"""

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

from ..errors import ExistingFileError, MissingFileError
from ..whole_file import write_whole
from .common import errors_of_the_user, make_folder, make_parser

TOOL = 'tools/convert_checkpoint.py'
OPENMMLAB = ('tnt_backbone', 'mmpretrain')  # whose tools look for the weights in 'state_dict'
SOURCES = ('tnt_backbone', 'official', 'timm', 'mmpretrain')


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = make_parser(__doc__)
    parser.add_argument('input', metavar='IN', help='weights to convert')
    parser.add_argument(
        'output', metavar='OUT', type=Path, help='file to write: .pth or .safetensors'
    )
    parser.add_argument(
        '--to',
        choices=SOURCES,
        default='tnt_backbone',
        help='project whose names the tensors get (default: tnt_backbone)',
    )
    parser.add_argument(
        '--prefix',
        help="prefix of the backbone's keys in IN, such as 'backbone.' (default: recognised)",
    )
    parser.add_argument('--force', action='store_true', help='overwrite OUT if it exists')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    with errors_of_the_user(TOOL):
        if args.output.exists() and not args.force:
            raise ExistingFileError(f'{args.output} exists. Pass another name, or --force')
        make_folder(args.output.parent, 'OUT')
        given = args.input
        if not (given.startswith('timm/') or '://' in given or Path(given).is_file()):
            raise MissingFileError(
                f'{given} was not found. IN is a file, a URL, tnt://NAME or timm/NAME'
            )

        import torch

        from ..checkpoints import resolve_checkpoint
        from ..checkpoints.convert import from_ours, possible_sources, to_ours
        from ..checkpoints.read import read_tensors
        from ..checkpoints.usable import require_finite

        path = resolve_checkpoint(given)
        converted = to_ours(read_tensors(path), args.prefix)
        tensors = from_ours(converted, args.to)
        require_finite(tensors, path)
        tensors = {key: value.detach().clone().contiguous() for key, value in tensors.items()}
        if args.output.suffix == '.safetensors':
            from safetensors.torch import save

            content = save(tensors)
        else:
            file = io.BytesIO()  # torch's own files raise errors without a reason
            torch.save({'state_dict': tensors} if args.to in OPENMMLAB else tensors, file)
            content = file.getvalue()
        write_whole(args.output, content)
        print(
            f'{args.output}: {len(tensors)} tensors of {converted.form.family}, converted from the '
            f'form of {converted.form.source} to the form of {args.to} '
            f'({"with" if converted.head else "without"} a classifier). Other possible forms: '
            + ', '.join(source for source in possible_sources(converted) if source != args.to)
        )

r"""Write a config with one of our backbones from a stock config, with your own data if you like.

    python tools/new_config.py my_config.py --backbone pyramid_tnt_s \
        --from mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py
    python tools/new_config.py my_config.py --backbone tnt_s \
        --from mmdet::retinanet/retinanet_r50_fpn_1x_coco.py \
        --data data/mine/all.json --val-share 0.2
    python tools/new_config.py my_config.py --backbone tnt_s --data data/mine_yolo \
        --from mmdet::retinanet/retinanet_r50_fpn_1x_coco.py --balance
    python tools/new_config.py my_config.py --backbone tnt_s --data data/mine \
        --from mmseg::upernet/upernet_r50_4xb4-160k_ade20k-512x512.py
    python tools/new_config.py my_config.py --backbone tnt_s --data data/mine \
        --from mmpretrain::resnet/resnet50_8xb32_in1k.py
    python tools/new_config.py my_config.py --from configs/upernet_tnt_s_ade20k.py --data data/mine

The new config needs no other file. Its first lines list what was changed. --from takes a path,
the name of a config of this package, or LIBRARY::PATH for a config that comes with an installed
library (mmdet, mmseg, mmpretrain).
"""

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ExistingFileError, InputError, MissingFileError
from ..new_config import FORMATS
from ..run.find_config import find_config
from ..whole_file import write_whole
from .common import errors_of_the_user, make_parser, own_name

if TYPE_CHECKING:
    from mmengine.config import Config

TOOL = 'tools/new_config.py'


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = make_parser(__doc__)
    parser.add_argument('output', metavar='OUT.py', type=Path, help='config file to write')
    parser.add_argument(
        '--from', dest='source', required=True, metavar='CONFIG', help='config file to start from'
    )
    parser.add_argument(
        '--backbone',
        help='new backbone, such as tnt_s, pyramid_tnt_s or t2t_vit_14 (default: the config keeps '
        'its backbone, which must be one of ours, and only gets --data)',
    )
    parser.add_argument(
        '--layer-decay',
        type=float,
        default=1.0,
        metavar='RATE',
        help='decay of the learning rate per layer, such as 0.8 (default: 1, no decay)',
    )
    parser.add_argument(
        '--data',
        type=Path,
        metavar='PATH',
        help="your data. For MMDetection: a JSON file in COCO's format, or a folder with labels of "
        'COCO, YOLO, Pascal VOC, LabelMe, CVAT, CreateML, VIA, Supervisely, KITTI, DOTA, '
        'VisDrone, or CSV tables. For MMSegmentation: a folder with images and label maps, or '
        'outlines of objects in most of these formats. For MMPretrain: a folder with class '
        'folders or tables of classes (docs/tutorial.md)',
    )
    parser.add_argument(
        '--format',
        choices=list(dict.fromkeys(name for names in FORMATS.values() for name in names)),
        help='format of the folder, if --data fits several (default: recognised)',
    )
    parser.add_argument(
        '--val-data',
        type=Path,
        metavar='FILE.json',
        help='validation split, if --data is a JSON file',
    )
    parser.add_argument(
        '--val-share',
        type=float,
        metavar='SHARE',
        help='share of the images to put into a validation split, such as 0.2, if --data has '
        'none; writes two JSON files or two lists of images',
    )
    parser.add_argument(
        '--images', type=Path, metavar='DIR', help='folder of the images, if --data is a JSON file'
    )
    parser.add_argument(
        '--val-images', type=Path, metavar='DIR', help='folder of the images of --val-data'
    )
    parser.add_argument(
        '--label-map',
        nargs='+',
        metavar='OLD=NEW',
        help='give other numbers to labels of label maps, such as 255=1; 255 is ignored',
    )
    parser.add_argument(
        '--balance',
        action='store_true',
        help='show images of rare classes several times in an epoch (MMDetection, MMPretrain)',
    )
    parser.add_argument(
        '--slice',
        type=int,
        metavar='SIDE',
        help='cut the pictures into overlapping slices of this side in pixels, for small objects '
        'in large pictures (MMDetection); needs sahi',
    )
    parser.add_argument('--force', action='store_true', help='overwrite OUT.py if it exists')
    return parser.parse_args(argv)


def check_arguments(args: argparse.Namespace) -> None:
    """Check that the options fit together, before any config is read.

    Raises:
        FileExistsError: If the new config exists.
        FileNotFoundError: If the data is missing.
        ValueError: If options exclude each other.
    """
    if args.output.exists() and not args.force:
        raise ExistingFileError(f'{args.output} exists. Pass another name, or --force')
    if args.output.suffix != '.py':
        raise InputError(f'{args.output} is not the name of a .py file. Pass a name like mine.py')
    given = (args.val_data, args.images, args.val_share, args.format, args.balance, args.slice)
    if not args.data and any(given):
        raise InputError(
            '--val-data, --val-share, --images, --format, --balance and --slice need --data. Pass '
            'it too'
        )
    if args.slice is not None and args.slice < 32:
        raise InputError(f'--slice {args.slice}: 32 pixels are the least')
    if args.data and not args.data.exists():
        raise MissingFileError(f'--data {args.data} was not found. Pass a file or a folder')
    if not args.backbone and (not args.data or args.layer_decay != 1.0):
        raise InputError(
            'Pass --backbone, or pass --data without --layer-decay: without --backbone, only the '
            'data of the config can change'
        )


def convert(args: argparse.Namespace, source: str) -> tuple['Config', list[str]]:
    """Return the new config and what was changed, one line each."""
    from .. import engine  # noqa: F401  registers our parts, as custom_imports does
    from ..new_config.backbone import convert_config, keep_backbone
    from ..new_config.own_data import set_own_data
    from ..run.config import read_file

    cfg = read_file(source)
    if 'model' not in cfg:
        raise InputError(
            f'--from {args.source} has no "model", so it is not a config of a training. Pass one '
            'that has'
        )
    if args.backbone:
        changes = convert_config(
            cfg, args.backbone, layer_decay=args.layer_decay, own_data=bool(args.data)
        )
    else:
        changes = keep_backbone(cfg)
    return cfg, changes + (set_own_data(cfg, args) if args.data else [])


def _in_one_line(text: str) -> str:
    return ' '.join(text.encode(errors='replace').decode().split())


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    warnings.simplefilter('ignore')  # of the libraries, about the stock config
    with errors_of_the_user(TOOL):
        check_arguments(args)
        cfg, changes = convert(args, find_config(args.source))
        # what data files say stands in these lines, and must not end them: a config is a program
        changes = [_in_one_line(change) for change in changes]
        text = (
            f'# Made from {_in_one_line(args.source)} by {own_name(TOOL)}:\n'
            + ''.join(f'# - {change}\n' for change in changes)
            + f'\n{cfg.pretty_text}'
        )
        try:
            content = text.encode()
        except UnicodeEncodeError as error:
            name = text[max(error.start - 40, 0) : error.end].splitlines()[-1]
            raise InputError(f'{name!r}: the name has half a character. Rename it') from error
        write_whole(args.output, content)
    print(f'{args.output}, from {args.source}:')
    print(''.join(f'  {change}\n' for change in changes), end='')

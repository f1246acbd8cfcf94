r"""Write a config with one of our backbones from a stock config, with your own data if you like.

    python tools/new_config.py my_config.py --backbone pyramid_tnt_s \
        --from mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py
    python tools/new_config.py my_config.py --backbone tnt_s \
        --from mmdet::retinanet/retinanet_r50_fpn_1x_coco.py \
        --data data/mine/all.json --val-share 0.2
    python tools/new_config.py my_config.py --backbone tnt_s --data data/mine \
        --from mmseg::upernet/upernet_r50_4xb4-160k_ade20k-512x512.py
    python tools/new_config.py my_config.py --backbone tnt_s --data data/mine \
        --from mmpretrain::resnet/resnet50_8xb32_in1k.py
    python tools/new_config.py my_config.py --from configs/upernet_tnt_s_ade20k.py --data data/mine

The new config needs no other file. Its first lines list what was changed. --from takes a path, or
LIBRARY::PATH for a config that comes with an installed library (mmdet, mmseg, mmpretrain).
"""

import argparse
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from .common import errors_of_the_user, make_parser

if TYPE_CHECKING:
    from mmengine.config import Config

TOOL = 'tools/new_config.py'
FOLDERS = ('mmseg', 'mmpretrain')  # libraries whose data sets are folders


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
        help="your data: a JSON file in COCO's format for MMDetection, a folder with images and "
        'label maps for MMSegmentation, or a folder with class folders for MMPretrain '
        '(docs/tutorial.md)',
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
        help='share of the images to put into a validation split, such as 0.2, if --data is a '
        'JSON file; writes two files beside it',
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
    parser.add_argument('--force', action='store_true', help='overwrite OUT.py if it exists')
    return parser.parse_args(argv)


def find_config(source: str) -> Path:
    """Return the path of a config, given as ``mmdet::retinanet/...`` or as a path.

    Raises:
        FileNotFoundError: If there is none.
    """
    library, separator, name = source.rpartition('::')
    path = Path(name)
    if separator:
        spec = find_spec(library)
        if spec is None or spec.origin is None:
            raise FileNotFoundError(
                f'--from {source}: {library} is not installed. Run bash tools/setup_env.sh, or '
                'pass a path'
            )
        path = Path(spec.origin).parent / '.mim' / 'configs' / name
    if not path.is_file():
        near = sorted(str(file.name) for file in path.parent.glob('*.py'))[:8]
        raise FileNotFoundError(
            f'--from {source} was not found. Configs in its folder: {", ".join(near) or "none"}'
        )
    return path


def set_own_data(cfg: 'Config', args: argparse.Namespace) -> list[str]:
    """Put ``--data`` into a config, and return the changes, one line each.

    Raises:
        ValueError: If the library of the config cannot read the data.
        FileNotFoundError: If a file or folder is missing.
    """
    from ..data_checks.coco_file import read_coco
    from ..data_checks.label_maps import parse_label_map
    from ..new_config.backbone import find_misfit
    from ..new_config.class_folders import set_class_folders
    from ..new_config.coco import set_coco_data, split_coco
    from ..new_config.correct_coco import correct_coco
    from ..new_config.masks import set_mask_data

    scope = cfg.get('default_scope')
    if args.label_map and scope != 'mmseg':
        raise ValueError('--label-map is for label maps of MMSegmentation. Leave it out')
    if args.data.is_dir():
        if scope not in FOLDERS:
            raise ValueError(
                f'--data {args.data} is a folder, but the config is of {scope}. Pass a JSON file '
                f"in COCO's format. Folders are for {' and '.join(FOLDERS)}"
            )
        if args.val_data or args.images or args.val_share:
            raise ValueError(
                f'--data {args.data} is a folder. --val-data, --val-share and --images need a JSON '
                'file. Leave them out'
            )
        if scope == 'mmseg':
            changes = set_mask_data(cfg, args.data, parse_label_map(args.label_map or ()))
        else:
            changes = set_class_folders(cfg, args.data)
    elif scope == 'mmdet':
        val = args.val_data
        train, corrected = correct_coco(args.data)
        if args.val_share:
            if val:
                raise ValueError(
                    '--val-share and --val-data exclude each other: --val-share writes the '
                    'validation split, --val-data names it. Pass one of them'
                )
            train, val = split_coco(train, args.val_share, overwrite=args.force)
        elif val:
            if not val.is_file():
                raise FileNotFoundError(f'--val-data {val} was not found. Pass a JSON file')
            val, more = correct_coco(val, read_coco(train).names)
            corrected += more
        changes = corrected + set_coco_data(cfg, train, val, args.images, args.val_images)
    else:
        raise ValueError(
            f'--data {args.data} is a file, but the config is of {scope}. Pass a folder '
            '(docs/tutorial.md). Only configs of mmdet read a file'
        )
    if misfit := find_misfit(cfg):
        raise ValueError(
            f'The model does not run with the number of classes in --data {args.data} ({misfit}). '
            'Start --from another config'
        )
    return changes


def check_arguments(args: argparse.Namespace) -> None:
    """Check that the options fit together, before any config is read.

    Raises:
        FileExistsError: If the new config exists.
        FileNotFoundError: If the data is missing.
        ValueError: If options exclude each other.
    """
    if args.output.exists() and not args.force:
        raise FileExistsError(f'{args.output} exists. Pass another name, or --force')
    if args.output.suffix != '.py':
        raise ValueError(f'{args.output} is not the name of a .py file. Pass a name like mine.py')
    if not args.data and (args.val_data or args.images or args.val_share):
        raise ValueError('--val-data, --val-share and --images need --data. Pass it too')
    if args.data and not args.data.exists():
        raise FileNotFoundError(f'--data {args.data} was not found. Pass a file or a folder')
    if not args.backbone and (not args.data or args.layer_decay != 1.0):
        raise ValueError(
            'Pass --backbone, or pass --data without --layer-decay: without --backbone, only the '
            'data of the config can change'
        )


def convert(args: argparse.Namespace, source: Path) -> tuple['Config', list[str]]:
    """Return the new config and what was changed, one line each."""
    from .. import engine  # noqa: F401  registers our parts, as custom_imports does
    from ..new_config.backbone import convert_config, keep_backbone
    from ..run.config import read_file

    cfg = read_file(source)
    if 'model' not in cfg:
        raise ValueError(
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


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    warnings.simplefilter('ignore')  # of the libraries, about the stock config
    with errors_of_the_user(TOOL):
        check_arguments(args)
        cfg, changes = convert(args, find_config(args.source))
    lines = ''.join(f'# - {change}\n' for change in changes)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(
        f'# Made from {args.source} by tools/new_config.py:\n{lines}\n{cfg.pretty_text}'
    )
    print(f'{args.output}, from {args.source}:')
    print(''.join(f'  {change}\n' for change in changes), end='')

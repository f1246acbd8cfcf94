"""Make a stock config into one with a backbone of ours, and with your own data.

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

The file that is written is complete, and says at its head what was changed. --from takes a path, or
LIBRARY::PATH of the configs that come with an installed library (mmdet, mmseg, mmpretrain).
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
FOLDERS = ('mmseg', 'mmpretrain')  # libraries whose data are folders


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument('output', metavar='OUT.py', type=Path)
    parser.add_argument('--from', dest='source', required=True, metavar='CONFIG')
    parser.add_argument(
        '--backbone',
        help='such as tnt_s, pyramid_tnt_s, t2t_vit_14; without it the config keeps its own, which '
        'must be one of ours, and --data is put in',
    )
    parser.add_argument(
        '--layer-decay', type=float, default=1.0, metavar='RATE', help='such as 0.8; default: none'
    )
    parser.add_argument(
        '--data',
        type=Path,
        metavar='PATH',
        help="your data: a JSON file in COCO's format for MMDetection; a folder of images and "
        'label maps for MMSegmentation, of class folders for MMPretrain (docs/tutorial.md)',
    )
    parser.add_argument(
        '--val-data', type=Path, metavar='FILE.json', help='to evaluate on, with a JSON file'
    )
    parser.add_argument(
        '--val-share',
        type=float,
        metavar='SHARE',
        help='of the images of a JSON file to evaluate on, such as 0.2: parts the file in two, '
        'beside it',
    )
    parser.add_argument(
        '--images', type=Path, metavar='DIR', help='where the images of a JSON file lie'
    )
    parser.add_argument('--force', action='store_true', help='overwrite OUT.py')
    return parser.parse_args(argv)


def find_config(source: str) -> Path:
    """Turn ``mmdet::retinanet/...`` or a path into the path of a config.

    Raises:
        FileNotFoundError: If there is none.
    """
    library, separator, name = source.rpartition('::')
    path = Path(name)
    if separator:
        spec = find_spec(library)
        if spec is None or spec.origin is None:
            raise FileNotFoundError(f'--from {source}: {library} is not installed')
        path = Path(spec.origin).parent / '.mim' / 'configs' / name
    if not path.is_file():
        near = sorted(str(file.name) for file in path.parent.glob('*.py'))[:8]
        raise FileNotFoundError(
            f'--from {source}: there is no such config. In its folder: {", ".join(near) or "none"}'
        )
    return path


def set_own_data(cfg: 'Config', args: argparse.Namespace) -> list[str]:
    """Put ``--data`` into a config.

    Raises:
        ValueError: If the config's library does not read such data, or not well.
        FileNotFoundError: If something is not there.
    """
    from ..new_config.backbone import find_misfit
    from ..new_config.class_folders import set_class_folders
    from ..new_config.coco import set_coco_data, split_coco
    from ..new_config.masks import set_mask_data

    scope = cfg.get('default_scope')
    if args.data.is_dir():
        if scope not in FOLDERS:
            raise ValueError(
                f"--data {args.data} is a folder, and {scope} wants a JSON file in COCO's format. "
                f'Folders are for {" and ".join(FOLDERS)}'
            )
        if args.val_data or args.images or args.val_share:
            raise ValueError(
                '--val-data, --val-share and --images go with a JSON file, not with a folder'
            )
        changes = (set_mask_data if scope == 'mmseg' else set_class_folders)(cfg, args.data)
    elif scope == 'mmdet':
        train, val = args.data, args.val_data
        if args.val_share:
            if val:
                raise ValueError('--val-share makes the file that --val-data would name: give one')
            train, val = split_coco(train, args.val_share, overwrite=args.force)
        changes = set_coco_data(cfg, train, val, args.images)
    else:
        raise ValueError(
            f'--data {args.data} is a file: only configs of mmdet read one; {scope} wants a folder '
            '(docs/tutorial.md)'
        )
    if misfit := find_misfit(cfg):
        raise ValueError(
            f'the model does not run with the number of classes of your data ({misfit})'
        )
    return changes


def check_arguments(args: argparse.Namespace) -> None:
    """Refuse what no config and no data could make right.

    Raises:
        FileExistsError: If the new config exists.
        FileNotFoundError: If the data are not there.
        ValueError: If options do not go together.
    """
    if args.output.exists() and not args.force:
        raise FileExistsError(f'{args.output} exists: give another name, or --force')
    if args.output.suffix != '.py':
        raise ValueError(f'{args.output}: a config is a .py file')
    if not args.data and (args.val_data or args.images or args.val_share):
        raise ValueError('--val-data, --val-share and --images go with --data')
    if args.data and not args.data.exists():
        raise FileNotFoundError(f'--data {args.data}: no such file or folder')
    if not args.backbone and (not args.data or args.layer_decay != 1.0):
        raise ValueError('without --backbone only --data changes the config: give it alone')


def convert(args: argparse.Namespace, source: Path) -> tuple['Config', list[str]]:
    """Return the new config and what was changed, one line each."""
    from mmengine.config import Config

    from .. import engine  # noqa: F401  makes our parts known, as custom_imports does
    from ..new_config.backbone import convert_config, keep_backbone

    cfg = Config.fromfile(source)
    if 'model' not in cfg:
        raise ValueError(f'--from {args.source} is no config of a training: it has no "model"')
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

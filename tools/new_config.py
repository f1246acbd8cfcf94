"""Make a stock config of MMDetection or MMSegmentation into one with a backbone of ours.

    python tools/new_config.py my_config.py --backbone pyramid_tnt_s \
        --from mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py
    python tools/new_config.py my_config.py --backbone tnt_s \
        --from mmdet::retinanet/retinanet_r50_fpn_1x_coco.py \
        --data data/mine/train.json --val-data data/mine/val.json

The file that is written is complete, and says at its head what was changed. --from takes a path, or
LIBRARY::PATH of the configs that come with an installed library.
"""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

from mmengine.config import Config

from tnt_backbone.engine.new_config import convert_config
from tnt_backbone.engine.own_data import set_coco_data


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('output', metavar='OUT.py', type=Path)
    parser.add_argument('--from', dest='source', required=True, metavar='CONFIG')
    parser.add_argument(
        '--backbone', required=True, help='such as tnt_s, pyramid_tnt_s, t2t_vit_14'
    )
    parser.add_argument(
        '--layer-decay', type=float, default=1.0, metavar='RATE', help='such as 0.8; default: none'
    )
    parser.add_argument('--data', type=Path, metavar='FILE.json', help='your data, as of COCO')
    parser.add_argument('--val-data', type=Path, metavar='FILE.json', help='to evaluate on')
    parser.add_argument('--images', type=Path, metavar='DIR', help='where their images lie')
    parser.add_argument('--force', action='store_true', help='overwrite OUT.py')
    return parser.parse_args()


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


def main() -> None:
    """Run the tool."""
    args = parse_args()
    try:
        if args.output.exists() and not args.force:
            raise FileExistsError(f'{args.output} exists: give another name, or --force')
        if args.output.suffix != '.py':
            raise ValueError(f'{args.output}: a config is a .py file')
        cfg = Config.fromfile(find_config(args.source))
        changes = convert_config(cfg, args.backbone, layer_decay=args.layer_decay)
        if args.data:
            changes += set_coco_data(cfg, args.data, args.val_data, args.images)
        elif args.val_data or args.images:
            raise ValueError('--val-data and --images go with --data')
    except (OSError, ValueError) as error:
        sys.exit(f'tools/new_config.py: {error}')
    lines = ''.join(f'# - {change}\n' for change in changes)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(
        f'# Made from {args.source} by tools/new_config.py:\n{lines}\n{cfg.pretty_text}'
    )
    print(f'{args.output}, from {args.source}:')
    print(''.join(f'  {change}\n' for change in changes), end='')


if __name__ == '__main__':
    main()

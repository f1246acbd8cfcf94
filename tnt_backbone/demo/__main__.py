"""Makes the demo's data set: ``python -m tnt_backbone.demo OUT [--train N] [--val M] ...``."""

import argparse

from ..errors import UserError
from .dataset import make_dataset


def main() -> None:
    """Make the data set that the command line asks for."""
    parser = argparse.ArgumentParser(
        prog='python -m tnt_backbone.demo',
        description='Make a data set of handwritten digits on textured backgrounds: '
        'COCO boxes and polygons, semantic masks, and single digits in class folders.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('out', metavar='OUT', help='folder for the data set')
    parser.add_argument(
        '--train', type=int, default=6000, metavar='N', help='scenes in the train split'
    )
    parser.add_argument('--val', type=int, default=400, metavar='M', help='scenes in the val split')
    parser.add_argument(
        '--size',
        type=int,
        nargs='+',
        default=[128],
        metavar='PX',
        help='side of the scenes, or height and width',
    )
    parser.add_argument(
        '--seed', type=int, default=0, metavar='S', help='where all random choices come from'
    )
    args = parser.parse_args()
    size = tuple(args.size * 2 if len(args.size) == 1 else args.size)
    try:
        made = make_dataset(args.out, train=args.train, val=args.val, size=size, seed=args.seed)
    except UserError as error:
        parser.error(str(error))
    print(f'{"made" if made else "already there, with the same arguments"}: {args.out}')


if __name__ == '__main__':
    main()

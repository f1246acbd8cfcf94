"""Count the parameters and operations of a backbone, or of the model of a config.

    python tools/get_flops.py TNT --arch s --shape 224
    python tools/get_flops.py PyramidTNT --arch s --shape 800 1344 --pyramid
    python tools/get_flops.py configs/retinanet_tnt_s_coco.py --shape 800 1344

The command counts matrix products and convolutions, including the products of attention. It uses
PyTorch's FlopCounterMode on tensors without data, so any shape takes seconds. One multiply-add is
1 MAC and 2 FLOPs. Papers print MACs, mostly under the name FLOPs, and count all tokens in all
blocks. With out_type='cls_token' the last block computes only the class token.
"""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import MissingFileError
from ..run.find_config import find_config
from .common import errors_of_the_user, make_parser

if TYPE_CHECKING:
    from torch import nn
    from torch.utils.flop_counter import FlopCounterMode

TOOL = 'tools/get_flops.py'
FAMILIES = ('TNT', 'PyramidTNT', 'T2TViT')
WIDTH = 34  # of the first column


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = make_parser(__doc__)
    parser.add_argument('model', help=f'config file, or one of {", ".join(FAMILIES)}')
    parser.add_argument(
        '--arch', help='variant of the backbone, such as s (default: that of its class)'
    )
    parser.add_argument(
        '--shape',
        type=int,
        nargs='+',
        default=[224],
        metavar='PX',
        help='height and width of the image, or one side of a square (default: 224)',
    )
    parser.add_argument(
        '--pyramid',
        action='store_true',
        help='include the feature pyramid (default: only the tokens, as papers count)',
    )
    parser.add_argument('--by-operator', action='store_true', help='print one line per operator')
    args = parser.parse_args(argv)
    if len(args.shape) > 2 or min(args.shape) < 1:
        parser.error(
            f'--shape {" ".join(map(str, args.shape))}: pass a side, or height and width, in pixels'
        )
    return args


def build(args: argparse.Namespace) -> 'nn.Module':
    """Return the model, built without memory for its parameters.

    Raises:
        FileNotFoundError: If the argument is neither a family nor a config.
    """
    if args.model not in FAMILIES:
        try:
            find_config(args.model)
        except FileNotFoundError as error:
            raise MissingFileError(f'{error} Or pass one of {", ".join(FAMILIES)}') from None

    import torch
    from mmengine.registry import MODELS, init_default_scope

    from .. import backbones
    from ..run.config import read_config

    with torch.device('meta'):
        if args.model in FAMILIES:
            family = getattr(backbones, args.model)
            options: dict[str, Any] = {'arch': args.arch} if args.arch else {}
            if not args.pyramid:
                options['out_type'] = 'raw'
            return family(**options)
        cfg = read_config(args.model, options=None, work_dir=None, launcher='none')
        init_default_scope(cfg.get('default_scope', 'mmengine'))
        return MODELS.build(cfg.model)


def count(model: 'nn.Module', shape: tuple[int, int]) -> tuple['FlopCounterMode', str]:
    """Return the operations for one image in ``mode='tensor'`` of OpenMMLab's models.

    Returns:
        The counter, and the reason why the heads are not counted, or ``''``.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    model.eval().requires_grad_(False)
    image = torch.empty(1, 3, *shape, device='meta')
    counter = FlopCounterMode(display=False)
    try:
        with counter, torch.no_grad():
            model(image, **_samples(model, shape))
        return counter, ''
    except (RuntimeError, TypeError) as error:
        if not hasattr(model, 'extract_feat'):
            raise
        reason = str(error).splitlines()[0]
    # Heads that choose among proposals, or read values, need data.
    counter = FlopCounterMode(display=False)
    setattr(model, 'forward', model.extract_feat)  # noqa: B010
    with counter, torch.no_grad():
        model(image)
    return counter, reason


def _samples(model: 'nn.Module', shape: tuple[int, int]) -> dict[str, Any]:
    """Return what DETR and similar models need besides the image: its sizes without padding."""
    if not type(model).__module__.startswith('mmdet.'):
        return {}
    from mmdet.structures import DetDataSample

    sizes = ('img_shape', 'ori_shape', 'pad_shape', 'batch_input_shape')
    return {'data_samples': [DetDataSample(metainfo=dict.fromkeys(sizes, shape))]}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    with errors_of_the_user(TOOL):
        print_table(args, build(args))


def print_table(args: argparse.Namespace, model: 'nn.Module') -> None:
    """Count a model, and print one line for each of its parts."""
    shape = (args.shape[0], args.shape[-1])
    counter, not_counted = count(model, shape)
    counts = counter.get_flop_counts()

    print(f'{"":{WIDTH}}{"parameters M":>14}{"MACs G":>12}{"FLOPs G":>12}')
    root, total = type(model).__name__, sum(counts['Global'].values())
    if args.model not in FAMILIES:
        rest = total
        for name, part in model.named_children():
            flops = sum(counts.get(f'{root}.{name}', {}).values())
            rest -= flops
            if list(part.parameters()):
                # mmdet calls the forward() of some heads, which hides their name from the counter
                row(name, part, flops or None)
        if rest:
            row('in parts without a number', None, rest)
    row(root, model, total)
    if args.by_operator:
        for operator, flops in sorted(counts['Global'].items(), key=lambda item: -item[1]):
            print(f'{f"  {operator}":{WIDTH}}{"":>14}{flops / 2e9:>12.3f}{flops / 1e9:>12.3f}')
    print(f'image {shape[0]}x{shape[1]}, batch 1; 1 MAC = 1 multiply-add = 2 FLOPs')
    if not_counted:
        print(f'The heads are not counted, because they need real data ({not_counted})')


def row(name: str, part: 'nn.Module | None', flops: int | None) -> None:
    """Print one line of the table."""
    millions = f'{sum(p.numel() for p in part.parameters()) / 1e6:.3f}' if part else ''
    macs, flops_g = ('', '') if flops is None else (f'{flops / 2e9:.3f}', f'{flops / 1e9:.3f}')
    print(f'{name:{WIDTH}}{millions:>14}{macs:>12}{flops_g:>12}')

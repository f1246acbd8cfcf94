"""Trains a model of MMDetection, MMSegmentation or MMPretrain, as a config says."""

import argparse

from mmengine.config import Config

import tnt_backbone  # noqa: F401  makes TNT known to configs without custom_imports
from tnt_backbone.engine.amp import enable_amp
from tnt_backbone.engine.compile_backbone import compile_backbone
from tnt_backbone.run.checkpoint_file import choose_loader, fetch_checkpoint, set_resume
from tnt_backbone.run.config import enable_auto_scale_lr, read_config
from tnt_backbone.run.libraries import set_dataloader_defaults, skip_validation
from tnt_backbone.run.preflight import check_training, errors_of_the_user
from tnt_backbone.run.pretrained import drop_pretrained, replace_backbone_weights
from tnt_backbone.run.processes import end_cpu_processes, is_first_on_node
from tnt_backbone.run.runner import (
    add_common_arguments,
    build_runner,
    prepare_process,
    suit_to_machine,
)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, for instance configs/retinanet_tnt_s_coco.py')
    parser.add_argument('--amp', action='store_true', help='train in mixed precision')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='PATH',
        help='go on from a checkpoint; without PATH from the last one in the work folder, if any',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the total batch size',
    )
    parser.add_argument(
        '--no-validate', action='store_true', help='do not evaluate during training'
    )
    parser.add_argument(
        '--compile', action='store_true', help='compile the backbone by torch.compile'
    )
    start = parser.add_mutually_exclusive_group()
    start.add_argument('--weights', metavar='FILE', help='local file that the backbone starts from')
    start.add_argument(
        '--from-scratch', action='store_true', help='start without pretrained weights'
    )
    add_common_arguments(parser)
    return parser.parse_args()


def apply_options(cfg: Config, args: argparse.Namespace) -> list[str]:
    """Put the options into the config; returns notes for the log."""
    if args.amp:
        enable_amp(cfg)
    if args.auto_scale_lr:
        enable_auto_scale_lr(cfg)
    if args.no_validate:
        skip_validation(cfg)
    if args.compile:
        compile_backbone(cfg)
    notes = set_resume(cfg, args.resume)
    if (args.weights or args.from_scratch) and not cfg.get('resume'):
        cfg.load_from = None  # the option wins over the config
    if args.from_scratch or cfg.get('load_from'):  # a checkpoint brings the backbone's weights
        drop_pretrained(cfg)
    elif args.weights:
        replace_backbone_weights(cfg, args.weights)
    return notes


def main() -> None:
    """Run the tool."""
    args = parse_args()
    prepare_process(args.local_rank)
    with errors_of_the_user('tools/train.py', launcher=args.launcher):
        cfg = read_config(
            args.config, options=args.cfg_options, work_dir=args.work_dir, launcher=args.launcher
        )
        set_dataloader_defaults(cfg)
        notes = apply_options(cfg, args)
        fetch_checkpoint(cfg)
        if is_first_on_node(args.launcher):
            notes += check_training(cfg)
        choose_loader(cfg)
        suit_to_machine(cfg)
    build_runner(cfg, notes).train()
    end_cpu_processes()


if __name__ == '__main__':
    main()

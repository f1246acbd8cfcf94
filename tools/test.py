"""Tests a model of MMDetection, MMSegmentation or MMPretrain, as a config says."""

import argparse

from mmengine.config import Config

import tnt_backbone  # noqa: F401  makes TNT known to configs without custom_imports
from tnt_backbone.run.checkpoint_file import choose_loader, fetch_checkpoint
from tnt_backbone.run.config import read_config
from tnt_backbone.run.libraries import (
    library_of,
    set_dataloader_defaults,
    show_predictions,
    use_amp_for_testing,
    use_tta,
)
from tnt_backbone.run.preflight import check_testing, errors_of_the_user
from tnt_backbone.run.pretrained import drop_pretrained
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
    parser.add_argument(
        'checkpoint', help='checkpoint file, for instance work_dirs/NAME/epoch_12.pth'
    )
    parser.add_argument(
        '--out',
        metavar='PATH',
        help='keep the predictions: a .pkl file, in MMSegmentation a folder',
    )
    parser.add_argument('--show', action='store_true', help='draw the predictions in a window')
    parser.add_argument(
        '--show-dir',
        metavar='DIR',
        help='draw the predictions into files; MMDetection puts DIR into the work folder',
    )
    parser.add_argument(
        '--wait-time', type=float, default=2, help='seconds that the window of --show waits'
    )
    parser.add_argument(
        '--tta',
        action='store_true',
        help='test on several versions of each image, as the config says',
    )
    parser.add_argument(
        '--amp',
        action='store_true',
        help='test in mixed precision, in MMSegmentation and MMPretrain',
    )
    add_common_arguments(parser)
    return parser.parse_args()


def apply_options(cfg: Config, args: argparse.Namespace) -> None:
    """Put the options into the config."""
    cfg.resume, cfg.load_from = False, args.checkpoint
    drop_pretrained(cfg)
    if args.show or args.show_dir:
        show_predictions(cfg, show=args.show, show_dir=args.show_dir, wait_time=args.wait_time)
    if args.out:
        library_of(cfg).set_out(cfg, args.out)
    if args.amp:
        use_amp_for_testing(cfg)
    if args.tta:
        use_tta(cfg)


def main() -> None:
    """Run the tool."""
    args = parse_args()
    prepare_process(args.local_rank)
    with errors_of_the_user('tools/test.py', launcher=args.launcher):
        cfg = read_config(
            args.config, options=args.cfg_options, work_dir=args.work_dir, launcher=args.launcher
        )
        set_dataloader_defaults(cfg)
        apply_options(cfg, args)
        fetch_checkpoint(cfg)
        notes = check_testing(cfg) if is_first_on_node(args.launcher) else []
        choose_loader(cfg)
        suit_to_machine(cfg)
    build_runner(cfg, notes).test()
    end_cpu_processes()


if __name__ == '__main__':
    main()

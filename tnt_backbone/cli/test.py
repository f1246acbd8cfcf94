"""Test a checkpoint of MMDetection, MMSegmentation or MMPretrain on the test data of its config.

For N processes, one per GPU: tnt test CONFIG CHECKPOINT --gpus N, or bash tools/dist_test.sh with
CONFIG CHECKPOINT N.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .common import (
    add_run_options,
    add_trust,
    errors_of_the_user,
    make_folder,
    make_parser,
    parse_cfg_options,
    require_checkpoint,
    require_files,
)

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner

TOOL = 'tools/test.py'


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = make_parser(__doc__)
    parser.add_argument(
        'config',
        nargs='?',
        help='config file, for instance configs/retinanet_tnt_s_coco.py (default: the config in '
        'the checkpoint)',
    )
    parser.add_argument(
        'checkpoint', help='checkpoint file, for instance work_dirs/NAME/epoch_12.pth'
    )
    parser.add_argument(
        '--out',
        metavar='PATH',
        help='write the predictions to a .pkl file (MMSegmentation: label maps to a folder)',
    )
    parser.add_argument('--show', action='store_true', help='draw the predictions in a window')
    parser.add_argument(
        '--show-dir',
        metavar='DIR',
        help='draw the predictions into DIR (MMDetection: into a folder DIR of the work folder)',
    )
    parser.add_argument(
        '--wait-time',
        type=float,
        default=2,
        help='seconds for which --show shows each image (default: 2)',
    )
    parser.add_argument(
        '--tta',
        action='store_true',
        help='use test-time augmentation: several versions of each image, as the config says',
    )
    parser.add_argument(
        '--amp',
        action='store_true',
        help='test in mixed precision (only MMSegmentation and MMPretrain)',
    )
    parser.add_argument(
        '--no-report',
        action='store_true',
        help='make no HTML page of the results (default: report.html beside the log)',
    )
    add_trust(parser)
    add_run_options(parser)
    return parser.parse_args(argv)


def read_command_line(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line, after checking that its files exist."""
    args = parse_args(argv)
    with errors_of_the_user(TOOL, launcher=args.launcher):
        if args.config is None:
            require_checkpoint(args.checkpoint)
        else:
            require_files(args.config, args.checkpoint)
    return args


def apply_options(cfg: 'Config', args: argparse.Namespace) -> None:
    """Write the options into the config."""
    from ..run.libraries import library_of, show_predictions, use_amp_for_testing, use_tta
    from ..run.pretrained import drop_pretrained

    cfg.resume, cfg.load_from = False, args.checkpoint
    drop_pretrained(cfg)
    if args.show or args.show_dir:
        show_predictions(cfg, show=args.show, show_dir=args.show_dir, wait_time=args.wait_time)
    if args.out:
        library_of(cfg).set_out(cfg, args.out)
        make_folder(Path(args.out).parent, '--out')
    if args.amp:
        use_amp_for_testing(cfg)
    if args.tta:
        use_tta(cfg)


def test_with_report(runner: 'Runner', checkpoint: str) -> None:
    """Run a test, and make the page of its results."""
    from ..report.hook import ReportHook

    is_file = Path(checkpoint).is_file()
    hook = ReportHook(os.path.abspath(checkpoint) if is_file else checkpoint)
    runner.register_hook(hook)
    runner.test()
    hook.write(runner)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = read_command_line(argv)
    if args.local_rank is not None:
        os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    with errors_of_the_user(TOOL, launcher=args.launcher):
        from ..data_checks.datasets import build_leaf_datasets
        from ..engine.fitting_checkpoint import FittingCheckpointHook
        from ..run.checkpoint_file import choose_loader, config_of_checkpoint, fetch_checkpoint
        from ..run.config import read_config
        from ..run.fonts import use_font_for
        from ..run.libraries import set_dataloader_defaults
        from ..run.out_of_memory import advice_when_out_of_memory
        from ..run.preflight import TEST_KEYS, check_testing, require_keys
        from ..run.processes import check_launcher, end_cpu_processes, end_with_launcher
        from ..run.ranks import is_first_on_node
        from ..run.runner import build_runner, suit_to_machine

        check_launcher(args.launcher)
        end_with_launcher(args.launcher)
        options: dict[str, Any] = {
            'options': parse_cfg_options(args.cfg_options),
            'work_dir': args.work_dir,
            'launcher': args.launcher,
        }
        if args.config is None:
            cfg = config_of_checkpoint(args.checkpoint, trust=args.trust, **options)
        else:
            cfg = read_config(args.config, **options)
        require_keys(cfg, TEST_KEYS, 'testing')
        make_folder(cfg.work_dir, '--work-dir')
        set_dataloader_defaults(cfg)
        apply_options(cfg, args)
        fetch_checkpoint(cfg)
        notes = check_testing(cfg) if is_first_on_node(args.launcher) else []
        if args.show or args.show_dir:
            for dataset in build_leaf_datasets(cfg, ['test'])['test']:
                use_font_for(tuple(dataset.metainfo.get('classes') or ()))
        checkpoint = cfg.load_from
        choose_loader(cfg)
        suit_to_machine(cfg)
        with advice_when_out_of_memory(cfg):
            runner = build_runner(cfg, notes)
            runner.register_hook(FittingCheckpointHook(whole=True))
            if args.no_report:
                runner.test()
            else:
                test_with_report(runner, checkpoint)
        end_cpu_processes()

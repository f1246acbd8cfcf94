"""Train a model of MMDetection, MMSegmentation or MMPretrain with the settings of a config.

For N processes, one per GPU: tnt train CONFIG --gpus N, or bash tools/dist_train.sh CONFIG N.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import MemoryLimitError
from ..run.trackers import TRACKERS, require_tracker
from .common import (
    add_run_options,
    errors_of_the_user,
    make_folder,
    make_parser,
    parse_cfg_options,
    require_files,
)

if TYPE_CHECKING:
    from mmengine.config import Config

TOOL = 'tools/train.py'


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = make_parser(__doc__)
    parser.add_argument('config', help='config file, for instance configs/retinanet_tnt_s_coco.py')
    parser.add_argument('--amp', action='store_true', help='train in mixed precision')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='PATH',
        help='continue from a checkpoint (without PATH: from the newest in the work folder that '
        'can be read)',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate in proportion to the total batch size',
    )
    parser.add_argument('--no-validate', action='store_true', help='train without validation')
    parser.add_argument(
        '--compile', action='store_true', help='compile the backbone with torch.compile'
    )
    parser.add_argument(
        '--dry-run',
        action='store_true',
        help='check a run with --gpus N processes and print its numbers, without GPUs and without '
        'training',
    )
    parser.add_argument('--gpus', type=int, metavar='N', help='with --dry-run: number of processes')
    parser.add_argument(
        '--split-batch',
        type=int,
        metavar='PARTS',
        help='compute each batch in PARTS, with as many images and the same learning rate per step',
    )
    parser.add_argument(
        '--batch-of',
        type=int,
        metavar='N',
        help='make the steps of N processes, whatever the number of processes is',
    )
    parser.add_argument(
        '--retry-oom',
        action='store_true',
        help='after out of memory, go on with fewer images at a time and the same steps',
    )
    parser.add_argument(
        '--stop-early',
        type=int,
        metavar='N',
        help='end the training when the metric of the best checkpoint has not improved in N '
        'validations',
    )
    parser.add_argument(
        '--tracker',
        choices=list(TRACKERS),
        help='also write the numbers of the run for this tracker (docs/trackers.md)',
    )
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        '--weights', metavar='FILE', help='start the backbone from the weights of a local file'
    )
    start.add_argument('--from-scratch', action='store_true', help='start from random weights')
    add_run_options(parser)
    args = parser.parse_args(argv)
    if args.stop_early is not None and args.stop_early < 1:
        parser.error(f'--stop-early {args.stop_early}: 1 is the least')
    if args.dry_run and (args.gpus or 0) < 1:
        parser.error(f'--dry-run needs --gpus N, and N={args.gpus}. Example: --dry-run --gpus 64')
    if args.dry_run and args.launcher != 'none':
        parser.error('--dry-run starts no processes. Run: tnt train CONFIG --dry-run --gpus N')
    if args.gpus and not args.dry_run:
        parser.error(
            f'--gpus starts no processes here. Run: bash tools/dist_train.sh {args.config} '
            f'{args.gpus}, or tnt train {args.config} --gpus {args.gpus}'
        )
    return args


def read_command_line(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line, after checking that its files exist."""
    args = parse_args(argv)
    with errors_of_the_user(TOOL, launcher=args.launcher):
        require_files(args.config, None if args.resume == 'auto' else args.resume)
        if args.tracker:
            require_tracker(args.tracker)
    return args


def apply_options(cfg: 'Config', args: argparse.Namespace) -> list[str]:
    """Write the options into the config, and return notes for the log."""
    from ..engine.amp import enable_amp
    from ..engine.compile_backbone import compile_backbone
    from ..engine.stop_early import stop_early
    from ..run.config import enable_auto_scale_lr
    from ..run.libraries import skip_validation
    from ..run.pretrained import drop_pretrained, replace_backbone_weights
    from ..run.resume import set_resume_of_restart
    from ..run.retry import noted
    from ..run.split_batch import keep_batch_of, notes_on_resumed_batch, split_batch
    from ..run.trackers import add_tracker

    if args.amp:
        enable_amp(cfg)
    if args.auto_scale_lr:
        enable_auto_scale_lr(cfg)
    if args.no_validate:
        skip_validation(cfg)
    if args.compile:
        compile_backbone(cfg)
    notes = set_resume_of_restart(cfg, args.resume)
    if (args.weights or args.from_scratch) and not cfg.get('resume'):
        cfg.load_from = None  # the option wins over the config
    if args.from_scratch or cfg.get('load_from'):  # a checkpoint brings the backbone's weights
        drop_pretrained(cfg)
    elif args.weights:
        replace_backbone_weights(cfg, args.weights)
    if args.batch_of is not None:
        notes += keep_batch_of(cfg, args.batch_of, args.gpus if args.dry_run else None)
    options = noted(cfg) if args.retry_oom else {}
    parts = options.get('split_batch', args.split_batch)
    if parts is not None:
        notes += split_batch(cfg, parts)
    if 'val_batch_size' in options:
        cfg.val_dataloader.batch_size = options['val_batch_size']
        notes.append(f'--retry-oom: val_dataloader.batch_size={options["val_batch_size"]}')
    notes += notes_on_resumed_batch(cfg)
    if args.stop_early is not None:
        notes += stop_early(cfg, args.stop_early)
    if args.tracker:
        notes += add_tracker(cfg, args.tracker)
    return notes


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = read_command_line(argv)
    if args.dry_run:
        os.environ['CUDA_VISIBLE_DEVICES'] = ''  # before torch and mmengine look for GPUs
    if args.local_rank is not None:
        os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    with errors_of_the_user(TOOL, launcher=args.launcher):
        from ..engine.fitting_checkpoint import FittingCheckpointHook
        from ..run.checkpoint_file import choose_loader, fetch_checkpoint
        from ..run.config import read_config
        from ..run.libraries import set_dataloader_defaults
        from ..run.out_of_memory import advice_when_out_of_memory
        from ..run.preflight import TRAIN_KEYS, check_training, require_keys
        from ..run.pretrained import leave_reading_to_first
        from ..run.processes import check_launcher, end_cpu_processes, end_with_launcher
        from ..run.ranks import is_first, is_first_on_node
        from ..run.reliability import make_reliable
        from ..run.retry import check_launcher_restarts, remedy, start_again
        from ..run.runner import build_runner, suit_to_machine

        check_launcher(args.launcher)
        if args.retry_oom:
            check_launcher_restarts(args.launcher)
        end_with_launcher(args.launcher)
        cfg = read_config(
            args.config,
            options=parse_cfg_options(args.cfg_options),
            work_dir=args.work_dir,
            launcher=args.launcher,
        )
        require_keys(cfg, TRAIN_KEYS, 'training')
        if not args.dry_run:
            make_folder(cfg.work_dir, '--work-dir')
        set_dataloader_defaults(cfg)
        notes = apply_options(cfg, args)
        if args.dry_run:
            from .dry_run import report

            sys.exit(report(cfg, args.config, args.gpus))
        fetch_checkpoint(cfg)
        if is_first_on_node(args.launcher):
            notes += check_training(cfg)
        choose_loader(cfg)
        if not is_first(args.launcher):
            leave_reading_to_first(cfg)
        suit_to_machine(cfg)
        try:
            with advice_when_out_of_memory(cfg):
                runner = build_runner(cfg, notes)
                runner.register_hook(FittingCheckpointHook())
                make_reliable(runner)
                runner.train()
        except MemoryLimitError as full:
            cause = full.__cause__ or full
            if args.retry_oom and (options := remedy(cfg, cause)):
                start_again(cfg, args.launcher, options, str(full).splitlines()[0])
            raise
        except SystemExit as stopped:
            end_cpu_processes(stopped.code)
            raise
        end_cpu_processes()

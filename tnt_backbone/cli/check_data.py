"""Check every file of a config's data sets, and report what would make training fail or go wrong.

    python tools/check_data.py configs/retinanet_tnt_s_coco.py
    python tools/check_data.py my_config.py --phases train --workers 8 --out problems.json

The command decodes images and masks. It compares sizes, labels, classes and boxes. It reads data in
the formats of COCO and Pascal VOC, masks such as those of ADE20K and Cityscapes, and class folders
such as those of ImageNet.

An ERROR would make training fail or give wrong results; the exit status is then 1, otherwise 0. A
note is only counted: the libraries leave such data out, or clip it.
"""

import argparse
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from .common import (
    add_cfg_options,
    errors_of_the_user,
    make_folder,
    make_parser,
    parse_cfg_options,
    require_files,
)

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.dataset import BaseDataset

    from ..data_checks.findings import Finding

TOOL = 'tools/check_data.py'
SHOWN = 5  # files to name of each kind


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = make_parser(__doc__)
    parser.add_argument('config', help='config file whose data sets are checked')
    parser.add_argument(
        '--phases',
        nargs='+',
        choices=['train', 'val', 'test'],
        default=['train', 'val'],
        help='data sets to check (default: train val)',
    )
    parser.add_argument(
        '--workers',
        type=int,
        default=os.cpu_count(),
        help='number of processes (default: number of CPU cores)',
    )
    parser.add_argument(
        '--out', type=Path, metavar='FILE.json', help='write all findings with their files to FILE'
    )
    parser.add_argument(
        '--json', action='store_true', help='print all findings as JSON and nothing else'
    )
    add_cfg_options(parser)
    return parser.parse_args(argv)


def look(dataset: 'BaseDataset', workers: int, *, is_training: bool) -> list['Finding']:
    """Return what is wrong with a data set; a terminal shows a progress bar."""
    from tqdm import tqdm
    from tqdm.contrib.concurrent import process_map

    from ..data_checks.files import plan_check

    check = plan_check(dataset, is_training=is_training)
    print(f'{dataset.__class__.__name__}: {len(check.items)} images')
    if not check.items:
        return check.conclude(check.found)
    if workers > 1:
        found = process_map(check.look, check.items, max_workers=workers, chunksize=8, disable=None)
    else:
        found = [check.look(item) for item in tqdm(check.items, disable=None)]
    return check.conclude([*check.found, *chain.from_iterable(found)])


def compare(cfg: 'Config', datasets: dict[str, list['BaseDataset']]) -> list['Finding']:
    """Return where the data sets of a config do not fit each other, and names for no font."""
    from ..data_checks.coco import find_in_orders, is_plain_coco, read_file
    from ..data_checks.findings import Finding
    from ..run.fonts import use_font_for

    leaves = list(chain.from_iterable(datasets.values()))
    names = {tuple(leaf.metainfo.get('classes') or ()) for leaf in leaves}
    notes = [note for classes in sorted(names) if (note := use_font_for(classes))]
    found = [Finding('class name that cannot be drawn', 'classes', note) for note in notes]
    if cfg.get('default_scope') != 'mmdet':
        return found
    return found + find_in_orders((leaf, read_file(leaf)) for leaf in leaves if is_plain_coco(leaf))


def report(problems: list['Finding']) -> bool:
    """Print the count and the first files of each kind; return whether any is an error."""
    from ..data_checks.findings import KINDS

    files = defaultdict(list)
    for problem in problems:
        files[problem.kind].append(problem)
    for kind, count in sorted(Counter(problem.kind for problem in problems).items()):
        print(f'  {"ERROR" if KINDS[kind] else "note "} {kind}: {count}')
        for problem in files[kind][:SHOWN]:
            print(f'          {problem.file}' + (f': {problem.text}' if problem.text else ''))
        if count > SHOWN:
            print(f'          and {count - SHOWN} more')
    if not problems:
        print('  nothing wrong')
    return any(KINDS[kind] for kind in files)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    out = sys.stdout
    if args.json:
        sys.stdout = sys.stderr  # whatever anybody prints
    everything: dict[str, list[dict[str, str]]] = {}
    failed = False
    with errors_of_the_user(TOOL):
        require_files(args.config)
        if args.out:
            make_folder(args.out.parent, '--out')

        from ..data_checks.datasets import build_leaf_datasets, check_files
        from ..run.config import read_config

        cfg = read_config(
            args.config,
            options=parse_cfg_options(args.cfg_options),
            work_dir=None,
            launcher='none',
            needs_model=False,
        )
        datasets = build_leaf_datasets(cfg, args.phases)
        check_files(cfg, datasets)
        if not any(datasets.values()):
            raise InputError(
                f'{args.config} has no data set for --phases {" ".join(args.phases)}. Choose other '
                'phases'
            )
        for phase, parts in datasets.items():
            for dataset in parts:
                print(f'{phase}: ', end='')
                problems = look(dataset, args.workers, is_training=phase == 'train')
                failed |= report(problems)
                everything.setdefault(phase, []).extend(problem._asdict() for problem in problems)
        if compared := compare(cfg, datasets):
            print('all: ', end='')
            failed |= report(compared)
            everything['all'] = [problem._asdict() for problem in compared]
        if args.out:
            args.out.write_text(json.dumps(everything, indent=1))
            print(f'all findings: {args.out}')
        if args.json:
            sys.stdout = out
            print(json.dumps(everything, indent=1))
    sys.exit(int(failed))

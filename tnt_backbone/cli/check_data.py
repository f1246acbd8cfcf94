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
from collections import ChainMap, Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..whole_file import write_whole
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
PHASES = ['train', 'val', 'test']
FEW = 32  # items that are looked at sooner than other processes have started
SHOWN = 5  # files to name of each kind


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = make_parser(__doc__)
    parser.add_argument('config', help='config file whose data sets are checked')
    parser.add_argument(
        '--phases',
        nargs='+',
        choices=PHASES,
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
        '--samples',
        type=int,
        default=100,
        help='training pictures that are put through the pipeline, to see how large objects are at '
        'the training size; 0 for none (default: 100)',
    )
    parser.add_argument(
        '--no-similar',
        action='store_true',
        help='do not look for equal and near-equal pictures in and between the splits',
    )
    parser.add_argument(
        '--out', type=Path, metavar='FILE.json', help='write all findings with their files to FILE'
    )
    parser.add_argument(
        '--json', action='store_true', help='print all findings as JSON and nothing else'
    )
    add_cfg_options(parser)
    return parser.parse_args(argv)


def look(
    dataset: 'BaseDataset', workers: int, paths: dict[str, str], *, is_training: bool
) -> list['Finding']:
    """Return what is wrong with a data set, and add its pictures and their classes to ``paths``."""
    from ..data_checks.files import plan_check

    check = plan_check(dataset, is_training=is_training)
    for item in check.items:
        if item.get('is_file', True):
            paths[item['path']] = item.get('class', '')
    print(f'{dataset.__class__.__name__}: {len(check.items)} images')
    found = in_processes(check.look, check.items, workers)
    return check.conclude([*check.found, *chain.from_iterable(found)])


def in_processes(function: Callable[[Any], Any], items: list[Any], workers: int) -> list[Any]:
    """Return what a function makes of each item; a terminal shows a progress bar."""
    from tqdm import tqdm
    from tqdm.contrib.concurrent import process_map

    if workers > 1 and len(items) > FEW:
        return process_map(function, items, max_workers=workers, chunksize=8, disable=None)
    return [function(item) for item in tqdm(items, disable=None)]


def find_similar_images(paths: dict[str, dict[str, str]], workers: int) -> list['Finding']:
    """Return the pictures that are in two splits, or twice in one.

    Args:
        paths: Phase to the paths of its pictures and their classes, if they have one.
        workers: Processes.
    """
    from ..data_checks.similar import find_similar, fingerprint, paths_in_two

    local = {
        phase: [path for path in members if '://' not in path] for phase, members in paths.items()
    }
    found = paths_in_two(local)
    known: set[str] = set()  # a file of two splits is compared as one of the first
    splits = {}
    for phase, members in local.items():
        new = [path for path in members if path not in known]
        known |= set(new)
        prints = in_processes(fingerprint, new, workers)
        splits[phase] = [one for one in prints if one is not None]
    return found + find_similar(splits, ChainMap(*paths.values()))


def compare(cfg: 'Config', datasets: dict[str, list['BaseDataset']]) -> list['Finding']:
    """Return where the data sets of a config do not fit each other, and names for no font."""
    from ..data_checks.batch_shapes import find_batch_shapes, find_padding
    from ..data_checks.coco import find_in_orders, is_plain_coco, read_file
    from ..data_checks.findings import Finding
    from ..run.fonts import use_font_for

    leaves = list(chain.from_iterable(datasets.values()))
    names = {tuple(leaf.metainfo.get('classes') or ()) for leaf in leaves}
    notes = [note for classes in sorted(names) if (note := use_font_for(classes))]
    found = [Finding('class name that cannot be drawn', 'classes', note) for note in notes]
    for phase in datasets.keys() - {'train'}:
        found += find_batch_shapes(cfg, phase, datasets[phase])
    found += find_padding(cfg)
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
    args.phases.sort(key=PHASES.index)  # what is trained on comes first
    out = sys.stdout
    if args.json:
        sys.stdout = sys.stderr  # whatever anybody prints
    everything: dict[str, list[dict[str, str]]] = {}
    failed = False
    with errors_of_the_user(TOOL):
        require_files(args.config)
        if args.samples < 0:
            raise InputError(f'--samples {args.samples}: 0 is the least')
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
        paths: dict[str, dict[str, str]] = {phase: {} for phase in datasets}
        for phase, parts in datasets.items():
            for dataset in parts:
                print(f'{phase}: ', end='')
                is_training = phase == 'train'
                problems = look(dataset, args.workers, paths[phase], is_training=is_training)
                failed |= report(problems)
                everything.setdefault(phase, []).extend(problem._asdict() for problem in problems)
        compared = compare(cfg, datasets)
        if not args.no_similar:
            compared += find_similar_images(paths, args.workers)
        if datasets.get('train') and args.samples and not failed:
            from ..data_checks.balance import find_in_training_samples

            compared += find_in_training_samples(cfg, args.samples)
        if compared:
            print('all: ', end='')
            failed |= report(compared)
            everything['all'] = [problem._asdict() for problem in compared]
        if args.out:
            write_whole(args.out, json.dumps(everything, indent=1))
            print(f'all findings: {args.out}')
        if args.json:
            sys.stdout = out
            print(json.dumps(everything, indent=1))
    sys.exit(int(failed))

"""Measure every config: parameters, operations, time and memory of a photo, and whether it exports.

    python benchmarks/config_zoo.py                                # rows that are missing
    python benchmarks/config_zoo.py retinanet_tnt_s_coco --again   # measures one row again

A photo of 480x640 pixels goes through the config's own test pipeline, and what comes out through
the model's ``test_step``: the network at the size that the config tests at, all windows of a
segmentor, suppression of a detector. Reading the file is not part of it. Configs that take
pictures as they are get one of the backbone's ``img_size``. The model has random weights, so a
detector finds next to nothing, and what is computed per found object (mask heads) is nearly free.

Each config is measured in a process of its own, with one thread. Time is processor time, so other
programs on the machine disturb it little: the least of three steps, or the first if that takes
more than 5 s. Memory is how far the peak of the process in the first step lies above its memory
before it (Linux; without the model itself).

A finished row is written at once: a second call goes on where the first ended. A config that could
not be measured has a row with the reason. Columns that need no measurement are of
``config_facts.py``, and are written anew each time.
"""

import argparse
import csv
import importlib
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cv2
import machine
import numpy as np
import torch
from config_facts import facts
from torch.utils import flop_counter

from tnt_backbone.predict.pictures import find_pictures

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / 'docs' / 'zoo.csv'
PHOTO = (480, 640)  # height, width
STEPS = 3  # the quickest counts
LONG = 5  # seconds: one of such steps is enough
LIMIT = 1800  # seconds for one config
COLUMNS = (
    'config',
    'task',
    'params_m',
    'gmacs',
    'height',
    'width',
    'seconds',
    'memory_mib',
    'exports',
    'export_note',
    'parity',
    'published',
    'source',
    'trained_here',
    'processor',
    'torch',
    'date',
    'note',
)


def resident(field: str) -> int:
    """Return bytes of this process: ``'VmRSS'`` now, ``'VmHWM'`` at the highest."""
    text = Path('/proc/self/status').read_text()
    return int(text.split(f'{field}:')[1].split()[0]) * 1024


def build(name: str) -> Any:
    """Return the config's model with random weights, as what predicts on pictures."""
    from mmengine.registry import MODELS, init_default_scope

    from tnt_backbone.predict.model import TrainedModel
    from tnt_backbone.run.config import read_config
    from tnt_backbone.run.embedded_config import test_dataset
    from tnt_backbone.run.pretrained import drop_pretrained

    cfg = read_config(
        str(ROOT / 'configs' / f'{name}.py'), options=None, work_dir=None, launcher='none'
    )
    drop_pretrained(cfg)
    init_default_scope(cfg.default_scope)
    pipeline = test_dataset(cfg)['pipeline']
    if not pipeline[0]['type'].startswith('Load'):  # CIFAR's are arrays of one file
        pipeline.insert(0, {'type': 'LoadImageFromFile'})
    settings = {**cfg.model}
    settings.setdefault('data_preprocessor', cfg.get('data_preprocessor'))
    model = MODELS.build(settings)
    revert = 'SyncBatchNorm' in {type(part).__name__ for part in model.modules()}
    if revert:  # CPUs have none
        from mmengine.model import revert_sync_batchnorm

        model = revert_sync_batchnorm(model)
    return TrainedModel(model.eval(), cfg, (), [])


def prepared(trained: Any, shape: tuple[int, int]) -> dict[str, Any]:
    """Return a picture of noise ``(height, width)`` behind the config's test pipeline."""
    with tempfile.TemporaryDirectory() as folder:
        noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
        cv2.imwrite(f'{folder}/photo.png', noise)
        return trained.prepare(find_pictures([folder])[0])


def measure(name: str) -> Iterator[dict[str, Any]]:
    """Yield the columns of a config, measured in this process: first what needs no run."""
    from tnt_backbone.exported.networks import networks_of

    # PyTorch counts the fused attention of GPUs, not that of CPUs
    attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    flop_counter.register_flop_formula(attention)(
        lambda query, key, value, *_, **__: flop_counter.sdpa_flop_count(query, key, value)
    )
    cv2.setNumThreads(0)
    torch.manual_seed(0)
    trained = build(name)
    model = trained.model.requires_grad_(False)  # or the counter asks for gradient functions
    sample = prepared(trained, PHOTO)
    if sample['inputs'].shape[-2:] == PHOTO:  # its pipeline takes pictures as they are
        side = trained.cfg.model.backbone.img_size
        sample = prepared(trained, (side, side))
    batch = {'inputs': [sample['inputs']], 'data_samples': [sample['data_samples']]}
    if trained.task == 'classification':  # MMPretrain's loader stacks pictures
        batch['inputs'] = sample['inputs'][None]
    height, width = sample['inputs'].shape[-2:]
    row: dict[str, Any] = {
        'task': trained.task,
        'params_m': f'{sum(part.numel() for part in model.parameters()) / 1e6:.2f}',
        'height': height,
        'width': width,
    }
    try:
        networks_of(trained)
        row['exports'] = 'yes'
    except ValueError as error:  # the message says which part is in the way
        row |= {'exports': 'no', 'export_note': str(error).split(';')[0].split('. ')[0]}
    yield row

    Path('/proc/self/clear_refs').write_text('5')  # the peak is counted from here
    before, seconds = resident('VmRSS'), []
    row = {}
    with torch.no_grad():
        while len(seconds) < (1 if min(seconds, default=0) > LONG else STEPS):
            start = time.process_time()
            model.test_step(batch)
            seconds.append(time.process_time() - start)
            row.setdefault('memory_mib', round((resident('VmHWM') - before) / 2**20))
    yield row | {'seconds': f'{min(seconds):.2f}'}

    with torch.no_grad(), flop_counter.FlopCounterMode(display=False) as counter:
        model.test_step(batch)
    yield {'gmacs': f'{counter.get_total_flops() / 2e9:.1f}'}


def measured_apart(name: str, limit: float) -> dict[str, Any]:
    """Measure a config in a process of its own.

    Args:
        name: Of the config.
        limit: Seconds. What is not measured by then stays empty, and ``note`` has the reason.
    """
    row = dict.fromkeys(COLUMNS, '')
    row |= {
        'config': name,
        'processor': machine.processor(),
        'torch': torch.__version__.split('+')[0],
        'date': str(date.today()),
    }
    # A forked process need not import the libraries again; this one has computed nothing yet
    context = multiprocessing.get_context('fork')
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(name, theirs))
    process.start()
    theirs.close()
    end = time.monotonic() + limit
    try:
        while not row['gmacs'] and not row['note']:
            if ours.poll(end - time.monotonic()):
                row |= ours.recv()
            else:
                row['note'] = f'not measured: more than {limit:g} s on a busy machine'
    except EOFError:  # killed, for want of memory say
        process.join()
        row['note'] = f'not measured: ended with status {process.exitcode}'
    process.kill()
    process.join()
    return row


def _answer(name: str, connection: Connection) -> None:
    try:
        for columns in measure(name):
            connection.send(columns)
    except Exception as error:
        connection.send({'note': f'not measured: {type(error).__name__}: {error}'.splitlines()[0]})


def import_libraries() -> None:
    """Import what all configs need."""
    torch.set_num_threads(1)
    for name in ('mmdet', 'mmseg', 'mmpretrain'):
        importlib.import_module(f'{name}.models')
    importlib.import_module('tnt_backbone.exported.networks')


def read_table(path: Path) -> dict[str, dict[str, str]]:
    """Return the rows of a table by the names of their configs; of a missing one, none."""
    if not path.exists():
        return {}
    with path.open(newline='') as file:
        return {row['config']: row for row in csv.DictReader(file)}


def write_table(path: Path, rows: dict[str, dict[str, Any]]) -> None:
    """Write the rows in the order of their names, in one step."""
    partial = path.with_suffix('.partial')
    with partial.open('w', newline='') as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows[name] | facts(name) for name in sorted(rows))
    partial.replace(path)


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('configs', nargs='*', metavar='NAME', help='default: all of configs/*.py')
    parser.add_argument('--out', type=Path, default=TABLE)
    parser.add_argument('--again', action='store_true', help='also measure rows that are there')
    parser.add_argument(
        '--limit', type=float, default=LIMIT, metavar='S', help='seconds per config (default: 1800)'
    )
    args = parser.parse_args()
    known = sorted(path.stem for path in ROOT.glob('configs/*.py'))
    if unknown := set(args.configs) - set(known):
        parser.error(f'no config is named {", ".join(sorted(unknown))}; see configs/*.py')
    import_libraries()
    for name in args.configs or known:
        rows = read_table(args.out)
        if args.again or name not in rows or rows[name]['note']:
            rows[name] = measured_apart(name, args.limit)
            write_table(args.out, rows)
            print(', '.join(str(value) for value in rows[name].values()), flush=True)


if __name__ == '__main__':
    main()

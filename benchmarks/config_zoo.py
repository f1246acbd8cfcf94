"""Measure every config: parameters, operations, time and memory of a photo, and whether it exports.

    OMP_NUM_THREADS=1 python benchmarks/config_zoo.py              # the rows that docs/zoo.csv lacks
    python benchmarks/config_zoo.py retinanet_tnt_s_coco --again   # measures one row again

A photo of 480x640 pixels goes through the config's own test pipeline, and what comes out through
the model's ``test_step``: the network at the size that the config tests at, all windows of a
segmentor, suppression of a detector. Reading the file is not part of it. The model has random
weights, so a detector finds next to nothing, and what is computed per found object (mask heads) is
nearly free.

Each config is measured in a process of its own, with one thread. Time is processor time, the least
of the steps, so other programs on the machine disturb it little. Memory is how far the peak of the
process in the first step lies above its memory before it (Linux; without the model itself). A
finished row is written at once: a second call goes on where the first ended. A config that could
not be measured has a row with the reason.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / 'docs' / 'zoo.csv'
PHOTO = (480, 640)  # height, width
STEPS = 3  # the quickest counts
LONG = 5  # seconds: two of such steps are enough
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
    from tnt_backbone.run.pretrained import drop_pretrained

    cfg = read_config(
        str(ROOT / 'configs' / f'{name}.py'), options=None, work_dir=None, launcher='none'
    )
    drop_pretrained(cfg)
    init_default_scope(cfg.default_scope)
    settings = {**cfg.model}
    settings.setdefault('data_preprocessor', cfg.get('data_preprocessor'))
    model = MODELS.build(settings)
    revert = 'SyncBatchNorm' in {type(part).__name__ for part in model.modules()}
    if revert:  # CPUs have none
        from mmengine.model import revert_sync_batchnorm

        model = revert_sync_batchnorm(model)
    return TrainedModel(model.eval(), cfg, (), [])


def measure(name: str) -> dict[str, Any]:
    """Return the row of a config, measured in this process."""
    import cv2
    import numpy as np
    import torch
    from torch.utils import flop_counter

    from tnt_backbone.exported.networks import networks_of
    from tnt_backbone.predict.pictures import find_pictures

    # PyTorch counts the fused attention of GPUs, not that of CPUs
    attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    flop_counter.register_flop_formula(attention)(
        lambda query, key, value, *_, **__: flop_counter.sdpa_flop_count(query, key, value)
    )
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    torch.manual_seed(0)
    trained = build(name)
    model = trained.model
    with tempfile.TemporaryDirectory() as folder:
        noise = np.random.default_rng(0).integers(0, 256, (*PHOTO, 3), dtype=np.uint8)
        cv2.imwrite(f'{folder}/photo.png', noise)
        sample = trained.prepare(find_pictures([folder])[0])
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
    Path('/proc/self/clear_refs').write_text('5')  # the peak is counted from here
    before, seconds = resident('VmRSS'), []
    with torch.no_grad():
        while len(seconds) < (2 if min(seconds, default=0) > LONG else STEPS):
            start = time.process_time()
            model.test_step(batch)
            seconds.append(time.process_time() - start)
            row.setdefault('memory_mib', round((resident('VmHWM') - before) / 2**20))
        with flop_counter.FlopCounterMode(display=False) as counter:
            model.test_step(batch)
    row |= {'seconds': f'{min(seconds):.2f}', 'gmacs': f'{counter.get_total_flops() / 2e9:.1f}'}
    try:
        networks_of(trained)
        row['exports'] = 'yes'
    except ValueError as error:  # the message says which part is in the way
        row |= {'exports': 'no', 'export_note': str(error).split(';')[0].split('. ')[0]}
    return row


def measured_apart(name: str) -> dict[str, Any]:
    """Measure a config in a process of its own; return its row, or one with the reason."""
    import machine
    import torch

    row = dict.fromkeys(COLUMNS, '')
    row |= {
        'config': name,
        'processor': machine.processor(),
        'torch': torch.__version__.split('+')[0],
        'date': str(date.today()),
    }
    try:
        done = subprocess.run(
            [sys.executable, __file__, '--print', name],
            capture_output=True,
            text=True,
            timeout=LIMIT,
            env={**os.environ, 'OMP_NUM_THREADS': '1'},
        )
    except subprocess.TimeoutExpired:
        return row | {'note': f'not finished in {LIMIT} s'}
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f'status {done.returncode}'])[-1]
        return row | {'note': f'failed: {reason}'}
    return row | json.loads(done.stdout.splitlines()[-1])


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
        writer.writerows(rows[name] for name in sorted(rows))
    partial.replace(path)


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('configs', nargs='*', metavar='NAME', help='default: all of configs/*.py')
    parser.add_argument('--out', type=Path, default=TABLE)
    parser.add_argument('--again', action='store_true', help='also measure rows that are there')
    parser.add_argument('--print', metavar='NAME', help='measure in this process; print JSON')
    args = parser.parse_args()
    if args.print:
        print(json.dumps(measure(args.print)))
        return
    known = sorted(path.stem for path in ROOT.glob('configs/*.py'))
    if unknown := set(args.configs) - set(known):
        parser.error(f'no config is named {", ".join(sorted(unknown))}; see configs/*.py')
    for name in args.configs or known:
        rows = read_table(args.out)
        if args.again or name not in rows or rows[name]['note']:
            rows[name] = measured_apart(name)
            write_table(args.out, rows)
            print(', '.join(str(value) for value in rows[name].values()), flush=True)


if __name__ == '__main__':
    main()

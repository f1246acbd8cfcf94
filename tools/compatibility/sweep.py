"""Which stock configs are swept, a process for each model, and the file of outcomes.

A model is tried in a forked process, which starts at once (importing the libraries takes longer
than most models) and may crash or hang. Configs often differ only in their data or schedule, and
once the backbone is replaced, in nothing but its depth: models that are exactly equal are run once.
"""

import csv
import fcntl
import hashlib
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from pprint import pformat

import mmcv
import mmdet
import mmengine
import mmseg
import swapping
import torch
from batches import SIZE
from mmengine.config import Config
from swapping import FAMILIES, Model

OUTCOMES = Path(__file__).with_name('outcomes.csv')
COLUMNS = ('config', 'own', *FAMILIES, 'Swin', 'model', 'swapped', 'date', 'versions')
VERSIONS = ', '.join(
    f'{library.__name__} {library.__version__}' for library in (torch, mmcv, mmengine, mmdet, mmseg)
)
ROOTS = {  # where a library keeps its configs
    library.__name__: Path(library.__file__).parent / '.mim' / 'configs'
    for library in (mmdet, mmseg)
}
SIZES = {'mmdet': (192, 256), 'mmseg': SIZE}  # DINO takes 900 tokens: images must have as many
LARGER = (416, 416)  # where a deformable convolution of mmcv is on the level of stride 128
TOO_SMALL = 'input image is smaller than kernel'  # what it says otherwise
CPU_SECONDS, SECONDS = 900, 7200  # a model may take; the second is for one that sleeps
Row = dict[str, str]

torch.set_num_threads(1)  # a process forked from one with OpenMP's threads may hang


def key_of(path: Path) -> str:
    """``mmdet/atss/atss_r50_fpn_1x_coco.py``."""
    (library,) = (name for name, root in ROOTS.items() if path.is_relative_to(root))
    return f'{library}/{path.relative_to(ROOTS[library])}'


def has_resnet(path: Path) -> bool:
    """Whether the config has a model with a ResNet anywhere."""
    try:
        model = Config.fromfile(path, import_custom_modules=False).get('model')
    except (OSError, ImportError):  # a config whose base is missing, or needs another library
        return False
    return isinstance(model, dict) and bool(swapping.resnets(model))


def choose(*, every: bool) -> list[Path]:
    """Configs with a ResNet: the first of each folder, or all."""
    chosen = []
    for root in ROOTS.values():
        for folder in sorted({path.parent for path in root.rglob('*.py')}):
            if '_base_' not in folder.parts:
                paths = (path for path in sorted(folder.glob('*.py')) if has_resnet(path))
                chosen += list(paths) if every else [path for path in [next(paths, None)] if path]
    return chosen


def _limited(function: Callable[[], str], answer: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, resource.RLIM_INFINITY))
    answer.send(function())


def in_fork(function: Callable[[], str]) -> str:
    """Call a function in a forked process; return its answer, or how the process ended."""
    context = multiprocessing.get_context('fork')
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_limited, args=(function, sender))
    child.start()
    sender.close()
    if not receiver.poll(SECONDS):
        answer = f'Timeout: more than {SECONDS} s'
    else:
        try:
            answer = receiver.recv()
        except EOFError:
            child.join()
            answer = f'Crash: exit status {child.exitcode}'
            if child.exitcode == -signal.SIGXCPU:
                answer = f'Timeout: more than {CPU_SECONDS} s of CPU time'
    child.kill()
    child.join()
    return answer


def attempt(model: Model, library: str) -> str:
    """Try a model in a process of its own."""

    def run(size: tuple[int, int]) -> str:
        os.chdir(ROOTS[library].parent)  # the teacher of a config is named from here
        return swapping.attempt(model, library, size)

    outcome = in_fork(partial(run, SIZES[library]))
    return in_fork(partial(run, LARGER)) if TOO_SMALL in outcome else outcome


def digest(model: Model) -> str:
    """A short name that equal models share."""
    return hashlib.sha256(pformat(model, width=1000).encode()).hexdigest()[:12]


def read() -> dict[str, Row]:
    """The last row of each config."""
    if not OUTCOMES.exists():
        return {}
    with OUTCOMES.open(newline='') as file:
        return {row['config']: row for row in csv.DictReader(file)}


def append(row: Row, path: Path | None = None, columns: Sequence[str] = COLUMNS) -> None:
    """Add a row to a file (default ``OUTCOMES``), beside other processes."""
    with (path or OUTCOMES).open('a', newline='') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        writer = csv.DictWriter(file, columns, lineterminator='\n')
        if file.tell() == 0:
            writer.writeheader()
        writer.writerow(row)


def try_families(model: Model, library: str) -> Row:
    """Try a model with each of our backbones, and where one fails, with another that is not ours.

    Returns:
        For each family ``'ok'``, ``'ok with ...'`` that was needed, or what went wrong.
    """
    kept, levels = swapping.options(swapping.resnets(model)[0])
    widths = {key: value for key, value in kept.items() if key == 'out_channels'}
    row: Row = {}
    for family in FAMILIES:
        for added in ({}, levels) if levels else ({},):
            row[family] = attempt(swapping.swap(model, type=family, **added), library)
            if row[family] == 'ok':
                needed = ', '.join(f'{key}={value}' for key, value in {**widths, **added}.items())
                row[family] += f' with {needed}' if needed else ''
                break
    row['Swin'] = ''
    if not all(outcome.startswith('ok') for outcome in row.values() if outcome):
        row['Swin'] = attempt(swapping.swin(model), library)
    return row


def try_config(path: Path, *, again: bool = False) -> Row:
    """Try a config with its own backbone and then with ours, and note it.

    Args:
        path: The config.
        again: Run it though an equal model was run with the same versions.
    """
    cfg = Config.fromfile(path)
    model, library = swapping.prepare(cfg), cfg.default_scope
    _, levels = swapping.options(swapping.resnets(model)[0])
    row: Row = {
        'config': key_of(path),
        'model': digest(model),
        'swapped': digest(swapping.swap(model, type='ours', **levels)),
        'date': str(date.today()),
        'versions': VERSIONS,
    }
    earlier = [] if again else [r for r in read().values() if r['versions'] == VERSIONS]
    equal = next((r for r in earlier if r['model'] == row['model']), None)
    row['own'] = equal['own'] if equal else attempt(model, library)
    if row['own'] == 'ok':
        equal = next((r for r in earlier if r['swapped'] == row['swapped'] and r['TNT']), None)
        ours = equal or try_families(model, library)
        row.update({key: ours[key] for key in (*FAMILIES, 'Swin')})
    if row not in earlier:
        append(row)
    return row

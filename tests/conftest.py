"""A data set of four images in COCO format, and a detector that trains on it in seconds."""

import copy
import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import cv2
import mmengine.config.config
import mmengine.dataset.base_dataset
import numpy as np
import pytest
import torch
from hypothesis import settings
from mmengine.config import Config
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.registry import DefaultScope

ROOT = Path(__file__).parents[1]

# Laws are tried on the same few examples in every run; a slow machine is no failure.
settings.register_profile(
    'repeatable', derandomize=True, max_examples=20, deadline=None, database=None
)
settings.load_profile('repeatable')

# The workers of a loader that the garbage collector ends are waited for so many seconds, each.
torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL = 0.1

# Overrides of the config that users train, so that what is tested is the real one.
TINY_CONFIG = """
_base_ = ['{root}/configs/retinanet_tnt_s_coco.py']

arch = dict(
    depth=2, word_dims=8, word_heads=2, sentence_dims=48, sentence_heads=3, mlp_ratio=2.0
)
model = dict(
    backbone=dict(
        _delete_=True,
        type='tnt_backbone.TNT',
        arch=arch,
        taps=(0, 0, 1, 1),
        out_indices=(1, 2, 3),
        out_channels=None,
    ),
    neck=dict(in_channels=[48, 48, 48], out_channels=16),
    bbox_head=dict(num_classes=2, in_channels=16, feat_channels=16, stacked_convs=1),
    test_cfg=dict(score_thr=0.0),
)

metainfo = dict(classes=('box', 'disc'))
data_root = '{data}/'
train_dataloader = dict(
    batch_size=1,
    num_workers=0,
    dataset=dict(data_root=data_root, ann_file='train.json', data_prefix=dict(img='images/'),
                 metainfo=metainfo))
val_dataloader = dict(
    num_workers=0,
    dataset=dict(data_root=data_root, ann_file='train.json', data_prefix=dict(img='images/'),
                 metainfo=metainfo))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'train.json')
test_evaluator = val_evaluator
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='Resize', scale=(64, 64), keep_ratio=True)],
            [dict(type='RandomFlip', prob=1.0), dict(type='RandomFlip', prob=0.0)],
            [dict(type='PackDetInputs', meta_keys=(
                'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip',
                'flip_direction'))],
        ],
    ),
]
train_dataloader['dataset']['pipeline'] = [
    dict(type='LoadImageOrSkip'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(64, 64), keep_ratio=True),
    dict(type='PackDetInputs'),
]
val_dataloader['dataset']['pipeline'] = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(64, 64), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs',
         meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
train_cfg = dict(max_epochs=1)
default_hooks = dict(logger=dict(interval=1))
param_scheduler = [dict(type='ConstantLR', factor=1.0, by_epoch=False)]
"""


# mmengine formats a config in about 0.3 s, and its data sets start a collection of garbage each,
# which takes as long with all libraries in memory.
mmengine.config.config.FormatCode = lambda text, **_: (text, True)
mmengine.dataset.base_dataset.gc = SimpleNamespace(collect=lambda: 0)


def read_once(filename, *options, **named):
    """Read our own configs, and what they build on, once: thousands of tests do."""
    filename = os.path.abspath(filename)
    # what is about digits reads a variable of the environment
    is_ours = filename.startswith(f'{ROOT}/configs/') and 'digits' not in filename
    read = read_own if is_ours else READ_FILE
    return copy.deepcopy(read(filename, *options, **named))


READ_FILE = Config._file2dict
read_own = functools.cache(READ_FILE)
Config._file2dict = staticmethod(read_once)


def write_image(path: Path, seed: int) -> None:
    """Write 64x64 pixels of noise with a bright box."""
    image = np.random.default_rng(seed).integers(0, 100, (64, 64, 3), dtype=np.uint8)
    image[16:48, 16:40] = 220
    cv2.imwrite(str(path), image)


@pytest.fixture(autouse=True)
def nothing_is_left_to_the_next_test():
    """Forget the library's registry, and what runs that started in the same second share."""
    for kind in (DefaultScope, MessageHub):
        kind._instance_dict.clear()
    yield
    DefaultScope._instance_dict.clear()


def run_two_processes(script: str, folder: Path) -> list:
    """Run a test's file as processes 0 and 1; return what each saved as ``<rank>.pth``."""
    processes = [
        subprocess.Popen(
            [sys.executable, script, str(rank), str(folder)], stderr=subprocess.PIPE, text=True
        )
        for rank in (0, 1)
    ]
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    return [torch.load(folder / f'{rank}.pth') for rank in (0, 1)]


SERVER = """
import gc, json, os, sys, tempfile, traceback
import cv2, matplotlib.pyplot, numpy, pycocotools.mask, scipy, torch, torch.distributed, torchvision
import sklearn.gaussian_process, timm
import mmcv.cnn, mmcv.ops, mmcv.transforms, mmengine.runner, mmengine.visualization
mmengine.config.config.FormatCode = lambda text, **_: (text, True)
gc.freeze()
for line in sys.stdin:
    files = [tempfile.TemporaryFile('w+') for _ in range(2)]
    child = os.fork()
    if not child:
        for number, file in zip((1, 2), files):
            os.dup2(file.fileno(), number)
        status = 0
        try:
            program, folder, *sys.argv[1:] = json.loads(line)
            os.chdir(folder)
            exec(program, {'__name__': '__main__'})
        except SystemExit as end:
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr)
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            status = 1
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    for file in files:
        file.seek(0)
    texts = [file.read() for file in files]
    print(json.dumps([status, *texts]), flush=True)
"""


@pytest.fixture(scope='session')
def run_in_a_fork() -> Iterator[Callable[..., SimpleNamespace]]:
    """Run a program in a process of its own that has imported PyTorch, mmengine and mmcv already.

    The function takes the program, its arguments and ``cwd``. It returns what ``subprocess.run``
    does: returncode, stdout and stderr.
    """
    server = subprocess.Popen(
        [sys.executable, '-W', 'ignore', '-c', SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None

    def run(program: str, *arguments: object, cwd: Path = ROOT) -> SimpleNamespace:
        server.stdin.write(json.dumps([program, str(cwd), *map(str, arguments)]) + '\n')
        server.stdin.flush()
        status, stdout, stderr = json.loads(server.stdout.readline())
        return SimpleNamespace(returncode=status, stdout=stdout, stderr=stderr)

    with server:
        yield run
        # The end of its input would not end it: data workers that other tests left hold it open.
        server.kill()


@pytest.fixture(scope='session')
def run_tool(run_in_a_fork: Callable[..., SimpleNamespace]) -> Callable[..., SimpleNamespace]:
    """Run a file of ``tools/`` with its arguments, as :func:`run_in_a_fork`."""

    def run(tool: str, *arguments: object, **options: Path) -> SimpleNamespace:
        path = str(ROOT / 'tools' / tool)
        program = f"""
import runpy, sys
sys.argv[0] = {path!r}
runpy.run_path(sys.argv[0], run_name='__main__')
"""
        return run_in_a_fork(program, *arguments, **options)

    return run


@pytest.fixture
def coco_root(tmp_path: Path) -> Path:
    """A folder with ``train.json`` and ``images/0.jpg`` to ``images/3.jpg``."""
    root = tmp_path / 'coco'
    (root / 'images').mkdir(parents=True)
    for i in range(4):
        write_image(root / 'images' / f'{i}.jpg', seed=i)
    content = {
        'images': [{'id': i, 'file_name': f'{i}.jpg', 'width': 64, 'height': 64} for i in range(4)],
        'annotations': [
            {
                'id': 10 + i,
                'image_id': i,
                'category_id': 1 + i % 2,
                'bbox': [16, 16, 24, 32],
                'area': 768,
                'iscrowd': 0,
            }
            for i in range(4)
        ],
        'categories': [{'id': 1, 'name': 'box'}, {'id': 2, 'name': 'disc'}],
    }
    (root / 'train.json').write_text(json.dumps(content))
    return root


@pytest.fixture
def tiny_config(tmp_path: Path, coco_root: Path) -> Path:
    """A config file: RetinaNet with a TNT of two blocks on the data of ``coco_root``."""
    path = tmp_path / 'tiny.py'
    path.write_text(TINY_CONFIG.format(root=ROOT, data=coco_root))
    return path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint as mmengine writes it, with its log history."""
    history = HistoryBuffer()
    history.update(2.0)
    history.update(4.0)
    path = tmp_path / 'epoch_1.pth'
    torch.save(
        {
            'meta': {'epoch': 1, 'iter': 2, 'best': np.float64(0.5)},
            'state_dict': {'weight': torch.ones(2)},
            'message_hub': {
                'log_scalars': {'loss': history},
                'runtime_info': {'numbers': np.arange(3), 'names': np.array(['a', 'b'])},
            },
            'optimizer': {},
        },
        path,
    )
    return path

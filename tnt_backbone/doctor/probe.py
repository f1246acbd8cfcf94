"""Imports the libraries one by one, and writes down how far it got.

A process of its own runs this file: ``python -P probe.py FILE NAME ...``. Its imports may fail,
hang, or end the process. Each line of FILE is one JSON object: first that a probe has begun, then
what it found.
"""

import importlib
import json
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

Facts = dict[str, Any]
SHOWN = 400  # characters of an error


def expect(result: object, expected: object) -> None:
    """Check a result; asserts may be switched off."""
    if result != expected:
        raise ArithmeticError(f'computed {result}, expected {expected}')


def torch() -> Facts:
    """Compute something on each device."""
    import torch

    expect(torch.ones(2, 2).mm(torch.ones(2, 2)).sum().item(), 8)
    cuda = torch.cuda
    found = cuda.is_available()
    return {
        'version': torch.__version__,
        'cuda': torch.version.cuda or torch.version.hip,
        'has_gpu': found,
        'devices': [_device(number) for number in range(cuda.device_count())] if found else [],
        'compiled_for': cuda.get_arch_list() if found else [],
        'distributed': torch.distributed.is_available(),
        'nccl': torch.distributed.is_available() and torch.distributed.is_nccl_available(),
        'nccl_version': '.'.join(map(str, cuda.nccl.version())) if found else None,
        'hub': torch.hub.get_dir(),
    }


def _device(number: int) -> Facts:
    import torch

    facts: Facts = {'name': torch.cuda.get_device_name(number)}
    try:
        facts['capability'] = torch.cuda.get_device_capability(number)
        facts['free'], facts['total'] = torch.cuda.mem_get_info(number)
        one = torch.ones(64, 64, device=f'cuda:{number}')
        expect(one.mm(one).sum().item(), 64**3)
    except (RuntimeError, ArithmeticError) as error:
        facts['error'] = str(error)[:SHOWN]
    return facts


def torchvision() -> Facts:
    """Call an operator."""
    import torch
    import torchvision

    boxes = torch.tensor([[0.0, 0, 9, 9], [0, 0, 9, 8], [20, 20, 29, 29]])
    kept = torchvision.ops.nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5)
    expect(kept.tolist(), [0, 2])
    return {
        'version': torchvision.__version__,
        'cuda': getattr(torchvision.version, 'cuda', None),
    }


def cv2() -> Facts:
    """Write and read a picture."""
    import cv2
    import numpy as np

    done, data = cv2.imencode('.png', np.full((4, 4, 3), 7, np.uint8))
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
    expect(done and picture is not None and picture.tolist(), [[[7] * 3] * 4] * 4)
    return {'version': cv2.__version__}


def pycocotools() -> Facts:
    """Call its compiled code, which was built for a version of numpy."""
    import numpy as np
    from pycocotools import mask

    expect(int(mask.area(mask.encode(np.ones((3, 2), np.uint8, order='F')))), 6)
    return {}


def mmcv_ops() -> Facts:
    """Call an operator on each kind of device, with our replacements where mmcv has none."""
    import torch

    try:
        compiled = importlib.import_module('mmcv._ext')
    except ModuleNotFoundError as error:
        if error.name != 'mmcv._ext':
            raise
        compiled = None
        from tnt_backbone.run.operators import replace_missing_operators

        replace_missing_operators()
    from mmcv.ops import nms

    kinds = ['cpu', 'cuda'] if compiled and torch.cuda.is_available() else ['cpu']
    for kind in kinds:
        boxes = torch.tensor([[0.0, 0, 9, 9], [0, 0, 9, 8], [20, 20, 29, 29]], device=kind)
        kept = nms(boxes, torch.tensor([0.9, 0.8, 0.7], device=kind), 0.5)[1]
        expect(kept.tolist(), [0, 2])
    # the file of tools/setup_env.sh --no-compile is Python, not a compiled module
    return {'compiled': compiled is not None and not str(compiled.__file__).endswith('.py')}


def inner_block() -> Facts:
    """Compile the inner block, unless it is in the cache, and compute with it."""
    import torch

    from tnt_backbone import TNT
    from tnt_backbone.ops import native, triton

    maps = TNT('ti').eval()(torch.zeros(1, 3, 64, 64))
    expect([bool(level.isfinite().all()) for level in maps], [True] * 4)
    reason = None
    if torch.cuda.is_available():
        reason = triton.why_not(torch.zeros(1, 16, 24, device='cuda'))
    return {'cpu': native.why_no_library(), 'gpu': reason}


def _library(name: str) -> Callable[[], Facts]:
    """Return a probe that imports a library with all its models."""

    def probe() -> Facts:
        module = importlib.import_module(name)
        if name in ('mmdet', 'mmseg', 'mmpretrain'):
            from tnt_backbone.run.operators import replace_missing_operators

            replace_missing_operators()
            importlib.import_module(f'{name}.models')
        if name == 'mmengine':
            importlib.import_module('mmengine.runner')
        return {'version': getattr(module, '__version__', '?')}

    return probe


# Name: what it needs first, and what it does
PROBES: dict[str, tuple[tuple[str, ...], Callable[[], Facts]]] = {
    'numpy': ((), _library('numpy')),
    'torch': ((), torch),
    'torchvision': (('torch',), torchvision),
    'cv2': (('numpy',), cv2),
    'pycocotools': (('numpy',), pycocotools),
    'mmengine': (('torch', 'numpy'), _library('mmengine')),
    'mmcv': (('mmengine', 'cv2'), _library('mmcv')),
    'mmcv.ops': (('mmcv', 'torch'), mmcv_ops),
    'mmdet': (('mmcv',), _library('mmdet')),
    'mmseg': (('mmcv',), _library('mmseg')),
    'mmpretrain': (('mmcv', 'torchvision'), _library('mmpretrain')),
    'inner block': (('torch',), inner_block),
}


def look(name: str) -> Facts:
    """Return what a probe found, or why it failed."""
    start = time.perf_counter()
    facts: Facts = {'name': name}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        try:
            facts.update(PROBES[name][1]())
        except BaseException as error:  # a library may even call sys.exit
            text = ''.join(traceback.format_exception_only(error)).strip()
            facts['error'] = text if len(text) <= SHOWN else f'{text[:SHOWN]} ...'
            if isinstance(error, ModuleNotFoundError):
                facts['missing'] = error.name
    facts['warnings'] = [str(warning.message)[:SHOWN] for warning in caught]
    return {**facts, 'seconds': round(time.perf_counter() - start, 2)}


def main() -> None:
    """Run the probes that the command line names, and write each result at once."""
    path, *names = sys.argv[1:]
    package = str(Path(__file__).parents[2])
    if package not in sys.path:
        sys.path.append(package)
    with open(path, 'a+') as file:
        file.seek(0)  # what an earlier process wrote, which has crashed
        failed = {facts['name'] for facts in map(json.loads, file) if 'error' in facts}
        for name in names:
            print(json.dumps({'name': name, 'begun': True}), file=file, flush=True)
            cause = next((need for need in PROBES[name][0] if need in failed), None)
            facts = {'name': name, 'skipped': cause} if cause else look(name)
            if cause or 'error' in facts:
                failed.add(name)
            print(json.dumps(facts), file=file, flush=True)


if __name__ == '__main__':
    main()

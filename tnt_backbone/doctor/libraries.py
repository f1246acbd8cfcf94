"""What the probes of the libraries mean."""

import re
from collections.abc import Callable, Mapping
from importlib.metadata import requires
from pathlib import Path
from typing import Any

from .finding import NOTE, OK, PROBLEM, Finding
from .known_errors import KNOWN_ERRORS, recognise
from .packages import DISTRIBUTIONS, TESTED, installed

Facts = Mapping[str, Mapping[str, Any]]
OPENMMLAB = "pip install 'tnt-backbone[openmmlab-lite]'"
COMPILER = 'sudo apt install g++'
INDEX = 'https://download.pytorch.org/whl'
LIBRARIES = ('mmdet', 'mmseg', 'mmpretrain')
# What shows that Linux knows a GPU of NVIDIA's; the last is that of Windows' Linux
DRIVERS = ('/proc/driver/nvidia/version', '/dev/nvidiactl', '/dev/dxg')
BUILDS = r'cpu|cu\d+|rocm[\d.]+|xpu'  # parts of versions that name an index


def check_libraries(facts: Facts) -> list[Finding]:
    """Say of each probe whether it went well."""
    return [finding for name, found in facts.items() for finding in _judge(name, found, facts)]


def _judge(name: str, found: Mapping[str, Any], facts: Facts) -> list[Finding]:
    if 'skipped' in found:
        text = f'not looked at, because {found["skipped"]} fails'
        return [Finding(name, NOTE, text)]
    if 'error' in found:
        return [_failed(name, found, facts)]
    judge = JUDGES.get(name)
    return judge(found) if judge else [Finding(name, OK, str(found.get('version', 'works')))]


def _failed(name: str, found: Mapping[str, Any], facts: Facts) -> Finding:
    """Return what an error of an import means."""
    missing, error = found.get('missing'), found['error']
    if missing == name.partition('.')[0]:
        return _not_installed(name, facts)
    if known := recognise(error):
        return Finding(name, PROBLEM, f'{error}\n{known.cause}', known.fix)
    if missing:
        return Finding(name, PROBLEM, error, f'pip install {missing.partition(".")[0]}')
    names = installed(DISTRIBUTIONS.get(name.partition('.')[0], (name,)))
    again = ' '.join(f'{one}=={number}' for one, number in names.items()) or name
    if name == 'inner block':
        return Finding(name, PROBLEM, error, 'export TNT_BACKBONE_INNER_BLOCK=chunked')
    return Finding(name, PROBLEM, error, f'pip install --force-reinstall --no-deps {again}')


def _not_installed(name: str, facts: Facts) -> Finding:
    if name == 'torch':
        return Finding(name, PROBLEM, 'not installed', f'pip install torch=={TESTED["torch"]}')
    some = any('version' in facts.get(library, {}) for library in ('mmengine', *LIBRARIES))
    if name in ('mmengine', 'mmcv', 'cv2', 'numpy') and some:
        text = 'not installed, and the other libraries need it'
        return Finding(name, PROBLEM, text, OPENMMLAB)
    return Finding(name, NOTE, 'not installed; its configs cannot be used', OPENMMLAB)


def _torch(found: Mapping[str, Any]) -> list[Finding]:
    cuda = f'CUDA {found["cuda"]}' if found['cuda'] else 'without CUDA'
    findings = [Finding('torch', OK, f'{found["version"]}, {cuda}')]
    return findings + _gpus(found) + _processes(found)


def _gpus(found: Mapping[str, Any]) -> list[Finding]:
    """Check that torch computes on each GPU of the machine."""
    if not found['has_gpu']:
        if not any(Path(path).exists() for path in DRIVERS):
            return [Finding('GPU', OK, 'none; the commands run on the CPU')]
        if not found['cuda']:
            text = "there is one, but this torch is the CPU's"
            return [Finding('GPU', PROBLEM, text, KNOWN_ERRORS['torch without CUDA'].fix)]
        warning = ' '.join(found['warnings'])
        known = recognise(warning)
        text = f'there is one, but torch cannot use it. {warning}'.strip()
        return [Finding('GPU', PROBLEM, text, known.fix if known else 'unset CUDA_VISIBLE_DEVICES')]
    findings = []
    for number, device in enumerate(found['devices']):
        name = f'GPU {number}'
        if 'error' in device:
            known = recognise(device['error'])
            fix = known.fix if known else 'nvidia-smi'
            findings.append(Finding(name, PROBLEM, f'{device["name"]}: {device["error"]}', fix))
            continue
        free, total = (device[key] / 2**30 for key in ('free', 'total'))
        text = f'{device["name"]}, {free:.1f} of {total:.1f} GiB free'
        if free < total / 2:  # another program computes there
            findings.append(Finding(name, NOTE, text, 'nvidia-smi'))
        else:
            findings.append(Finding(name, OK, text))
    return findings


def _processes(found: Mapping[str, Any]) -> list[Finding]:
    """Check what several processes need to talk to each other."""
    if not found['distributed']:
        fix = f'pip install --force-reinstall torch=={TESTED["torch"]}'
        return [Finding('NCCL', PROBLEM, 'this torch has no torch.distributed', fix)]
    if not found['has_gpu']:
        return [Finding('NCCL', OK, 'not needed without a GPU: processes use gloo')]
    if not found['nccl']:
        status = PROBLEM if len(found['devices']) > 1 else NOTE
        fix = KNOWN_ERRORS['torch without CUDA'].fix
        return [Finding('NCCL', status, 'this torch has none, so one process only', fix)]
    return [Finding('NCCL', OK, str(found['nccl_version']))]


def _mmcv_ops(found: Mapping[str, Any]) -> list[Finding]:
    if found['compiled']:
        return [Finding('mmcv.ops', OK, 'compiled')]
    text = 'not compiled. Operators made from torch and torchvision replace the most used ones'
    full = installed(('mmcv', 'onedl-mmcv'))
    if len(full) == 1 and not installed(('mmcv-lite',)):
        ((name, number),) = full.items()
        known = KNOWN_ERRORS['mmcv without operators']
        fix = known.fix.replace('mmcv mmcv==2.1.0', f'{name} {name}=={number}')
        return [Finding('mmcv.ops', PROBLEM, f"No module named 'mmcv._ext'. {known.cause}", fix)]
    return [Finding('mmcv.ops', NOTE, text, 'bash tools/setup_env.sh')]


def _inner_block(found: Mapping[str, Any]) -> list[Finding]:
    if found['cpu'] or found['gpu']:
        text = found['gpu'] or found['cpu']
        text = f'{text}. PyTorch computes it instead, more slowly'
        return [Finding('inner block', NOTE, text, COMPILER)]
    return [Finding('inner block', OK, 'compiled')]


JUDGES: dict[str, Callable[[Mapping[str, Any]], list[Finding]]] = {
    'torch': _torch,
    'mmcv.ops': _mmcv_ops,
    'inner block': _inner_block,
}


def check_index(facts: Facts) -> list[Finding]:
    """Check that torch and torchvision are builds that belong together."""
    name = 'torch and torchvision'
    torch, vision = (facts.get(one, {}).get('version') for one in ('torch', 'torchvision'))
    if not (torch and vision):  # each has a finding of its own
        return []
    builds = [number.partition('+')[2] for number in (torch, vision)]
    number = torch.partition('+')[0]
    wanted = [
        found[1]
        for line in requires('torchvision') or ()
        if (found := re.match(r'torch\s*\(?==\s*([\d.]+)', line))
    ]
    if wanted and wanted[0] != number:
        text = f'torchvision {vision} is for torch {wanted[0]}, and torch {torch} is installed'
        pair = f'torch=={wanted[0]} torchvision=={vision.partition("+")[0]}'
        return [Finding(name, PROBLEM, text, f'pip install --force-reinstall {pair}')]
    if builds[0] != builds[1] and all(re.fullmatch(BUILDS, build) for build in builds):
        text = f'torch {torch} and torchvision {vision} come from different indexes'
        pair = f'torch=={number} torchvision=={vision.partition("+")[0]}'
        index = f'--index-url {INDEX}/{builds[0]}'
        return [Finding(name, PROBLEM, text, f'pip install --force-reinstall {pair} {index}')]
    return [Finding(name, OK, f'{torch} and {vision} belong together')]

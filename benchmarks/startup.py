"""Seconds from a fresh interpreter to the first step, the quickest of several.

python benchmarks/startup.py
"""

import argparse
import json
import subprocess
import sys

import machine

STEPS = {
    'import torch': 'import torch',
    'import tnt_backbone': 'import tnt_backbone',
    'import the backbones': 'tnt_backbone.TNT',
    'import mmengine, which then knows them': 'import mmengine.registry, mmengine.model',
    'build TNT-S': 'model = tnt_backbone.TNT("s")',
    'first forward pass at 224': 'images = torch.randn(1, 3, 224, 224); maps = model(images)',
    'first backward pass': 'sum(level.mean() for level in maps).backward()',
    'second forward pass': 'model(images)',
}


def measure() -> list[float]:
    """Return the seconds of each step in a fresh interpreter."""
    lines = ['import json, time', 'marks = [time.perf_counter()]']
    for code in STEPS.values():
        lines += [code, 'marks.append(time.perf_counter())']
    lines.append('print(json.dumps([b - a for a, b in zip(marks, marks[1:])]))')
    command = [sys.executable, '-c', '\n'.join(lines)]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(run.stdout)


def main() -> None:
    """Print a row per step."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--repeat', type=int, default=5, help='interpreters; the quickest counts')
    runs = [measure() for _ in range(parser.parse_args().repeat)]
    print(machine.describe('cpu'))
    print('| step | seconds |\n| --- | --- |')
    for name, seconds in zip(STEPS, zip(*runs, strict=True), strict=True):
        print(f'| {name} | {min(seconds):.2f} |')


if __name__ == '__main__':
    main()

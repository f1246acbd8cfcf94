"""Runs the code of a page as a reader would, in a folder with small made data.

A comment before a fence says how it is run. Without one, it is run in the quick tests.

============================================ ====================================================
``<!-- not run: REASON -->``                 not run
``<!-- run: slow -->``                       run with ``-m slow``
``<!-- run: continued -->``                  the Python goes on with the names of the fence before
``<!-- run: saved as FILE -->``             what is shown is also written to FILE
``<!-- run: given masks -->``                ``data/mine`` holds masks (boxes, split, yolo, classes)
``<!-- run: OLD => NEW -->``                 run with this replaced, to be small
``<!-- run: slow; given boxes; A => B -->`` several of these
============================================ ====================================================

Bash fences of a page share its folder. A fence of Python that has ``_base_``, ``model``,
``backbone`` or ``decode_head`` is read as a config, and what it names is built. What is printed is
compared with the comments behind ``print``.
"""

import contextlib
import importlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser

from tests.conftest import ROOT
from tnt_backbone import TNT
from tnt_backbone.demo.dataset import make_dataset

MARK = re.compile(r'<!-- (not run|run): ([^>]*(?:=>[^>]*)*) -->\n\Z')
SCOPES = ('mmdet', 'mmseg', 'mmpretrain')
PRINTED = re.compile(r'^ *print\(.*\n((?:# .*\n?)+)', re.MULTILINE)


@dataclass
class Fence:
    """A fence of a page, and how it is run."""

    language: str
    source: str
    line: int
    not_run: str = ''
    slow: bool = False
    continued: bool = False
    given: str = ''
    saved: str = ''
    replaced: dict[str, str] = field(default_factory=dict)

    @property
    def code(self) -> str:
        """Return what is run instead of what is shown."""
        code = self.source
        for old, new in self.replaced.items():
            if old not in code:
                raise ValueError(f'line {self.line}: the mark replaces {old!r}, which is not there')
            code = code.replace(old, new)
        return code


def fences(page: Path) -> list[Fence]:
    """Return the bash and Python of a page.

    Raises:
        ValueError: If a mark is not one of the above.
    """
    parsers = [CodeBlockParser(language, lambda example: None) for language in ('bash', 'python')]
    document = Sybil(parsers).parse(page)
    found = []
    for example in document:
        language = document.text[example.region.start :].lstrip('`~ ').split()[0]
        fence = Fence(language, str(example.parsed), example.line)
        if mark := MARK.search(document.text[: example.region.start]):
            _read(mark, fence)
        found.append(fence)
    return found


def _read(mark: re.Match[str], fence: Fence) -> None:
    kind, text = mark.groups()
    if kind == 'not run':
        fence.not_run = text
        return
    for word in re.split(r';\s+', text):
        old, arrow, new = word.partition(' => ')
        if arrow:
            fence.replaced[old] = new
        elif word in ('slow', 'continued'):
            setattr(fence, word, True)
        elif word.startswith('saved as '):
            fence.saved = word.removeprefix('saved as ')
        elif word in ('given boxes', 'given masks', 'given classes', 'given split', 'given yolo'):
            fence.given = word.split()[1]
        else:
            raise ValueError(f'line {fence.line}: {word!r} is no mark; see tests/fences.py')


def make_folder(folder: Path) -> Path:
    """Make what a reader has: a clone, a checkpoint, pictures, and weights in the cache."""
    for name in ('benchmarks', 'docs', 'requirements', 'tools'):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / 'configs', folder / 'configs')
    make_dataset(folder / 'data/digits', train=60, val=52, size=(64, 64), seed=0)
    shutil.copytree(folder / 'data/digits/train', folder / 'photos')
    shutil.copy(
        folder / 'data/digits/annotations/instances_train.json', folder / 'annotations.json'
    )
    checkpoint = torch.load(ROOT / 'tnt_backbone/predict/digits.pth', weights_only=True)
    cfg = Config.fromfile(ROOT / 'configs/retinanet_tnt_digits.py')  # with data and metrics
    torch.save(
        checkpoint | {'meta': checkpoint['meta'] | {'cfg': cfg.pretty_text}}, folder / 'best.pth'
    )
    shutil.copy(ROOT / 'docs/images/scene.jpg', folder / 'image.jpg')
    return folder


def make_weights(folder: Path) -> None:
    """Put weights with random numbers where the published ones of TNT-S would be downloaded to."""
    torch.manual_seed(0)
    backbone = TNT('s', out_type='cls_token')
    head = {'head.weight': torch.zeros(1000, 384), 'head.bias': torch.zeros(1000)}
    (folder / 'hub/checkpoints').mkdir(parents=True)
    torch.save(backbone.state_dict() | head, folder / 'hub/checkpoints/tnt_s_81.5.pth.tar')


def give(kind: str, folder: Path) -> None:
    """Make ``data/mine`` as the page shows it: boxes, split, yolo, masks, classes."""
    mine, digits = folder / 'data/mine', folder / 'data/digits'
    shutil.rmtree(mine, ignore_errors=True)
    (folder / 'configs/mine.py').unlink(missing_ok=True)
    if kind in ('boxes', 'split'):
        shutil.copytree(digits / 'train', mine / 'images')
        for name in {'boxes': ['all'], 'split': ['all_train', 'all_val']}[kind]:
            shutil.copy(digits / 'annotations/instances_train.json', mine / f'{name}.json')
    if kind == 'yolo':
        write_yolo(digits, mine)
    if kind == 'masks':
        for split in ('train', 'val'):
            shutil.copytree(digits / split, mine / 'images' / split)
            shutil.copytree(digits / 'semantic' / split, mine / 'labels' / split)
        names = 'background zero one two three four five six seven eight nine'
        (mine / 'classes.txt').write_text('\n'.join(names.split()) + '\n')
    if kind == 'classes':
        shutil.copytree(digits / 'classification', mine)


def write_yolo(digits: Path, mine: Path) -> None:
    """Write the boxes of the digits as YOLO's files."""
    for split in ('train', 'val'):
        shutil.copytree(digits / split, mine / 'images' / split)
        (mine / 'labels' / split).mkdir(parents=True)
        coco = json.loads((digits / f'annotations/instances_{split}.json').read_text())
        for image in coco['images']:
            rows = []
            for box in coco['annotations']:
                if box['image_id'] == image['id']:
                    x, y, width, height = (value / image['width'] for value in box['bbox'])
                    centre = (x + width / 2, y + height / 2, width, height)
                    rows.append(' '.join(map(str, (box['category_id'] - 1, *centre))))
            file = mine / 'labels' / split / Path(image['file_name']).with_suffix('.txt').name
            file.write_text('\n'.join(rows))
    names = ', '.join(f"'{category['name']}'" for category in coco['categories'])
    (mine / 'data.yaml').write_text(f'train: images/train\nval: images/val\nnames: [{names}]\n')


def run_bash(fence: Fence, folder: Path) -> None:
    """Run a fence of bash; the first command that fails ends it.

    Raises:
        AssertionError: With the output, if the exit status is not 0.
    """
    environment = {
        **os.environ,
        'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}',
        'PYTHON': sys.executable,
        'TORCH_HOME': str(folder),
    }
    done = subprocess.run(
        ['bash', '-euo', 'pipefail', '-c', fence.code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=3600 if fence.slow else 60,
    )
    shown = f'line {fence.line}: status {done.returncode}\n{fence.code}'
    assert done.returncode == 0, f'{shown}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}'


@dataclass
class Python:
    """The fences of Python of a page, in the current folder.

    Quick ones run here, one after the other. A slow one runs in a process of its own, behind those
    that it goes on from.
    """

    folder: Path
    names: dict[str, Any] = field(default_factory=dict)
    program: str = ''

    def run(self, fence: Fence) -> None:
        """Run a fence, build what it names, and compare what it prints.

        Raises:
            AssertionError: If something else is printed than the comments say, or if it fails.
        """
        if '_base_' in fence.code:
            build_config(fence.code, self.folder)
            return
        if not fence.continued:
            self.names, self.program = {'__name__': 'fence'}, ''
        self.program += fence.code
        printed = self._run_apart(fence) if fence.slow else self._run_here(fence)
        for comments in PRINTED.findall(fence.code):
            for line in comments.strip().splitlines():
                wanted = line.removeprefix('# ')
                shown = f'line {fence.line}: {wanted!r} is not in\n{printed}'
                assert wanted in printed.splitlines(), shown

    def _run_apart(self, fence: Fence) -> str:
        done = subprocess.run(
            [sys.executable, '-c', self.program],
            capture_output=True,
            text=True,
            timeout=3600,
            env={**os.environ, 'TORCH_HOME': str(self.folder)},
        )
        assert done.returncode == 0, f'line {fence.line}\n{self.program}\n{done.stderr[-3000:]}'
        return done.stdout

    def _run_here(self, fence: Fence) -> str:
        before = set(self.names)
        with contextlib.redirect_stdout(io.StringIO()) as output:
            exec(compile('\n' * fence.line + fence.code, 'page', 'exec'), self.names)
        new = self.names.keys() - before
        for module in self.names.get('custom_imports', {}).get('imports', ()):
            importlib.import_module(module)
        for name in {'model', 'backbone', 'decode_head'} & new:
            if isinstance(self.names[name], dict):
                build(self.names[name])
        return output.getvalue()


def build_config(text: str, folder: Path) -> None:
    """Read a config as a file of ``configs/``, and build its model."""
    file = folder / 'configs/fence.py'
    file.write_text(text)
    cfg = Config.fromfile(file)
    settings = {**cfg.model}
    settings.setdefault('data_preprocessor', cfg.get('data_preprocessor'))
    build(settings, (cfg.default_scope,))


def build(settings: dict[str, object], scopes: tuple[str, ...] = SCOPES) -> None:
    """Build what a config names in the first of the libraries that has it, without memory."""
    for scope in scopes:
        importlib.import_module(f'{scope}.models')
        with MODELS.switch_scope_and_registry(scope) as registry, torch.device('meta'):
            if registry.get(str(settings['type'])) is not None:
                registry.build({**settings})
                return
    raise AssertionError(f'{settings["type"]} is in none of {", ".join(scopes)}')

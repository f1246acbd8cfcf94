"""What a reader copies from a page works: every fence of bash and Python is run, or says why not.

``fences.py`` has the marks. All: ``python -m pytest tests/test_fences.py -m 'slow or not slow'``.
"""

import shutil
from pathlib import Path

import pytest

from tests import fences
from tests.conftest import ROOT
from tnt_backbone.registry import MODELS

PAGES = [
    *sorted((ROOT / 'docs').glob('*.md')),
    *(ROOT / f'{name}.md' for name in ('README', 'CONTRIBUTING', 'SECURITY')),
]
FENCES = {page: fences.fences(page) for page in PAGES}


@pytest.fixture(scope='module')
def clone(tmp_path_factory):
    """What all pages start from."""
    return fences.make_folder(tmp_path_factory.mktemp('clone'))


@pytest.fixture
def folder(clone, tmp_path, monkeypatch):
    """A folder of its own for a page."""
    for path in clone.iterdir():
        if path.is_symlink():
            (tmp_path / path.name).symlink_to(path.readlink())
        elif path.is_dir():
            shutil.copytree(path, tmp_path / path.name)
        else:
            shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(MODELS, '_module_dict', {**MODELS.module_dict})
    return tmp_path


def run_page(page: Path, folder: Path, *, slow: bool) -> None:
    """Run the fences of a page in order, slow ones only if asked to."""
    python = fences.Python(folder)
    for fence in FENCES[page]:
        if fence.not_run or (fence.slow and not slow):
            continue
        if fence.given:
            fences.give(fence.given, folder)
        if fence.saved:
            (folder / fence.saved).write_text(fence.source)
        if fence.language == 'bash':
            fences.run_bash(fence, folder)
        else:
            python.run(fence)


def pages(*, slow):
    chosen = [
        page
        for page, found in FENCES.items()
        if any(not fence.not_run and fence.slow == slow for fence in found)
    ]
    return pytest.mark.parametrize('page', chosen, ids=lambda page: page.stem)


@pages(slow=False)
def test_quick_fences(page, folder):
    run_page(page, folder, slow=False)


@pytest.mark.slow
@pages(slow=True)
def test_all_fences_of_a_page(page, folder):
    fences.make_weights(folder)
    run_page(page, folder, slow=True)


def parsed(tmp_path, text):
    page = tmp_path / 'page.md'
    page.write_text(text)
    return fences.fences(page)


def test_marks_are_read(tmp_path):
    text = """
<!-- not run: takes hours -->
```bash
sleep 9999
```

<!-- run: slow; saved as a.py; 9999 => 1; hours => none -->
```python
a = '9999 hours'
```

```python
b = 2
```
"""
    waiting, saved, plain = parsed(tmp_path, text)
    assert (waiting.language, waiting.not_run) == ('bash', 'takes hours')
    assert (saved.slow, saved.saved, saved.code) == (True, 'a.py', "a = '1 none'\n")
    assert (plain.language, plain.slow, plain.not_run, plain.source) == (
        'python',
        False,
        '',
        'b = 2\n',
    )


@pytest.mark.parametrize('mark', ['slowly', 'given gold', 'b => c'])
def test_a_mark_that_means_nothing_is_an_error(tmp_path, mark):
    with pytest.raises(ValueError, match='line 3'):
        [
            found.code
            for found in parsed(tmp_path, f'\n<!-- run: {mark} -->\n```python\na = 1\n```\n')
        ]


@pytest.mark.parametrize(
    ('code', 'fails'),
    [
        ('print(1)\n# 1\n', False),
        ('print(1)\n# 2\n', True),
        ('print(1)\nprint(2)\n# 1\n# 2\n', False),
        ("backbone = dict(type='tnt_backbone.TNT', arch='ti')\n", False),
        ("backbone = dict(type='NoSuchBackbone')\n", True),
        ("_base_ = ['tnt_s_pets.py']\nmodel = dict(head=dict(in_channels=384))\n", False),
        ("_base_ = ['tnt_s_pets.py']\nmodel = dict(backbone=dict(arch='z'))\n", True),
    ],
)
def test_a_fence_of_python_that_does_not_work_is_noticed(folder, code, fails):
    fence = fences.Fence('python', code, 1)
    if fails:
        with pytest.raises((AssertionError, ValueError)):
            fences.Python(folder).run(fence)
    else:
        fences.Python(folder).run(fence)


def test_a_fence_of_bash_that_does_not_work_is_noticed(folder):
    fences.run_bash(fences.Fence('bash', 'test -f best.pth | cat\n', 1), folder)
    with pytest.raises(AssertionError, match='line 1: status'):
        fences.run_bash(fences.Fence('bash', 'false | cat\ntrue\n', 1), folder)

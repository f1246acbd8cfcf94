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

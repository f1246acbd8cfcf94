"""tnt test leaves a page, and a fault of the page does not touch the test."""

import json
import re
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from tests.conftest import run_two_processes
from tnt_backbone.cli.report import main as report
from tnt_backbone.cli.test import main
from tnt_backbone.report import hook, record_boxes
from tnt_backbone.report.results import FILE, read_results


@pytest.fixture
def test(tiny_config, tmp_path, monkeypatch):
    """Run tools/test.py on a detector of random weights; return its log folder and metrics."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'argv', ['test.py'])
    cfg = Config.fromfile(tiny_config)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        torch.save({'state_dict': MODELS.build(cfg.model).state_dict()}, 'a.pth')

    def run(name, *arguments):
        options = [f'visualizer.name={name}', f'experiment_name={name}{tmp_path.name}']
        options.append('test_evaluator.classwise=True')
        main([str(tiny_config), 'a.pth', '--work-dir', name, *arguments, '--cfg-options', *options])
        (folder,) = Path(name).glob('2*')
        (metrics,) = folder.glob('*.json')
        return folder, json.loads(metrics.read_text())

    return run


def test_a_test_leaves_a_page_with_its_numbers(test, capsys):
    folder, metrics = test('with')
    results = read_results(folder / FILE)
    assert results.classes == ['box', 'disc']
    assert len(results.pictures) == 4
    assert all(Path(record['path']).is_file() for record in results.pictures)
    assert [record['truth_boxes'] for record in results.pictures] == [[[16, 16, 24, 32]]] * 4
    logged = {key: value for key, value in metrics.items() if key.startswith('coco/')}
    assert results.metrics == {key: pytest.approx(value) for key, value in logged.items()}
    assert results.checkpoint == str(Path('a.pth').absolute())
    assert results.environment['PyTorch']
    assert len(results.peak_memory_mb) == 1
    assert (folder / 'report.html').stat().st_size > 10_000
    capsys.readouterr()
    report(['with', '--json'])
    (numbers,) = json.loads(capsys.readouterr().out)
    for name in results.classes:
        theirs = metrics[f'coco/{name}_precision']
        assert numbers['classes'][name]['AP'] == pytest.approx(theirs, abs=6e-4)
    before = (folder / 'report.html').read_text()
    report(['with', '--sizes', '8', '64'])
    after = (folder / 'report.html').read_text()
    assert '8 to 64' in after
    assert '8 to 64' not in before


@pytest.mark.parametrize(
    'fault', ['in a batch', pytest.param('at the end', marks=pytest.mark.slow), 'on the page']
)
def test_a_fault_of_the_report_is_one_warning_and_the_test_goes_on(
    test, monkeypatch, capsys, fault
):
    def fail(*args, **kwargs):
        raise KeyError('a fault')

    if fault == 'in a batch':
        monkeypatch.setattr(record_boxes.DetectionRecorder, '_record', fail)
    elif fault == 'at the end':
        monkeypatch.setattr(hook, 'finite_or_none', fail)
    else:
        monkeypatch.setattr('tnt_backbone.report.page.report_page', fail)
    folder, metrics = test('broken')
    assert 'coco/bbox_mAP' in metrics
    said = capsys.readouterr()
    assert (said.out + said.err).count('--no-report') == 1
    assert 'Traceback' not in said.out + said.err
    log = next(folder.glob('*.log')).read_text()
    assert re.search(r"Traceback(.|\n)*KeyError: 'a fault'", log)
    assert not (folder / 'report.html').exists()


def test_the_report_can_be_switched_off(test):
    folder, _ = test('without', '--no-report')
    assert not (folder / 'report.html').exists()
    assert not (folder / FILE).exists()


SCRIPT = """
import sys
import torch
from mmengine.dist import get_rank
from types import SimpleNamespace
from tnt_backbone.report.hook import ReportHook

rank, folder = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group('gloo', f'file://{folder}/store', rank=rank, world_size=2)
hook = ReportHook()
hook._recorder = SimpleNamespace(
    record=lambda samples: [{'label': s} for s in samples], task='classification',
    classes=['a'], notes=[],
)
warnings = []
runner = SimpleNamespace(
    cfg=SimpleNamespace(pretty_text=''),
    test_loop=SimpleNamespace(dataloader=SimpleNamespace(dataset=range(5))),
    logger=SimpleNamespace(
        warning=warnings.append, handlers=[], name='x', makeRecord=lambda *args: None
    ),
)
found = {}
for fails in (False, True):
    recorder = hook._recorder
    hook.before_test_epoch(runner)
    hook._recorder = recorder
    if fails and rank == 1:
        hook._recorder = SimpleNamespace(record=lambda samples: 1 / 0)
    # 5 pictures: process 0 has 0, 2, 4, and process 1 has 1, 3 and 0 again
    for batch in ([[0, 2], [4]], [[1, 3], [0]])[rank]:
        hook.after_test_iter(runner, 0, None, batch)
    hook.after_test_epoch(runner, {})
    results = hook.results
    found[fails] = results and [record['label'] for record in results.pictures]
    hook._recorder = recorder
torch.save({'found': found, 'warnings': warnings}, f'{folder}/{rank}.pth')
"""


@pytest.mark.slow
def test_two_processes_bring_their_pictures_together(tmp_path, monkeypatch):
    """Also when one of them fails: it must not leave the other waiting."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'script.py').write_text(SCRIPT)
    first, second = run_two_processes(str(tmp_path / 'script.py'), tmp_path)
    assert first['found'] == {False: [0, 1, 2, 3, 4], True: None}
    assert second['found'] == {False: None, True: None}
    assert len(first['warnings']) == 1
    assert 'ZeroDivisionError' in second['warnings'][0]

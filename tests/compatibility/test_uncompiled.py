"""The configs without compiled operators: which are run, what is recorded, and the page."""

from types import SimpleNamespace

import mmcv.ops
import page
import pytest
import swapping
import sweep
import torch
import uncompiled


def test_one_config_per_folder_or_per_model_is_chosen():
    by_folder, by_model = (uncompiled.chosen(every=every) for every in (False, True))
    folders = [row['config'].rpartition('/')[0] for row in by_folder]
    assert len(folders) == len(set(folders)) > 100
    assert len(by_model) == len({row['swapped'] for row in by_model}) > len(by_folder)
    assert all(row['TNT'].startswith('ok') for row in by_folder + by_model)


def test_operators_are_recorded_in_a_process_of_its_own(monkeypatch):
    def suppress(model, library, size):
        boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 11, 11]])
        kept = mmcv.ops.nms(boxes, torch.tensor([0.9, 0.8]), 0.5)[1].tolist()
        return 'ok' if kept == [0] else f'kept {kept}'

    monkeypatch.setattr(swapping, 'attempt', suppress)
    assert uncompiled.attempt({}, 'mmdet') == ('ok', ['nms'])
    operators = uncompiled.sys.modules['mmcv.ops.nms'].ext_module
    assert not isinstance(operators, uncompiled.Recorder)


def test_compiled_operators_are_refused(monkeypatch, capsys):
    compiled = SimpleNamespace(__file__='mmcv/_ext.so')
    monkeypatch.setitem(uncompiled.sys.modules, 'mmcv._ext', compiled)
    monkeypatch.setattr(uncompiled.sys, 'argv', ['uncompiled.py'])
    with pytest.raises(SystemExit):
        uncompiled.main()
    assert 'setup_env.sh --no-compile' in capsys.readouterr().err


def test_a_row_is_written_and_read(tmp_path, monkeypatch):
    monkeypatch.setattr(uncompiled, 'OUTCOMES', tmp_path / 'uncompiled.csv')
    monkeypatch.setattr(uncompiled, 'attempt', lambda *_: ('ok', ['nms', 'roi_align_forward']))
    known = sweep.read()['mmdet/faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py']
    row = uncompiled.try_row(known)
    assert uncompiled.read() == {}
    sweep.append(row, uncompiled.OUTCOMES, uncompiled.COLUMNS)
    assert uncompiled.read() == {known['config']: row}
    assert row['operators'] == 'nms roi_align_forward'


def test_the_page_is_up_to_date():
    assert page.PAGE.read_text() == page.write(), 'run python tools/compatibility/page.py'

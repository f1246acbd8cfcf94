"""The doctor outlives its own checks, and looks at a config part by part."""

import pytest

from tests.conftest import ROOT
from tnt_backbone.doctor import examine as module
from tnt_backbone.doctor.examine import examine
from tnt_backbone.doctor.finding import NOTE, OK, PROBLEM
from tnt_backbone.doctor.of_config import check_config


def test_a_check_that_fails_is_a_note(monkeypatch):
    def fail(*args):
        raise KeyError('MemAvailable')

    monkeypatch.setattr(module, 'run_probes', fail)
    monkeypatch.setattr(module.machine, 'check_memory', fail)
    found = {finding.name: finding for finding in examine()}
    assert found['memory'].status == found['libraries'].status == NOTE
    assert 'MemAvailable' in found['memory'].text
    assert found['python'].status == OK
    assert 'ports' in found


def test_a_config_needs_its_libraries(monkeypatch):
    monkeypatch.setattr(module, 'run_probes', lambda: {})
    found = {finding.name: finding for finding in examine('a.py')}
    assert found['config'].status == NOTE


def look(config, **options):
    return {finding.name: finding for finding in check_config(str(config), options)}


def test_a_config_in_order(tiny_config):
    found = look(tiny_config)
    assert list(found) == ['config', 'data', 'weights', 'backbone', 'load_from']
    assert {finding.status for finding in found.values()} == {OK}


@pytest.mark.parametrize(
    ('options', 'part', 'text'),
    [
        ({'train_dataloader.dataset.data_root': 'nowhere/'}, 'data', 'nowhere/train.json'),
        ({'model.bbox_head.num_classes': 1}, 'data', 'model.bbox_head.num_classes=2'),
        (
            {'model.backbone.init_cfg': dict(type='Pretrained', checkpoint='nowhere.pth')},
            'weights',
            'nowhere.pth',
        ),
        ({'model.backbone.depht': 3}, 'backbone', 'depht'),
        ({'load_from': 'nowhere.pth'}, 'load_from', 'nowhere.pth'),
        ({'default_scope': 'mmpose'}, 'config', 'mmpose'),
    ],
)
def test_each_part_of_a_config_is_judged(options, part, text, tiny_config):
    found = look(tiny_config, **options)
    assert found[part].status == PROBLEM
    assert text in found[part].text
    if part == 'config':
        assert list(found) == ['config']
    else:
        assert found['config'].status == OK


def test_a_config_that_cannot_be_read_ends_the_look(tmp_path):
    path = tmp_path / 'broken.py'
    path.write_text('model = dict(')
    found = look(path)
    assert list(found) == ['config']
    assert found['config'].status == PROBLEM
    assert str(path) in found['config'].text
    assert list(look(ROOT / 'configs/_base_/models/rpn.py')) == ['config']

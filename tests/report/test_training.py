"""Curves from mmengine's logs."""

import json
import math

import pytest

from tnt_backbone.report.training import read_training


def write_log(folder, *lines, end=''):
    path = folder / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text('\n'.join(map(json.dumps, lines)) + '\n' + end)


def step(number, loss=1.0, **more):
    rates, losses = {'lr': 0.1, 'base_lr': 0.1}, {'loss': loss, 'loss_cls': loss / 2}
    return rates | losses | {'time': 2.0, 'iter': number, 'step': number, 'epoch': 1} | more


def test_curves_and_medians(tmp_path):
    write_log(
        tmp_path / '20300101_000000',
        step(10, 3.0, grad_norm=5.0, memory=900),
        step(20, 2.0, time=4.0, grad_norm=4.0, memory=950),
        {'coco/bbox_mAP': 0.25, 'data_time': 0.1, 'time': 9.0, 'step': 1},
        step(30, 1.0, time=3.0, grad_norm=3.0),
        {'peak_memory_mb/rank0': 700.0, 'peak_memory_mb/rank1': 812.5, 'step': 30},
    )
    found = read_training(tmp_path)
    assert found.losses['loss'] == [(10, 3.0), (20, 2.0), (30, 1.0)]
    assert found.losses['loss_cls'] == [(10, 1.5), (20, 1.0), (30, 0.5)]
    assert found.rates == {'lr': [(10, 0.1), (20, 0.1), (30, 0.1)]}  # base_lr is the same
    assert found.others == {'grad_norm': [(10, 5.0), (20, 4.0), (30, 3.0)]}
    # an epoch in the log; drawn at the iteration
    assert found.validations == {'coco/bbox_mAP': [(20, 0.25)]}
    assert found.seconds == 3.0
    assert found.peak_memory_mb == 950


def test_a_resumed_training_is_one_with_what_it_resumed(tmp_path):
    write_log(tmp_path / '20300101_000000', step(10, 9.0), step(20, 9.0))  # another training
    write_log(tmp_path / '20300102_000000', step(10, 3.0), step(20, 2.0), step(30, 7.0))
    write_log(tmp_path / '20300103_000000', step(30, 1.0), step(40, 0.5))
    (tmp_path / '20300104_000000' / 'vis_data').mkdir(parents=True)
    (tmp_path / '20300104_000000' / 'vis_data' / 'scalars.json').write_text('')  # of a test
    found = read_training(tmp_path)
    assert found.losses['loss'] == [(10, 3.0), (20, 2.0), (30, 1.0), (40, 0.5)]
    assert found.folder.name == '20300103_000000'
    earlier = read_training(tmp_path, '20300101_000000')
    assert earlier.losses['loss'] == [(10, 9.0), (20, 9.0)]


def test_half_a_line_and_a_loss_that_is_no_number_are_named(tmp_path):
    write_log(tmp_path / 'a', step(1), step(2, math.nan), end='{"loss": 0.')
    found = read_training(tmp_path)
    assert len(found.losses['loss']) == 2
    assert any('scalars.json' in note and '1 ' in note for note in found.notes)
    assert any('finite' in note for note in found.notes)


@pytest.mark.parametrize('content', ['', 'x', '[]', '{}', '{"coco/bbox_mAP": 0.1, "step": 1}'])
def test_a_log_without_a_training(tmp_path, content):
    (tmp_path / 'a' / 'vis_data').mkdir(parents=True)
    (tmp_path / 'a' / 'vis_data' / 'scalars.json').write_text(content)
    assert read_training(tmp_path) is None

"""The sweep's own parts: what it selects, what it replaces, how it runs a model and keeps count."""

import os
import signal

import pytest
import swapping
import sweep
from mmengine.config import Config

DETECTOR = sweep.ROOTS['mmdet']


def model(name):
    return swapping.prepare(Config.fromfile(DETECTOR / name))


def test_every_resnet_is_replaced_and_nothing_else():
    """LAD has a teacher with a ResNet of its own."""
    stock = model('lad/lad_r101-paa-r50_fpn_2xb8_coco_1x.py')
    assert [node['depth'] for node in swapping.resnets(stock)] == [101, 50]
    swapped = swapping.swap(stock, type='TNT')
    assert swapping.resnets(swapped) == []
    changed = {key for key in stock if stock[key] != swapped[key]}
    assert changed == {'backbone', 'teacher_backbone'}
    assert swapped['backbone'] == {'type': 'TNT', 'out_indices': (0, 1, 2, 3)}


def test_weights_are_taken_out():
    stock = model('lad/lad_r101-paa-r50_fpn_2xb8_coco_1x.py')
    assert 'http' not in str(stock)
    assert 'torchvision' not in str(stock)


@pytest.mark.parametrize(
    ('stock', 'kept', 'levels'),
    [
        ({'depth': 50}, {}, {}),
        ({'depth': 50, 'out_indices': [1, 3]}, {'out_indices': (1, 3)}, {}),
        ({'depth': 18}, {'out_channels': (64, 128, 256, 512)}, {}),
        ({'depth': 50, 'strides': (1, 2, 2)}, {}, {}),  # a C4 detector has three stages
        ({'depth': 50, 'strides': (1, 2, 1, 1)}, {}, {'out_strides': (4, 8, 8, 8)}),
        ({'depth': 50, 'strides': (1, 2, 2, 1)}, {}, {'out_strides': (4, 8, 16, 16)}),
    ],
)
def test_options(stock, kept, levels):
    assert swapping.options(stock) == (kept, levels)


def test_depth_does_not_matter_once_swapped():
    shallow, deep = (model(f'atss/atss_r{depth}_fpn_1x_coco.py') for depth in (50, 101))
    assert sweep.digest(shallow) != sweep.digest(deep)
    shallow, deep = (swapping.swap(stock, type='TNT') for stock in (shallow, deep))
    assert sweep.digest(shallow) == sweep.digest(deep)


def test_fork_returns_the_answer_or_how_it_ended(monkeypatch):
    assert sweep.in_fork(lambda: 'ok') == 'ok'
    assert sweep.in_fork(lambda: os.kill(os.getpid(), signal.SIGTERM)) == 'Crash: exit status -15'
    assert sweep.in_fork(lambda: os._exit(3)) == 'Crash: exit status 3'
    monkeypatch.setattr(sweep, 'SECONDS', 0.2)
    assert sweep.in_fork(signal.pause) == 'Timeout: more than 0.2 s'
    monkeypatch.setattr(sweep, 'CPU_SECONDS', 1)
    monkeypatch.setattr(sweep, 'SECONDS', 600)

    def busy():
        while True:
            pass

    assert sweep.in_fork(busy) == 'Timeout: more than 1 s of CPU time'


def test_equal_models_share_a_run(tmp_path, monkeypatch):
    tried = []

    def attempt(model, library):
        tried.append(model['backbone']['type'])
        return 'ok'

    monkeypatch.setattr(sweep, 'OUTCOMES', tmp_path / 'outcomes.csv')
    monkeypatch.setattr(sweep, 'attempt', attempt)
    folder = DETECTOR / 'atss'
    sweep.try_config(folder / 'atss_r50_fpn_1x_coco.py')
    assert tried == ['ResNet', *sweep.FAMILIES]
    sweep.try_config(folder / 'atss_r50_fpn_1x_coco.py')  # noted already
    assert tried == ['ResNet', *sweep.FAMILIES]
    row = sweep.try_config(folder / 'atss_r101_fpn_1x_coco.py')  # differs only in the ResNet
    assert tried == ['ResNet', *sweep.FAMILIES, 'ResNet']
    assert row['TNT'] == 'ok'
    sweep.try_config(folder / 'atss_r50_fpn_1x_coco.py', again=True)
    assert len(tried) == 9
    assert list(sweep.read()) == [
        'mmdet/atss/atss_r50_fpn_1x_coco.py',
        'mmdet/atss/atss_r101_fpn_1x_coco.py',
    ]


def test_levels_are_tried_bare_first_and_swin_where_ours_fail(monkeypatch):
    """A dilated ResNet whose heads want equal levels, and one that nothing can replace."""
    stock = {'backbone': {'type': 'ResNet', 'depth': 18, 'strides': (1, 2, 1, 1)}}
    monkeypatch.setattr(
        sweep,
        'attempt',
        lambda model, _: 'ok' if 'out_strides' in model['backbone'] else 'ValueError: sizes',
    )
    row = sweep.try_families(stock, 'mmseg')
    assert row.pop('Swin') == ''
    needed = 'out_channels=(64, 128, 256, 512), out_strides=(4, 8, 8, 8)'
    assert row == dict.fromkeys(sweep.FAMILIES, f'ok with {needed}')

    monkeypatch.setattr(sweep, 'attempt', lambda model, _: model['backbone']['type'])
    assert sweep.try_families(stock, 'mmseg')['Swin'] == 'mmdet.SwinTransformer'

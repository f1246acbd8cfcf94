"""Configs by path and name, and what may have been meant by one that is not there."""

import pytest

from tnt_backbone.run.find_config import CONFIGS, find_config

RETINANET = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'


@pytest.mark.parametrize(
    ('given', 'meant'),
    [
        ('kang', 'configs/kang.py'),
        ('knag.py', 'configs/kang.py'),
        ('retinanet_tnt_s_coc', f'{CONFIGS}/retinanet_tnt_s_coco.py'),
        ('mmdet::retinanet/retinanet_r50_fpn_1x_coc.py', RETINANET),
        ('mmdet::retinanet_r50_fpn_1x_coco.py', RETINANET),
    ],
)
def test_the_nearest_name_comes_first(tmp_path, monkeypatch, given, meant):
    """Files of the folder whose names have only their ending in common are not meant."""
    (tmp_path / 'configs').mkdir()
    for name in ('d.py', 'rt.py', 'configs/kang.py'):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as caught:
        find_config(given)
    asked = str(caught.value).partition('Did you mean ')[2]
    assert asked.startswith((f'{meant}?', f'{meant} or '))
    assert 'd.py' not in asked.replace('kang.py', '')


def test_names_that_are_near_to_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'q.py').touch()
    with pytest.raises(FileNotFoundError, match='tnt configs') as caught:
        find_config('xqzw')
    assert 'Did you mean' not in str(caught.value)
    with pytest.raises(FileNotFoundError, match=r'Configs in its folder: .*retinanet_'):
        find_config('mmdet::retinanet/xqzw.py')


def test_configs_that_are_there():
    assert find_config('retinanet_tnt_s_coco') == str(CONFIGS / 'retinanet_tnt_s_coco.py')
    assert find_config(RETINANET).endswith('retinanet/retinanet_r50_fpn_1x_coco.py')

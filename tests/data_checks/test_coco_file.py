"""A COCO file is read once, and again when it has changed."""

import json
from dataclasses import FrozenInstanceError

import pytest

from tnt_backbone.data_checks import coco_file
from tnt_backbone.data_checks.coco_file import forget_coco_files, read_coco


@pytest.fixture
def parses(monkeypatch):
    """Sizes of the files that we parsed; MMDetection reads them as text, by itself."""
    forget_coco_files()
    found, loads = [], json.loads

    def count(data, **options):
        if isinstance(data, bytes) and b'"categories"' in data:
            found.append(len(data))
        return loads(data, **options)

    monkeypatch.setattr(coco_file.json, 'loads', count)
    yield found
    forget_coco_files()


def test_a_file_is_parsed_once(coco_root, parses):
    first = read_coco(coco_root / 'train.json')
    assert read_coco(str(coco_root / 'train.json')) is first
    assert len(parses) == 1
    assert first.names == ['box', 'disc']
    assert sorted(first.images) == [0, 1, 2, 3]
    assert [box['id'] for box in first.boxes] == [10, 11, 12, 13]
    with pytest.raises(FrozenInstanceError):  # all readers share it
        first.boxes = []


def test_a_changed_file_is_parsed_again(coco_root, parses):
    path = coco_root / 'train.json'
    content = read_coco(path).content
    path.write_text(json.dumps({**content, 'annotations': content['annotations'][:1]}))
    assert len(read_coco(path).boxes) == 1
    assert len(parses) == 2


def test_a_test_set_has_no_annotations(coco_root):
    path = coco_root / 'train.json'
    content = json.loads(path.read_text())
    del content['annotations']
    path.write_text(json.dumps(content))
    file = read_coco(path)
    assert (file.boxes, file.is_annotated) == ([], False)
    with pytest.raises(ValueError, match=r'train\.json.*"annotations".*docs/datasets\.md'):
        file.require_annotations()


def test_the_look_before_a_training_parses_each_file_once(tiny_config, parses):
    from mmengine.config import Config

    from tnt_backbone.run.preflight import check_training

    check_training(Config.fromfile(tiny_config))  # one file, to train and to evaluate on
    assert len(parses) == 1


def test_new_config_parses_each_file_once(coco_root, parses, tmp_path):
    from tnt_backbone.cli import new_config

    source = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
    data = ['--backbone', 'tnt_ti', '--data', str(coco_root / 'train.json')]
    new_config.main([str(tmp_path / 'a.py'), '--from', source, *data])
    assert len(parses) == 1
    new_config.main([str(tmp_path / 'b.py'), '--from', source, *data, '--val-share', '0.5'])
    assert len(parses) == 3  # and its two parts

"""A checkpoint's file predicts the same where torch and the libraries cannot be imported."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import cv2
import numpy as np
import onnx
import pytest
import torch

from tests.exported.models import make_model, write_pictures
from tests.predict.conftest import data, make_checkpoint  # noqa: F401 (fixtures)
from tnt_backbone import load_model
from tnt_backbone.exported.export import _rounded, _write, export_model, needs_size
from tnt_backbone.exported.model import ExportedModel
from tnt_backbone.exported.parity import compare
from tnt_backbone.exported.session import import_openvino, open_session
from tnt_backbone.exported.sizes import any_size, one_size
from tnt_backbone.predict.pictures import find_pictures

WITHOUT = """
import socket, sys
for name in ('torch', 'mmengine', 'mmcv', 'mmdet', 'mmseg', 'mmpretrain'):
    sys.modules[name] = None
def refuse(*_, **__):
    raise AssertionError('a socket was opened')
socket.socket.connect = socket.create_connection = refuse
from tnt_backbone.cli import tnt
sys.argv = ['tnt', *sys.argv[1:]]
tnt.main()
"""


SUFFIXES = [
    '.onnx',
    pytest.param(
        '.xml', marks=pytest.mark.skipif(find_spec('openvino') is None, reason='needs openvino')
    ),
]
SLIDE = {'test_cfg': {'mode': 'slide', 'crop_size': (64, 64), 'stride': (40, 40)}}
SIZES = [(96, 160), (160, 96), (64, 64), (200, 120), (96, 150), (40, 300)]  # height, width

# A minute each on a busy core: PyTorch's exporter translates several hundred operators.
CASES = [
    ('retinanet_tnt_s_coco', {}),
    ('retinanet_pyramid_tnt_s_coco', {}),
    ('retinanet_t2t_vit_14_coco', {}),
    ('atss_tnt_s_coco', {}),
    ('faster_rcnn_tnt_s_coco', {}),
    ('faster_rcnn_pyramid_tnt_s_coco', {}),
    ('faster_rcnn_t2t_vit_14_coco', {}),
    ('mask_rcnn_tnt_s_coco', {}),
    ('mask_rcnn_pyramid_tnt_s_coco', {}),
    ('detr_tnt_s_coco', {}),
    ('fpn_tnt_s_ade20k', {}),
    ('fpn_t2t_vit_14_ade20k', {}),
    ('fpn_tnt_s_ade20k', SLIDE),
    ('upernet_tnt_s_ade20k', SLIDE),
    ('upernet_pyramid_tnt_s_ade20k', SLIDE),
    ('upernet_t2t_vit_14_ade20k', SLIDE),
    ('segmenter_tnt_s_ade20k', SLIDE),
]


def name_of(value):
    return ('slide' if value else '') if isinstance(value, dict) else value


@pytest.mark.slow
@pytest.mark.parametrize(('config', 'changes'), CASES, ids=name_of)
def test_pictures_of_any_size_give_what_the_model_gives(tmp_path, config, changes):
    sizes = SIZES[:5] if 'upernet' in config else SIZES  # the last is lower than a window
    pictures = find_pictures([write_pictures(tmp_path / 'pictures', sizes)])
    trained = make_model(config, **changes)
    file = tmp_path / 'model.onnx'
    export_model(trained, file)
    found = compare(trained, ExportedModel(file), pictures)
    assert found['passed'], found
    assert found['compared'] > 30


ONE_SIZE = [
    ('upernet_tnt_s_ade20k', {'test_cfg': {'mode': 'whole'}}),
    ('fpn_pyramid_tnt_s_ade20k', {}),
    ('tnt_s_imagenet', {}),
    ('pyramid_tnt_s_imagenet', {}),
    ('t2t_vit_14_imagenet', {}),
    ('t2t_vit_t_14_imagenet', {}),
]


@pytest.mark.slow
@pytest.mark.parametrize(('config', 'changes'), ONE_SIZE, ids=name_of)
def test_pictures_of_one_size_give_what_the_model_gives(tmp_path, config, changes):
    pictures = find_pictures([write_pictures(tmp_path / 'pictures', [(88, 150)] * 4)])
    trained = make_model(config, **changes)
    assert needs_size(trained)
    file = tmp_path / 'model.onnx'
    export_model(trained, file, tuple(trained.prepare(pictures[0])['inputs'].shape[1:]))
    found = compare(trained, ExportedModel(file), pictures)
    assert found['passed'], found


# These take seconds, since PyTorch's exporter does.
def test_a_constant_made_by_tracing_is_found(tmp_path):
    class Wrong(torch.nn.Module):
        def forward(self, images):
            side = int(images.shape[2] * 2.0)  # a constant for the exporter
            return torch.nn.functional.interpolate(images, size=(side, side))

    with pytest.raises(ValueError, match='--size'):
        _write(Wrong(), any_size(None), tmp_path / 'wrong.onnx', {}, 'Wrong')


@pytest.mark.parametrize('suffix', SUFFIXES)
def test_weights_in_half_precision_halve_the_file(tmp_path, suffix):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 256, 9), torch.nn.Conv2d(256, 4, 9))
    trained = SimpleNamespace(model=network)
    rounded = _rounded(trained)
    assert rounded.model[0].weight.data_ptr() != network[0].weight.data_ptr()
    assert torch.equal(rounded.model[0].weight, network[0].weight.half().float())
    with torch.no_grad():
        network[1].weight[0, 0, 0, 0] = 1e5  # half precision ends at 65504
        assert torch.equal(_rounded(trained).model[1].weight, network[1].weight)

    sizes = {}
    for half in (False, True):
        folder = tmp_path / str(half)
        folder.mkdir()
        file = folder / f'model{suffix}'
        _write(rounded.model, one_size((20, 24), 1), file, {'id': 'a'}, 'Two', half=half)
        sizes[half] = sum(part.stat().st_size for part in folder.iterdir())
        assert json.loads(open_session(file).text) == {'id': 'a'}
        # PyTorch notes lines of source code at each node
        assert not any(b'.py' in part.read_bytes() for part in folder.iterdir())
    assert sizes[True] < 0.55 * sizes[False]


@pytest.mark.parametrize('suffix', SUFFIXES)
def test_a_full_disk_is_told(tmp_path, monkeypatch, suffix):
    def fail(*_, **__):
        raise OSError(28, 'No space left on device')

    def fail_as_openvino(*_, **__):
        raise RuntimeError('iostream error')

    if suffix == '.onnx':
        monkeypatch.setattr(onnx, 'save', fail)
    else:
        monkeypatch.setattr(import_openvino(), 'save_model', fail_as_openvino)
    hidden = tmp_path / 'mine' / '.a.part'
    hidden.mkdir(parents=True)
    with pytest.raises(ValueError, match=rf'mine/a\{suffix}.*(No space|iostream).*--out'):
        _write(torch.nn.Identity(), one_size((4, 4), 1), hidden / f'a{suffix}', {}, 'Identity')


def test_small_numbers_are_not_dropped(tmp_path):
    class Tiny(torch.nn.Module):
        def forward(self, images):
            return 1 / (images * 0 + 1e-8)

    file = tmp_path / 'tiny.onnx'
    _write(Tiny(), one_size((4, 4), 1), file, {}, 'Tiny')
    (found,) = open_session(file).run([np.ones((1, 3, 4, 4), np.float32)])
    np.testing.assert_allclose(found, 1e8, rtol=1e-6)


@pytest.mark.parametrize('suffix', SUFFIXES)
@pytest.mark.parametrize(
    'task',
    [
        'classification',
        *(pytest.param(task, marks=pytest.mark.slow) for task in ('segmentation', 'detection')),
    ],
)
def test_the_file_predicts_like_its_checkpoint_without_torch(
    make_checkpoint,  # noqa: F811
    tmp_path,
    task,
    suffix,
):
    sizes = [(64, 64)] * 4 if task == 'classification' else [(96, 104), (64, 160), (70, 64)]
    folder = write_pictures(tmp_path / 'pictures', sizes)
    trained = load_model(make_checkpoint(task)[0], device='cpu')
    assert needs_size(trained) == (task == 'classification')
    file = tmp_path / f'model{suffix}'
    export_model(trained, file, (64, 64) if needs_size(trained) else None)

    pictures = find_pictures([folder])
    options = {'score': 0.0} if task == 'detection' else {}
    command = [sys.executable, '-c', WITHOUT, 'predict', str(file), str(folder), '--batch', '3']
    if task == 'detection':
        names = [name for result in trained.stream(pictures, **options) for name in result.names]
        options['classes'] = sorted(set(names) - {max(names)}) or [names[0]]
        command += ['--score', '0', '--as', 'coco', '--classes', *options['classes']]
    done = subprocess.run(
        [*command, '--out', str(tmp_path / 'out')],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, 'HOME': str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / 'intel').exists()  # where OpenVINO's messages are counted
    entries = json.loads((tmp_path / 'out/predictions.json').read_text())
    expected = [result.to_json() for result in trained.stream(pictures, **options)]
    if task == 'detection':
        expected = [entry for objects in expected for entry in objects]
        assert len(expected) > 10
    assert [entry['file_name'] for entry in entries] == [entry['file_name'] for entry in expected]
    for found, wanted in zip(entries, expected, strict=True):
        for key, numbers in numbers_of(wanted).items():
            np.testing.assert_allclose(numbers_of(found)[key], numbers, atol=2e-3)
    assert sorted(path.name for path in (tmp_path / 'out/pictures').iterdir()) == sorted(
        path.name for path in folder.iterdir()
    )


def numbers_of(entry):
    """The numbers of an entry of predictions.json, by what they are about."""
    if 'bbox' in entry:
        return {entry['category']: [*entry['bbox'], entry['score']]}
    if 'shares' in entry:
        return entry['shares']
    return {found['category']: found['score'] for found in entry['top5']}


@pytest.mark.slow
def test_other_pictures_and_other_weights_are_told(make_checkpoint, tmp_path):  # noqa: F811
    folder = write_pictures(tmp_path / 'pictures', [(64, 64)] * 2)
    trained = load_model(make_checkpoint('classification')[0], device='cpu')
    file = tmp_path / 'model.onnx'
    export_model(trained, file, (64, 64))
    pictures = find_pictures([folder])
    assert compare(trained, ExportedModel(file), pictures)['passed']

    cv2.imwrite(str(folder / '1.png'), np.zeros((70, 64, 3), np.uint8))
    with pytest.raises(ValueError, match='--size 70 64'):
        compare(trained, ExportedModel(file), pictures)

    # a comparison that cannot fail would be none
    (folder / '1.png').unlink()
    content = onnx.load(str(file))
    rng = np.random.default_rng(1)
    for tensor in content.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values = onnx.numpy_helper.to_array(tensor)
            noise = rng.normal(size=values.shape).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(noise, tensor.name))
    onnx.save(content, str(file))
    assert not compare(trained, ExportedModel(file), find_pictures([folder]))['passed']

"""The size at which an exported file sees a large picture."""

import json

import cv2
import numpy as np
import onnx
import pytest
from mmengine.registry import DefaultScope

from tests.predict.conftest import data, make_checkpoint  # noqa: F401 (fixtures)
from tnt_backbone.cli import export
from tnt_backbone.exported.model import KEY, ExportedModel
from tnt_backbone.predict.pictures import Picture, UnreadablePictureError
from tnt_backbone.predict.prepare import Preparation

ABOUT = {
    **{'task': 'segmentation', 'classes': list('bgr'), 'palette': [[0, 0, 0]] * 3, 'parts': []},
    **{'id': 'x', 'size': None, 'square': None, 'pipeline': [], 'bgr_to_rgb': False},
    **{'mean': None, 'std': None, 'size_divisor': 1, 'pad_val': 0},
}
RESIZE = {'type': 'Resize', 'scale': (96, 96), 'keep_ratio': True}


@pytest.fixture
def make_file(tmp_path):
    """Write a segmentor whose logits are the pixels."""

    def make(**about):
        shape = ['N', 3, 'H', 'W']
        value = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, shape) for n in 'xy']
        graph = onnx.helper.make_graph(
            [onnx.helper.make_node('Identity', ['x'], ['y'])], 'graph', value[:1], value[1:]
        )
        opset = [onnx.helper.make_opsetid('', 17)]
        model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
        onnx.helper.set_model_props(model, {KEY: json.dumps({**ABOUT, **about})})
        onnx.save(model, tmp_path / 'x.onnx')
        return ExportedModel(tmp_path / 'x.onnx')

    return make


@pytest.mark.parametrize('pipeline', [[], [RESIZE]])
@pytest.mark.parametrize('size', [48, 80, 100, 1000])
def test_a_file_sees_what_its_checkpoint_would(make_file, pipeline, size):
    pixels = np.random.default_rng(0).integers(0, 256, (60, 120, 3), dtype=np.uint8)
    packing = {'type': 'PackSegInputs', 'meta_keys': ()}
    with DefaultScope.overwrite_default_scope('mmseg'):
        prepare = Preparation([{'type': 'LoadImageFromFile'}, *pipeline, packing])
        prepare.limit(size)
        seen = prepare(Picture('a', '', pixels))['inputs'].numpy().transpose(1, 2, 0)
    logits = cv2.resize(seen.astype(np.float32), (120, 60))
    (result,) = make_file(pipeline=pipeline).stream([Picture('a', '', pixels)], size=size)
    np.testing.assert_array_equal(result.labels, logits.argmax(-1))
    assert max(seen.shape) == min(size, 96 if pipeline else 120)


def test_a_size_that_a_file_cannot_take_is_refused(make_file):
    for about, said in (
        ({'size': [64, 96]}, '96x64'),
        ({'align_corners': True}, 'align_corners'),
        ({'task': 'classification'}, 'classifier'),
        ({}, 'size=8'),
    ):
        with pytest.raises(ValueError, match=said):
            make_file(**about).stream([], size=64 if about else 8)


def test_a_picture_of_many_tokens_is_named_once(make_file, monkeypatch):
    said = []
    monkeypatch.setattr('tnt_backbone.predict.large_pictures.MANY_TOKENS', 32)
    monkeypatch.setattr(
        'tnt_backbone.predict.large_pictures.log', lambda text, level: said.append(text)
    )
    model = make_file(token_side=8)
    for height in (32, 33, 33):
        list(model.stream([Picture('a', '', np.zeros((height, 64, 3), np.uint8))]))
    assert len(said) == 1
    assert {'64x33', '40', '--size'} <= set(said[0].split())


def test_pictures_of_another_size_are_passed_over(make_file):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    given = [Picture(name, '', pixels[:height]) for name, height in (('a', 64), ('b', 60))]
    model = make_file(size=[64, 96])
    for batch in (1, 3):
        first, other, last = model.stream([*given, given[0]], batch_size=batch)
        for result in (first, last):
            np.testing.assert_array_equal(result.labels, pixels.argmax(-1))
        assert isinstance(other, UnreadablePictureError)
        assert all(word in str(other) for word in ('b', '[60, 96]', '--size 60 96'))


@pytest.mark.parametrize(
    ('wrong', 'options', 'said'),
    [
        ('other', [], ('60x96', '64x96', '--config')),
        ('other', ['--size', '60', '96'], ('60x96', '64x96', '--config')),
        ('damaged', [], ('skipped', '49.png', '50')),  # 49 are left
    ],
)
def test_wrong_pictures_are_told_before_a_network_is_traced(
    make_checkpoint,  # noqa: F811
    tmp_path,
    monkeypatch,
    capsys,
    wrong,
    options,
    said,
):
    def fail(*_, **__):
        raise AssertionError('the network was traced')

    monkeypatch.setattr('tnt_backbone.exported.export.export_model', fail)
    folder = tmp_path / 'pictures'
    folder.mkdir()
    for number in range(50):
        height = 60 if (wrong, number) == ('other', 49) else 64
        cv2.imwrite(str(folder / f'{number}.png'), np.zeros((height, 96, 3), np.uint8))
    if wrong == 'damaged':
        (folder / '49.png').write_bytes((folder / '49.png').read_bytes()[:40])
    checkpoint, _ = make_checkpoint('classification')
    given = [checkpoint, '--out', tmp_path / 'a.onnx', '--pictures', folder, *options]
    with pytest.raises(SystemExit) as found:
        export.main(list(map(str, given)))
    assert found.value.code == 2
    printed = capsys.readouterr().err
    assert all(word in printed for word in said), printed

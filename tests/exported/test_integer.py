"""Networks in 8 bits: what is quantized, in which ranges, and what a whole export says of it."""

import json

import cv2
import numpy as np
import onnx
import pytest

from tests.cli.test_predict import run  # noqa: F401 (a fixture)
from tests.conftest import ROOT
from tnt_backbone.demo.dataset import make_dataset
from tnt_backbone.exported.integer import _left_out, _quantize
from tnt_backbone.exported.model import KEY, ExportedModel
from tnt_backbone.exported.session import open_session
from tnt_backbone.predict.pictures import find_pictures

ABOUT = {
    **{'task': 'classification', 'classes': ['a', 'b'], 'palette': [[0, 0, 0]] * 2, 'parts': []},
    **{'id': 'first', 'size': [16, 16], 'square': None, 'pipeline': [], 'bgr_to_rgb': False},
    **{'mean': None, 'std': None, 'size_divisor': 1, 'pad_val': 0},
}


@pytest.fixture
def classifier(tmp_path):
    """A file of a convolution, a mean over places, and a linear layer of 64 channels."""
    rng = np.random.default_rng(0)
    tensors = {
        'kernel': rng.normal(0, 0.01, (64, 3, 3, 3)),
        'weight': rng.normal(0, 0.01, (64, 2)),
        'axes': np.array([2, 3]),
    }
    initializers = [
        onnx.numpy_helper.from_array(value.astype(np.int64 if name == 'axes' else np.float32), name)
        for name, value in tensors.items()
    ]
    make, kind = onnx.helper.make_node, onnx.TensorProto.FLOAT
    nodes = [
        make('Conv', ['x', 'kernel'], ['maps'], 'conv'),
        make('Relu', ['maps'], ['positive']),
        make('ReduceMean', ['positive', 'axes'], ['mean'], 'mean', keepdims=0),
        make('MatMul', ['mean', 'weight'], ['y'], 'linear'),
    ]
    graph = onnx.helper.make_graph(
        nodes,
        'graph',
        [onnx.helper.make_tensor_value_info('x', kind, ['n', 3, 16, 16])],
        [onnx.helper.make_tensor_value_info('y', kind, ['n', 2])],
        initializers,
    )
    opset = [onnx.helper.make_opsetid('', 20)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=10)
    onnx.helper.set_model_props(model, {KEY: json.dumps(ABOUT)})
    (tmp_path / 'single').mkdir()
    onnx.save(model, tmp_path / 'single/mine.onnx')
    return tmp_path / 'single/mine.onnx'


def write_pictures(folder, tops):
    """Write pictures of noise from 0 to a top."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number, top in enumerate(tops):
        image = rng.integers(0, top + 1, (16, 16, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f'{number}.png'), image)
    return find_pictures([folder])


def test_outputs_are_near_those_in_single_precision(classifier, tmp_path):
    # a range of only one of the pictures would cut off the values of the middle one
    pictures = write_pictures(tmp_path / 'pictures', [20, 255, 30])
    file = tmp_path / 'mine.onnx'
    _quantize(classifier, '', file, pictures)
    model = ExportedModel(file)
    assert model.about == ABOUT
    operators = [node.op_type for node in onnx.load(str(file)).graph.node]
    assert operators.count('QuantizeLinear') >= 2
    weights = {
        tensor.data_type
        for tensor in onnx.load(str(file)).graph.initializer
        if len(tensor.dims) == 4 or list(tensor.dims) == [64, 2]
    }
    assert weights == {onnx.TensorProto.INT8}
    for ours, theirs in zip(
        ExportedModel(classifier).stream(pictures), model.stream(pictures), strict=True
    ):
        largest = np.abs(ours.scores).max()
        assert 0 < np.abs(ours.scores - theirs.scores).max() < 0.05 * largest


def test_a_picture_in_another_range_is_cut_off(classifier, tmp_path):
    """Shows that the test above notices a range that is too small."""
    dark = write_pictures(tmp_path / 'dark', [20])
    bright = write_pictures(tmp_path / 'bright', [255])
    _quantize(classifier, '', tmp_path / 'mine.onnx', dark)
    (ours,) = ExportedModel(classifier).stream(bright)
    (theirs,) = ExportedModel(tmp_path / 'mine.onnx').stream(bright)
    assert np.abs(ours.scores - theirs.scores).max() > 0.5 * np.abs(ours.scores).max()


def test_attention_and_narrow_layers_stay_single():
    make = onnx.helper.make_node
    shapes = {'wide': (64, 8), 'narrow': (63, 8), 'kernel': (8, 3, 3, 3)}
    graph = onnx.helper.make_graph(
        [
            make('MatMul', ['x', 'wide'], ['a'], 'wide layer'),
            make('MatMul', ['a', 'narrow'], ['b'], 'narrow layer'),
            make('MatMul', ['a', 'b'], ['c'], 'attention'),
            make('Conv', ['c', 'kernel'], ['d'], 'convolution'),
        ],
        'graph',
        [],
        [],
        [
            onnx.numpy_helper.from_array(np.zeros(shape, np.float32), name)
            for name, shape in shapes.items()
        ],
    )
    assert _left_out(graph) == ['narrow layer', 'attention']


@pytest.fixture
def in_demo(run, tmp_path, monkeypatch):  # noqa: F811
    """Return a function that exports the built-in detector, with a config of 60 scenes."""
    scenes = tmp_path / 'scenes'
    make_dataset(scenes, train=1, val=60)
    monkeypatch.setenv('TNT_DEMO_DATA', f'{scenes}/')
    monkeypatch.chdir(tmp_path)

    def export(*options):
        config = str(ROOT / 'configs/retinanet_tnt_digits.py')
        pictures = scenes / 'val'
        command = ('export', 'tnt://digits', '--int8', '--config', config, '--pictures', pictures)
        return run(*command, *options)

    return export


@pytest.mark.slow
def test_a_detector_in_8_bits_loses_no_accuracy(in_demo, tmp_path):
    status, printed = in_demo('--out', 'mine.onnx')
    assert status == 0, printed
    found = json.loads((tmp_path / 'mine.parity.json').read_text())
    assert found['passed']
    metric = found['metrics']['coco/bbox_mAP']
    assert metric['checkpoint'] > 70
    assert 0 < abs(metric['lost']) <= 1
    assert (tmp_path / 'mine.onnx').stat().st_size < 8e6  # 16 MB in single precision
    assert open_session(tmp_path / 'mine.onnx').text

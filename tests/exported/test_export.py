"""A checkpoint's ONNX file predicts the same where torch and the libraries cannot be imported."""

import json
import subprocess
import sys

import cv2
import numpy as np
import onnx
import pytest

from tests.predict.conftest import data, make_checkpoint  # noqa: F401 (fixtures)
from tnt_backbone import load_model
from tnt_backbone.exported.export import export_model
from tnt_backbone.exported.model import ExportedModel
from tnt_backbone.exported.parity import compare
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


# 15 s each: PyTorch's exporter translates several hundred operators.
@pytest.mark.slow
@pytest.mark.parametrize(
    ('task', 'size'), [('classification', (64, 64)), ('segmentation', (90, 100))]
)
def test_the_file_predicts_like_its_checkpoint(make_checkpoint, tmp_path, task, size):  # noqa: F811
    folder = tmp_path / 'pictures'
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(4):
        image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f'{number}.png'), image)
    trained = load_model(make_checkpoint(task)[0], device='cpu')
    file = tmp_path / 'model.onnx'
    export_model(trained, file, size)
    pictures = find_pictures([folder])
    found = compare(trained, ExportedModel(file), pictures)
    assert found['passed'], found
    assert found['pictures'] == 4

    command = [sys.executable, '-c', WITHOUT, 'predict', str(file), str(folder), '--batch', '3']
    done = subprocess.run(
        [*command, '--out', str(tmp_path / 'out')], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    entries = json.loads((tmp_path / 'out/predictions.json').read_text())
    expected = [result.to_json() for result in trained.stream(pictures)]
    assert [entry['file_name'] for entry in entries] == [f'{i}.png' for i in range(4)]
    if task == 'classification':
        names = [entry['top5'][0]['category'] for entry in entries]
        assert names == [entry['top5'][0]['category'] for entry in expected]

    # a picture of another size is refused
    cv2.imwrite(str(folder / '0.png'), np.zeros((70, 64, 3), np.uint8))
    with pytest.raises(ValueError, match='--size 70 64'):
        list(ExportedModel(file).stream(pictures))

    # a comparison that cannot fail would be none: other weights do not pass
    content = onnx.load(str(file))
    for tensor in content.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values = onnx.numpy_helper.to_array(tensor)
            noise = rng.normal(size=values.shape).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(noise, tensor.name))
    onnx.save(content, str(file))
    (folder / '0.png').unlink()
    assert not compare(trained, ExportedModel(file), find_pictures([folder]))['passed']

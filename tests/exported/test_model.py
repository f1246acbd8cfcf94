"""What is told about files that are not ours."""

import importlib.util
import json
import sys

import numpy as np
import onnx
import pytest

from tnt_backbone.cli import export, tnt
from tnt_backbone.exported.model import KEY, ExportedModel
from tnt_backbone.predict.pictures import Picture, UnreadablePictureError


def identity(path, **metadata):
    """An ONNX file: one Identity."""
    value = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1]) for n in 'xy']
    node = onnx.helper.make_node('Identity', ['x'], ['y'])
    graph = onnx.helper.make_graph([node], 'graph', value[:1], value[1:])
    opset = [onnx.helper.make_opsetid('', 17)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


def test_a_text_and_a_file_of_another_program_are_refused(tmp_path):
    text = tmp_path / 'text.onnx'
    text.write_text('no model')
    with pytest.raises(ValueError, match=r'text\.onnx'):
        ExportedModel(text)
    with pytest.raises(ValueError, match=KEY):
        ExportedModel(identity(tmp_path / 'foreign.onnx'))
    (tmp_path / 'text.xml').write_text('<annotation/>')
    with pytest.raises(ValueError, match=r'text\.xml|openvino'):
        ExportedModel(tmp_path / 'text.xml')


ABOUT = {
    **{'task': 'detection', 'classes': ['a'], 'palette': [[0, 0, 0]], 'parts': ['boxes']},
    **{'id': 'first', 'size': None, 'square': 32, 'pipeline': [], 'bgr_to_rgb': True},
    **{'mean': None, 'std': None, 'size_divisor': 32, 'pad_val': 0},
}


def test_files_of_a_detector_belong_together(tmp_path):
    whole = identity(tmp_path / 'mine.onnx', **{KEY: json.dumps(ABOUT)})
    with pytest.raises(FileNotFoundError, match=r'mine\.boxes\.onnx'):
        ExportedModel(whole)
    part = {'part': 'boxes', 'id': 'second'}
    file = identity(tmp_path / 'mine.boxes.onnx', **{KEY: json.dumps(part)})
    with pytest.raises(ValueError, match=r'mine\.boxes\.onnx'):
        ExportedModel(whole)
    with pytest.raises(ValueError, match=r'mine\.onnx'):
        ExportedModel(file)
    identity(file, **{KEY: json.dumps({**part, 'id': 'first'})})
    assert ExportedModel(whole).task == 'detection'
    with pytest.raises(ValueError, match='no_class'):
        ExportedModel(whole).stream([], classes=['no_class'])


def test_a_picture_that_resizing_leaves_nothing_of_is_named(tmp_path):
    resize = {'type': 'Resize', 'scale': (133, 80), 'keep_ratio': True}
    about = {**ABOUT, 'parts': [], 'pipeline': [resize]}
    model = ExportedModel(identity(tmp_path / 'mine.onnx', **{KEY: json.dumps(about)}))
    picture = Picture('narrow', '', np.zeros((1, 3000, 3), np.uint8))
    (error,) = model.stream([picture])
    assert isinstance(error, UnreadablePictureError)
    assert all(word in str(error) for word in ('narrow', ' 3000x1 '))


@pytest.mark.parametrize('text', ['no JSON', '[1]', '{"task": "detection"}', '{}'])
def test_damaged_metadata_is_named(tmp_path, text):
    with pytest.raises(ValueError, match=r'mine\.onnx'):
        ExportedModel(identity(tmp_path / 'mine.onnx', **{KEY: text}))


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        (['tnt://digits', '--out', '{tmp}/a.pt', '--size', '64', '64'], 'a.pt'),
        (['{tmp}/none.pth', '--out', '{tmp}/a.onnx'], 'none.pth'),
        (['tnt://digits', '--out', '{tmp}/a.onnx', '--size', '0', '64'], '--size'),
        (['tnt://digits', '--out', '{tmp}/a.onnx', '--size', '64', '64'], '--size'),
        (['{tmp}/none.pth', '--out', '{tmp}/a.onnx', '--size', '64', '64'], 'none.pth'),
        (['tnt://digits', '--out', '{tmp}/text.pth/a.onnx'], '--out'),
        (['{tmp}/text.pth', '--out', '{tmp}/a.onnx', '--size', '64', '64'], 'text.pth'),
        (['tnt://digits', '--out', '{tmp}/a.onnx', '--int8'], '--pictures'),
        (['tnt://digits', '--out', '{tmp}/a.onnx', '--int8', '--half'], '--half'),
        (['tnt://digits', '--out', '{tmp}/a.onnx', '--cfg-options', 'a=1'], '--int8'),
    ],
)
def test_mistakes_of_an_export_are_named_and_write_nothing(
    tmp_path, monkeypatch, capsys, arguments, named
):
    (tmp_path / 'text.pth').write_text('no weights')
    given = [text.replace('{tmp}', str(tmp_path)) for text in arguments]
    monkeypatch.setattr(sys, 'argv', ['tnt', 'export', *given])
    with pytest.raises(SystemExit) as exit_:
        tnt.main()
    assert exit_.value.code == 2
    assert named in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ['text.pth']


@pytest.mark.parametrize(
    ('out', 'existing'),
    [
        ('mine.onnx', 'mine.onnx'),
        ('mine.onnx', 'mine.boxes.onnx'),
        ('mine.xml', 'mine.bin'),
        ('mine.xml', 'mine.masks.bin'),
    ],
)
def test_files_that_exist_are_kept(tmp_path, monkeypatch, capsys, out, existing):
    monkeypatch.chdir(tmp_path)
    (tmp_path / existing).write_text('mine')
    monkeypatch.setattr(sys, 'argv', ['tnt', 'export', 'tnt://digits', '--out', out])
    with pytest.raises(SystemExit) as exit_:
        tnt.main()
    assert exit_.value.code == 2
    printed = capsys.readouterr().err
    assert existing in printed
    assert '--force' in printed
    assert [file.name for file in tmp_path.iterdir()] == [existing]


@pytest.mark.parametrize(
    ('arguments', 'missing', 'extra'),
    [
        (['export', 'tnt://digits', '--out', 'a.onnx'], 'onnxscript', '[export]'),
        (['export', 'tnt://digits', '--out', 'a.xml'], 'openvino', '[openvino]'),
        (
            ['export', 'tnt://digits', '--out', 'a.xml', '--int8', '--pictures', 'a.jpg'],
            'onnxruntime',
            '[export]',
        ),
        (['predict', 'a.onnx', 'a.jpg'], 'onnxruntime', '[run]'),
        (['predict', 'a.xml', 'a.jpg'], 'openvino', '[openvino]'),
    ],
)
def test_missing_packages_are_named(tmp_path, monkeypatch, capsys, arguments, missing, extra):
    monkeypatch.chdir(tmp_path)
    if arguments[0] == 'predict':
        for name in arguments[1:]:
            (tmp_path / name).write_text('')
    monkeypatch.setitem(sys.modules, missing, None)
    find = importlib.util.find_spec
    monkeypatch.setattr(export, 'find_spec', lambda name: None if name == missing else find(name))
    monkeypatch.setattr(sys, 'argv', ['tnt', *arguments])
    with pytest.raises(SystemExit) as exit_:
        tnt.main()
    assert exit_.value.code == 2
    assert extra in capsys.readouterr().err


@pytest.mark.parametrize(('kind', 'name'), [('onnx', 'mine.onnx'), ('openvino', 'mine.xml')])
def test_the_format_gives_the_ending(capsys, kind, name):
    for given in ('mine', name):
        assert export.parse_args(['a.pth', '--out', given, '--format', kind]).out.name == name
    other = {'mine.onnx': 'mine.xml', 'mine.xml': 'mine.onnx'}[name]
    with pytest.raises(SystemExit) as found:
        export.parse_args(['a.pth', '--out', other, '--format', kind])
    assert found.value.code == 2
    assert '--format' in capsys.readouterr().err

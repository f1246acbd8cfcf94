"""What is told about files that are not ours."""

import sys

import onnx
import pytest

from tnt_backbone.cli import tnt
from tnt_backbone.exported.model import KEY, ExportedModel


def foreign(path):
    """An ONNX file of another program: one Identity."""
    value = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1]) for n in 'xy']
    node = onnx.helper.make_node('Identity', ['x'], ['y'])
    graph = onnx.helper.make_graph([node], 'graph', value[:1], value[1:])
    opset = [onnx.helper.make_opsetid('', 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def test_a_text_and_a_file_of_another_program_are_refused(tmp_path):
    text = tmp_path / 'text.onnx'
    text.write_text('no model')
    with pytest.raises(ValueError, match=r'text\.onnx'):
        ExportedModel(text)
    with pytest.raises(ValueError, match=KEY):
        ExportedModel(foreign(tmp_path / 'foreign.onnx'))


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        (['tnt://digits', '--out', '{tmp}/a.pt', '--size', '64', '64'], 'a.pt'),
        (['{tmp}/none.pth', '--out', '{tmp}/a.onnx'], 'none.pth'),
        (['tnt://digits', '--out', '{tmp}/a.onnx', '--size', '0', '64'], '--size'),
        (['tnt://digits', '--out', '{tmp}/a.onnx', '--size', '64', '64'], '--size'),
        (['{tmp}/none.pth', '--out', '{tmp}/a.onnx', '--size', '64', '64'], 'none.pth'),
        (['{tmp}/text.pth', '--out', '{tmp}/a.onnx', '--size', '64', '64'], 'text.pth'),
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

"""From an ONNX file of PyTorch's exporter to the kinds of files that are written."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx

from ..errors import InputError
from .session import KEY, import_openvino


def not_written(path: Path, error: Exception) -> InputError:
    """Return the error for a file that there is no room for, or no right to write."""
    free = shutil.disk_usage(path.parent).free / 1e6
    # files are written into hidden folders first
    folder = next((one for one in path.parents if not one.name.startswith('.')), path.parent)
    return InputError(
        f'{folder / path.name} cannot be written: {error} ({free:.0f} MB are free there). Pass '
        'another folder: --out FILE'
    )


def _finish_onnx(file: Path, path: Path, text: str, half: bool) -> None:
    content = onnx.load(str(file))
    _strip(content.graph)
    if half:
        _store_halves(content.graph)
    onnx.helper.set_model_props(content, {KEY: text})
    onnx.save(content, str(path))


def _strip(graph: onnx.GraphProto) -> None:
    """Leave out what PyTorch notes about each node: lines of code with this machine's paths."""
    graph.ClearField('metadata_props')
    values = (*graph.input, *graph.output, *graph.value_info, *graph.initializer)
    for part in (*graph.node, *values):
        part.ClearField('metadata_props')
        part.ClearField('doc_string')


def _store_halves(graph: onnx.GraphProto) -> None:
    """Store constants in half precision that are equal in it, and widen them in the graph."""
    widened = []
    for tensor in graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < 64:
            continue
        with np.errstate(over='ignore'):
            halves = values.astype(np.float16)
        if np.array_equal(halves.astype(np.float32), values):
            name, stored = tensor.name, f'{tensor.name}_half'
            tensor.CopyFrom(onnx.numpy_helper.from_array(halves, stored))
            widen = onnx.helper.make_node('Cast', [stored], [name], to=onnx.TensorProto.FLOAT)
            widened.append(widen)
    nodes = [*widened, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _to_openvino(file: Path, path: Path, text: str, half: bool) -> None:
    openvino = import_openvino()
    model = openvino.Core().read_model(file)
    model.set_rt_info(text, KEY)
    try:
        openvino.save_model(model, path, compress_to_fp16=half)
    except RuntimeError as error:  # as OpenVINO says that the disk is full
        raise OSError(error) from error
    file.unlink()


# What makes the file of an ONNX file and the text of the metadata
FORMATS: dict[str, Callable[[Path, Path, str, bool], None]] = {
    '.onnx': _finish_onnx,
    '.xml': _to_openvino,
}

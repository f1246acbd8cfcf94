"""Networks in integer precision, quantized after training by ONNX Runtime."""

import math
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from ..errors import InputError
from ..predict.model import TrainedModel
from ..predict.pictures import Picture, UnreadablePictureError
from .export import export_model
from .formats import FORMATS, not_written
from .model import ExportedModel
from .session import Session, part_path

MOST = 100  # pictures that the ranges of activations are measured on
QUANTIZED = ['Conv', 'Gemm', 'MatMul']
RESHAPED = ('Flatten', 'Reshape', 'Squeeze', 'Transpose', 'Unsqueeze')  # the same values
LEAST_ROWS = 64  # channels that a linear layer reads; with fewer, 8 bits take as long as floats
OPTIONS: dict[str, Any] = {
    'activation_type': QuantType.QUInt8,
    'weight_type': QuantType.QInt8,
    'per_channel': True,
    # Weights of 7 bits: older processors add two products in 16 bits, which those of 8 overflow.
    'reduce_range': True,
    'op_types_to_quantize': QUANTIZED,
    'extra_options': {
        'CalibStridedMinMax': 1,  # else all outputs of all pictures stay in memory
        # The sums of a product are wider than 8 bits, and what follows it computes with floats.
        'OpTypesToExcludeOutputQuantization': ['Gemm', 'MatMul'],
    },
}


def export_integer(
    trained: TrainedModel, path: Path, size: tuple[int, int] | None, pictures: list[Picture]
) -> None:
    """Write a model whose convolutions and linear layers compute in 8 bits.

    Args:
        trained: As for :func:`export_model`.
        path: Likewise.
        size: Likewise.
        pictures: The ranges of activations are those on at most 100 of them.

    Raises:
        ValueError: As for :func:`export_model`.
        UnreadablePictureError: If a picture is damaged.
    """
    with TemporaryDirectory(dir=path.parent, prefix='.') as folder:
        single = Path(folder, 'single.onnx')
        export_model(trained, single, size)
        chosen = pictures[:: -(-len(pictures) // MOST)]
        for part in ('', *ExportedModel(single).about['parts']):
            _quantize(single, part, part_path(path, part), chosen)


def _quantize(single: Path, part: str, path: Path, pictures: list[Picture]) -> None:
    model = ExportedModel(single)
    network = _Seen(model.networks[part])
    model.networks[part] = network
    prepared, quantized = (single.with_name(f'{name}.onnx') for name in ('prepared', 'quantized'))
    try:
        quant_pre_process(part_path(single, part), prepared, skip_symbolic_shape=True)
        graph = onnx.load(str(prepared), load_external_data=False).graph
        inputs = _Inputs(model, network, [value.name for value in graph.input], pictures)
        excluded = _left_out(graph)
        quantize_static(prepared, quantized, inputs, nodes_to_exclude=excluded, **OPTIONS)
        FORMATS[path.suffix](quantized, path, str(network.text), False)
    except OSError as error:
        raise not_written(path, error) from error


def _left_out(graph: onnx.GraphProto) -> list[str]:
    """Return names of nodes that stay in single precision.

    They are products of two activations (attention), narrow linear layers, and layers that read a
    maximum over places. OpenVINO 2026.4 gives wrong values for a maximum that is quantized.
    """
    rows = {tensor.name: tensor.dims[0] for tensor in graph.initializer if tensor.dims}
    makers = {name: node for node in graph.node for name in node.output}

    def reads_maximum(node: onnx.NodeProto) -> bool:
        before = makers.get(node.input[0])
        while before is not None and before.op_type in RESHAPED:
            before = makers.get(before.input[0])
        return before is not None and before.op_type == 'ReduceMax'

    return [
        node.name
        for node in graph.node
        if (node.op_type == 'MatMul' and rows.get(node.input[1], 0) < LEAST_ROWS)
        or (node.op_type in QUANTIZED and reads_maximum(node))
    ]


class _Seen:
    """A network that remembers what it is given.

    Attributes:
        inputs: Those of each run.
    """

    end = math.inf

    def __init__(self, session: Session) -> None:
        self.text = session.text
        self.inputs: list[list[np.ndarray]] = []
        self._session = session

    def run(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Return the network's outputs."""
        self.inputs.append(inputs)
        return self._session.run(inputs)


class _Inputs(CalibrationDataReader):
    """What a network is given while its model predicts on pictures.

    ONNX Runtime asks for one picture after the other, so that the outputs of one are in memory.

    Args:
        model: In single precision.
        network: Of it.
        names: Of the network's inputs.
        pictures: The pictures.
    """

    def __init__(
        self, model: ExportedModel, network: _Seen, names: list[str], pictures: list[Picture]
    ) -> None:
        self._model, self._network = model, network
        self._names, self._pictures = names, pictures
        self._left: Iterator[list[np.ndarray]] = iter(())

    def __len__(self) -> int:
        return len(self._pictures)

    def set_range(self, start_index: int, end_index: int) -> None:
        """Choose one picture, or the next one that has inputs: a mask head has none of no object.

        Raises:
            ValueError: If none of them has.
        """
        options: dict[str, Any] = {'score': 0.0} if self._model.task == 'detection' else {}
        for picture in self._pictures[start_index:] + self._pictures[:start_index]:
            self._network.inputs.clear()
            for result in self._model.stream([picture], **options):
                if isinstance(result, UnreadablePictureError):
                    raise result
            if self._network.inputs:
                self._left = iter(self._network.inputs)
                return
        raise InputError(
            f'the checkpoint finds no object on the {len(self)} pictures, so the ranges of its '
            'values are not known. Pass pictures with objects: --pictures SOURCE'
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next inputs; ``None`` after the last."""
        inputs = next(self._left, None)
        return None if inputs is None else dict(zip(self._names, inputs, strict=True))

"""Files that hold one network, and the program that runs each kind: arrays in, arrays out."""

import math
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..errors import InputError, MissingFileError

KEY = 'tnt_backbone'  # of the file's metadata, a JSON text


class MissingRuntimeError(InputError):
    """The program that runs a kind of file is not installed."""


class LateError(InputError):
    """A network was stopped because its time was over."""


class Session(Protocol):
    """A network that was read from a file.

    Attributes:
        text: The metadata under ``KEY``; ``None`` if another program wrote the file.
        end: When ``run`` must have ended, on the clock of ``time.monotonic``.
    """

    text: str | None
    end: float

    def run(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Return the network's outputs.

        Raises:
            LateError: If they are not there at ``end``.
        """


def num_threads() -> int:
    """Return how many threads a network may use: OMP_NUM_THREADS, as PyTorch, or one per core.

    The cores are those that this process may use.
    """
    given = os.environ.get('OMP_NUM_THREADS', '')
    if given.isdecimal() and int(given):
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


class OnnxSession:
    """An ONNX file in ONNX Runtime on the CPU."""

    end = math.inf

    def __init__(self, path: Path) -> None:
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise MissingRuntimeError(
                "ONNX Runtime is not installed. Run: pip install 'tnt-backbone[run]'"
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads()
        options.log_severity_level = 3  # errors: its warnings are about how it optimises
        # Waiting threads would keep their cores busy. On cores that other programs use as well,
        # that doubles the time.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        providers = ['CPUExecutionProvider']
        self._options_of_run = onnxruntime.RunOptions
        self._session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        self._names = [value.name for value in self._session.get_inputs()]
        self.text: str | None = self._session.get_modelmeta().custom_metadata_map.get(KEY)

    def run(self, inputs: list[np.ndarray]) -> list[Any]:
        """Return the network's outputs."""
        given = dict(zip(self._names, inputs, strict=True))
        if self.end == math.inf:
            return self._session.run(None, given)
        options = self._options_of_run()
        timer = threading.Timer(max(self.end - time.monotonic(), 0), _terminate, [options])
        timer.start()
        try:
            return self._session.run(None, given, options)
        except Exception as error:  # ONNX Runtime's own class for it is private
            if options.terminate:
                raise LateError('the network was stopped: its time was over') from error
            raise
        finally:
            timer.cancel()


def _terminate(options: Any) -> None:
    options.terminate = True


class OpenVinoSession:
    """A file of OpenVINO, ``.xml`` with a ``.bin`` beside it, on the CPU."""

    end = math.inf

    def __init__(self, path: Path) -> None:
        openvino = import_openvino()
        core = openvino.Core()
        model = core.read_model(path)
        settings = {
            # also on processors that could do with less: predictions are those of the checkpoint
            'INFERENCE_PRECISION_HINT': 'f32',
            'INFERENCE_NUM_THREADS': num_threads(),
        }
        self._takes_one = _takes_one(model)
        if self._takes_one:
            (images,) = model.inputs
            model.reshape([1, *(side.get_length() for side in list(images.partial_shape)[1:])])
        self._model = core.compile_model(model, 'CPU', settings)
        self.text: str | None = (
            model.get_rt_info(KEY).astype(str) if model.has_rt_info(KEY) else None
        )

    def run(self, inputs: list[np.ndarray]) -> list[Any]:
        """Return the network's outputs."""
        if not self._takes_one:
            return self._run(inputs)
        (images,) = inputs
        rows = [self._run([images[i : i + 1]]) for i in range(len(images))]
        return [np.concatenate(values) for values in zip(*rows, strict=True)]

    def _run(self, inputs: list[np.ndarray]) -> list[Any]:
        if self.end == math.inf:
            return list(self._model(inputs).to_tuple())
        request = self._model.create_infer_request()
        request.start_async(inputs)
        if not request.wait_for(max(round(1000 * (self.end - time.monotonic())), 0)):
            request.cancel()
            raise LateError('the network was stopped: its time was over')
        return list(request.results.to_tuple())


def _takes_one(model: Any) -> bool:
    """Whether a network shall be compiled for one picture at a time.

    If the number of pictures is free, OpenVINO 2026.4 gives wrong scores for some networks in 8
    bits (PyramidTNT as a classifier), and fails at others (TNT with a class token).
    """
    shapes = [list(value.partial_shape) for value in model.inputs]
    has_one_size = len(shapes) == 1 and all(side.is_static for side in shapes[0][1:])
    return has_one_size and any(op.get_type_name() == 'FakeQuantize' for op in model.get_ops())


def import_openvino() -> Any:
    """Return the module, imported without what it would tell its makers.

    OpenVINO sends a message with each import unless ``openvino_telemetry`` cannot be imported.
    """
    name = 'openvino_telemetry'
    hidden = name not in sys.modules
    if hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # Python's way to say so
    try:
        import openvino
    except ImportError as error:
        if error.name != 'openvino':
            raise
        raise MissingRuntimeError(
            "OpenVINO is not installed. Run: pip install 'tnt-backbone[openvino]'"
        ) from error
    finally:
        if hidden:
            del sys.modules[name]
    return openvino


SESSIONS: dict[str, Callable[[Path], Session]] = {
    '.onnx': OnnxSession,
    '.xml': OpenVinoSession,
}


def open_session(path: Path) -> Session:
    """Return the network of a file.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it cannot be run.
    """
    if not path.is_file():
        raise MissingFileError(f'{path} does not exist. tnt export writes it')
    if path.suffix not in SESSIONS:
        raise InputError(f'{path} must end in one of {", ".join(SESSIONS)}')
    try:
        return SESSIONS[path.suffix](path)
    except (ImportError, MissingRuntimeError):
        raise
    except Exception as error:  # the classes of the programs have no common base
        raise InputError(f'{path} is no {path.suffix} file that can be run: {error}') from error


def part_path(path: Path, part: str) -> Path:
    """Return the file of a further network: ``mine.onnx`` and ``boxes`` to ``mine.boxes.onnx``."""
    return path.with_name(f'{path.stem}.{part}{path.suffix}') if part else path

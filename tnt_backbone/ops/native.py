"""The inner block in C++ (``native.cpp``), compiled for this CPU when it is first needed.

That takes the compiler some seconds, once a machine: the library is kept in
``$XDG_CACHE_HOME/tnt_backbone`` (``~/.cache/tnt_backbone``). ``CXX`` names another compiler than
``c++``. It is a plain library without a word of PyTorch, so that it fits every version of it.
"""

import ctypes
import functools
import hashlib
import logging
import os
import platform
import subprocess
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from ..log import log
from .constant import constant
from .reference import InnerBlockParams, pack, unpack

SOURCE = Path(__file__).with_name('native.cpp')
# Not -ffast-math: with it, the whole process would take denormal numbers for zero.
FLAGS = (
    *('-std=c++17', '-O3', '-march=native', '-ffp-contract=fast', '-fno-math-errno'),
    *('-fno-trapping-math', '-Wno-psabi', '-fopenmp', '-fPIC', '-shared'),
)
TIMEOUT = 120  # seconds for the compiler
LANES, MAX_WORDS = 16, 64  # words of a vector, and of a sentence


def forward(
    words: Tensor,
    params: InnerBlockParams,
    scales: Tensor | None,
    *,
    num_heads: int,
    eps: float,
    dtype: torch.dtype,
) -> Tensor:
    """Return the new words; see ``inner_block``."""
    given, packed, factors = _plain(words), pack(params), _optional(scales)
    out = torch.empty_like(given)
    _call(
        'inner_block_forward',
        *(given, packed, factors, out, _shape(words, params, num_heads)),
        *(ctypes.c_float(eps), _threads(words)),
    )
    return out.to(words.dtype)


def backward(
    grad: Tensor,
    words: Tensor,
    params: InnerBlockParams,
    scales: Tensor | None,
    *,
    num_heads: int,
    eps: float,
    dtype: torch.dtype,
) -> list[Tensor]:
    """Return the gradients of the words and of each parameter, in their order."""
    slopes, given, packed, factors = _plain(grad), _plain(words), pack(params), _optional(scales)
    out, sums = torch.empty_like(given), packed.new_zeros(_threads(words), packed.numel())
    _call(
        'inner_block_backward',
        *(slopes, given, packed, factors, out, sums, _shape(words, params, num_heads)),
        *(ctypes.c_float(eps), len(sums)),
    )
    return [out.to(words.dtype), *unpack(sums.sum(0), params)]


def why_not(words: Tensor) -> str | None:
    """Return why this backend cannot run on such words; compile its library if needed."""
    if words.device.type != 'cpu':
        return f'the words are on {words.device.type!r}'
    if words.dtype == torch.float64:
        return f'the words are {words.dtype}, and it computes in fp32'
    if words.shape[1] % LANES or words.shape[1] > MAX_WORDS:
        return f'{words.shape[1]} words are not 16, 32, 48 or 64'
    return why_no_library()


@constant
def why_no_library() -> str | None:
    """Return why there is no library for this CPU; compile it where it was not yet."""
    found = _load()
    return found if isinstance(found, str) else None


@functools.cache
def _load() -> ctypes.CDLL | str:
    try:
        library = _library()
        if not library.exists():
            _compile(library)
        # After torch's import, its own OpenMP is found first: there is one pool of threads.
        return ctypes.CDLL(str(library))
    except (OSError, RuntimeError) as error:  # the latter: there is no home
        log(
            f'The inner block in C++ cannot be compiled or loaded ({error}). PyTorch computes it '
            "instead (inner_backend='chunked'), slower. Install a C++ compiler, or name one in CXX",
            level=logging.WARNING,
        )
        return f'it cannot be compiled or loaded ({error})'


def _library() -> Path:
    """Where the library of this source, compiler and CPU lies."""
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
        cpu = sorted({line for line in lines if line.startswith(('flags', 'Features', 'model'))})
    except OSError:
        cpu = [platform.machine(), platform.processor()]
    key = '\n'.join((SOURCE.read_text(), *_command(), *cpu))
    cache = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'tnt_backbone'
    return cache / f'inner_block-{hashlib.sha256(key.encode()).hexdigest()[:16]}.so'


def _command() -> tuple[str, ...]:
    return (*(os.environ.get('CXX') or 'c++').split(), *FLAGS)


def _compile(library: Path) -> None:
    log('compiling the inner block for this CPU (once, some seconds)')
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        made = Path(folder) / library.name
        command = [*_command(), '-o', str(made), str(SOURCE)]
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
        except subprocess.TimeoutExpired as error:
            raise OSError(f'{command[0]} took more than {TIMEOUT} s') from error
        if run.returncode:
            raise OSError(f'{command[0]}: {run.stderr.strip()[:500]}')
        made.replace(library)  # at once: other processes may be at it, too


def _call(name: str, *arguments: object) -> None:
    library = _load()
    if isinstance(library, str):
        raise RuntimeError(library)
    places = (ctypes.c_void_p(a.data_ptr()) if isinstance(a, Tensor) else a for a in arguments)
    if getattr(library, name)(*places):
        raise MemoryError(f'{name}: no memory for intermediate results')


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().float().contiguous()


def _optional(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else _plain(tensor)


def _shape(words: Tensor, params: InnerBlockParams, num_heads: int) -> ctypes.Array[ctypes.c_long]:
    hidden, together = len(params.fc1_weight), params.norm1_weight.ndim == 2
    values = (*words.shape, hidden, num_heads, together, params.qkv_bias is not None)
    return (ctypes.c_long * len(values))(*values)


def _threads(words: Tensor) -> int:
    """One for each tile of 64 words at most."""
    return max(1, min(torch.get_num_threads(), words.shape[0] * words.shape[1] // MAX_WORDS))

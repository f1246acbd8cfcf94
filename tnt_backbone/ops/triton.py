"""The inner block on a GPU: how the kernels of ``triton_kernels.py`` are launched.

The sizes are the quickest of those that were tried on an H200 in bfloat16, with 16 words of 24
channels (docs/performance.md).
"""

import functools
import importlib.util
import os
import shutil
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from .reference import InnerBlockParams, pack, unpack

HAS_TRITON = importlib.util.find_spec('triton') is not None  # not imported: it takes a second
DTYPES = (torch.float16, torch.bfloat16, torch.float32)
CAPABILITY = (8, 0)  # of the GPU: products of bfloat16
MAX_WORDS = MAX_DIMS = 64  # of a sentence; of a word
TILE_BYTES = 4096  # of a tile of words
HIDDEN_BLOCK = 32  # hidden channels of the MLP at a time
MIN_SIDE = 16  # of a matrix that tl.dot takes
# Two warps: with four or more, the compiler uses Hopper's asynchronous products for tiles of 64
# rows, and a kernel like these, in one product for a whole tile, then read outside its memory.
LAUNCH = {'num_warps': 2, 'num_stages': 2}
PROGRAMS = 4  # of the backward pass for each multiprocessor, if their sums fit into SUM_BYTES
SUM_BYTES = 2**26


def why_not(words: Tensor) -> str | None:
    """Return why this backend cannot run on such words."""
    device = words.device.type
    if not HAS_TRITON:
        return "there is no triton here ('pip install triton')"
    if device != 'cuda' and os.environ.get('TRITON_INTERPRET') != '1':
        return f'the words are on {device!r} (TRITON_INTERPRET=1 runs the kernels on a CPU)'
    if device == 'cuda' and torch.cuda.get_device_capability(words.device) < CAPABILITY:
        return f'the GPU has less than compute capability {CAPABILITY}'
    if not _has_compiler():
        return 'Triton needs a C compiler (Debian, Ubuntu: sudo apt install gcc)'
    if words.dtype not in DTYPES:
        return f'the words are {words.dtype}, not one of {DTYPES}'
    if words.shape[1] > MAX_WORDS or words.shape[2] > MAX_DIMS:
        return (
            f'{words.shape[1]} words of {words.shape[2]} channels are more than {MAX_WORDS} of '
            f'{MAX_DIMS}'
        )
    return None


@functools.cache
def _has_compiler() -> bool:
    """Return whether Triton finds what it compiles its launchers with."""
    return 'CC' in os.environ or any(map(shutil.which, ('clang', 'gcc')))


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
    import triton

    from .triton_kernels import forward_kernel

    words = words.contiguous()
    out = torch.empty_like(words)
    constants = get_constants(words, params, scales, num_heads, dtype)
    with _on(words):
        forward_kernel[(triton.cdiv(len(words), constants['T']),)](
            words,
            pack(params),
            scales,
            out,
            len(words),
            eps,
            _scale(words, num_heads),
            **constants,
            **LAUNCH,
        )
    return out


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
    import triton

    from .triton_kernels import backward_kernel

    words, packed = words.contiguous(), pack(params)
    constants = get_constants(words, params, scales, num_heads, dtype)
    processors = 1
    if words.is_cuda:
        processors = torch.cuda.get_device_properties(words.device).multi_processor_count
    fitting = SUM_BYTES // (4 * packed.numel())
    programs = max(processors, min(PROGRAMS * processors, fitting))
    programs = min(programs, triton.cdiv(len(words), constants['T']))
    grad_words, sums = torch.empty_like(words), packed.new_zeros(programs, packed.numel())
    with _on(words):
        backward_kernel[(programs,)](
            grad.contiguous(),
            words,
            packed,
            scales,
            grad_words,
            sums,
            packed.numel(),
            len(words),
            eps,
            _scale(words, num_heads),
            **constants,
            **LAUNCH,
        )
    return [grad_words, *unpack(sums.sum(0), params)]


def get_constants(
    words: Tensor,
    params: InnerBlockParams,
    scales: Tensor | None,
    num_heads: int,
    dtype: torch.dtype,
) -> dict[str, Any]:
    """Return the kernels' compile-time arguments."""
    import triton
    import triton.language as tl

    _, length, dims = words.shape
    padded, hidden = max(triton.next_power_of_2(length), MIN_SIDE), params.fc1_weight.shape[0]
    side = max(triton.next_power_of_2(dims), MIN_SIDE)
    rows = TILE_BYTES // (side * dtype.itemsize)
    tf32 = torch.get_float32_matmul_precision() != 'highest'
    return {
        'M': length,
        'C': dims,
        'F': hidden,
        'HEADS': num_heads,
        'T': max(rows // padded, 1),
        'W': padded,
        'SIDE': side,
        'HEAD_SIDE': max(triton.next_power_of_2(dims // num_heads), MIN_SIDE),
        'BLOCK': min(max(triton.next_power_of_2(hidden), MIN_SIDE), HIDDEN_BLOCK),
        'TOGETHER': params.norm1_weight.ndim == 2,
        'HAS_BIAS': params.qkv_bias is not None,
        'HAS_SCALES': scales is not None,
        'DTYPE': getattr(tl, str(dtype).removeprefix('torch.')),
        'PRECISION': 'tf32' if tf32 else 'ieee',
    }


def _scale(words: Tensor, num_heads: int) -> float:
    return (words.shape[2] // num_heads) ** -0.5


def _on(words: Tensor) -> Any:
    return torch.cuda.device(words.device) if words.is_cuda else nullcontext()

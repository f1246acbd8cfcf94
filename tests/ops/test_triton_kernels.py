"""Triton's kernels without a GPU: run by Triton's interpreter, and compiled for one.

The interpreter multiplies the bit patterns of bfloat16 as if they were integers, so bfloat16 is
compiled here but not run. It also does not check types; the compiler does.
"""

import functools
import os
import subprocess
import sys

import inner_blocks as cases
import pytest
import torch

pytest.importorskip('triton')

LOW = [(16, 24, 4, False, False), (16, 10, 2, True, False)]  # also in float16
# The narrowest, one of each kind, and other numbers of words; the rest takes a minute.
QUICK = [cases.SHAPES[0], *LOW, *cases.OTHERS[:2]]
REST = [shape for shape in cases.SHAPES if shape not in QUICK]
COMPILED = [
    (kernel, shape, dtype)
    for kernel in ('forward_kernel', 'backward_kernel')
    for shape, dtype in (
        ((16, 24, 4, False, False), torch.bfloat16),
        ((4, 10, 2, True, True), torch.float32),
    )
]


def arguments(shape, dtype):
    # The last tile is not full where tiles have several sentences.
    given = cases.make(shape, 3 if shape[0] == 64 else 5, drop_path=shape[0] != 64)
    return cases.cast(*given, dtype)


def interpret(path, shapes):
    """Run the cases; needs TRITON_INTERPRET=1 before Triton is imported."""
    from tnt_backbone.ops import triton as gpu

    gpu.PROGRAMS = 2  # so that some have several tiles
    jobs = [(shape, torch.float32) for shape in shapes]
    jobs += [(shape, torch.float16) for shape in LOW if shape in shapes]
    torch.save({job: cases.run(*arguments(*job), 'triton') for job in jobs}, path)


@pytest.fixture(scope='module')
def interpreted(tmp_path_factory):
    """Returns the results of the shapes of one name, from a process for all of them."""
    folder = tmp_path_factory.mktemp('triton')
    environment = {**os.environ, 'TRITON_INTERPRET': '1'}

    @functools.cache
    def results(name):
        command = [sys.executable, __file__, folder / name, name]
        subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        return torch.load(folder / name)

    return results


@pytest.mark.parametrize(
    ('name', 'shape'),
    [
        *(pytest.param('QUICK', shape, id=str(shape)) for shape in QUICK),
        *(pytest.param('REST', shape, id=str(shape), marks=pytest.mark.slow) for shape in REST),
    ],
)
def test_kernels_equal_the_reference(interpreted, name, shape):
    expected = cases.run(*arguments(shape, torch.float32), 'reference')
    for found, true in zip(interpreted(name)[shape, torch.float32], expected, strict=True):
        assert (found - true).abs().max() < 5e-6 * true.abs().max()


@pytest.mark.parametrize('shape', LOW, ids=str)
def test_error_in_float16_is_at_most_twice_that_of_the_plain_path(interpreted, shape):
    exact = cases.run(*arguments(shape, torch.float32), 'reference')
    plain = cases.run(*arguments(shape, torch.float16), 'reference')
    fused = interpreted('QUICK')[shape, torch.float16]
    assert [t.dtype for t in fused] == [torch.float16] * len(fused)
    for error, plain_error in zip(
        cases.errors(fused, exact), cases.errors(plain, exact), strict=True
    ):
        assert 0 < error < 2 * plain_error


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize('shape', cases.SHAPES, ids=str)
def test_error_on_a_gpu_is_at_most_twice_that_of_the_plain_path(shape, dtype):
    given = cases.make(shape, 700, drop_path=True)
    exact = cases.run(*cases.cast(*given, torch.float64), 'reference')
    low = cases.cast(*given, dtype, 'cuda')
    fused, plain = cases.run(*low, 'triton'), cases.run(*low, 'reference')
    for error, plain_error in zip(
        cases.errors(fused, exact), cases.errors(plain, exact), strict=True
    ):
        assert error < 2 * plain_error


@pytest.mark.parametrize(('name', 'shape', 'dtype'), COMPILED, ids=str)
def test_kernels_compile_for_a_gpu(name, shape, dtype):
    """For compute capability 9.0, by the assembler that comes with Triton."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    from tnt_backbone.ops import triton as gpu
    from tnt_backbone.ops import triton_kernels

    kernel = getattr(triton_kernels, name)
    words, params, _, _ = arguments(shape, torch.float32)
    constants = gpu.get_constants(words, params, words, shape[2], dtype)
    tensor = '*' + {torch.bfloat16: 'bf16', torch.float32: 'fp32'}[dtype]
    types = {'packed': '*fp32', 'grad_params': '*fp32', 'eps': 'fp32', 'scale': 'fp32'}
    types |= {'num_sentences': 'i32', 'num_params': 'i32'} | dict.fromkeys(constants, 'constexpr')
    signature = {arg: types.get(arg, tensor) for arg in kernel.arg_names}
    places = {(kernel.arg_names.index(arg),): value for arg, value in constants.items()}
    target = GPUTarget('cuda', 90, 32)
    compiled = compile(ASTSource(kernel, signature, places), target=target)
    assert compiled.asm['cubin'][:4] == b'\x7fELF'


def test_arguments_get_through_the_launcher():
    """Triton writes a function with the kernel's argument names, beside local names of its own."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import make_backend
    from triton.runtime.jit import create_function_from_signature

    from tnt_backbone.ops import triton as gpu
    from tnt_backbone.ops import triton_kernels

    words, params, _, _ = arguments(LOW[0], torch.float32)
    constants = gpu.get_constants(words, params, None, LOW[0][2], torch.float32)
    words = words.detach()
    for kernel, given in (
        (triton_kernels.forward_kernel, (words, words, None, words, 5, 1e-5, 0.5)),
        (triton_kernels.backward_kernel, (*[words] * 3, None, words, words, 5, 5, 1e-5, 0.5)),
    ):
        bind = create_function_from_signature(
            kernel.signature, kernel.params, make_backend(GPUTarget('cuda', 90, 32))
        )
        bound, types, _ = bind(*given, **constants)
        assert list(bound) == kernel.arg_names
        assert [type_[0] for type_ in types[:2]] == ['*fp32', '*fp32']


if __name__ == '__main__':
    interpret(sys.argv[1], globals()[sys.argv[2]])

"""Inner blocks of every shape that the variants have, and how far two results are apart."""

import torch

from tnt_backbone.ops import InnerBlockParams, inner_block
from tnt_backbone.variants import PYRAMID_TNT_VARIANTS, TNT_VARIANTS

# (words, channels, heads, whether the norms take a sentence's words together, biases of qkv)
VARIANTS = sorted(
    {(16, row.word_dims, row.word_heads, False, False) for row in TNT_VARIANTS.values()}
    | {
        (16, dims, heads, True, False)
        for row in PYRAMID_TNT_VARIANTS.values()
        for dims, heads in zip(row.word_dims, row.word_heads, strict=True)
    }
)
# Other sizes of patches and words, and biases.
OTHERS = [(4, 24, 4, False, True), (9, 12, 2, True, True), (64, 40, 4, False, False)]
SHAPES = [*VARIANTS, *OTHERS]


def make(shape, sentences=5, *, drop_path=False, dtype=torch.float32):
    """Return words, parameters, the other arguments and a gradient, seeded."""
    length, dims, heads, together, qkv_bias = shape
    generator = torch.Generator().manual_seed(0)

    def random(*size, scale=0.3, shift=0.0):
        made = torch.randn(*size, generator=generator, dtype=torch.float64) * scale + shift
        return made.to(dtype).requires_grad_()

    norm, hidden = (length, dims) if together else (dims,), 4 * dims
    params = InnerBlockParams(
        random(*norm, shift=1.0),
        random(*norm),
        random(3 * dims, dims),
        random(dims, dims),
        random(dims),
        random(*norm, shift=1.0),
        random(*norm),
        random(hidden, dims),
        random(hidden),
        random(dims, hidden),
        random(dims),
        random(3 * dims) if qkv_bias else None,
    )
    words, grad = random(sentences, length, dims, scale=1.0), random(sentences, length, dims)
    scales = None
    if drop_path:
        scales = torch.tensor([0.0, 1.25]).repeat(sentences)[: 2 * sentences].view(2, sentences)
        scales = scales.to(dtype)
    return words, params, {'num_heads': heads, 'scales': scales}, grad.detach()


def run(words, params, arguments, grad, backend):
    """Return the new words and all gradients."""
    out = inner_block(words, params, backend=backend, **arguments)
    inputs = [words, *(p for p in params if p is not None)]
    return [out, *torch.autograd.grad(out, inputs, grad)]


def cast(words, params, arguments, grad, dtype, device='cpu'):
    """Round the arguments to a dtype."""

    def to(tensor):
        return None if tensor is None else tensor.detach().to(device, dtype)

    given = to(words), InnerBlockParams(*map(to, params))
    for tensor in (given[0], *given[1]):
        if tensor is not None:
            tensor.requires_grad_()
    return *given, {**arguments, 'scales': to(arguments['scales'])}, to(grad)


def errors(results, exact):
    """Mean errors relative to the mean of what is exact."""
    return [
        ((result.cpu().double() - true).abs().mean() / true.double().abs().mean()).item()
        for result, true in zip(results, exact, strict=True)
    ]

"""The inner block as two Triton kernels: forward, and a backward pass that computes it again.

A program takes tiles of a few whole sentences. A tile is a matrix with a word in each row, ``(ROWS,
SIDE)``, padded to powers of two, and what follows happens on the chip: words are read once and
written once. Heads, and blocks of the MLP's hidden channels, come one after the other, so only they
are padded (to 16, the least that ``tl.dot`` takes), not all queries, keys and values.
Attention is a batch of products, one for each sentence. Products take their factors in ``dtype``
and sum in fp32; norms, softmax, GELU and residuals are in fp32.

Gradients of the parameters: there are few programs. Each takes many tiles, one after the other, and
adds their gradients to a row of its own, which stays in the L2 cache. The rows are summed at the
end. With atomic additions to one row, all tiles would wait for the same few thousand numbers, and
the result would differ from run to run. Registers have no room for such sums beside a tile.

Ideas: FlashAttention (recompute, do not store) and Liger (a norm and what follows it in a kernel).
"""

import triton
import triton.language as tl

# With one argument per line the file would be twice as long.
# fmt: off


@triton.jit
def _places(base, i, j, stride_i, stride_j):
    return base + i[:, None] * stride_i + j[None, :] * stride_j


@triton.jit
def _inside(i, j, size_i, size_j):
    return (i[:, None] < size_i) & (j[None, :] < size_j)


@triton.jit
def _load(base, i, j, stride_i, stride_j, size_i, size_j):
    """Return a matrix of parameters, zero where it ends before the tile does."""
    mask = _inside(i, j, size_i, size_j)
    return tl.load(_places(base, i, j, stride_i, stride_j), mask=mask, other=0.0)


@triton.jit
def _add(base, value, i, j, stride_i, stride_j, size_i, size_j):
    """Add a matrix to this program's gradients."""
    mask = _inside(i, j, size_i, size_j)
    places = _places(base, i, j, stride_i, stride_j)
    tl.store(places, tl.load(places, mask=mask, other=0.0) + value, mask=mask)


@triton.jit
def _load_row(base, j, size):
    return tl.load(base + j, mask=j < size, other=0.0)


@triton.jit
def _add_row(base, value, j, size):
    """Add the sum over a tile's rows to this program's gradients."""
    total = tl.sum(value, axis=0)
    tl.store(base + j, tl.load(base + j, mask=j < size, other=0.0) + total, mask=j < size)


@triton.jit
def _total(x, T: tl.constexpr, W: tl.constexpr, TOGETHER: tl.constexpr):
    """Sum over what a norm takes together, a word or a sentence: ``(T*W, SIDE) -> (T*W, 1)``."""
    total = tl.sum(x, axis=1)
    if TOGETHER:
        total = tl.sum(tl.reshape(total, (T, W)), axis=1)
        total = tl.reshape(tl.broadcast_to(total[:, None], (T, W)), (T * W,))
    return total[:, None]


@triton.jit
def _norm_params(base, word, column, M: tl.constexpr, C: tl.constexpr, TOGETHER: tl.constexpr):
    """Return weight and bias for each row, and the place behind them."""
    size: tl.constexpr = M * C if TOGETHER else C
    stride: tl.constexpr = C if TOGETHER else 0
    weight = _load(base, word, column, stride, 1, M, C)
    return weight, _load(base + size, word, column, stride, 1, M, C)


@triton.jit
def _normalise(x, real, count, eps, T: tl.constexpr, W: tl.constexpr, TOGETHER: tl.constexpr):
    """Return normalised words, zero where there are none, and the inverse deviations."""
    mean = _total(x, T, W, TOGETHER) / count
    centred = tl.where(real, x - mean, 0.0)
    rstd = 1.0 / tl.sqrt(_total(centred * centred, T, W, TOGETHER) / count + eps)
    return centred * rstd, rstd


@triton.jit
def _normalise_backward(
    grad, weight, normed, rstd, real, count,
    T: tl.constexpr, W: tl.constexpr, TOGETHER: tl.constexpr,
):
    grad = grad * weight
    mean = _total(grad, T, W, TOGETHER) / count
    slope = _total(grad * normed, T, W, TOGETHER) / count
    return tl.where(real, (grad - mean - normed * slope) * rstd, 0.0)


@triton.jit
def _add_norm(
    base, grad, normed, column, M: tl.constexpr, C: tl.constexpr,
    T: tl.constexpr, W: tl.constexpr, SIDE: tl.constexpr, TOGETHER: tl.constexpr,
):
    """Add the gradients of a norm's weight and bias."""
    if TOGETHER:
        word = tl.arange(0, W)
        slope = tl.sum(tl.reshape(grad * normed, (T, W, SIDE)), axis=0)
        _add(base, slope, word, column, C, 1, M, C)
        shift = tl.sum(tl.reshape(grad, (T, W, SIDE)), axis=0)
        _add(base + M * C, shift, word, column, C, 1, M, C)
    else:
        _add_row(base, grad * normed, column, C)
        _add_row(base + C, grad, column, C)


@triton.jit
def _normal(x):
    """Distribution function of the normal distribution, and ``exp(-x^2 / 2)``.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26; the error is below
    7.5e-8. It takes fewer instructions than ``tl.erf``; the backward pass needs the second, too.
    """
    bell = tl.exp(-0.5 * x * x)
    t = 1.0 / (1.0 + 0.2316418882 * tl.abs(x))  # 0.3275911 / sqrt(2)
    tail = 0.5307027145 * t - 0.7265760135  # half of the published coefficients
    tail = (tail * t + 0.7107068705) * t - 0.142248368
    tail = (tail * t + 0.127414796) * t * bell
    return tl.where(x > 0, 1.0 - tail, tail), bell


@triton.jit
def _gelu(x):
    return x * _normal(x)[0]


@triton.jit
def _gelu_slope(x):
    below, bell = _normal(x)
    return below + x * (0.3989422804014327 * bell)


@triton.jit
def _locate(packed, M: tl.constexpr, C: tl.constexpr, F: tl.constexpr, TOGETHER: tl.constexpr):
    """Where the parameters lie, in the order of InnerBlockParams; a bias is behind its weight."""
    norm: tl.constexpr = 2 * (M * C if TOGETHER else C)
    qkv = packed + norm
    proj = qkv + 3 * C * C
    norm2 = proj + C * C + C
    fc1 = norm2 + norm
    fc2 = fc1 + F * C + F
    return packed, qkv, proj, norm2, fc1, fc2, fc2 + C * F + C


@triton.jit
def _head(
    normed, qkv, qkv_bias, index, channel, column,
    C: tl.constexpr, HEAD: tl.constexpr, HAS_BIAS: tl.constexpr, PRECISION: tl.constexpr,
):
    """Queries, keys or values of a head; ``index`` counts heads through all three."""
    weight = _load(qkv + index * HEAD * C, column, channel, 1, C, C, HEAD)
    product = tl.dot(normed, weight.to(normed.dtype), input_precision=PRECISION)
    if HAS_BIAS:
        product += _load_row(qkv_bias + index * HEAD, channel, HEAD)[None, :]
    return product.to(normed.dtype)


@triton.jit
def _products(a, b, T: tl.constexpr, W: tl.constexpr, SIDE: tl.constexpr, PRECISION: tl.constexpr):
    """Scalar products of the words of each sentence: ``(T*W, SIDE) -> (T, W, W)``."""
    a, b = tl.reshape(a, (T, W, SIDE)), tl.reshape(b, (T, W, SIDE))
    return tl.dot(a, tl.permute(b, (0, 2, 1)), input_precision=PRECISION)


@triton.jit
def _mix(weights, x, T: tl.constexpr, W: tl.constexpr, SIDE: tl.constexpr, PRECISION: tl.constexpr):
    """Sum the words of each sentence by such weights: ``(T*W, SIDE)``."""
    mixed = tl.dot(weights, tl.reshape(x, (T, W, SIDE)), input_precision=PRECISION)
    return tl.reshape(mixed, (T * W, SIDE))


@triton.jit
def _attend_head(
    normed, qkv, qkv_bias, h, visible, channel, column, scale,
    C: tl.constexpr, HEADS: tl.constexpr, T: tl.constexpr, W: tl.constexpr,
    HEAD_SIDE: tl.constexpr, HAS_BIAS: tl.constexpr, PRECISION: tl.constexpr,
):
    """Queries, keys, values of a head, the weights in fp32 (a query in each row), the mix."""
    HEAD: tl.constexpr = C // HEADS
    query = _head(normed, qkv, qkv_bias, h, channel, column, C, HEAD, HAS_BIAS, PRECISION)
    key = _head(normed, qkv, qkv_bias, h + HEADS, channel, column, C, HEAD, HAS_BIAS, PRECISION)
    value = _head(
        normed, qkv, qkv_bias, h + 2 * HEADS, channel, column, C, HEAD, HAS_BIAS, PRECISION
    )
    logits = _products(query, key, T, W, HEAD_SIDE, PRECISION) * scale
    logits = tl.where(visible, logits, float('-inf'))
    weights = tl.exp(logits - tl.max(logits, axis=-1, keep_dims=True))
    weights = weights / tl.sum(weights, axis=-1, keep_dims=True)
    mixed = _mix(weights.to(normed.dtype), value, T, W, HEAD_SIDE, PRECISION)
    return query, key, value, weights, mixed.to(normed.dtype)


@triton.jit
def _before_mlp(
    words, packed, scales, tile, num_sentences, eps, scale,
    M: tl.constexpr, C: tl.constexpr, F: tl.constexpr, HEADS: tl.constexpr,
    T: tl.constexpr, W: tl.constexpr, SIDE: tl.constexpr, HEAD_SIDE: tl.constexpr,
    TOGETHER: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_SCALES: tl.constexpr,
    DTYPE: tl.constexpr, PRECISION: tl.constexpr,
):
    """A tile up to the second norm, which is what both passes begin with.

    Returns:
        Places of the tile, which of them hold words, which words see each other, the scales of
        both branches; then of the first norm and of the second: normalised words, inverse
        deviations, the norm's output; last the words between attention and MLP.
    """
    norm1, qkv, proj, norm2, _, _, qkv_bias = _locate(packed, M, C, F, TOGETHER)
    count: tl.constexpr = M * C if TOGETHER else C
    row, column, channel = tl.arange(0, T * W), tl.arange(0, SIDE), tl.arange(0, HEAD_SIDE)
    sentence, word = tile * T + row // W, row % W
    present = (sentence < num_sentences) & (word < M)
    real = present[:, None] & (column[None, :] < C)
    # Rows without a word see the words of their sentence, too: no row may see nothing.
    visible = (tl.arange(0, W) < M)[None, None, :]
    offset = (sentence.to(tl.int64) * M + word)[:, None] * C + column[None, :]
    scale1 = 1.0
    scale2 = 1.0
    if HAS_SCALES:
        scale1 = tl.load(scales + sentence, mask=present, other=0.0).to(tl.float32)[:, None]
        place = scales + num_sentences + sentence
        scale2 = tl.load(place, mask=present, other=0.0).to(tl.float32)[:, None]

    x = tl.load(words + offset, mask=real, other=0.0).to(tl.float32)
    weight1, bias1 = _norm_params(norm1, word, column, M, C, TOGETHER)
    normed1, rstd1 = _normalise(x, real, count, eps, T, W, TOGETHER)
    x1 = (normed1 * weight1 + bias1).to(DTYPE)
    update = tl.zeros((T * W, SIDE), tl.float32) + _load_row(proj + C * C, column, C)[None, :]
    HEAD: tl.constexpr = C // HEADS
    for h in range(HEADS):
        mixed = _attend_head(
            x1, qkv, qkv_bias, h, visible, channel, column, scale,
            C, HEADS, T, W, HEAD_SIDE, HAS_BIAS, PRECISION,
        )[4]
        out_weight = _load(proj + h * HEAD, channel, column, 1, C, HEAD, C).to(DTYPE)
        update += tl.dot(mixed, out_weight, input_precision=PRECISION)
    y = tl.where(real, x + update * scale1, 0.0)
    weight2, bias2 = _norm_params(norm2, word, column, M, C, TOGETHER)
    normed2, rstd2 = _normalise(y, real, count, eps, T, W, TOGETHER)
    x2 = (normed2 * weight2 + bias2).to(DTYPE)
    return offset, real, visible, scale1, scale2, normed1, rstd1, x1, normed2, rstd2, x2, y


@triton.jit
def forward_kernel(
    words, packed, scales, out, num_sentences, eps, scale,
    M: tl.constexpr, C: tl.constexpr, F: tl.constexpr, HEADS: tl.constexpr,
    T: tl.constexpr, W: tl.constexpr, SIDE: tl.constexpr, HEAD_SIDE: tl.constexpr,
    TOGETHER: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_SCALES: tl.constexpr,
    DTYPE: tl.constexpr, PRECISION: tl.constexpr, BLOCK: tl.constexpr,
):
    """A tile for each program."""
    offset, real, _, _, scale2, _, _, _, _, _, x2, y = _before_mlp(
        words, packed, scales, tl.program_id(0), num_sentences, eps, scale, M, C, F, HEADS,
        T, W, SIDE, HEAD_SIDE, TOGETHER, HAS_BIAS, HAS_SCALES, DTYPE, PRECISION,
    )
    _, _, _, _, fc1, fc2, _ = _locate(packed, M, C, F, TOGETHER)
    column = tl.arange(0, SIDE)
    update = tl.zeros((T * W, SIDE), tl.float32) + _load_row(fc2 + C * F, column, C)[None, :]
    for start in range(0, F, BLOCK):
        hidden = start + tl.arange(0, BLOCK)
        weight1 = _load(fc1, column, hidden, 1, C, C, F).to(DTYPE)
        before = tl.dot(x2, weight1, input_precision=PRECISION)
        active = _gelu(before + _load_row(fc1 + F * C, hidden, F)[None, :]).to(DTYPE)
        weight2 = _load(fc2, hidden, column, 1, F, F, C).to(DTYPE)
        update += tl.dot(active, weight2, input_precision=PRECISION)
    tl.store(out + offset, (y + update * scale2).to(out.dtype.element_ty), mask=real)


@triton.jit
def _project_backward(
    grad, x, weights, sums, channel, column,
    C: tl.constexpr, HEAD: tl.constexpr, PRECISION: tl.constexpr,
):
    """Add the gradient of a head's queries, keys or values; return its part of their input's."""
    grad = grad.to(x.dtype)
    found = tl.dot(tl.trans(grad), x, input_precision=PRECISION)
    _add(sums, found, channel, column, C, 1, HEAD, C)
    weight = _load(weights, channel, column, C, 1, HEAD, C).to(x.dtype)
    return tl.dot(grad, weight, input_precision=PRECISION)


@triton.jit
def backward_kernel(
    grad, words, packed, scales, grad_words, grad_params, num_params, num_sentences, eps, scale,
    M: tl.constexpr, C: tl.constexpr, F: tl.constexpr, HEADS: tl.constexpr,
    T: tl.constexpr, W: tl.constexpr, SIDE: tl.constexpr, HEAD_SIDE: tl.constexpr,
    TOGETHER: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_SCALES: tl.constexpr,
    DTYPE: tl.constexpr, PRECISION: tl.constexpr, BLOCK: tl.constexpr,
):
    """Many tiles for each program, and a row of ``grad_params``, which starts as zeros."""
    count: tl.constexpr = M * C if TOGETHER else C
    HEAD: tl.constexpr = C // HEADS
    norm1, qkv, proj, norm2, fc1, fc2, qkv_bias = _locate(packed, M, C, F, TOGETHER)
    sum_norm1, sum_qkv, sum_proj, sum_norm2, sum_fc1, sum_fc2, sum_qkv_bias = _locate(
        grad_params + tl.program_id(0) * num_params, M, C, F, TOGETHER
    )
    column, channel, word = tl.arange(0, SIDE), tl.arange(0, HEAD_SIDE), tl.arange(0, T * W) % W
    for tile in range(tl.program_id(0), tl.cdiv(num_sentences, T), tl.num_programs(0)):
        offset, real, visible, scale1, scale2, normed1, rstd1, x1, normed2, rstd2, x2, _ = (
            _before_mlp(
                words, packed, scales, tile, num_sentences, eps, scale, M, C, F, HEADS,
                T, W, SIDE, HEAD_SIDE, TOGETHER, HAS_BIAS, HAS_SCALES, DTYPE, PRECISION,
            )
        )

        # The MLP and its residual. Rows without a word have no gradient, so they add none.
        dout = tl.load(grad + offset, mask=real, other=0.0).to(tl.float32)
        dmlp = dout * scale2
        _add_row(sum_fc2 + C * F, dmlp, column, C)
        dmlp = dmlp.to(DTYPE)
        dx2 = tl.zeros((T * W, SIDE), tl.float32)
        for start in range(0, F, BLOCK):
            hidden = start + tl.arange(0, BLOCK)
            weight1 = _load(fc1, hidden, column, C, 1, F, C).to(DTYPE)
            before = tl.dot(x2, tl.trans(weight1), input_precision=PRECISION)
            before += _load_row(fc1 + F * C, hidden, F)[None, :]
            weight2 = _load(fc2, column, hidden, F, 1, C, F).to(DTYPE)
            dbefore = tl.dot(dmlp, weight2, input_precision=PRECISION) * _gelu_slope(before)
            _add_row(sum_fc1 + F * C, dbefore, hidden, F)
            dhidden = dbefore.to(DTYPE)
            dx2 += tl.dot(dhidden, weight1, input_precision=PRECISION)
            found = tl.dot(tl.trans(dhidden), x2, input_precision=PRECISION)
            _add(sum_fc1, found, hidden, column, C, 1, F, C)
            active = _gelu(before).to(DTYPE)
            found2 = tl.dot(tl.trans(dmlp), active, input_precision=PRECISION)
            _add(sum_fc2, found2, column, hidden, F, 1, C, F)
        _add_norm(sum_norm2, dx2, normed2, column, M, C, T, W, SIDE, TOGETHER)
        gain2, _ = _norm_params(norm2, word, column, M, C, TOGETHER)
        dy = dout + _normalise_backward(dx2, gain2, normed2, rstd2, real, count, T, W, TOGETHER)

        # Attention and its residual.
        dattn = dy * scale1
        _add_row(sum_proj + C * C, dattn, column, C)
        dattn = dattn.to(DTYPE)
        dx1 = tl.zeros((T * W, SIDE), tl.float32)
        for h in range(HEADS):
            query, key, value, weights, mixed = _attend_head(
                x1, qkv, qkv_bias, h, visible, channel, column, scale,
                C, HEADS, T, W, HEAD_SIDE, HAS_BIAS, PRECISION,
            )
            dproj = tl.dot(tl.trans(mixed), dattn, input_precision=PRECISION)
            _add(sum_proj + h * HEAD, dproj, channel, column, 1, C, HEAD, C)
            out_weight = _load(proj + h * HEAD, column, channel, C, 1, C, HEAD).to(DTYPE)
            dmixed = tl.dot(dattn, out_weight, input_precision=PRECISION).to(DTYPE)
            dweights = _products(dmixed, value, T, W, HEAD_SIDE, PRECISION)
            slope = tl.sum(dweights * weights, axis=-1, keep_dims=True)
            dlogits = (weights * (dweights - slope) * scale).to(DTYPE)
            dquery = _mix(dlogits, key, T, W, HEAD_SIDE, PRECISION)
            dkey = _mix(tl.permute(dlogits, (0, 2, 1)), query, T, W, HEAD_SIDE, PRECISION)
            turned = tl.permute(weights.to(DTYPE), (0, 2, 1))
            dvalue = _mix(turned, dmixed, T, W, HEAD_SIDE, PRECISION)
            for third in tl.static_range(3):
                index = h + third * HEADS
                dhead = dquery if third == 0 else (dkey if third == 1 else dvalue)
                if HAS_BIAS:
                    _add_row(sum_qkv_bias + index * HEAD, dhead, channel, HEAD)
                at = index * HEAD * C
                dx1 += _project_backward(
                    dhead, x1, qkv + at, sum_qkv + at, channel, column, C, HEAD, PRECISION
                )
        _add_norm(sum_norm1, dx1, normed1, column, M, C, T, W, SIDE, TOGETHER)
        gain1, _ = _norm_params(norm1, word, column, M, C, TOGETHER)
        dx = dy + _normalise_backward(dx1, gain1, normed1, rstd1, real, count, T, W, TOGETHER)
        tl.store(grad_words + offset, dx.to(grad_words.dtype.element_ty), mask=real)
        # What one thread has added, another may read for the next tile.
        tl.debug_barrier()

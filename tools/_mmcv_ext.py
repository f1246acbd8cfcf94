"""Operators that replace mmcv's compiled ones, made from torch and torchvision.

``tools/setup_env.sh --no-compile`` installs mmcv-lite, which has the Python code of ``mmcv.ops``
but not the compiled module ``mmcv._ext``. It copies this file to ``mmcv/_ext.py``: a file inside
mmcv works in every process, whatever is imported first. A compiled ``_ext`` beside it has
precedence, because Python looks for compiled modules first.

Each function takes the arguments that ``mmcv.ops`` passes, and like the compiled one writes into
the tensors that it is given. ``tests/tools/test_mmcv_ext.py`` compares the two by value. Every
other name is an operator that raises ``NotImplementedError`` when it is called.
"""

from collections.abc import Callable
from typing import Any, NoReturn

import torch
import torchvision  # noqa: F401 (registers torch.ops.torchvision)
from torch import Tensor

FLOAT_MIN = torch.finfo(torch.float32).tiny


def __getattr__(name: str) -> Callable[..., NoReturn]:
    """Return an operator that raises NotImplementedError."""
    if name.startswith('_'):
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')

    def missing(*_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError(
            f"mmcv's operator {name} is not available: this environment was made with "
            '--no-compile, and tools/_mmcv_ext.py has no replacement for it. '
            'Run this to compile all operators: bash tools/setup_env.sh'
        )

    missing.__name__ = missing.__qualname__ = name
    return missing


def get_compiler_version() -> str:
    """Return what ``collect_env`` prints where no operators were compiled."""
    return 'n/a'


def get_compiling_cuda_version() -> str:
    """Return what ``collect_env`` prints where no operators were compiled."""
    return 'n/a'


# ---- Boxes


def _overlaps(box: Tensor, others: Tensor, offset: int) -> Tensor:
    """Return the IoU ``(N,)`` of one box ``(4,)`` with ``(N, 4)`` others, rounded as in mmcv."""

    def area(boxes: Tensor) -> Tensor:
        x1, y1, x2, y2 = boxes.unbind(-1)
        return (x2 - x1 + offset) * (y2 - y1 + offset)

    top_left = torch.maximum(box[:2], others[:, :2])
    width, height = (
        (torch.minimum(box[2:], others[:, 2:]) - top_left + offset).clamp(min=0).unbind(1)
    )
    shared = width * height
    return shared / (area(box) + area(others) - shared)


def _single(value: float) -> float:
    """Round to single precision, in which the compiled operators compare overlaps."""
    return torch.tensor(value, dtype=torch.float32).item()


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Return the indices ``(K,)`` of the boxes to keep, highest score first."""
    threshold = _single(iou_threshold)
    # mmcv's sort, which is not stable, decides between equal scores. torchvision's keeps the order.
    order = scores.sort(descending=True).indices
    if offset == 0:
        return order[torch.ops.torchvision.nms(boxes[order], scores[order], threshold)]
    # torchvision has no offset. Adding it to the boxes first would round differently.
    kept = []
    while order.numel():
        first, order = order[0], order[1:]
        kept.append(first)
        order = order[~(_overlaps(boxes[first], boxes[order], offset) > threshold)]
    return torch.stack(kept) if kept else order


def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """Return groups of indices: a box that is kept, and those that it suppresses."""
    threshold = _single(iou_threshold)
    order = dets[:, 4].sort(descending=True).indices
    groups = []
    while order.numel():
        first, order = order[0], order[1:]
        suppressed = _overlaps(dets[first, :4], dets[order, :4], 0) >= threshold
        groups.append([int(first), *order[suppressed].tolist()])
        order = order[~suppressed]
    return groups


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Return the indices ``(K,)`` of the boxes that are kept.

    Args:
        boxes: ``(N, 4)``.
        scores: ``(N,)``.
        dets: ``(N, 5)``. The first K rows become the kept boxes with their lowered scores.
        iou_threshold: Methods 0 and 1 lower a score from this IoU on.
        sigma: Width of the Gaussian of method 2.
        min_score: A box is dropped when its score falls below this.
        method: 0 naive, 1 linear, 2 Gaussian.
        offset: 0 or 1, added to widths and heights.
    """
    threshold, lowest = _single(iou_threshold), _single(min_score)
    scores, indices = scores.clone(), torch.arange(len(boxes), device=boxes.device)
    done = 0
    while done < len(indices):
        # The order decides between equal scores, so it changes as in mmcv:
        # the best box swaps places with the first one,
        best = done  # NaN counts as the best if it is first: two boxes without area have that IoU
        if not scores[done].isnan():
            best += int(scores[done:].nan_to_num(nan=-torch.inf).argmax())
        for values in (scores, indices):
            values[[done, best]] = values[[best, done]]
        dets[done, :4] = boxes[indices[done]]
        dets[done, 4] = scores[done]
        done += 1
        overlaps = _overlaps(boxes[indices[done - 1]], boxes[indices[done:]], offset)
        if method == 2:
            # in double precision: torch's exp in single precision may differ in the last bit
            weights = (-(overlaps * overlaps) / sigma).double().exp().to(scores)
        else:
            lowered = torch.zeros_like(overlaps) if method == 0 else 1 - overlaps
            weights = torch.where(overlaps >= threshold, lowered, torch.ones_like(overlaps))
        scores[done:] *= weights
        # and the last box takes the place of a dropped one.
        dropped = (scores < lowest).tolist()
        places = list(range(len(indices)))
        place = done
        while place < len(places):
            if dropped[places[place]]:
                places[place] = places[-1]
                places.pop()
            else:
                place += 1
        scores, indices = scores[places], indices[places]
    return indices


def bbox_overlaps(
    bboxes1: Tensor, bboxes2: Tensor, ious: Tensor, mode: int, aligned: bool, offset: int
) -> None:
    """Write the IoU (mode 0) or IoF (mode 1) to ``ious``: ``(N,)`` if aligned, else ``(M, N)``."""
    first = bboxes1 if aligned else bboxes1[:, None]
    top_left = torch.maximum(first[..., :2], bboxes2[:, :2])
    sides = (torch.minimum(first[..., 2:], bboxes2[:, 2:]) - top_left + offset).clamp(min=0)
    shared = sides[..., 0] * sides[..., 1]
    areas = [
        (boxes[..., 2] - boxes[..., 0] + offset) * (boxes[..., 3] - boxes[..., 1] + offset)
        for boxes in (first, bboxes2)
    ]
    ious.copy_(shared / (areas[0] + areas[1] - shared if mode == 0 else areas[0]))


# ---- Regions of interest


def _only_average(pool_mode: int) -> None:
    if pool_mode != 1:
        raise NotImplementedError(
            "mmcv's operator roi_align is not available with pool_mode='max': this environment was "
            "made with --no-compile, which allows pool_mode='avg'. "
            'Run this to compile all operators: bash tools/setup_env.sh'
        )


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Write the averages ``(K, C, aligned_height, aligned_width)`` to ``output``."""
    _only_average(pool_mode)
    output.copy_(
        torch.ops.torchvision.roi_align(
            input, rois, spatial_scale, aligned_height, aligned_width, sampling_ratio, aligned
        )
    )


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Write the gradient ``(N, C, H, W)`` to ``grad_input``."""
    _only_average(pool_mode)
    grad_input.copy_(
        torch.ops.torchvision._roi_align_backward(
            grad_output,
            rois,
            spatial_scale,
            aligned_height,
            aligned_width,
            *grad_input.shape,
            sampling_ratio,
            aligned,
        )
    )


# ---- Focal loss. MMDetection calls these only on a GPU: mmcv has none for the CPU.


def _class_weights(weight: Tensor, target: Tensor) -> Tensor | float:
    return weight[target][:, None] if weight.numel() else 1.0


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Write the loss ``(N, C)`` to ``output``; a target of ``C`` means background."""
    positive = target[:, None] == torch.arange(input.shape[1], device=input.device)
    p = input.sigmoid()
    loss = torch.where(
        positive,
        -alpha * (1 - p) ** gamma * p.clamp(min=FLOAT_MIN).log(),
        -(1 - alpha) * p**gamma * (1 - p).clamp(min=FLOAT_MIN).log(),
    )
    output.copy_(loss * _class_weights(weight, target))


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Write the derivative ``(N, C)`` of the loss to ``grad_input``."""
    positive = target[:, None] == torch.arange(input.shape[1], device=input.device)
    p = input.sigmoid()
    log_p, log_q = (x.clamp(min=FLOAT_MIN).log() for x in (p, 1 - p))
    gradient = torch.where(
        positive,
        -alpha * (1 - p) ** gamma * (1 - p - gamma * p * log_p),
        -(1 - alpha) * p**gamma * (gamma * (1 - p) * log_q - p),
    )
    grad_input.copy_(gradient * _class_weights(weight, target))


# ---- Deformable convolution

# What torchvision calls stride, padding, dilation and groups, in the words of both operators
PLAIN = ('dH', 'dW', 'padH', 'padW', 'dilationH', 'dilationW', 'group', 'deformable_group')
MODULATED = ('stride_h', 'stride_w', 'pad_h', 'pad_w', 'dilation_h', 'dilation_w', *PLAIN[-2:])


def _deform_conv(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    geometry: list[int],
) -> Tensor:
    return torch.ops.torchvision.deform_conv2d(
        input,
        weight,
        offset,
        input.new_zeros(len(input), 1) if mask is None else mask,
        weight.new_zeros(len(weight)) if bias is None else bias,
        *geometry,
        mask is not None,
    )


def _deform_conv_backward(
    grad_output: Tensor,
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    geometry: list[int],
) -> tuple[Tensor, ...]:
    """Return the gradients of the input, weight, offset, mask and bias."""
    gradients = list(
        torch.ops.torchvision._deform_conv2d_backward(
            grad_output,
            input,
            weight,
            offset,
            input.new_zeros(len(input), 1) if mask is None else mask,
            weight.new_zeros(len(weight)),
            *geometry,
            mask is not None,
        )
    )
    # A point exactly one pixel outside the map has no gradient in mmcv, but one towards the map in
    # torchvision. With offsets of 0, as they are initialised, and padding there are many of them.
    outside = _outside(input, weight, offset, geometry)
    gradients[2] = gradients[2].view(outside.shape).masked_fill(outside, 0).view_as(offset)
    return tuple(gradients)


def _outside(input: Tensor, weight: Tensor, offset: Tensor, geometry: list[int]) -> Tensor:
    """Return which points lie outside the map, for both of their offsets.

    ``(N, deform_groups, taps, 2, H, W)``; offsets are pairs of y and x.
    """
    strides, paddings, dilations = geometry[:2], geometry[2:4], geometry[4:6]
    taps, sizes = weight.shape[2:], offset.shape[2:]
    points = offset.view(len(offset), -1, *taps, 2, *sizes)
    outside = torch.zeros_like(points, dtype=torch.bool)
    for axis in range(2):
        tap, place = (
            torch.arange(count, device=offset.device) for count in (taps[axis], sizes[axis])
        )
        grid = tap[:, None] * dilations[axis] + place * strides[axis] - paddings[axis]
        grid = grid[:, None, :, None] if axis == 0 else grid[:, None, :]
        point = points[..., axis, :, :] + grid
        outside |= ((point <= -1) | (point >= input.shape[2 + axis])).unsqueeze(4)
    return outside.flatten(2, 3)


def deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    **given: int,
) -> None:
    """Write the convolution ``(N, C, H, W)`` to ``output``."""
    geometry = [given[key] for key in PLAIN]
    output.copy_(_deform_conv(input, weight, offset, None, None, geometry))


def deform_conv_backward_input(
    input: Tensor,
    offset: Tensor,
    gradOutput: Tensor,  # noqa: N803 (the compiled operator's name)
    gradInput: Tensor,  # noqa: N803
    gradOffset: Tensor,  # noqa: N803
    weight: Tensor,
    columns: Tensor,
    **given: int,
) -> None:
    """Write the gradients of the input and of the offsets."""
    geometry = [given[key] for key in PLAIN]
    gradients = _deform_conv_backward(gradOutput, input, weight, offset, None, geometry)
    gradInput.copy_(gradients[0])
    gradOffset.copy_(gradients[2])


def deform_conv_backward_parameters(
    input: Tensor,
    offset: Tensor,
    gradOutput: Tensor,  # noqa: N803
    gradWeight: Tensor,  # noqa: N803
    columns: Tensor,
    ones: Tensor,
    scale: float,
    **given: int,
) -> None:
    """Add the weight's gradient, times ``scale``, to ``gradWeight``."""
    geometry = [given[key] for key in PLAIN]
    # The weight's values do not matter for its own gradient.
    gradients = _deform_conv_backward(gradOutput, input, gradWeight, offset, None, geometry)
    gradWeight.add_(gradients[1], alpha=scale)


def _read_as(values: Tensor, sizes: torch.Size) -> Tensor:
    """Return a view ``(N, C, *sizes)`` of the first numbers of each ``(C, H, W)``.

    mmcv reads offsets and masks as if they had the output's size. MMDetection's DyHead gives larger
    ones, made from the next finer level.
    """
    number = values.shape[1] * sizes.numel()
    if values.shape[2:] == sizes or values[0].numel() < number:  # torchvision refuses the latter
        return values
    return values.flatten(1)[:, :number].unflatten(1, (values.shape[1], *sizes))


def modulated_deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    *,
    with_bias: bool,
    **given: int,
) -> None:
    """Write the convolution ``(N, C, H, W)`` to ``output``."""
    geometry = [given[key] for key in MODULATED]
    offset, mask = (_read_as(x, output.shape[2:]) for x in (offset, mask))
    output.copy_(_deform_conv(input, weight, offset, mask, bias if with_bias else None, geometry))


def modulated_deform_conv_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    *,
    with_bias: bool,
    **given: int,
) -> None:
    """Write all five gradients."""
    geometry = [given[key] for key in MODULATED]
    sizes = grad_output.shape[2:]
    offset, mask = _read_as(offset, sizes), _read_as(mask, sizes)
    grad_offset, grad_mask = _read_as(grad_offset, sizes), _read_as(grad_mask, sizes)
    gradients = _deform_conv_backward(grad_output, input, weight, offset, mask, geometry)
    written = (grad_input, grad_weight, grad_offset, grad_mask, *([grad_bias] if with_bias else []))
    for target, gradient in zip(written, gradients, strict=False):
        target.copy_(gradient)


# ---- Deformable attention. mmcv calls these only on a GPU, and has it in PyTorch for the CPU.


def ms_deform_attn_forward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """Return multi-scale deformable attention ``(B, queries, channels)``."""
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    return multi_scale_deformable_attn_pytorch(
        value, value_spatial_shapes, sampling_locations, attention_weights
    )


def ms_deform_attn_backward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """Write the gradients of the value, the sampling locations and the attention weights."""
    with torch.enable_grad():
        inputs = [
            x.detach().requires_grad_() for x in (value, sampling_locations, attention_weights)
        ]
        output = ms_deform_attn_forward(
            inputs[0], value_spatial_shapes, value_level_start_index, *inputs[1:], im2col_step
        )
        gradients = torch.autograd.grad(output, inputs, grad_output)
    for target, gradient in zip(
        (grad_value, grad_sampling_loc, grad_attn_weight), gradients, strict=True
    ):
        target.copy_(gradient)


# ---- Point-wise spatial attention


def _psamask(
    masks: Tensor, full: Tensor, psa_type: int, sizes: dict[str, int], *, forward: bool
) -> None:
    """Copy between the masks around each place and their full maps.

    Args:
        masks: ``(N, h_mask * w_mask, H, W)``: at each place, weights for the places around it.
        full: ``(N, H * W, H, W)``: the same weights where they belong in the map.
        psa_type: 0 collects (``full[:, other, place]``), 1 distributes (``full[:, place, other]``).
        sizes: Of the feature map and the mask, and half the mask's.
        forward: From masks to full; else back.
    """
    height, width = sizes['h_feature'], sizes['w_feature']
    batch = len(masks)
    full = full.view(batch, height, width, height, width)
    rows, columns = (torch.arange(size, device=masks.device) for size in (height, width))
    for index in range(sizes['h_mask'] * sizes['w_mask']):
        down = index // sizes['w_mask'] - sizes['half_h_mask']
        right = index % sizes['w_mask'] - sizes['half_w_mask']
        y = rows[max(0, -down) : max(0, height - max(down, 0))][:, None]
        x = columns[max(0, -right) : max(0, width - max(right, 0))][None]
        place, other = (y, x), (y + down, x + right)
        at = (slice(None), *other, *place) if psa_type == 0 else (slice(None), *place, *other)
        around = (slice(None), index, *place)
        if forward:
            full[at] = masks[around]
        else:
            masks[around] = full[at]


def psamask_forward(input: Tensor, output: Tensor, psa_type: int, **sizes: int) -> None:
    """Write the full maps to ``output``."""
    _psamask(input, output, psa_type, sizes, forward=True)


def psamask_backward(grad_output: Tensor, grad_input: Tensor, psa_type: int, **sizes: int) -> None:
    """Write the masks' gradient to ``grad_input``."""
    _psamask(grad_input, grad_output, psa_type, sizes, forward=False)

"""Loading of weights into a backbone, with a report of every tensor."""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..log import log
from .convert import Converted, formulation_of, to_ours
from .published import resolve_checkpoint
from .read import read_tensors
from .usable import require_finite

# tables that depend on the size of the images
POSITIONS = ('sentence_pos', 'token_pos', 'relative_pos')
# What sees the channels of the image. T2T-ViT's tensors run over channels, then over the 7x7 pixels
# of a soft split.
STEMS = ('word_embed.proj.', 'stem.common.0.', 'tokens_to_token.attend1.')
QUERIES = 'tokens_to_token.attend1.qkv.weight'  # and keys and values
LISTED = 1000  # keys of each kind in the report; our largest backbone has fewer
NORMS = ('tokens_to_token.attend1.norm1.weight', 'tokens_to_token.attend1.norm1.bias')


def load_pretrained(
    backbone: Any,
    checkpoint: str | Path,
    *,
    prefix: str | None = None,
    allow_missing: bool = False,
    adapt_in_channels: bool = False,
) -> None:
    """Load weights into a backbone, as ``init_cfg=dict(type='Pretrained', ...)`` does.

    The form (the authors', timm's, mmpretrain's or ours, bare or inside a full model) is recognised
    by its keys and converted. Heads are dropped. The pyramid stays new if the file has none, or one
    of other widths. Position tables of another ``img_size`` are resized. The log says how many
    tensors were loaded, and names the others.

    Args:
        backbone: One of ours, such as :class:`tnt_backbone.TNT`, also inside ``torch.compile`` or
            ``DistributedDataParallel``.
        checkpoint: ``tnt://<name>``, ``timm/<name>``, a URL or a path; see
            :func:`resolve_checkpoint`.
        prefix: Prefix of the backbone's keys in the file, such as ``'backbone.'``. Default:
            recognised.
        allow_missing: Accept a file in which tensors of the backbone are missing or have another
            shape.
        adapt_in_channels: Fit weights for RGB images to the backbone's ``in_channels``, as timm
            does; see :func:`adapt_channels`.

    Raises:
        FileNotFoundError: If the file was not found and could not be downloaded.
        ValueError: If the weights are of another family, formulation or variant, or if tensors of
            the backbone are missing and ``allow_missing`` is not set.
    """
    backbone = _unwrapped(backbone)
    fitting, report = select_tensors(
        backbone,
        checkpoint,
        prefix=prefix,
        allow_missing=allow_missing,
        adapt_in_channels=adapt_in_channels,
    )
    log(report)
    backbone.initialise_if_unset()
    backbone.load_state_dict(fitting, strict=False)


def _unwrapped(backbone: Any) -> Any:
    """Return the backbone inside ``torch.compile`` and ``DistributedDataParallel``."""
    while inner := {'_orig_mod', 'module'} & dict(backbone.named_children()).keys():
        backbone = getattr(backbone, inner.pop())
    if not hasattr(backbone, 'fit_position_tables'):
        raise InputError(
            f'backbone={type(backbone).__name__} is not one of TNT, PyramidTNT and T2TViT. Pass '
            'the backbone itself, for example model.backbone'
        )
    return backbone


def select_tensors(
    backbone: Any,
    checkpoint: str | Path,
    *,
    prefix: str | None = None,
    allow_missing: bool = False,
    adapt_in_channels: bool = False,
) -> tuple[dict[str, Tensor], str]:
    """Return what :func:`load_pretrained` would load; the backbone may be on ``meta``.

    The arguments and errors are the same.

    Returns:
        The tensors under the backbone's names, and the report for the log.
    """
    path = resolve_checkpoint(checkpoint)
    converted = to_ours(read_tensors(path), prefix)
    _check_family(backbone, converted, path)
    wanted = backbone.state_dict()
    _require_floats(converted.backbone, wanted, path)
    resized = backbone.fit_position_tables(converted.backbone, grid=converted.grid)
    found = {**converted.backbone, **resized}

    adapted = []
    if adapt_in_channels:
        for key in found:
            if key in wanted and found[key].shape != wanted[key].shape and key.startswith(STEMS):
                change = f'{key} from {tuple(found[key].shape)} to {tuple(wanted[key].shape)}'
                found[key] = adapt_channels(key, found[key], backbone.in_channels)
                adapted.append(change)
    fitting = {
        key: value
        for key, value in found.items()
        if key in wanted and value.shape == wanted[key].shape
    }
    require_finite(fitting, path)
    misfits = [key for key in found if key in wanted and key not in fitting]
    new_widths = [key for key in misfits if key.startswith('pyramid.')]
    misfits = [key for key in misfits if key not in new_widths]
    mismatched = [
        f'{key}: {tuple(found[key].shape)} in the file, {tuple(wanted[key].shape)} in the model'
        for key in misfits
    ]
    missing = [key for key in wanted if key not in found]
    new = [key for key in missing if key.startswith('pyramid.')]
    missing = [key for key in missing if key not in new]
    unused = [key for key in found if key not in wanted]

    fits = allow_missing or not (missing or misfits)
    report = (
        f'{len(fitting)} of {len(wanted)} tensors {"loaded" if fits else "would fit"} from {path} '
        f'({converted.form.source})'
    )
    for title, keys in (
        ('adapted from RGB', adapted),
        ('not in the file, new', new),
        ('of another shape in the file, new', new_widths),
        ('MISSING in the file', missing),
        ('of another shape', mismatched),
        ('in the file and not used', unused),
    ):
        if keys:
            report += f'\n  {len(keys)} {title}: {", ".join(keys[:LISTED])}'
            report += f' and {len(keys) - LISTED} more' if len(keys) > LISTED else ''
    if not fits:
        log(report)  # it names all tensors; the error names a few
        raise InputError(
            f'{path} does not fit this backbone: {len(missing)} tensors are missing {missing[:4]}, '
            f'{len(mismatched)} have another shape {mismatched[:4]}. '
            f'{_advise(backbone, found, missing, misfits)} '
            'Or set allow_missing=True in init_cfg to load what fits'
        )
    return fitting, report


def adapt_channels(key: str, tensor: Tensor, in_channels: int) -> Tensor:
    """Return a tensor of a stem for RGB images, fitted to another number of channels.

    The rule is timm's: for one channel the sum over R, G and B; for ``n`` channels R, G, B, R, ...
    times ``3 / n``. So an image whose channels are equal gives what a grey RGB image gives. The
    first norm of T2T-ViT, whose weights stand for single numbers, takes the mean, or repeats
    without a factor; there the outputs are equal only if its weights for R, G and B are. The
    queries of its Transformer take the factor that its attention loses with the input's width.

    Source: ``adapt_input_conv`` of
    https://github.com/huggingface/pytorch-image-models/blob/v1.0.22/timm/models/_manipulate.py.

    Args:
        key: Its name, which begins with one of ``STEMS``.
        tensor: ``(C', 3, h, w)`` of a convolution, ``(C', 3 * 49)`` of a linear layer or
            ``(3 * 49,)`` of a norm.
        in_channels: The number ``n``.

    Raises:
        ValueError: If the tensor is not for three channels.
    """
    pixels = math.prod(tensor.shape[2:]) if tensor.ndim == 4 else 49
    channel_dim = 0 if key in NORMS else 1
    if tensor.ndim not in (channel_dim + 1, 4) or tensor[(0,) * channel_dim].numel() != 3 * pixels:
        raise InputError(
            f'{key} has the shape {tuple(tensor.shape)}, so it is not for RGB images. Leave '
            'adapt_in_channels out'
        )
    split = tensor.reshape(*tensor.shape[:channel_dim], 3, pixels)
    split = split.to(torch.promote_types(tensor.dtype, torch.float32))
    if in_channels == 1:
        split = split.sum(channel_dim, keepdim=True)
        scale = 1 / 3 if key in NORMS else 1.0
    else:
        picked = [channel % 3 for channel in range(in_channels)]
        split = split.index_select(channel_dim, torch.tensor(picked))
        scale = 1.0 if key in NORMS else 3 / in_channels
    split = split * scale
    if key == QUERIES:  # their products with keys are divided by the root of the input's width
        split[: len(split) // 3] *= math.sqrt(in_channels / 3)
    shape = list(tensor.shape)
    shape[channel_dim] = shape[channel_dim] // 3 * in_channels
    return split.reshape(shape).to(tensor.dtype)


def _require_floats(found: dict[str, Tensor], wanted: dict[str, Tensor], path: str) -> None:
    """Check that weights are floats: torch would take integers for them, or half of a complex."""
    wrong = [
        f'{key} of {found[key].dtype}'
        for key in wanted.keys() & found.keys()
        if wanted[key].is_floating_point() and not found[key].is_floating_point()
    ]
    if wrong:
        raise InputError(
            f'{path} holds {len(wrong)} weights that are no floats, such as {min(wrong)}. Save the '
            'weights as float32'
        )


def _check_family(backbone: Any, converted: Converted, path: str) -> None:
    family = converted.form.family
    if family not in {ancestor.__name__ for ancestor in type(backbone).__mro__}:
        raise InputError(
            f'{path} holds weights of {family}, but the backbone is {type(backbone).__name__}. Set '
            f'type={family!r} in the backbone, or pass other weights'
        )
    formulation = formulation_of(converted.backbone)
    if formulation is not None and formulation != backbone.formulation:
        raise InputError(
            f'{path} holds weights of the {formulation} TNT, but the backbone has '
            f'formulation={backbone.formulation!r}. Set formulation={formulation!r} in the '
            'backbone, or pass other weights'
        )


def _advise(backbone: Any, found: dict[str, Tensor], missing: list[str], misfits: list[str]) -> str:
    """Return a sentence that names the argument with which the weights would fit."""
    only_misfits = bool(misfits) and not missing
    if only_misfits and all(key.endswith(POSITIONS) for key in misfits):
        return (
            'Its position tables have another size and are not of a square image. Set img_size to '
            'the (H, W) of its training; images may have any other size.'
        )
    weights = [key for key in misfits if key.endswith('.weight')]
    if only_misfits and weights and all(key.startswith(STEMS) for key in misfits):
        key = weights[0]
        channels = found[key].numel() * backbone.in_channels // backbone.state_dict()[key].numel()
        return (
            f'Its images have other channels. Set in_channels={channels}, or set '
            'adapt_in_channels=True in init_cfg to start from the weights for RGB.'
        )
    fitting = [
        f'arch={name!r}'
        for name, variant in backbone.VARIANTS.items()
        if variant != backbone.variant and _fits(backbone, name, found)
    ]
    if fitting:
        return f'The file is of another variant. Set {" or ".join(fitting)}.'
    return 'Set arch and the other arguments to those of the file.'


def _fits(backbone: Any, arch: str, found: dict[str, Tensor]) -> bool:
    """Return whether a variant has the tensors that were found, at any image size."""
    formulation = formulation_of(found)
    options = {'formulation': formulation} if formulation else {}
    try:
        with torch.device('meta'):
            state = type(backbone)(arch, out_type='raw', **options).state_dict()
    except Exception:  # a subclass with other arguments: advice must not hide the message
        return False

    def shapes(tensors: dict[str, Tensor]) -> dict[str, torch.Size]:
        # without what the pretraining size, or the outputs that were built, decide
        return {
            key: value.shape
            for key, value in tensors.items()
            if not key.startswith(('norm.', 'pyramid.')) and not key.endswith(POSITIONS)
        }

    return shapes(state) == shapes(found)

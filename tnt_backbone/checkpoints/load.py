"""Loading of weights into a backbone, with a report of every tensor."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..log import log
from .convert import Converted, formulation_of, to_ours
from .published import resolve_checkpoint
from .read import read_tensors

# tables that depend on the size of the images
POSITIONS = ('sentence_pos', 'token_pos', 'relative_pos')
# what sees the channels of the image
STEMS = ('word_embed.proj.', 'stem.common.0.', 'tokens_to_token.attend1.')


def load_pretrained(
    backbone: Any, checkpoint: str | Path, *, prefix: str | None = None, allow_missing: bool = False
) -> None:
    """Load weights into a backbone, as ``init_cfg=dict(type='Pretrained', ...)`` does.

    The form (the authors', timm's, mmpretrain's or ours, bare or inside a full model) is recognised
    by its keys and converted. Heads are dropped. The pyramid stays new if the file has none, or one
    of other widths. Position tables of another ``img_size`` are resized. The log says how many
    tensors were loaded, and names the others.

    Args:
        backbone: One of ours, such as :class:`tnt_backbone.TNT`.
        checkpoint: ``tnt://<name>``, ``timm/<name>``, a URL or a path; see
            :func:`resolve_checkpoint`.
        prefix: Prefix of the backbone's keys in the file, such as ``'backbone.'``. Default:
            recognised.
        allow_missing: Accept a file in which tensors of the backbone are missing or have another
            shape.

    Raises:
        FileNotFoundError: If the file was not found and could not be downloaded.
        ValueError: If the weights are of another family, formulation or variant, or if tensors of
            the backbone are missing and ``allow_missing`` is not set.
    """
    fitting, report = select_tensors(
        backbone, checkpoint, prefix=prefix, allow_missing=allow_missing
    )
    log(report)
    backbone.load_state_dict(fitting, strict=False)


def select_tensors(
    backbone: Any, checkpoint: str | Path, *, prefix: str | None = None, allow_missing: bool = False
) -> tuple[dict[str, Tensor], str]:
    """Return what :func:`load_pretrained` would load; the backbone may be on ``meta``.

    The arguments and errors are the same.

    Returns:
        The tensors under the backbone's names, and the report for the log.
    """
    path = resolve_checkpoint(checkpoint)
    converted = to_ours(read_tensors(path), prefix)
    _check_family(backbone, converted, path)
    found = {**converted.backbone, **backbone.fit_position_tables(converted.backbone)}

    wanted = backbone.state_dict()
    fitting = {
        key: value
        for key, value in found.items()
        if key in wanted and value.shape == wanted[key].shape
    }
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
        ('not in the file, new', new),
        ('of another shape in the file, new', new_widths),
        ('MISSING in the file', missing),
        ('of another shape', mismatched),
        ('in the file and not used', unused),
    ):
        if keys:
            report += f'\n  {len(keys)} {title}: {", ".join(keys)}'
    if not fits:
        log(report)  # it names all tensors; the error names a few
        raise ValueError(
            f'{path} does not fit this backbone: {len(missing)} tensors are missing {missing[:4]}, '
            f'{len(mismatched)} have another shape {mismatched[:4]}. '
            f'{_advise(backbone, found, missing, misfits)} '
            'Or set allow_missing=True in init_cfg to load what fits'
        )
    return fitting, report


def _check_family(backbone: Any, converted: Converted, path: str) -> None:
    family = converted.form.family
    if family not in {ancestor.__name__ for ancestor in type(backbone).__mro__}:
        raise ValueError(
            f'{path} holds weights of {family}, but the backbone is {type(backbone).__name__}. Set '
            f'type={family!r} in the backbone, or pass other weights'
        )
    formulation = formulation_of(converted.backbone)
    if formulation is not None and formulation != backbone.formulation:
        raise ValueError(
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
        return f'Its images have other channels. Set in_channels={channels}.'
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

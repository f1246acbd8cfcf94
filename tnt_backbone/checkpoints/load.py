"""Weights into a backbone, loudly."""

from typing import Any

from mmengine.logging import print_log
from torch import Tensor

from .convert import to_ours
from .published import resolve_checkpoint
from .read import read_tensors


def load_pretrained(
    backbone: Any, checkpoint: str, *, prefix: str | None = None, allow_missing: bool = False
) -> None:
    """Load weights into a backbone: what ``init_cfg=dict(type='Pretrained', ...)`` does.

    The source (the authors', timm's, mmpretrain's or our own, bare or inside a full model) is
    recognised by its keys and converted. Heads are dropped. The pyramid is new where the file has
    none. The log says how many tensors were loaded and names the rest.

    Args:
        backbone: A :class:`tnt_backbone.TNT`.
        checkpoint: ``tnt://<name>``, a URL or a path; see :func:`resolve_checkpoint`.
        prefix: Where in the file the backbone lies, such as ``'backbone.'``; found by itself by
            default.
        allow_missing: Accept a file that lacks some of the backbone's tensors, or has them in
            another shape.

    Raises:
        FileNotFoundError: If there is no such file and no place that has it.
        ValueError: If the file holds no weights of a TNT, those of the other formulation or another
            variant, or (without ``allow_missing``) not all tensors of the backbone.
    """
    path = resolve_checkpoint(checkpoint)
    source, found = to_ours(read_tensors(path), prefix)
    _check_formulation(backbone, found, path)

    wanted = backbone.state_dict()
    fitting = {
        key: value
        for key, value in found.items()
        if key in wanted and value.shape == wanted[key].shape
    }
    mismatched = [
        f'{key}: {tuple(found[key].shape)} in the file, {tuple(wanted[key].shape)} in the model'
        for key in found
        if key in wanted and key not in fitting
    ]
    missing = [key for key in wanted if key not in found]
    new = [key for key in missing if key.startswith('pyramid.')]
    missing = [key for key in missing if key not in new]
    unused = [key for key in found if key not in wanted]

    backbone.load_state_dict(fitting, strict=False)
    report = f'{len(fitting)} of {len(wanted)} tensors loaded from {path} ({source})'
    for title, keys in (
        ('not in the file, new', new),
        ('MISSING in the file', missing),
        ('of another shape', mismatched),
        ('in the file and not used', unused),
    ):
        if keys:
            report += f'\n  {len(keys)} {title}: {", ".join(keys)}'
    print_log(report, logger='current')
    if (missing or mismatched) and not allow_missing:
        raise ValueError(
            f'{path} does not fit this backbone: {len(missing)} tensors are missing {missing[:4]}, '
            f'{len(mismatched)} have another shape {mismatched[:4]}. {_advise(backbone, found)} '
            'To load what fits, set allow_missing=True in init_cfg'
        )


def _check_formulation(backbone: Any, found: dict[str, Tensor], path: str) -> None:
    in_blocks = [key for key in found if key.startswith('blocks.') and '.word_to_sentence.' in key]
    if not in_blocks:
        return
    formulation = 'legacy' if any(key.endswith('.proj.bias') for key in in_blocks) else 'official'
    if formulation != backbone.formulation:
        raise ValueError(
            f'{path} holds weights of the {formulation} TNT, but the backbone was built with '
            f'formulation={backbone.formulation!r}: another function, which they do not fit. Set '
            f'formulation={formulation!r} in the backbone, or give other weights'
        )


def _advise(backbone: Any, found: dict[str, Tensor]) -> str:
    """Name the argument that would make the weights fit."""
    dims = found['cls_token'].shape[-1] if 'cls_token' in found else None
    if dims is not None and dims != backbone.embed_dims:
        fitting = [
            f'arch={name!r}' for name, row in backbone.VARIANTS.items() if row.sentence_dims == dims
        ]
        arch = ' or '.join(fitting) or 'give arch as a dict'
        return f'The file is of a TNT with {dims} channels: {arch}.'
    rows = found['sentence_pos'].shape[1] if 'sentence_pos' in found else None
    if rows is not None and rows != backbone.state_dict()['sentence_pos'].shape[1]:
        return (
            f'Its position table has {rows} rows: set img_size to the size that it was trained at.'
        )
    return 'Compare arch, se and inner_blocks with those of the file.'

"""Recognise whose keys a dict of tensors has, and turn them into ours. Pure dict to dict."""

import re
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from . import mmpretrain, official, timm

Tensors = dict[str, Tensor]


class Source(NamedTuple):
    """A form of checkpoint: how it is recognised and how it is converted."""

    name: str
    recognise: str  # a regular expression that one of its keys matches, and no other source's
    convert: Callable[[Tensors], Tensors]


SOURCES = (
    Source('tnt_backbone', r'word_embed\.proj\.weight', dict),
    Source('official', r'blocks\.\d+\.outer_norm1\.weight', official.convert),
    Source('timm', r'blocks\.\d+\.norm_out\.weight', timm.convert),
    Source('mmpretrain', r'layers\.\d+\.outer_block\.norm_attn\.weight', mmpretrain.convert),
)


def to_ours(tensors: Tensors, prefix: str | None = None) -> tuple[str, Tensors]:
    """Convert a checkpoint of any source to the backbone's own keys.

    Args:
        tensors: What :func:`read_tensors` returned.
        prefix: Use only the tensors below this prefix. By default ``backbone.`` where a full
            detector, segmentor or classifier of OpenMMLab is given.

    Returns:
        The name of the source, and the tensors under our names, without heads.

    Raises:
        ValueError: If nothing lies below ``prefix``, or the keys are no TNT's.
    """
    if prefix is None and any(key.startswith('backbone.') for key in tensors):
        prefix = 'backbone.'
    if prefix:
        prefix = prefix.rstrip('.') + '.'
        below = {
            key.removeprefix(prefix): value
            for key, value in tensors.items()
            if key.startswith(prefix)
        }
        if not below:
            raise ValueError(f'no tensor lies below prefix={prefix!r}; there are {_some(tensors)}')
        tensors = below
    for source in SOURCES:
        if any(re.fullmatch(source.recognise, key) for key in tensors):
            return source.name, source.convert(tensors)
    raise ValueError(
        'these are no weights of a TNT in a form that is known '
        f'({", ".join(source.name for source in SOURCES)}); the keys are {_some(tensors)}'
    )


def _some(tensors: Tensors) -> str:
    keys = list(tensors)
    return ', '.join(keys[:6]) + (f' and {len(keys) - 6} more' if len(keys) > 6 else '')

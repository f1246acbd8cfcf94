"""Tables of the published variants: dimensions, depths, heads, size, cost and source.

Parameters and FLOPs are the paper's (a classifier of 1000 classes at 224x224, multiply-adds).
"""

from dataclasses import dataclass, fields
from typing import Any, TypeVar


@dataclass(frozen=True, kw_only=True)
class TNTVariant:
    """One TNT.

    Attributes:
        depth: Blocks.
        word_dims: Channels ``c`` of a visual word (inner transformer).
        word_heads: Attention heads of the inner transformer.
        sentence_dims: Channels ``d`` of a visual sentence (outer transformer).
        sentence_heads: Attention heads of the outer transformer.
        mlp_ratio: Hidden channels of both MLPs relative to their input.
        qkv_bias: Whether queries, keys and values have a bias.
        params_m: Parameters in millions, as published; ``None`` where nothing was.
        flops_g: Multiply-adds in billions at 224x224, as published.
    """

    depth: int
    word_dims: int
    word_heads: int
    sentence_dims: int
    sentence_heads: int
    mlp_ratio: float = 4.0
    qkv_bias: bool = False
    params_m: float | None = None
    flops_g: float | None = None


# Source: Table 1 and Table 4 of https://arxiv.org/abs/2103.00112.
TNT_VARIANTS = {
    'ti': TNTVariant(
        depth=12,
        word_dims=12,
        word_heads=2,
        sentence_dims=192,
        sentence_heads=3,
        params_m=6.1,
        flops_g=1.4,
    ),
    's': TNTVariant(
        depth=12,
        word_dims=24,
        word_heads=4,
        sentence_dims=384,
        sentence_heads=6,
        params_m=23.8,
        flops_g=5.2,
    ),
    'b': TNTVariant(
        depth=12,
        word_dims=40,
        word_heads=4,
        sentence_dims=640,
        sentence_heads=10,
        params_m=65.6,
        flops_g=14.1,
    ),
}

ALIASES = {'tiny': 'ti', 'small': 's', 'base': 'b'}

Variant = TypeVar('Variant', bound=TNTVariant)


def get_variant(arch: str | dict[str, Any], table: dict[str, Variant]) -> Variant:
    """Look an ``arch`` argument up.

    Args:
        arch: A row of ``table`` (any case; ``'tiny'``, ``'small'``, ``'base'`` stand for ``'ti'``,
            ``'s'``, ``'b'``), or a dict with the fields of a row.
        table: One of the tables of this module.

    Raises:
        ValueError: If there is no such row, or the dict lacks a field or has one too many, or a
            number in it is not positive.
        TypeError: If ``arch`` is neither a string nor a dict.
    """
    if isinstance(arch, str):
        name = arch.lower()
        name = ALIASES.get(name, name)
        if name not in table:
            known = ', '.join(repr(row) for row in table)
            raise ValueError(
                f'arch={arch!r} is not known: choose one of {known}, or give a dict of dimensions'
            )
        return table[name]
    if not isinstance(arch, dict):
        raise TypeError(f'arch must be a name or a dict of dimensions, not {arch!r}')

    variant_class = type(next(iter(table.values())))
    allowed = {field.name: field for field in fields(variant_class)}
    unknown = sorted(set(arch) - set(allowed))
    if unknown:
        raise ValueError(f'arch has unknown fields {unknown}: allowed are {sorted(allowed)}')
    try:
        variant = variant_class(**arch)
    except TypeError as error:  # its text names the fields that are missing
        raise ValueError(f'arch is incomplete: {error}; it has {sorted(arch)}') from error
    for name, value in arch.items():
        if isinstance(value, bool) or value is None:
            continue
        if not isinstance(value, (int, float)) or value <= 0:
            raise ValueError(f'arch[{name!r}]={value!r} must be a positive number')
    return variant

"""Tables of the published variants: dimensions, depths, heads, size, cost and source.

Parameters and FLOPs are those that were published (a classifier of 1000 classes at the pretraining
size, multiply-adds).
"""

from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

from .errors import InputError, InputTypeError
from .near_names import did_you_mean
from .other_names import fields_meant


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


@dataclass(frozen=True, kw_only=True)
class PyramidTNTVariant:
    """One PyramidTNT; the tuples have one entry per stage.

    Attributes:
        depths: Blocks.
        word_dims: Channels ``c`` of a visual word (inner transformer).
        word_heads: Attention heads of the inner transformer.
        sentence_dims: Channels ``d`` of a visual sentence (outer transformer).
        sentence_heads: Attention heads of the outer transformer.
        sr_ratios: Side of the squares of sentences that are averaged to a key.
        mlp_ratio: Hidden channels of both MLPs relative to their input.
        qkv_bias: Whether queries, keys and values have a bias.
        img_size: Side of the images of the pretraining, in pixels.
        params_m: Parameters in millions, as published; ``None`` where nothing was.
        flops_g: Multiply-adds in billions at ``img_size``, as published.
    """

    depths: tuple[int, int, int, int]
    word_dims: tuple[int, int, int, int]
    word_heads: tuple[int, int, int, int]
    sentence_dims: tuple[int, int, int, int]
    sentence_heads: tuple[int, int, int, int]
    sr_ratios: tuple[int, int, int, int] = (4, 2, 1, 1)
    mlp_ratio: float = 4.0
    qkv_bias: bool = False
    img_size: int = 256
    params_m: float | None = None
    flops_g: float | None = None


# Source: https://github.com/huawei-noah/Efficient-AI-Backbones/blob/f90e129/tnt_pytorch/,
# pyramid_tnt.py and the table of readme.md.
PYRAMID_TNT_VARIANTS = {
    'ti': PyramidTNTVariant(
        depths=(2, 6, 3, 2),
        word_dims=(5, 10, 20, 20),
        word_heads=(1, 2, 4, 4),
        sentence_dims=(80, 160, 320, 320),
        sentence_heads=(2, 4, 8, 8),
        img_size=192,
        params_m=10.6,
        flops_g=0.6,
    ),
    's': PyramidTNTVariant(
        depths=(2, 8, 4, 2),
        word_dims=(8, 16, 32, 32),
        word_heads=(2, 4, 8, 8),
        sentence_dims=(128, 256, 512, 512),
        sentence_heads=(4, 8, 16, 16),
        params_m=32.0,
        flops_g=3.3,
    ),
    'm': PyramidTNTVariant(
        depths=(2, 8, 6, 2),
        word_dims=(12, 24, 48, 48),
        word_heads=(2, 4, 8, 8),
        sentence_dims=(192, 384, 768, 768),
        sentence_heads=(4, 8, 16, 16),
        params_m=85.0,
        flops_g=8.2,
    ),
    'b': PyramidTNTVariant(
        depths=(2, 10, 6, 2),
        word_dims=(16, 32, 64, 64),
        word_heads=(2, 4, 8, 8),
        sentence_dims=(256, 512, 1024, 1024),
        sentence_heads=(4, 8, 16, 16),
        params_m=157.0,
        flops_g=16.0,
    ),
}


@dataclass(frozen=True, kw_only=True)
class T2TViTVariant:
    """One T2T-ViT.

    Attributes:
        token_attention: Attention of the token module: ``'performer'`` or ``'transformer'``.
        depth: Blocks.
        embed_dims: Channels of the tokens.
        num_heads: Attention heads.
        mlp_ratio: Hidden channels of the MLPs relative to their input.
        token_dims: Channels of the tokens within the token module.
        token_drop_rate: Dropout in the token module; the authors have 0.1 in the Performer's.
        qkv_bias: Whether queries, keys and values have a bias.
        params_m: Parameters in millions, as published; ``None`` where nothing was.
        flops_g: Multiply-adds in billions at 224x224, as published.
    """

    token_attention: Literal['performer', 'transformer'] = 'performer'
    depth: int
    embed_dims: int
    num_heads: int
    mlp_ratio: float = 3.0
    token_dims: int = 64
    token_drop_rate: float = 0.1
    qkv_bias: bool = False
    params_m: float | None = None
    flops_g: float | None = None


def _t2t_vit(
    depth: int,
    embed_dims: int,
    num_heads: int,
    params_m: float,
    flops_g: float,
    *,
    mlp_ratio: float = 3.0,
    token_attention: Literal['performer', 'transformer'] = 'performer',
) -> T2TViTVariant:
    return T2TViTVariant(
        token_attention=token_attention,
        depth=depth,
        embed_dims=embed_dims,
        num_heads=num_heads,
        mlp_ratio=mlp_ratio,
        token_drop_rate=0.1 if token_attention == 'performer' else 0.0,
        params_m=params_m,
        flops_g=flops_g,
    )


# Source: https://github.com/yitu-opensource/T2T-ViT/blob/0f63dc9/, models/t2t_vit.py and the tables
# of README.md; 'wide' and 'resnext': Table 6 of https://arxiv.org/abs/2101.11986 (the code's 'wide'
# has 4 blocks). Left out, since they are other networks: SE, dense and ghost.
T2T_VIT_VARIANTS = {
    '7': _t2t_vit(7, 256, 4, 4.3, 1.1, mlp_ratio=2.0),
    '10': _t2t_vit(10, 256, 4, 5.9, 1.5, mlp_ratio=2.0),
    '12': _t2t_vit(12, 256, 4, 6.9, 1.8, mlp_ratio=2.0),
    '14': _t2t_vit(14, 384, 6, 21.5, 4.8),
    '19': _t2t_vit(19, 448, 7, 39.2, 8.5),
    '24': _t2t_vit(24, 512, 8, 64.1, 13.8),
    't-14': _t2t_vit(14, 384, 6, 21.5, 6.1, token_attention='transformer'),
    't-19': _t2t_vit(19, 448, 7, 39.2, 9.8, token_attention='transformer'),
    't-24': _t2t_vit(24, 512, 8, 64.1, 15.0, token_attention='transformer'),
    '14-wide': _t2t_vit(4, 768, 12, 25.1, 5.0),
    '14-resnext': _t2t_vit(14, 384, 32, 21.5, 4.8),
}

ALIASES = {'tiny': 'ti', 'small': 's', 'base': 'b'}

# what the entries of an ``arch`` dict must be, and which others are as good
WANTED = {
    int: 'a positive integer',
    float: 'a positive number',
    bool: 'True or False',
    str: 'a name',
}
OPTIONAL = ((None, 'params_m'), (None, 'flops_g'), (0, 'token_drop_rate'))

Variant = TypeVar('Variant', TNTVariant, PyramidTNTVariant, T2TViTVariant)


def get_variant(arch: str | dict[str, Any], table: dict[str, Variant]) -> Variant:
    """Look an ``arch`` argument up.

    Args:
        arch: A row of ``table`` (any case, ``_`` for ``-``; ``'tiny'``, ``'small'``, ``'base'``
            stand for ``'ti'``, ``'s'``, ``'b'``), or a dict with the fields of a row.
        table: One of the tables of this module.

    Raises:
        ValueError: If there is no such row, or a field of the dict is missing or unknown, or a
            number in it is not positive.
        TypeError: If ``arch`` is neither a string nor a dict.
    """
    if isinstance(arch, str):
        name = arch.lower().replace('_', '-')
        name = ALIASES.get(name, name)
        if name not in table:
            known = ', '.join(repr(row) for row in table)
            raise InputError(
                f'arch={arch!r} is not known: choose one of {known}, or give a dict of dimensions.'
                + did_you_mean(name, table, alike=0.6)
            )
        return table[name]
    if not isinstance(arch, dict):
        raise InputTypeError(f'arch must be a name or a dict of dimensions, not {arch!r}')

    variant_class = type(next(iter(table.values())))
    allowed = {field.name: field for field in fields(variant_class)}
    unknown = sorted(set(arch) - set(allowed))
    if unknown:
        questions = dict.fromkeys(
            f' {name} is {meant[0]} here.'
            if (meant := fields_meant(str(name), tuple(allowed)))
            else did_you_mean(str(name), allowed)
            for name in unknown
        )
        raise InputError(
            f'arch has unknown fields {unknown}: allowed are {sorted(allowed)}.'
            + ''.join(questions)
        )
    try:
        variant = variant_class(**arch)
    except TypeError as error:  # its text names the fields that are missing
        raise InputError(f'arch is incomplete: {error}; it has {sorted(arch)}') from error
    sample = next(iter(table.values()))
    for name, value in arch.items():
        stages = getattr(sample, name)
        if isinstance(stages, tuple) and (
            not isinstance(value, (tuple, list)) or len(value) != len(stages)
        ):
            raise InputError(
                f'arch[{name!r}]={value!r} must have {len(stages)} entries, one per stage'
            )
        kind = type(stages[0] if isinstance(stages, tuple) else stages)
        for entry in value if isinstance(stages, tuple) else (value,):
            if not _is_a(kind, entry) and (entry, name) not in OPTIONAL:
                raise InputError(f'arch[{name!r}]={value!r} must be {WANTED[kind]}')
    return variant


def _is_a(kind: type, entry: Any) -> bool:
    if kind in (bool, str):
        return type(entry) is kind
    return type(entry) in (int, kind) and entry > 0

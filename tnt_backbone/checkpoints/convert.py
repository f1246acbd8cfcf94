"""Conversion of checkpoints: recognise the form by its keys, convert to ours and to other forms."""

import re
from functools import cache
from typing import Any, NamedTuple

from ..errors import InputError
from ..log import log
from . import mmpretrain, official, timm
from .form import OUR_HEAD, Form, Tensors
from .read import unwrapped_name

OURS = (
    ('TNT', r'word_embed\.proj\.weight'),
    ('PyramidTNT', r'stem\.common\.0\.weight'),
    ('T2TViT', r'tokens_to_token\.attend1\.norm1\.weight'),
)
FORMS = (
    *(
        Form(
            source='tnt_backbone',
            family=family,
            recognise=recognise,
            names=(),
            head=OUR_HEAD,
            prefix='backbone.',
        )
        for family, recognise in OURS
    ),
    *official.FORMS,
    *timm.FORMS,
    *mmpretrain.FORMS,
)
# Parts of a prefix that mark the average of another model's weights.
AVERAGES = ('ema', 'ema_model', 'model_ema', 'averaged_model', 'teacher', 'teacher_model')


class Converted(NamedTuple):
    """A checkpoint under our names.

    Attributes:
        form: The form before the conversion.
        backbone: The backbone's tensors under its own names.
        head: ``weight`` and ``bias`` of a linear classifier, if the file has one.
        grid: ``(h, w)`` of the position table, if the file says it.
    """

    form: Form
    backbone: Tensors
    head: Tensors
    grid: tuple[int, int] | None


def to_ours(tensors: Tensors, prefix: str | None = None) -> Converted:
    """Return a checkpoint of any known form under our names.

    Args:
        tensors: What :func:`read_tensors` returned.
        prefix: Use only the tensors below this prefix. Default: the place where a backbone of a
            known form begins, such as ``backbone.`` of a detector of OpenMMLab. If there are
            several: the file itself or ``backbone.``, otherwise the one that ``AVERAGES`` names
            (the log says which).

    Raises:
        ValueError: If no key starts with ``prefix``, the form of the keys is unknown, or there are
            several backbones of which none comes first.
    """
    prefix = _find_prefix(tensors) if prefix is None else unwrapped_name(prefix.rstrip('.') + '.')
    prefix = prefix.lstrip('.')
    below = _below(prefix, tensors)
    if not below:
        raise InputError(
            f'No key starts with prefix={prefix!r}. The keys are {_some(tensors)}. Pass another '
            'prefix, or none'
        )
    for form in FORMS:
        if not any(re.fullmatch(form.recognise, key) for key in below):
            continue
        head = _below(prefix.removesuffix('backbone.') + form.head, tensors)
        if head.keys() != {'weight', 'bias'}:  # another head, of a detector or with more layers
            head = {}
        if form.names:
            return Converted(form, form.to_ours(below), head, None)
        backbone = {key: below[key] for key in below if not key.startswith('head.')}
        metadata = getattr(tensors, '_metadata', {}).get(prefix.removesuffix('.'), {})
        return Converted(form, backbone, head, saved_grid(metadata))
    raise InputError(
        'These are not weights of TNT, PyramidTNT or T2T-ViT in a known form '
        f'({", ".join(dict.fromkeys(form.source for form in FORMS))}). The keys are '
        f'{_some(tensors)}. Pass another file, or prefix if the backbone has one in it'
    )


def saved_grid(metadata: Any) -> tuple[int, int] | None:
    """Return the grid ``(h, w)`` of a backbone's position table, if its metadata has one."""
    grid = metadata.get('grid') if isinstance(metadata, dict) else None
    if not isinstance(grid, list | tuple) or [type(side) for side in grid] != [int, int]:
        return None
    return (grid[0], grid[1])


def _find_prefix(tensors: Tensors) -> str:
    """Return what comes before the keys of the backbone."""
    found: dict[str, None] = {}
    for key in tensors:
        # The shortest: a key of PyramidTNT ends as one of TNT does.
        matches = [_at_the_end(form.recognise).search(key) for form in FORMS]
        starts = [match.start(1) for match in matches if match]
        if starts:
            found[key[: min(starts)]] = None
    prefixes = list(found)
    if len(prefixes) > 1:
        averages = [prefix for prefix in prefixes if set(prefix.split('.')) & set(AVERAGES)]
        first = [prefix for prefix in ('', 'backbone.') if prefix in found] or averages
        if not first or (first == averages and len(averages) > 1):
            raise InputError(
                f'The file holds {len(prefixes)} backbones, below {prefixes}. Say which one: '
                f'prefix={prefixes[0]!r}'
            )
        others = [prefix for prefix in prefixes if prefix != first[0]]
        log(f'Of the backbones in the file, {first[0]!r} is used, not {others}; prefix= chooses')
        return first[0]
    if prefixes:
        return prefixes[0]
    return 'backbone.' if any(key.startswith('backbone.') for key in tensors) else ''


@cache
def _at_the_end(recognise: str) -> re.Pattern[str]:
    return re.compile(rf'(?:^|\.)({recognise})$')


def from_ours(converted: Converted, source: str) -> Tensors:
    """Return a checkpoint under the names of a source, including those of its classifier.

    Other sources have no names for our pyramid, so it is left out.

    Args:
        converted: What :func:`to_ours` returned.
        source: ``'tnt_backbone'``, ``'official'``, ``'timm'`` or ``'mmpretrain'``.

    Raises:
        ValueError: If the source does not have this family or this formulation of TNT.
    """
    family, formulation = converted.form.family, formulation_of(converted.backbone)
    if source not in possible_sources(converted):
        raise InputError(
            f'The source {source!r} has no form for '
            f'{f"{formulation} " if formulation else ""}{family}. Choose one of '
            f'{", ".join(possible_sources(converted))}'
        )
    ours = converted.backbone
    kept = {key: value for key, value in ours.items() if not key.startswith('pyramid.')}
    lost: list[str] = []
    for form in FORMS:
        if (form.source, form.family) != (source, family):
            continue
        theirs = form.from_ours(kept) if form.names else ours
        lost = sorted(kept.keys() - form.to_ours(theirs).keys()) if form.names else []
        if not lost:
            backbone = {form.prefix + key: value for key, value in theirs.items()}
            head = {form.head + key: value for key, value in converted.head.items()}
            return {**backbone, **head}
    raise InputError(
        f'{len(lost)} tensors have no name in the form of {source!r}, such as {lost[:3]}. '
        f'Its {family} does not have these parts. Choose another form'
    )


def possible_sources(converted: Converted) -> list[str]:
    """Return the sources to whose form these weights can be converted."""
    family, formulation = converted.form.family, formulation_of(converted.backbone)
    wrong = {'official': 'mmpretrain', 'legacy': 'official'}.get(formulation or '')
    sources = [form.source for form in FORMS if form.family == family and form.source != wrong]
    return list(dict.fromkeys(sources))


def formulation_of(backbone: Tensors) -> str | None:
    """Return the formulation of TNT that the weights have; ``None`` for other families."""
    in_blocks = [key for key in backbone if re.match(r'blocks\.\d+\.word_to_sentence\.', key)]
    if not in_blocks:
        return None
    return 'legacy' if any(key.endswith('.proj.bias') for key in in_blocks) else 'official'


def _below(prefix: str, tensors: Tensors) -> Tensors:
    return {
        key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)
    }


def _some(tensors: Tensors) -> str:
    keys = list(tensors)
    return ', '.join(keys[:6]) + (f' and {len(keys) - 6} more' if len(keys) > 6 else '')

"""Conversion of checkpoints: recognise the form by its keys, convert to ours and to other forms."""

import re
from typing import NamedTuple

from . import mmpretrain, official, timm
from .form import OUR_HEAD, Form, Tensors

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


class Converted(NamedTuple):
    """A checkpoint under our names.

    Attributes:
        form: The form before the conversion.
        backbone: The backbone's tensors under its own names.
        head: ``weight`` and ``bias`` of a linear classifier, if the file has one.
    """

    form: Form
    backbone: Tensors
    head: Tensors


def to_ours(tensors: Tensors, prefix: str | None = None) -> Converted:
    """Return a checkpoint of any known form under our names.

    Args:
        tensors: What :func:`read_tensors` returned.
        prefix: Use only the tensors below this prefix. Default: ``backbone.`` for a full detector,
            segmentor or classifier of OpenMMLab.

    Raises:
        ValueError: If no key starts with ``prefix``, or the form of the keys is unknown.
    """
    whole = tensors
    if prefix is None and any(key.startswith('backbone.') for key in tensors):
        prefix = 'backbone.'
    if prefix:
        prefix = prefix.rstrip('.') + '.'
        tensors = _below(prefix, whole)
        if not tensors:
            raise ValueError(
                f'No key starts with prefix={prefix!r}. The keys are {_some(whole)}. Pass another '
                'prefix, or none'
            )
    for form in FORMS:
        if not any(re.fullmatch(form.recognise, key) for key in tensors):
            continue
        head = _below(form.head, whole)
        if head.keys() != {'weight', 'bias'}:  # another head, of a detector or with more layers
            head = {}
        if not form.names:
            heads = tuple(key for key in tensors if key.startswith('head.'))
            return Converted(form, {key: tensors[key] for key in tensors if key not in heads}, head)
        return Converted(form, form.to_ours(tensors), head)
    raise ValueError(
        'These are not weights of TNT, PyramidTNT or T2T-ViT in a known form '
        f'({", ".join(dict.fromkeys(form.source for form in FORMS))}). The keys are '
        f'{_some(whole)}. Pass another file, or prefix if the backbone has one in it'
    )


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
        raise ValueError(
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
    raise ValueError(
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

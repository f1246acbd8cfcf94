"""Recognise whose keys a dict of tensors has, turn them into ours, and into any other form."""

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
        form: The form that it had.
        backbone: The backbone's tensors under its own names.
        head: ``weight`` and ``bias`` of a linear classifier, where the file has one.
    """

    form: Form
    backbone: Tensors
    head: Tensors


def to_ours(tensors: Tensors, prefix: str | None = None) -> Converted:
    """Convert a checkpoint of any form that is known to our names.

    Args:
        tensors: What :func:`read_tensors` returned.
        prefix: Use only the tensors below this prefix. By default ``backbone.`` where a full
            detector, segmentor or classifier of OpenMMLab is given.

    Raises:
        ValueError: If nothing lies below ``prefix``, or the keys are of no form that is known.
    """
    whole = tensors
    if prefix is None and any(key.startswith('backbone.') for key in tensors):
        prefix = 'backbone.'
    if prefix:
        prefix = prefix.rstrip('.') + '.'
        tensors = _below(prefix, whole)
        if not tensors:
            raise ValueError(f'no tensor lies below prefix={prefix!r}; there are {_some(whole)}')
    for form in FORMS:
        if not any(re.fullmatch(form.recognise, key) for key in tensors):
            continue
        head = _below(form.head, whole)
        if head.keys() != {'weight', 'bias'}:  # another head: a detector's, or one with more layers
            head = {}
        if not form.names:
            heads = tuple(key for key in tensors if key.startswith('head.'))
            return Converted(form, {key: tensors[key] for key in tensors if key not in heads}, head)
        return Converted(form, form.to_ours(tensors), head)
    raise ValueError(
        'these are no weights of a TNT, PyramidTNT or T2T-ViT in a form that is known '
        f'({", ".join(dict.fromkeys(form.source for form in FORMS))}); the keys are {_some(whole)}'
    )


def from_ours(converted: Converted, source: str) -> Tensors:
    """Give a checkpoint the names of a source, with those of its full classifier.

    Our pyramid has no names there and is left out.

    Args:
        converted: What :func:`to_ours` returned.
        source: ``'tnt_backbone'``, ``'official'``, ``'timm'`` or ``'mmpretrain'``.

    Raises:
        ValueError: If the source has no such family, or not this formulation of TNT.
    """
    family, formulation = converted.form.family, formulation_of(converted.backbone)
    if source not in possible_sources(converted):
        raise ValueError(
            f'{source} has no form for {formulation or ""} {family}: choose one of '
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
        f'{len(lost)} tensors have no name in the form of {source}, such as {lost[:3]}: '
        f'a {family} with these parts exists elsewhere alone'
    )


def possible_sources(converted: Converted) -> list[str]:
    """Return the sources whose form these weights can have."""
    family, formulation = converted.form.family, formulation_of(converted.backbone)
    wrong = {'official': 'mmpretrain', 'legacy': 'official'}.get(formulation or '')
    sources = [form.source for form in FORMS if form.family == family and form.source != wrong]
    return list(dict.fromkeys(sources))


def formulation_of(backbone: Tensors) -> str | None:
    """Tell which TNT the weights are of, under our names; ``None`` for other families."""
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

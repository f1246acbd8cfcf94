"""The description of a form of checkpoint, and its conversion to ours and back, dict to dict."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

Tensors = dict[str, Tensor]
OUR_HEAD = 'head.fc.'  # mmpretrain's LinearClsHead


@dataclass(frozen=True)
class Join:
    """Layers that are one layer here and several there, such as queries, keys and values.

    Attributes:
        ours: The end of our layer's name.
        theirs: The ends of their names after renaming, in the order of our rows.
        rows: Their shares of our rows.
    """

    ours: str
    theirs: tuple[str, ...]
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Reshape:
    """Tensors that hold the same numbers in another shape.

    Attributes:
        keys: A regular expression for our keys.
        to_ours: Converts their tensor to ours.
        to_theirs: Converts our tensor to theirs.
    """

    keys: str
    to_ours: Callable[[Tensor], Tensor]
    to_theirs: Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Form:
    """The form of checkpoint that one source uses for one family.

    Attributes:
        source: The project that uses the form.
        family: Class of the backbone.
        recognise: A regular expression that matches a key of this form and no key of another.
        names: Pairs of their name and ours. ``{}`` stands for a number. A name that ends with a dot
            is the beginning of keys; any other name is a whole key. Other keys are dropped.
        joins: Layers that are joined.
        reshapes: Tensors that are reshaped.
        head: The beginning of the keys of their classifier.
        prefix: The prefix of the backbone's keys in their full models.
        unused: Tensors that they expect but do not read: key, and how to make it from ours.
    """

    source: str
    family: str
    recognise: str
    names: Sequence[tuple[str, str]]
    joins: Sequence[Join] = ()
    reshapes: Sequence[Reshape] = ()
    head: str = 'head.'
    prefix: str = ''
    unused: dict[str, Callable[[Tensors], Tensor]] = field(default_factory=dict)

    def to_ours(self, tensors: Tensors) -> Tensors:
        """Return a backbone's tensors under our keys."""
        renamed = _rename(tensors, self.names)
        for join in self.joins:
            first = join.theirs[0]
            for key in [key for key in renamed if first in key]:
                parts = [key.replace(first, part) for part in join.theirs]
                if all(part in renamed for part in parts):  # else they are reported as unused
                    joined = torch.cat([renamed.pop(part) for part in parts])
                    renamed[key.replace(first, join.ours)] = joined
        return self._reshape(renamed, 'to_ours')

    def from_ours(self, tensors: Tensors) -> Tensors:
        """Return a backbone's tensors under their keys."""
        renamed = self._reshape(tensors, 'to_theirs')
        for join in self.joins:
            for key in [key for key in renamed if join.ours in key]:
                value = renamed.pop(key)
                unit = len(value) // sum(join.rows)
                parts = value.split([unit * rows for rows in join.rows])
                for name, part in zip(join.theirs, parts, strict=True):
                    renamed[key.replace(join.ours, name)] = part.clone()
        theirs = _rename(renamed, [(ours, name) for name, ours in self.names])
        return {**theirs, **{key: make(tensors) for key, make in self.unused.items()}}

    def _reshape(self, tensors: Tensors, direction: str) -> Tensors:
        reshaped = dict(tensors)
        for rule in self.reshapes:
            for key in tensors:
                if re.fullmatch(rule.keys, key):
                    reshaped[key] = getattr(rule, direction)(tensors[key])
        return reshaped


def _rename(tensors: Tensors, names: Sequence[tuple[str, str]]) -> Tensors:
    """Return tensors with renamed keys; the first matching pair counts, other keys are dropped."""
    patterns = [
        (
            re.compile(
                re.escape(name).replace(r'\{\}', r'(\d+)') + ('' if name[-1] == '.' else '$')
            ),
            new_name,
        )
        for name, new_name in names
    ]
    renamed = {}
    for key, value in tensors.items():
        for pattern, new_name in patterns:
            if match := pattern.match(key):
                renamed[new_name.format(*match.groups()) + key[match.end() :]] = value
                break
    return renamed

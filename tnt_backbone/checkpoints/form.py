"""What a form of checkpoint is, and how it turns into ours and back: pure dict to dict."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

Tensors = dict[str, Tensor]
OUR_HEAD = 'head.fc.'  # mmpretrain's LinearClsHead


@dataclass(frozen=True)
class Join:
    """Layers that are one with us and several with them, such as queries and keys beside values.

    Attributes:
        ours: The end of our layer's name.
        theirs: The ends of their names, once the rest of them is renamed, in the order of our rows.
        rows: Their shares of our rows.
    """

    ours: str
    theirs: tuple[str, ...]
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Reshape:
    """Tensors of the same numbers in another shape.

    Attributes:
        keys: A regular expression of our keys.
        to_ours: Theirs to ours.
        to_theirs: Ours to theirs.
    """

    keys: str
    to_ours: Callable[[Tensor], Tensor]
    to_theirs: Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form of checkpoint of one family.

    Attributes:
        source: Whose form it is.
        family: Class of the backbone.
        recognise: A regular expression that one of its keys matches, and none of another form.
        names: Pairs of their name and ours. ``{}`` stands for a number; a name that ends with a dot
            is the beginning of keys, any other one is a whole key. What has no pair is dropped.
        joins: Layers that are joined.
        reshapes: Tensors that are reshaped.
        head: The beginning of their classifier's keys.
        prefix: What full models of theirs put before the keys of the backbone.
        unused: Tensors that they expect and that nothing reads: key, and how it is made from ours.
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
        """Convert a backbone's tensors to our keys."""
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
        """Convert a backbone's tensors from our keys to theirs."""
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
    """Rename keys by the first pair that fits; a key that none fits is dropped."""
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

"""The plan of a backbone's outputs, and the tokens that it keeps for them."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from ..errors import InputError
from .arguments import is_whole


class Tap(NamedTuple):
    """The tokens and words after a block.

    Attributes:
        tokens: ``(B, P + h*w, C)``; the ``P`` tokens without a place (class token) come first.
        grid: ``(h, w)``.
        words: ``(B, c, h*k, w*k)`` map of words, if a level reads words.
    """

    tokens: Tensor
    grid: tuple[int, int]
    words: Tensor | None = None

    def to_map(self) -> Tensor:
        """Return the tokens of the grid as a map ``(B, C, h, w)``."""
        return to_map(self.tokens[:, -self.grid[0] * self.grid[1] :], self.grid)


@dataclass(frozen=True)
class OutputPlan:
    """The stages that feed the outputs of a backbone.

    Attributes:
        out_type: What is returned, one of the backbone's ``OUT_TYPES``.
        out_indices: The levels that are returned, counted from 0.
        taps: For each level, the stage whose output feeds it, counted from 0.
        depth: Number of stages of the variant.
    """

    out_type: str
    out_indices: tuple[int, ...]
    taps: tuple[int, ...]
    depth: int

    @property
    def used_taps(self) -> tuple[int, ...]:
        """The tap of each level that is returned."""
        return tuple(self.taps[i] for i in self.out_indices)

    @property
    def num_stages(self) -> int:
        """The number of stages to build: none after the last tap in use."""
        return max(*self.used_taps, -1) + 1

    @property
    def is_whole(self) -> bool:
        """Whether all stages of the variant are built."""
        return self.num_stages == self.depth


def plan_outputs(
    depth: int,
    taps: Sequence[int],
    out_type: str,
    out_indices: int | Sequence[int] | None,
    out_types: tuple[str, ...],
) -> OutputPlan:
    """Return the plan of the outputs that the arguments ask for.

    Args:
        depth: Number of stages of the variant.
        taps: The stage that feeds each level, counted from 0; negative ones come before the stages.
        out_type: One of ``out_types``.
        out_indices: Levels to return; ``None`` returns all in a pyramid, otherwise the last.
        out_types: What the backbone can return.

    Raises:
        ValueError: If any of them is out of its range.
    """
    if out_type not in out_types:
        raise InputError(f'out_type={out_type!r} is unknown. Choose one of {out_types}')
    levels = len(taps)
    if out_indices is None:
        out_indices = range(levels) if out_type == 'pyramid' else (levels - 1,)
    elif isinstance(out_indices, Mapping | Set):  # a set has no order, and values would be lost
        raise InputError(
            f'out_indices={out_indices!r} must be a whole number or a list, not a '
            f'{type(out_indices).__name__}. Use a list such as out_indices=[0, 1]'
        )
    elif not isinstance(out_indices, Iterable):
        out_indices = (out_indices,)
    given = tuple(out_indices)
    if not given or any(not is_whole(i) or not -levels <= i < levels for i in given):
        raise InputError(
            f'out_indices={given} must be levels from 0 to {levels - 1}. They count the levels of '
            'the pyramid, not the blocks'
        )
    indices = tuple(i % levels for i in given)
    if len(set(indices)) < len(indices):
        raise InputError(f'out_indices={given} names a level twice. Name each level once')
    return OutputPlan(out_type, indices, tuple(taps), depth)


def to_map(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return tokens as a map: ``(B, h*w, C) -> (B, C, h, w)``."""
    return tokens.transpose(1, 2).unflatten(2, grid)

"""Checks of the backbones' arguments; errors name the argument, its value and what is allowed."""

from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any

from ..errors import InputError


def check_rates(**rates: float) -> None:
    """Check that dropout rates lie in [0, 1)."""
    for name, rate in rates.items():
        if not isinstance(rate, Real) or not 0.0 <= rate < 1.0:
            raise InputError(f'{name}={rate!r} must be a number in [0, 1)')


def is_whole(value: Any) -> bool:
    """Return whether a value is an integer; ``True`` and ``1.0`` are not."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_sizes(**sizes: int) -> None:
    """Check that sizes are positive integers."""
    for name, size in sizes.items():
        if not is_whole(size) or size < 1:
            raise InputError(f'{name}={size!r} must be a positive integer')


def parse_img_size(img_size: int | Sequence[int], smallest: int) -> tuple[int, int]:
    """Return ``(H, W)`` in pixels, given as such, or as one side of a square or ``(side,)``."""
    sides = img_size if isinstance(img_size, (tuple, list)) else (img_size,)
    if len(sides) == 1:  # some configs of MMDetection and MMSegmentation write (224,)
        sides = (*sides, *sides)
    if len(sides) != 2 or not all(map(is_whole, sides)):
        raise InputError(f'img_size={img_size!r} must be an integer or (H, W), in pixels')
    height, width = (int(side) for side in sides)
    if height < smallest or width < smallest:
        raise InputError(
            f'img_size={img_size!r} must be at least {smallest} pixels per side: one patch'
        )
    return height, width


def check_blocks(name: str, blocks: Any, depth: int) -> tuple[int, ...]:
    """Return numbers of blocks, counted from 0, after checking their range."""
    numbers = tuple(blocks) if isinstance(blocks, Iterable) else ()
    in_range = all(is_whole(number) and 0 <= number < depth for number in numbers)
    if not isinstance(blocks, Iterable) or not in_range:
        raise InputError(
            f'{name}={blocks!r} must be a sequence of block numbers from 0 to {depth - 1}'
        )
    return numbers


def spread_taps(taps: Sequence[int] | None, depth: int) -> tuple[int, ...]:
    """Return the block that feeds each level; ``None`` spreads four levels evenly."""
    if taps is None:
        return tuple(-(-depth * level // 4) - 1 for level in (1, 2, 3, 4))
    taps = check_blocks('taps', taps, depth)
    if not taps:
        raise InputError('taps=() is empty. Pass one block per level, or None for the default')
    return tuple(taps)

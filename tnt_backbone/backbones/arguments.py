"""How the backbones read their arguments: a wrong one is refused with what is allowed."""

from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any


def check_rates(**rates: float) -> None:
    """Refuse dropout rates outside [0, 1)."""
    for name, rate in rates.items():
        if not isinstance(rate, Real) or not 0.0 <= rate < 1.0:
            raise ValueError(f'{name}={rate!r} must lie in [0, 1)')


def check_sizes(**sizes: int) -> None:
    """Refuse what is no positive integer."""
    for name, size in sizes.items():
        if not isinstance(size, Integral) or size < 1:
            raise ValueError(f'{name}={size!r} must be a positive integer')


def parse_img_size(img_size: int | Sequence[int], smallest: int) -> tuple[int, int]:
    """Read a side or ``(H, W)`` in pixels."""
    sides = img_size if isinstance(img_size, (tuple, list)) else (img_size, img_size)
    if len(sides) != 2 or not all(isinstance(side, Integral) for side in sides):
        raise ValueError(f'img_size={img_size!r} must be an integer or (H, W), in pixels')
    height, width = (int(side) for side in sides)
    if height < smallest or width < smallest:
        raise ValueError(f'img_size={img_size!r} must be at least one patch: {smallest} pixels')
    return height, width


def check_blocks(name: str, blocks: Any, depth: int) -> tuple[int, ...]:
    """Read numbers of blocks, counted from 0."""
    numbers = tuple(blocks) if isinstance(blocks, Iterable) else ()
    if not isinstance(blocks, Iterable) or not set(numbers) <= set(range(depth)):
        raise ValueError(f'{name}={blocks!r} must name blocks from 0 to {depth - 1}')
    return numbers


def spread_taps(taps: Sequence[int] | None, depth: int) -> tuple[int, ...]:
    """Check the block that feeds each level; ``None`` spreads four evenly."""
    if taps is None:
        return tuple(-(-depth * level // 4) - 1 for level in (1, 2, 3, 4))
    taps = check_blocks('taps', taps, depth)
    if not taps:
        raise ValueError('taps=() must name a block for each level')
    return tuple(taps)

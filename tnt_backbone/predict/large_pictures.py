"""Pictures that are large for a model: how it sees them smaller, and a warning."""

import logging
import math
from typing import Any

from ..errors import InputError
from ..log import log
from ..type_names import type_name

MANY_TOKENS = 2**15  # of one picture: 8 megapixels in patches of 16
LEAST = 32  # pixels of a longer side, and of a tile


def check_largest(size: int | None, task: str) -> None:
    """Check the longer side in pixels at which a model sees a picture at most.

    Raises:
        ValueError: If the model is a classifier, or the side is too small.
    """
    if size is not None and task == 'classification':
        raise InputError(f'size={size}: the pipeline of a classifier sets it. Leave it out')
    if size is not None and size < LEAST:
        raise InputError(f'size={size} is a side in pixels, and {LEAST} is the least')


def keeps_size(steps: list[dict[str, Any]]) -> bool:
    """Return whether a test pipeline leaves a picture at its own size, however large it is."""
    resizes = [step for step in steps if 'Resize' in step['type']]
    return all('scale_factor' in step and 'scale' not in step for step in resizes)


def resized_to(steps: list[dict[str, Any]], side: int) -> list[dict[str, Any]]:
    """Return a test pipeline that resizes to a longer side of so many pixels, not as it did."""
    kinds = [type_name(step) for step in steps]
    resize = {'type': 'Resize', 'scale': (side, side), 'keep_ratio': True}
    if 'Resize' not in kinds:
        return [resize, *steps]
    place = kinds.index('Resize')
    resize['type'] = steps[place]['type']
    return [*steps[:place], resize, *steps[place + 1 :]]


class SizeWarning:
    """Says once that a picture is so large that a model may take minutes for it.

    Args:
        ways: What the user can do.
    """

    def __init__(self, ways: str) -> None:
        self.ways = ways
        self.is_said = False

    def look_at(self, height: int, width: int, token_side: int) -> None:
        """Look at the size of a picture after the test pipeline, and of a token, in pixels."""
        tokens = math.ceil(height / token_side) * math.ceil(width / token_side)
        if tokens <= MANY_TOKENS or self.is_said:
            return
        self.is_said = True
        log(
            f'The model sees a picture of {width}x{height} pixels, which are {tokens} tokens. '
            f'Attention between so many takes minutes on a CPU, and much memory. {self.ways}',
            logging.WARNING,
        )

"""The tokens behind inner stages, read while a backbone runs."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


@contextmanager
def record_stages(stages: list[nn.Module], numbers: Iterable[int]) -> Iterator[dict[int, Tensor]]:
    """Fill a dict with the sentences ``(B, P+N, C)`` behind stages, while the context is open.

    Args:
        stages: Those of a backbone: blocks, in PyramidTNT stages of blocks.
        numbers: Which of them, counted from 0; -1 is what enters the first.
    """
    found: dict[int, Tensor] = {}

    def keep(number: int) -> Any:
        def note(module: nn.Module, args: Any, output: Any) -> None:
            found[number] = output if isinstance(output, Tensor) else output[1]

        return note

    def note_input(module: nn.Module, args: Any) -> None:
        found[-1] = args[0] if len(args) == 1 else args[1]  # T2T-ViT has no words

    handles = [
        stages[0].register_forward_pre_hook(note_input)
        if number < 0
        else stages[number].register_forward_hook(keep(number))
        for number in numbers
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()

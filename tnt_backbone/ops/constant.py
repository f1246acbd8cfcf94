"""Functions that ``torch.compile`` calls while it traces, and takes the result of for granted."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch

Function = TypeVar('Function', bound=Callable[..., Any])


def constant(function: Function) -> Function:
    """Mark as ``torch.compiler.assume_constant_result`` does.

    That would import the compiler, which takes longer than all of this package.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


@constant  # torch.compile traces the call itself as true
def is_exporting() -> bool:
    """Whether ``torch.export`` is at work."""
    return torch.compiler.is_exporting()


def traces_any_size(*sides: Any) -> bool:
    """Whether a graph is traced that should serve images of many sizes.

    A comparison of sizes there becomes a condition of the graph. An image for which it is false
    costs another compilation by ``torch.compile``, and is refused by what ``torch.export`` made.

    Args:
        sides: Sides of the image or grid. ``torch.export`` gives those that may vary as symbols.
    """
    if is_exporting():
        return any(isinstance(side, torch.SymInt) for side in sides)
    return torch.compiler.is_compiling()

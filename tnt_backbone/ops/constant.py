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


def traces_any_size() -> bool:
    """Whether ``torch.compile`` traces a graph that should serve images of many sizes.

    A comparison of sizes there becomes a condition of the graph. An image for which it is false
    costs another compilation.
    """
    return torch.compiler.is_compiling() and not is_exporting()

"""Functions that ``torch.compile`` calls while it traces, and takes the result of for granted."""

from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar('Function', bound=Callable[..., Any])


def constant(function: Function) -> Function:
    """Mark as ``torch.compiler.assume_constant_result`` does.

    That would import the compiler, which takes longer than all of this package.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function

"""Types in a config: a name, one with a scope or a module before it, or a class."""

from typing import Any


def type_name(part: Any) -> str:
    """Return the last name of a type.

    Args:
        part: The type, or a part of a config that has one; an empty text stands for none.
    """
    kind = part.get('type') if isinstance(part, dict) else part
    return str(getattr(kind, '__name__', kind) or '').rpartition('.')[2]

"""Names of files that stand in files of others."""

import os
from collections.abc import Iterable


def leads_away(name: str, folder: str, roots: Iterable[str]) -> bool:
    """Return whether a name in a file means something outside some folders.

    Links are not followed.

    Args:
        name: A name relative to ``folder``, a whole path, or an address.
        folder: Where names start.
        roots: The folders that it may lead into.
    """
    if '://' in name:
        return True
    if not os.path.isabs(name) and '..' not in name:
        return False
    place = os.path.abspath(os.path.join(folder, name))
    return not any(_is_below(place, os.path.abspath(root)) for root in roots)


def _is_below(place: str, root: str) -> bool:
    return os.path.commonpath([place, root]) == root

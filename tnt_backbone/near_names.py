"""What somebody may have meant by a name that is not known."""

from collections.abc import Iterable

ALIKE = 0.8  # share of equal letters, as difflib counts it


def near_names(name: str, known: Iterable[str], *, alike: float = ALIKE) -> list[str]:
    """Return the names that are spelled nearly like another one, the nearest first; at most 3."""
    import difflib  # late: most commands end without it

    return difflib.get_close_matches(name, sorted(set(known)), n=3, cutoff=alike)


def did_you_mean(name: str, known: Iterable[str], *, alike: float = ALIKE) -> str:
    """Return a question to put behind a message, or nothing if no name is near."""
    near = near_names(name, known, alike=alike)
    return f' Did you mean {" or ".join(near)}?' if near else ''

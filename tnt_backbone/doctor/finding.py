"""What a check found."""

from dataclasses import dataclass

OK, NOTE, PROBLEM = 'ok', 'note', 'problem'


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        name: What was looked at.
        status: ``'ok'``; ``'note'``: it works, but less well or less quickly than it could;
            ``'problem'``: commands fail or give wrong results.
        text: What was found.
        fix: The command that changes it, ``''`` where there is nothing to do.
    """

    name: str
    status: str
    text: str
    fix: str = ''

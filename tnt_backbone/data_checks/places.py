"""Names of files that stand in files of others."""

import os
import unicodedata
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


def hint_of_accents(missing: Iterable[str], there: Iterable[str]) -> str:
    """Return a sentence if names are there that only look equal, else an empty text.

    A letter with an accent is one character of Unicode or two (NFC, NFD). macOS writes two.

    Args:
        missing: Names that are not there. Of paths, the last part counts.
        there: Names that are.
    """
    wanted = {_nfc_of_last(name) for name in missing if not name.isascii()}
    if not wanted or wanted.isdisjoint(map(_nfc_of_last, there)):
        return ''
    return (
        ' Files are there whose names look the same, but store accents in the other way of Unicode '
        '(NFC or NFD). Write all names in one way, such as with: convmv -f utf8 -t utf8 --nfc '
        '--notest -r FOLDER'
    )


def _nfc_of_last(name: str) -> str:
    return unicodedata.normalize('NFC', os.path.basename(name))

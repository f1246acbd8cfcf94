"""The folder of an image below the folder of all images."""

import os


def place_below(root: str, path: str) -> str:
    """Return the folder of a file relative to ``root``, or ``''`` for a file in it or elsewhere."""
    folder = os.path.relpath(os.path.dirname(path) or '.', root or '.')
    return '' if folder == '.' or folder.startswith('..') else folder

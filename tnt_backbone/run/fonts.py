"""A font that has the characters of the class names, for pictures that OpenMMLab draws."""

import logging
from functools import cache

from ..log import log

REGULAR = ('400', 'normal', 'regular')  # weights as matplotlib notes them


@cache
def use_font_for(names: tuple[str, ...]) -> str | None:
    """Let matplotlib, with which OpenMMLab writes into pictures, use a font that has the names.

    matplotlib's own font has no Chinese, Japanese or Korean characters. It draws empty boxes.

    Args:
        names: Names of classes.

    Returns:
        ``None`` if the names can be drawn, otherwise what to install. The log says it, too.
    """
    characters = {ord(character) for name in names for character in name}
    if not any(code > 0x7F for code in characters):
        return None
    import matplotlib
    from matplotlib import font_manager

    characters = {code for code in characters if not chr(code).isspace()}
    used = font_manager.findfont(font_manager.FontProperties(family=['sans-serif']))
    if characters <= _characters_of(used):
        return None
    known = {entry.fname for entry in font_manager.fontManager.ttflist}
    for path in font_manager.findSystemFonts():  # also those installed since matplotlib listed them
        if path not in known:
            try:
                font_manager.fontManager.addfont(path)
            except (OSError, RuntimeError):  # a file that is no font
                continue
    for entry in font_manager.fontManager.ttflist:
        is_regular = entry.style == 'normal' and str(entry.weight) in REGULAR
        if is_regular and characters <= _characters_of(entry.fname):
            usual = matplotlib.rcParams['font.sans-serif']
            matplotlib.rcParams['font.sans-serif'] = [entry.name, *usual]
            return None
    missing = [name for name in names if not name.isascii()]
    note = (
        f'No installed font has all characters of the class names {missing[:5]}. In pictures they '
        'are empty boxes. Install a font that has them, for example the package fonts-noto-cjk'
    )
    log(note, logging.WARNING)
    return note


@cache
def _characters_of(path: str) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()

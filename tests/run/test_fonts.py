"""Class names in pictures: with a font that has their characters, or with a note."""

import matplotlib
import pytest
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

from tnt_backbone.run.fonts import use_font_for


@pytest.fixture(autouse=True)
def only_matplotlibs_fonts(monkeypatch):
    """The fonts that come with matplotlib, whatever this machine has."""
    folder = str(matplotlib.get_data_path())
    entries = [e for e in font_manager.fontManager.ttflist if e.fname.startswith(folder)]
    monkeypatch.setattr(font_manager.fontManager, 'ttflist', entries)
    monkeypatch.setattr(font_manager, 'findSystemFonts', lambda: [])
    monkeypatch.setitem(matplotlib.rcParams, 'font.sans-serif', ['DejaVu Sans'])
    font_manager.fontManager._findfont_cached.cache_clear()
    use_font_for.cache_clear()
    yield
    font_manager.fontManager._findfont_cached.cache_clear()


@pytest.mark.parametrize('names', [('cat', 'dog'), ('Käfer', 'яблоко')])
def test_what_the_usual_font_has_changes_nothing(names):
    assert use_font_for(names) is None
    assert matplotlib.rcParams['font.sans-serif'] == ['DejaVu Sans']


def test_another_installed_font_is_used_where_it_has_the_characters():
    stix = next(e for e in font_manager.fontManager.ttflist if e.name == 'STIXGeneral')
    usual = FT2Font(font_manager.findfont('DejaVu Sans')).get_charmap()
    character = chr(next(c for c in FT2Font(stix.fname).get_charmap() if c not in usual))
    assert use_font_for(('cat', character)) is None
    font = FT2Font(font_manager.findfont(font_manager.FontProperties(family=['sans-serif'])))
    assert ord(character) in font.get_charmap()
    assert ord('c') in font.get_charmap()


def test_names_that_no_font_has_are_named_with_what_to_install():
    note = use_font_for(('cat', '狗'))
    assert '狗' in note
    assert 'fonts-noto-cjk' in note

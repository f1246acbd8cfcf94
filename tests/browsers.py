"""Headless Chromium for the tests of pages.

``TNT_BACKBONE_CHROMIUM`` names one. ``TNT_BACKBONE_BROWSER=require``, which tools/test.sh sets
where Chromium is or can be installed, makes its absence a failure instead of a skip.
"""

import os
import shutil
from contextlib import contextmanager

import pytest

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')
# What cannot be done to a page: each would set window.hacked, open a dialog, or show as text.
HOSTILE = (
    '<img src=x onerror="window.hacked=1">',
    '</td></table><script>window.hacked=1</script>',
    '"><svg onload=window.hacked=1>',
    "' onmouseover='window.hacked=1",
    '{{ 7 * 7 }}${window.hacked=1}{% raw %}',
    '<a href="javascript:window.hacked=1">a</a>',
    '[a](javascript:window.hacked=1) **b** `c`',
    '&lt;b&gt;&amp;',
    '</script><script>window.hacked=1</script><!--',
    '\u202e<b>',
)


def find_chromium():
    """Return the path of a Chromium, or end the test."""
    if os.environ.get('TNT_BACKBONE_BROWSER') == 'skip':
        pytest.skip('TNT_BACKBONE_BROWSER=skip')
    given = os.environ.get('TNT_BACKBONE_CHROMIUM')
    found = given or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        text = 'no Chromium: install the package chromium, or name one in TNT_BACKBONE_CHROMIUM'
        if os.environ.get('TNT_BACKBONE_BROWSER') == 'require':
            pytest.fail(text)
        pytest.skip(text)
    return found


@contextmanager
def open_chromium():
    """Start Chromium, and end it."""
    path = find_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=['--no-sandbox'])
        yield browser
        browser.close()


@contextmanager
def open_page(browser, address, *, width=1280, height=900, noise=()):
    """Open a page; afterwards check that it asked nobody else, and that nothing went wrong on it.

    Args:
        browser: From :func:`open_chromium`.
        address: Of the page.
        width: Of the window.
        height: Of the window.
        noise: Parts of the texts of the console that are no faults.
    """
    context = browser.new_context(viewport={'width': width, 'height': height})
    context.set_default_timeout(120_000)
    page = context.new_page()
    requests, faults = [], []
    page.on('request', lambda request: requests.append(request.url))
    page.on('pageerror', lambda error: faults.append(str(error)))
    page.on('dialog', lambda dialog: (faults.append(dialog.message), dialog.dismiss()))
    page.on(
        'console',
        lambda message: faults.append(message.text) if message.type == 'error' else None,
    )
    page.goto(address)
    yield page
    hacked = page.evaluate('window.hacked')
    context.close()
    home = address.partition('?')[0] if address.startswith('file:') else address
    others = [url for url in requests if not url.startswith((home, 'data:', 'blob:'))]
    assert others == []
    assert hacked is None
    assert [text for text in faults if not any(part in text for part in noise)] == []


def overflow(page):
    """Return by how many pixels a page is wider than its window."""
    return page.evaluate('document.documentElement.scrollWidth - window.innerWidth')

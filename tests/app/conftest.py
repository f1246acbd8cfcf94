"""A Chromium for the tests of the app's page."""

import pytest

from tests.browsers import open_chromium


@pytest.fixture(scope='module')
def chromium():
    with open_chromium() as browser:
        yield browser

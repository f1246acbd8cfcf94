"""The page of tnt look in a browser: it opens, a click is answered, names change nothing."""

import numpy as np
import pytest

from tests.browsers import HOSTILE, open_chromium, open_page, overflow
from tests.look.test_maps import maps_of
from tests.look.test_page import seen
from tnt_backbone.look.heat import HeatMap
from tnt_backbone.look.page import write_page

pytestmark = pytest.mark.browser


@pytest.fixture(scope='module')
def chromium():
    with open_chromium() as browser:
        yield browser


@pytest.fixture(scope='module')
def address(tmp_path_factory):
    """A page of a picture of 64 x 96 pixels (height, width) with one block and hostile names."""
    folder = tmp_path_factory.mktemp('look') / '<img src=x onerror=window.hacked=1>'
    folder.mkdir()
    heat = np.zeros((64, 96), np.float32)
    heat[:, 48:] = 1
    heats = [HeatMap(name, heat, np.array([[8.0, 8, 40, 40]])) for name in HOSTILE]
    write_page(
        folder / 'page.html',
        seen('\n'.join(HOSTILE)),
        [maps_of('tnt')],
        heats,
        point=(3, 5),
        model=HOSTILE[0],
        backbone=HOSTILE[1],
        notes=HOSTILE,
    )
    return (folder / 'page.html').as_uri()


def colour_at(page, x, y):
    """Return the colour of the canvas at a pixel of the picture."""
    return page.evaluate(
        """([x, y]) => {
            const canvas = document.querySelector('#picture');
            const zoom = canvas.width / 96, context = canvas.getContext('2d');
            return Array.from(context.getImageData(x * zoom, y * zoom, 1, 1).data.slice(0, 3));
        }""",
        [x, y],
    )


@pytest.mark.parametrize('width', [1280, 390])
def test_a_click_is_answered_and_names_change_nothing(chromium, address, width):
    with open_page(chromium, address, width=width) as page:
        page.wait_for_function("document.querySelector('#picture').width >= 900")
        assert page.title() == ' '.join(' '.join(HOSTILE).split()) + ': tnt look'
        assert page.locator('p.note', has_text=HOSTILE[3]).count() == 1
        views = page.locator('#views label').all_inner_texts()
        shown = [
            ' '.join(text.removeprefix(' evidence: ').split()) for text in views[-len(HOSTILE) :]
        ]
        expected = [' '.join(name.split()) for name in HOSTILE]
        assert [text.removeprefix('evidence: ') for text in shown] == expected
        assert page.locator('img, a, svg').count() == 0  # those of the names are text

        # evidence is on the right half: the lightest colour, the left one keeps the picture
        assert sum(colour_at(page, 90, 60)) > sum(colour_at(page, 44, 60))
        said = page.locator('#said')
        for x, y in ((10, 10), (90, 60)):
            box = page.locator('#picture').bounding_box()
            place = {'x': (x + 0.5) * box['width'] / 96, 'y': (y + 0.5) * box['height'] / 64}
            page.locator('#picture').click(position=place)
            assert f'Point ({x}, {y})' in said.inner_text()
        page.get_by_label('what the sentence at the point reads').check()
        block = maps_of('tnt')
        largest = block.sentences[60 // 16, 90 // 16].max()
        assert f'largest weight {largest:.4f}' in said.inner_text()
        page.locator('#sentence').click(position={'x': 3, 'y': 3})  # its first word
        assert f'Point ({90 // 16 * 16}, {60 // 16 * 16})' in said.inner_text()
        page.locator('#picture').press('ArrowRight')  # a word is 4 pixels wide
        assert f'Point ({90 // 16 * 16 + 4}, {60 // 16 * 16})' in said.inner_text()
        assert overflow(page) <= 0

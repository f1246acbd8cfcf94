"""The page: its arrays by value, and names that could be HTML."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from tests.look.test_maps import maps_of
from tnt_backbone.look.heat import HeatMap
from tnt_backbone.look.network_input import NetworkInput
from tnt_backbone.look.page import LARGEST_HEAT, write_page

EVIL = '</script><script>alert(1)</script><img src=x onerror=alert(1)>"\'&{{ 7 * 7 }}'


def seen(name='a.jpg', size=(64, 96)):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    return NetworkInput(name, pixels, size, None, [])


def write(path, maps, heats, name='a.jpg', **options):
    arguments = {'point': (3, 5), 'model': 'M', 'backbone': 'B', **options}
    write_page(path, seen(name), maps, heats, **arguments)
    text = path.read_text(encoding='utf-8')
    (found,) = re.findall(r'<script id="data" type="application/json">(.*?)</script>', text)
    return text, json.loads(found)


def array(text, dtype=np.uint8):
    return np.frombuffer(base64.b64decode(text), dtype)


def stored(part, width):
    """Return rows of weights as the page's script computes them."""
    shares = array(part['weights']).reshape(-1, width) / 255
    return shares * array(part['largest'], '<f4')[:, None]


@pytest.mark.parametrize('options', [{}, {'most': 200}], ids=['whole', 'large'])
def test_weights_are_kept_to_a_256th(tmp_path, options):
    entry = maps_of('tnt', **options)
    _, data = write(tmp_path / 'page.html', [entry], [])
    (block,) = data['blocks']
    for name, rows in (
        ('sentences', entry.sentences.reshape(-1, 24)),
        ('words', entry.words.reshape(-1, 16)),
        ('classToken', entry.class_token.reshape(1, 24)),
    ):
        error = np.abs(stored(block[name], rows.shape[1]) - rows)
        assert (error <= 0.51 / 255 * rows.max(1, keepdims=True)).all()
    np.testing.assert_array_equal(array(block['toClass'], '<f4'), entry.to_class.ravel())
    assert block['rows'] == entry.rows.tolist()
    assert (block['grid'], block['keyGrid']) == ([4, 6], [4, 6])
    assert (block['stride'], block['side']) == (16, 4)


def test_picture_heat_and_boxes_are_kept(tmp_path):
    heat = np.linspace(0, 1, 64 * 96, dtype=np.float32).reshape(64, 96)
    boxes = np.array([[1, 2, 30, 40]])
    _, data = write(tmp_path / 'page.html', [], [HeatMap('cat: 0.93', heat, boxes)])
    picture = Image.open(io.BytesIO(base64.b64decode(data['picture'].partition(',')[2])))
    assert np.abs(np.asarray(picture).astype(int) - seen().pixels).mean() < 12  # a JPEG of noise
    (entry,) = data['heats']
    assert (entry['title'], entry['boxes']) == ('cat: 0.93', [[1, 2, 30, 40]])
    np.testing.assert_array_equal(array(entry['values']).reshape(64, 96), np.round(heat * 255))


def test_large_heat_maps_are_made_smaller(tmp_path):
    heat = np.zeros((800, 1344), np.float32)
    heat[:, 672:] = 1
    _, data = write(tmp_path / 'page.html', [], [HeatMap('', heat, np.zeros((0, 4)))])
    (entry,) = data['heats']
    assert (entry['width'], entry['height']) == (LARGEST_HEAT, 800 * LARGEST_HEAT // 1344)
    values = array(entry['values']).reshape(entry['height'], entry['width'])
    assert (values[:, :127] == 0).all()
    assert (values[:, 129:] == 255).all()


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, [name for name, _ in attrs]))


def tags(text):
    parser = Tags()
    parser.feed(text)
    return parser.found


def test_names_change_nothing_on_the_page(tmp_path):
    file = tmp_path / 'sheet.png'
    file.write_bytes(b'png')
    heat = np.ones((64, 96), np.float32)

    def page(name):
        return write(
            tmp_path / 'page.html',
            [maps_of('tnt')],
            [HeatMap(name, heat, np.zeros((0, 4)))],
            name,
            model=name,
            backbone=name,
            notes=[name],
            sheets=[(name, name, file)],
        )

    plain, _ = page('cat')
    text, data = page(EVIL)
    assert tags(text) == tags(plain)
    assert data['heats'][0]['title'] == EVIL
    assert 'innerHTML' not in text
    assert not re.search(r'(?:src|href)="(?!data:)', text)  # nothing is fetched

"""The app in a browser: a picture in, boxes out; what is damaged, too large or hostile."""

import cv2
import numpy as np
import pytest

from tests.app.pages import (
    NOISE,
    SCENE,
    choose,
    read_picture,
    rows,
    serve,
    wait_for_note,
    wait_for_rows,
)
from tests.browsers import HOSTILE, find_chromium, open_page, overflow
from tnt_backbone import load_model
from tnt_backbone.app.uploads import Limits

pytestmark = pytest.mark.browser


@pytest.fixture(scope='module')
def model():
    """The small detector, whose classes have names that could be HTML."""
    model = load_model('tnt://digits', device='cpu')
    model.classes = HOSTILE
    return model


@pytest.fixture(scope='module')
def address(model, tmp_path_factory):
    """The address of the app; uploads have at most 100 kB and 0.2 megapixels."""
    find_chromium()
    folder, limits = tmp_path_factory.mktemp('uploads'), Limits(0.1, 0.2, 600)
    with serve(model, folder, name=f'{HOSTILE[0]}.pth', limits=limits) as found:
        yield found


def check_boxes(page, model, score):
    """Check that the table shows what the model predicts."""
    expected = model.predict(SCENE, score=score)
    wait_for_rows(page, len(expected.names))
    shown = rows(page)
    # a browser shows white space as one space
    assert [' '.join(row[0].split()) for row in shown] == [
        ' '.join(n.split()) for n in expected.names
    ]
    values = np.array([row[1:] for row in shown], float)
    np.testing.assert_allclose(values[:, 0], expected.scores, atol=0.00051)
    np.testing.assert_allclose(values[:, 1:], expected.boxes, atol=0.051)


def colour_at(page, x, y):
    """Return the colour of a pixel of the picture, at shares of its width and height."""
    pixels = read_picture(page)
    return pixels[int(y * pixels.shape[0]), int(x * pixels.shape[1])]


def test_a_picture_in_and_boxes_masks_heat_and_attention_out(chromium, address, model):
    with open_page(chromium, address, noise=NOISE) as page:
        choose(page, SCENE)
        check_boxes(page, model, 0.3)
        # the frame of the first box is drawn in the colour of its class
        first = model.predict(SCENE).boxes[0] / 128
        page.wait_for_function("document.querySelector('#picture img')?.naturalWidth === 900")
        palette = np.array(model.palette[model.predict(SCENE).labels[0]])
        middle = (first[0] + first[2]) / 2
        assert np.abs(colour_at(page, middle, first[3]) - palette).max() < 40  # lossy WebP
        assert np.abs(colour_at(page, middle, first[3] + 0.03) - palette).max() > 40

        page.locator('#score input[type=number]').fill('0.6')
        page.locator('#score input[type=number]').press('Enter')
        check_boxes(page, model, 0.6)
        slider = page.locator('#score input[type=range]')
        slider.focus()
        for _ in range(31):  # hundredths
            slider.press('ArrowLeft')
        check_boxes(page, model, 0.29)

        opacity = page.locator('#opacity input[type=range]')
        assert not opacity.is_visible()  # there are no masks
        page.get_by_label('evidence').check()
        wait_for_note(page, 'all')
        assert opacity.is_visible()
        assert rows(page) == []
        page.get_by_label('attention').check()
        wait_for_note(page, 'Point (64, 64)')
        box = page.locator('#picture img').bounding_box()
        page.mouse.click(box['x'] + box['width'] * 0.8, box['y'] + box['height'] * 0.3)
        wait_for_note(page, 'Point (102, 38)')
        page.locator('#words img').wait_for()
        page.get_by_label('predictions').check()
        check_boxes(page, model, 0.29)
        assert overflow(page) <= 0


def test_a_narrow_window(chromium, address, model):
    with open_page(chromium, address, width=390, height=844, noise=NOISE) as page:
        assert overflow(page) <= 0
        choose(page, SCENE)
        check_boxes(page, model, 0.3)
        assert overflow(page) <= 0
        page.get_by_label('attention').check()
        wait_for_note(page, 'Point')
        box = page.locator('#picture img').bounding_box()
        assert box['width'] > 250
        assert overflow(page) <= 0
        page.mouse.move(0, 0)


def test_what_cannot_be_read_has_a_message_and_the_app_lives_on(chromium, address, model, tmp_path):
    data = SCENE.read_bytes()
    (tmp_path / 'cut.jpg').write_bytes(data[: len(data) // 2])
    (tmp_path / '<img src=x onerror=window.hacked=1>.jpg').write_bytes(b'hello')
    cv2.imwrite(str(tmp_path / 'pixels.png'), np.zeros((500, 500, 3), np.uint8))
    (tmp_path / 'large.jpg').write_bytes(bytes(150_000))
    cases = {
        'cut.jpg': 'cut off',
        '<img src=x onerror=window.hacked=1>.jpg': 'is no picture',
        'pixels.png': '0.2 megapixels are allowed',
    }
    with open_page(chromium, address, noise=NOISE) as page:
        for name, text in cases.items():
            choose(page, tmp_path / name)
            wait_for_note(page, text)
            assert rows(page) == []
            page.get_by_label('Clear', exact=True).or_(
                page.get_by_label('Remove this file')
            ).first.click()
            wait_for_note(page, 'Choose a picture')
        choose(page, tmp_path / 'large.jpg')  # gradio's own message
        page.get_by_text('maximum allowed size').first.wait_for()
        page.reload()
        choose(page, SCENE)
        check_boxes(page, model, 0.3)


def test_nobody_else_is_asked(address):
    """Host names that somebody points here, and addresses instead of files, are refused."""
    import httpx

    assert httpx.get(address, headers={'Host': 'evil.example'}).status_code == 400
    assert httpx.get(address).status_code == 200
    config = httpx.get(f'{address}config').json()
    assert config['analytics_enabled'] is False
    (upload,) = [part for part in config['components'] if part['type'] == 'file']
    number = next(
        entry['id'] for entry in config['dependencies'] if upload['id'] == entry['targets'][0][0]
    )
    given = {'path': 'http://127.0.0.1:9/a.jpg', 'meta': {'_type': 'gradio.FileData'}}
    values = [given, 'predictions', 0.3, 0.5, None, 'block 0', 'the class token', None]
    session = {'data': values, 'fn_index': number, 'session_hash': 'test'}
    httpx.post(f'{address}gradio_api/queue/join', json=session).raise_for_status()
    with httpx.stream('GET', f'{address}gradio_api/queue/data?session_hash=test') as stream:
        lines = ''.join(stream.iter_lines())
    assert 'Addresses are not opened' in lines

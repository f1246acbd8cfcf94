"""What the tests of the app do with its page."""

import base64
from contextlib import contextmanager

import cv2
import numpy as np
import pytest

from tests.conftest import ROOT
from tnt_backbone.app.uploads import Limits

SCENE = ROOT / 'docs/images/scene.jpg'
# gradio's page asks how far an upload is after it is complete; and it lists what it lacks
NOISE = ('status of 404', 'Response', 'AbortError')


@contextmanager
def serve(model, folder, *, name='model.pth', limits=None):
    """Serve the app with a model; the value is its address."""
    from tnt_backbone.app.server import prepare_gradio, start

    limits = limits or Limits()
    with pytest.MonkeyPatch.context() as patch:
        for variable in ('GRADIO_ANALYTICS_ENABLED', 'GRADIO_TEMP_DIR', 'NO_PROXY', 'no_proxy'):
            patch.setenv(variable, '')  # put back afterwards
        prepare_gradio(str(folder))
        from tnt_backbone.app.page import build_page
        from tnt_backbone.app.viewer import Viewer

        blocks = build_page(Viewer(model, limits), name)
        yield start(blocks, limits, port=0)
        blocks.close()


def choose(page, file):
    page.set_input_files('#upload input[type=file]', file)


def rows(page):
    """Return the texts of the table, row by row."""
    return [row.locator('td').all_inner_texts() for row in page.locator('#table tr').all()[1:]]


def wait_for_rows(page, number):
    page.wait_for_function(
        "n => document.querySelectorAll('#table tr').length === n",
        arg=int(number) + 1 if number else 0,
    )


def wait_for_note(page, text):
    page.locator('#note', has_text=text).wait_for()


def read_picture(page):
    """Return the pixels of the picture that is shown, in RGB."""
    url = page.evaluate(
        """() => {
            const image = document.querySelector('#picture img');
            const canvas = document.createElement('canvas');
            canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
            canvas.getContext('2d').drawImage(image, 0, 0);
            return canvas.toDataURL('image/png');
        }"""
    )
    data = np.frombuffer(base64.b64decode(url.partition(',')[2]), np.uint8)
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB).astype(int)

"""The app in a browser with each kind of model: what the page shows, and what it does not offer."""

from contextlib import ExitStack

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

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
from tests.browsers import open_page, overflow
from tests.conftest import ROOT
from tests.look.conftest import checkpoint_of, data, model_of  # noqa: F401
from tnt_backbone import load_model
from tnt_backbone.app.answers import SMALL
from tnt_backbone.exported.model import ExportedModel

pytestmark = pytest.mark.browser


@pytest.fixture
def page_of(chromium, tmp_path):
    """Return a function that opens the page of a model with a picture on it."""
    with ExitStack() as stack:

        def open_model(model, picture):
            address = stack.enter_context(serve(model, tmp_path))
            page = stack.enter_context(open_page(chromium, address, noise=NOISE))
            choose(page, picture)
            return page

        yield open_model


def test_a_classifier(page_of, model_of, data):  # noqa: F811
    model, picture = model_of('classification'), data / 'val/0.jpg'
    expected = model.predict(str(picture)).top()
    page = page_of(model, picture)
    wait_for_rows(page, len(expected))
    assert rows(page) == [[name, f'{score:.3f}'] for name, score in expected]
    assert not page.locator('#score').is_visible()  # there are no objects
    assert not page.locator('#opacity input[type=range]').is_visible()
    page.get_by_label('evidence').check()
    wait_for_note(page, f'for {expected[0][0]}')
    assert overflow(page) <= 0


def test_a_segmentor(page_of, model_of, data):  # noqa: F811
    model, picture = model_of('segmentation'), data / 'val/0.jpg'
    result = model.predict(str(picture))
    page = page_of(model, picture)
    shares = result.to_json()['shares']
    wait_for_rows(page, len(shares))
    assert dict(rows(page)) == {name: f'{100 * share:.1f} %' for name, share in shares.items()}
    page.locator('#opacity input[type=number]').fill('1')
    page.locator('#opacity input[type=number]').press('Enter')
    size = (SMALL, round(96 * SMALL / 128))
    labels = cv2.resize(result.labels.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    expected = np.array(model.palette)[labels]
    page.wait_for_function("document.querySelector('#picture img')?.naturalWidth === 900")
    # until the answer to the slider is there; WebP is lossy along the edges
    for _ in range(100):
        close = np.abs(read_picture(page) - expected).max(axis=-1) < 40
        if close.mean() > 0.8:
            break
        page.wait_for_timeout(100)
    assert close.mean() > 0.8
    assert not page.locator('#score').is_visible()


def test_masks(page_of, tmp_path):
    cfg = Config.fromfile(ROOT / 'configs/mask_rcnn_pyramid_tnt_ti_coco.py')
    cfg.model.test_cfg.rcnn.update(score_thr=0.0, max_per_img=7)
    for head in (cfg.model.roi_head.bbox_head, cfg.model.roi_head.mask_head):
        head.num_classes = 2
    cfg.test_dataloader.dataset.metainfo = {'classes': ('a', 'b')}
    cfg.test_dataloader.dataset.pipeline[1].scale = (128, 128)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        weights = MODELS.build(cfg.model).state_dict()
    torch.save({'meta': {'cfg': cfg.pretty_text}, 'state_dict': weights}, tmp_path / 'masks.pth')
    model = load_model(str(tmp_path / 'masks.pth'), device='cpu')
    expected = model.predict(str(SCENE), score=0.3)  # as the page begins
    pixels = [mask.sum() for mask in expected.masks]
    assert len(set(pixels)) > 1
    page = page_of(model, SCENE)
    wait_for_rows(page, len(pixels))
    shown = rows(page)
    assert [row[0] for row in shown] == expected.names
    assert [row[-1] for row in shown] == [str(number) for number in pixels]
    assert page.locator('#opacity input[type=range]').is_visible()


@pytest.mark.slow
def test_an_exported_file_offers_predictions_only(page_of, tmp_path):
    from tnt_backbone.cli import export

    export.main(['tnt://digits', '--out', str(tmp_path / 'digits.onnx')])
    page = page_of(ExportedModel(tmp_path / 'digits.onnx'), SCENE)
    expected = load_model('tnt://digits', device='cpu').predict(str(SCENE), score=0.3)
    wait_for_rows(page, len(expected.names))
    shown = rows(page)
    assert [row[0] for row in shown] == expected.names
    values = np.array([row[1:] for row in shown], float)
    np.testing.assert_allclose(values[:, 0], expected.scores, atol=0.0011)
    np.testing.assert_allclose(values[:, 1:], expected.boxes, atol=0.11)
    for view in ('evidence', 'attention'):
        assert page.get_by_label(view).count() == 0

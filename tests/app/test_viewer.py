"""What the page shows, by value: against predictions, heat maps and attention themselves."""

import dataclasses

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.look.conftest import checkpoint_of, data, model_of  # noqa: F401
from tnt_backbone import load_model
from tnt_backbone.app.answers import LARGE, SMALL, answer_of
from tnt_backbone.app.uploads import Limits
from tnt_backbone.app.viewer import HEATS, Viewer
from tnt_backbone.exported.model import ExportedModel
from tnt_backbone.look.explain import explain
from tnt_backbone.look.figures import draw_panel
from tnt_backbone.look.network_input import network_input
from tnt_backbone.look.sheets import heat_sheet
from tnt_backbone.predict.pictures import Picture
from tnt_backbone.predict.results import Detection

SCENE = str(ROOT / 'docs/images/scene.jpg')  # 128 x 128


@pytest.fixture(scope='module')
def digits():
    return load_model('tnt://digits', device='cpu')


@pytest.fixture(scope='module')
def viewer(digits):
    return Viewer(digits, Limits())


@pytest.mark.parametrize('score', [0.05, 0.3, 0.65, 1.0])
def test_boxes_are_those_of_predict(digits, viewer, score):
    expected = digits.predict(SCENE, score=score)
    answer = viewer.answer(SCENE, score)
    assert [row['name'] for row in answer.rows] == expected.names
    assert [row['score'] for row in answer.rows] == expected.scores.tolist()
    assert [row['box'] for row in answer.rows] == expected.boxes.tolist()
    np.testing.assert_allclose(answer.boxes, expected.boxes * SMALL / 128)
    assert len(expected.names) in {0.05: range(7, 101), 0.3: [6], 0.65: [3], 1.0: [0]}[score]


def test_the_model_runs_once_per_picture(digits, viewer, monkeypatch):
    calls = []
    step = digits.model.test_step
    monkeypatch.setattr(
        digits.model, 'test_step', lambda *a: calls.append(1) or step(*a), raising=False
    )
    viewer._answer.cache_clear()
    drawn = [viewer.answer(SCENE, score).draw(0.5) for score in (0.1, 0.3, 0.9)]
    assert len(calls) == 1
    assert not np.array_equal(drawn[0], drawn[2])


@pytest.mark.parametrize('task', ['classification', 'segmentation'])
def test_other_tasks_are_those_of_predict(model_of, data, task):  # noqa: F811
    model, path = model_of(task), str(data / 'val/0.jpg')
    expected, answer = model.predict(path), Viewer(model, Limits()).answer(path, 0.9)
    if task == 'classification':
        assert [(row['name'], row['score']) for row in answer.rows] == expected.top()
        return
    shares = expected.to_json()['shares']
    assert {row['name']: row['share'] for row in answer.rows} == shares
    assert answer.rows[0]['share'] == max(shares.values())
    size = (round(128 * SMALL / 128), round(96 * SMALL / 128))
    grown = cv2.resize(expected.labels.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    np.testing.assert_array_equal(answer.labels, grown)
    palette = np.array(model.palette)[grown]
    np.testing.assert_array_equal(answer.draw(1.0), palette)
    np.testing.assert_array_equal(answer.draw(0.0), answer.pixels)


def objects(size, masks):
    """A result of two objects in a picture ``(H, W)``."""
    rng = np.random.default_rng(0)
    return Detection(
        **{'name': 'a', 'height': size[0], 'width': size[1], 'classes': ('a', 'b')},
        **{'palette': ((255, 0, 0), (0, 0, 255)), '_sample': None},
        _pixels=rng.integers(0, 256, (*size, 3), dtype=np.uint8),
        boxes=np.array([[0, 0, 64, 32], [8, 8, 40, 24]], np.float32),
        scores=np.array([0.9, 0.5], np.float32),
        labels=np.array([1, 0]),
        masks=masks,
    )


def test_masks_are_drawn_in_their_place_and_counted_in_the_file():
    masks = np.zeros((2, 2400, 3200), bool)
    masks[0, :1200, :1600] = True
    masks[1, 1200:, 1600:] = True
    answer = answer_of(objects((2400, 3200), masks))
    assert answer.pixels.shape == (1200, LARGE, 3)
    assert [row['pixels'] for row in answer.rows] == [1200 * 1600] * 2
    drawn = answer.at_least(0.6).draw(1.0)
    assert (drawn[60:600, 200:800] == (0, 0, 255)).all()
    np.testing.assert_array_equal(drawn[600:], answer.pixels[600:])
    assert (answer.draw(1.0)[600:, 800:] == (255, 0, 0)).all()


def test_evidence_is_that_of_tnt_look(digits, viewer):
    seen = network_input(digits, Picture('scene.jpg', SCENE))
    expected = explain(digits, seen, score=0.3, limit=HEATS)
    for number, heat in enumerate(expected):
        image, titles = viewer.evidence(SCENE, 0.3, number, 0.5)
        assert titles == [entry.title for entry in expected]
        panel = heat_sheet(seen, [heat])[0][1]
        np.testing.assert_array_equal(image, np.asarray(draw_panel(panel, SMALL)))
    assert len(viewer.evidence(SCENE, 0.3, 99, 0.5)[1]) == 7  # another picture had more objects
    with pytest.raises(ValueError, match=r'score of at least 0\.99'):
        viewer.evidence(SCENE, 0.99, 0, 0.5)


def test_attention_is_that_of_the_clicked_point(viewer):
    pixels = {}
    for x, y in ((300, 100), (SMALL - 1, SMALL - 1), (0, 0)):
        found = viewer.attention(SCENE, 2, (x, y), 0.5, of_class_token=False)
        assert found.point == (x * 128 // SMALL, y * 128 // SMALL)
        # the frame of the sentence: 8 pixels of the picture
        cell = [value * 128 // SMALL // 8 for value in (x, y)]
        cyan = (found.pixels == (0, 255, 255)).all(axis=2)
        rows, columns = np.nonzero(cyan)
        scale = SMALL / 16
        for places, number in ((columns, cell[0]), (rows, cell[1])):
            assert abs(places.min() - number * scale) < 2
            assert abs(places.max() - (number + 1) * scale) < 3
        pixels[x] = found.pixels
        assert found.words is not None
        assert any('word' in text for text in found.texts)
    assert not np.array_equal(pixels[0], pixels[300])
    plain = viewer.attention(SCENE, 2, (0, 0), 0.0, of_class_token=False).pixels
    picture = Image.fromarray(np.ascontiguousarray(cv2.imread(SCENE)[..., ::-1]))
    seen = np.asarray(picture.resize((SMALL, SMALL), Image.Resampling.NEAREST))
    np.testing.assert_array_equal(plain[100:, 100:], seen[100:, 100:])


def test_attention_that_a_block_does_not_have_is_refused(digits, monkeypatch):
    viewer = Viewer(digits, Limits())
    assert viewer.can_explain
    assert len(viewer.blocks) == 6
    maps = viewer._maps(SCENE, 1)
    one, other = (
        dataclasses.replace(maps, sentences=np.zeros((0, 0, 16, 16), np.float32)),
        dataclasses.replace(maps, class_token=None),
    )
    for entry, of_class_token, advice in ((one, False, 'class token'), (other, True, 'sentence')):
        monkeypatch.setattr(viewer, '_maps', lambda path, block, entry=entry: entry)
        assert viewer.attention(SCENE, 1, None, 0.5, of_class_token=not of_class_token).texts
        with pytest.raises(ValueError, match=rf'block 1.*Choose the {advice}'):
            viewer.attention(SCENE, 1, None, 0.5, of_class_token=of_class_token)


def test_a_slow_answer_is_ended_and_the_next_one_is_not(digits):
    slow = Viewer(digits, Limits(seconds=1e-6))
    for ask in (
        lambda: slow.answer(SCENE, 0.3),
        lambda: slow.evidence(SCENE, 0.3, 0, 0.5),
        lambda: slow.attention(SCENE, 0, None, 0.5, of_class_token=False),
    ):
        with pytest.raises(ValueError, match='--max-seconds'), slow.in_time():
            ask()
    assert len(slow.answer(SCENE, 0.3).rows) == 6
    assert len(digits.predict(SCENE).names) == 6


@pytest.mark.slow
def test_an_exported_file_only_predicts(tmp_path_factory):
    from tnt_backbone.cli import export

    path = tmp_path_factory.mktemp('app') / 'digits.onnx'
    export.main(['tnt://digits', '--out', str(path)])
    exported = Viewer(ExportedModel(path), Limits())
    assert not exported.can_explain
    assert exported.blocks == []
    answer, (expected,) = (
        exported.answer(SCENE, 0.3),
        ExportedModel(path).stream([Picture('scene.jpg', SCENE)], score=0.3),
    )
    assert [row['box'] for row in answer.rows] == expected.boxes.tolist()
    assert len(answer.rows) == 6

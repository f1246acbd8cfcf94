"""Drawing without the libraries' visualizers, by the colours of pixels."""

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData, PixelData
from mmseg.visualization import SegLocalVisualizer

from tnt_backbone import load_model
from tnt_backbone.predict.draw import class_colours
from tnt_backbone.predict.results import Classification, Detection, Segmentation

GREY = np.full((80, 120, 3), 100, np.uint8)  # BGR and RGB
SHARED = {
    'name': 'a',
    'height': 80,
    'width': 120,
    'classes': ('cat', 'dog'),
    'palette': ((255, 0, 0), (0, 0, 255)),
    '_pixels': GREY,
    '_sample': None,
}


def test_boxes_and_masks_have_the_colour_of_their_class():
    masks = np.zeros((2, 80, 120), bool)
    masks[1, 60:70, 60:100] = True
    drawn = Detection(
        **SHARED,
        boxes=np.array([[10, 10, 50, 70], [55, 5, 110, 75]], np.float32),
        scores=np.array([0.9, 0.8], np.float32),
        labels=np.array([0, 1]),
        masks=masks,
    ).draw()
    assert drawn.shape == GREY.shape
    assert (GREY == 100).all()
    assert drawn[70, 30].tolist() == [255, 0, 0]
    assert drawn[75, 80].tolist() == [0, 0, 255]
    assert drawn[65, 80].tolist() == [50, 50, 178]
    assert drawn[50, 30].tolist() == [100, 100, 100]
    assert (drawn[10:20, 11:40] != 100).any()  # the text


def test_label_maps_are_drawn_as_mmsegmentation_draws_them():
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (80, 120, 3), np.uint8)
    labels = random.integers(0, 2, (80, 120))
    theirs = SegLocalVisualizer(alpha=0.5)._draw_sem_seg(
        pixels[..., ::-1],
        PixelData(data=torch.from_numpy(labels)[None]),
        SHARED['classes'],
        SHARED['palette'],
        with_labels=False,
    )
    drawn = Segmentation(**{**SHARED, '_pixels': pixels}, labels=labels).draw()
    assert abs(drawn.astype(int) - theirs).max() <= 1  # it cuts decimals off


@pytest.mark.parametrize('task', ['detection', 'segmentation', 'classification'])
def test_one_pixel_is_drawn(task, make_checkpoint):
    """MMSegmentation's visualizer takes a mask of one pixel for an index."""
    result = load_model(make_checkpoint(task)[0]).predict(np.full((1, 1, 3), 9, np.uint8))
    assert result.draw().shape == (1, 1, 3)


def test_no_object_leaves_the_picture():
    none = np.zeros((0, 4), np.float32)
    drawn = Detection(
        **SHARED, boxes=none, scores=none[:, 0], labels=np.zeros(0, np.int64), masks=None
    ).draw()
    np.testing.assert_array_equal(drawn, GREY)


def test_label_maps_and_classes_are_drawn():
    labels = np.zeros((80, 120), np.int64)
    labels[:, 60:] = 1
    drawn = Segmentation(**SHARED, labels=labels).draw()
    assert drawn[0, 0].tolist() == [178, 50, 50]
    assert drawn[0, 119].tolist() == [50, 50, 178]
    drawn = Classification(**SHARED, scores=np.array([0.2, 0.8], np.float32)).draw()
    assert (drawn[:10, :30] == 0).any()
    assert (drawn[30:] == 100).all()


def test_the_most_certain_object_is_on_top():
    boxes = np.array([[10, 10, 100, 70]] * 2, np.float32)
    scores, labels = np.array([0.9, 0.4], np.float32), np.array([1, 0])
    found = {'bboxes': boxes, 'scores': scores, 'labels': labels}
    instances = InstanceData(**{name: torch.from_numpy(part) for name, part in found.items()})
    sample = DetDataSample(pred_instances=instances)
    for own in (None, sample):  # with Pillow, and with MMDetection's visualizer
        drawn = Detection(
            **{**SHARED, '_sample': own}, boxes=boxes, scores=scores, labels=labels, masks=None
        ).draw()
        red, _, blue = drawn[45, 10].astype(int)
        assert blue > red + 50
    assert sample.pred_instances.scores.tolist() == scores.tolist()


def test_colours_of_classes_differ_and_background_is_black():
    colours = class_colours(['Background', *map(str, range(30))])
    assert colours[0] == (0, 0, 0)
    assert len(set(colours)) == 31
    steps = np.abs(np.diff(np.array(colours), axis=0)).max(1)
    assert steps.min() > 60  # neighbours

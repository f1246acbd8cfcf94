"""What freely trained logits of a stride can show, by value."""

import cv2
import numpy as np
import pytest
import torch
from overfit_stride import IGNORED, fit, main, read_labels
from study import Rows


def test_what_fits_the_grid_is_learned_and_a_thin_line_is_not():
    halves = torch.zeros(1, 64, 64, dtype=torch.long)
    halves[..., 32:] = 1
    assert fit(halves, 2, stride=16, steps=100) == (1.0, 1.0)  # symmetric about the border
    line = halves.clone()
    line[:, 10, :] = 2  # a pixel wide
    score, right = fit(line, 3, stride=16, steps=100)
    assert score == pytest.approx(2 / 3, abs=0.02)  # its IoU is 0
    assert right == pytest.approx(63 / 64)
    assert fit(line, 3, stride=1, steps=100) == (1.0, 1.0)


def test_pixels_without_a_class_do_not_count():
    labels = torch.zeros(1, 64, 64, dtype=torch.long)
    labels[:, 10, :] = IGNORED
    assert fit(labels, 1, stride=16, steps=10) == (1.0, 1.0)


def test_classes_are_numbered_anew_and_pictures_filled_up(tmp_path):
    labels = np.zeros((100, 256), np.uint8)
    labels[:50], labels[50:90] = 7, 150
    cv2.imwrite(str(tmp_path / 'a.png'), labels)
    found, classes = read_labels(tmp_path)
    assert (classes, found.shape) == (2, (1, 256, 256))
    assert (found[0, :50] == 0).all()
    assert (found[0, 50:90] == 1).all()
    assert (found[0, 90:] == IGNORED).all()


def test_the_command(tmp_path, monkeypatch):
    folder = tmp_path / 'data/ade/ADEChallengeData2016'
    for part, suffix in (('images', 'jpg'), ('annotations', 'png')):
        (folder / part / 'training').mkdir(parents=True)
        picture = np.ones((128, 128), np.uint8)
        picture[:, 64:] = 2
        cv2.imwrite(str(folder / part / f'training/a.{suffix}'), picture)
    monkeypatch.setattr('overfit_stride.STRIDES', (16,))
    out = tmp_path / 'out'
    for _ in range(2):  # the second finds nothing to do
        main(['--data', str(tmp_path / 'data'), '--out', str(out)])
    assert Rows(out / 'strides.csv', (), 0).read() == [
        dict(stride='16', mIoU='1.000', right='1.000')
    ]

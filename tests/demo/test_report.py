"""The report: the figures of the logs, the pictures, the verdict."""

import json
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest

from tnt_backbone.demo.dataset import make_dataset
from tnt_backbone.demo.report import main, reached, read_run, table


def write_logs(work_dir, *, ap, ap50, time='20300101_000000'):
    """Lay down what mmengine writes for a run of two processes with 8 images each."""
    logs = work_dir / 'train' / time / 'vis_data'
    logs.mkdir(parents=True)
    (logs / 'config.py').write_text('train_dataloader = dict(batch_size=8)\n')
    lines = [
        dict(loss=2.0, loss_cls=1.2, loss_bbox=0.8, lr=1e-4, time=3.0, step=10),
        dict(loss=1.0, loss_cls=0.6, loss_bbox=0.4, lr=1e-3, time=2.0, step=20),
        {'coco/bbox_mAP': 0.3, 'coco/bbox_mAP_50': 0.5, 'time': 0.1, 'step': 20},
        dict(loss=0.5, loss_cls=0.3, loss_bbox=0.2, lr=1e-5, time=2.0, step=30),
        {'peak_memory_mb/rank0': 700.0, 'peak_memory_mb/rank1': 812.4, 'step': 30},
    ]
    (logs / 'scalars.json').write_text('\n'.join(map(json.dumps, lines)) + '\n')
    test = work_dir / 'test' / time
    test.mkdir(parents=True)
    metrics = {'coco/bbox_mAP': ap, 'coco/bbox_mAP_50': ap50, 'time': 0.1}
    (test / f'{time}.json').write_text(json.dumps(metrics))


def test_figures_come_from_the_logs(tmp_path):
    write_logs(tmp_path, ap=0.761, ap50=0.94)
    lines = {
        line[:18].strip(): line[18:].split() for line in table(read_run(tmp_path)).splitlines()
    }
    assert lines['box AP'][0] == '0.761'
    assert lines['box AP'][-1] == 'reached'
    assert lines['box AP50'][0] == '0.940'
    assert lines['box AP50'][-2:] == ['NOT', 'reached']
    assert lines['loss'] == ['0.500', 'after', '30', 'iterations']
    assert lines['time per iteration'][:2] == ['2.000', 's']
    assert lines['images per second'][0] == '8.0'
    assert lines['peak memory'][:2] == ['812', 'MB']


@pytest.mark.parametrize(
    ('ap', 'ap50', 'good'), [(0.75, 0.95, True), (0.749, 0.99, False), (0.9, 0.949, False)]
)
def test_the_promise_is_box_ap_and_ap50(tmp_path, ap, ap50, good):
    write_logs(tmp_path, ap=ap, ap50=ap50)
    assert reached(read_run(tmp_path)) == good


def test_the_newest_run_counts(tmp_path):
    write_logs(tmp_path, ap=0.9, ap50=0.99, time='20300101_000000')
    write_logs(tmp_path, ap=0.1, ap50=0.2, time='20300102_000000')
    assert read_run(tmp_path).metrics['coco/bbox_mAP'] == 0.1


def test_the_metrics_are_read_though_two_processes_wrote_the_file(tmp_path):
    write_logs(tmp_path, ap=0.8, ap50=0.97)
    (metrics,) = (tmp_path / 'test').glob('*/*.json')
    metrics.write_text(metrics.read_text() + '}')  # the rest of a longer line
    assert read_run(tmp_path).metrics['coco/bbox_mAP'] == 0.8


def test_missing_logs_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'scalars\.json in .*train'):
        read_run(tmp_path)


def test_a_run_that_was_stopped_is_named(tmp_path):
    write_logs(tmp_path, ap=0.8, ap50=0.97)
    (scalars,) = (tmp_path / 'train').glob('*/vis_data/scalars.json')
    scalars.write_text(scalars.read_text().splitlines()[0] + '\n')
    with pytest.raises(ValueError, match='1 lines of training and the peak memory of 0'):
        read_run(tmp_path)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    out = tmp_path_factory.mktemp('data')
    make_dataset(out, train=1, val=9, size=(48, 64))
    return out


def report(work_dir, data, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['report', str(work_dir), str(data)])
    main()


def test_report_draws_what_was_detected(tmp_path, data, monkeypatch, capsys):
    write_logs(tmp_path, ap=0.8, ap50=0.97)
    truth = json.loads((data / 'annotations' / 'instances_val.json').read_text())
    found = [
        dict(image_id=a['image_id'], category_id=a['category_id'], bbox=a['bbox'], score=0.9)
        for a in truth['annotations']
    ]
    pictures = []
    for detections in ([], [found[0] | dict(score=0.1)], found):
        (tmp_path / 'detections.bbox.json').write_text(json.dumps(detections))
        report(tmp_path, data, monkeypatch)
        pictures.append(plt.imread(tmp_path / 'predictions.png'))
    assert all(min(picture.shape[:2]) > 500 for picture in pictures)
    np.testing.assert_array_equal(pictures[0], pictures[1])  # below the threshold nothing is drawn
    changed = (pictures[0] != pictures[2]).any(axis=(0, 2))  # columns of the picture
    width = len(changed)
    assert changed[width // 4 : width // 2].any()
    assert changed[3 * width // 4 :].any()
    assert not changed[: int(0.2 * width)].any()  # the truth stays
    assert plt.imread(tmp_path / 'loss_curve.png').std() > 0
    out = capsys.readouterr().out
    assert 'box AP' in out
    assert str(tmp_path / 'predictions.png') in out
    assert 'box AP' in (tmp_path / 'report.txt').read_text()


def test_a_run_that_is_not_good_enough_ends_with_status_1(tmp_path, data, monkeypatch):
    write_logs(tmp_path, ap=0.5, ap50=0.97)
    (tmp_path / 'detections.bbox.json').write_text('[]')
    with pytest.raises(SystemExit, match='not as good as the demo promises'):
        report(tmp_path, data, monkeypatch)
    assert (tmp_path / 'predictions.png').is_file()  # but reports all the same

"""The report: the figures of the logs, the pictures, the verdict."""

import json
import shutil
import sys

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pytest

from tnt_backbone.demo.dataset import make_dataset
from tnt_backbone.demo.report import main, reached, read_run, read_runs, table

GOOD = {'accuracy/top1': 96.0, 'coco/bbox_mAP': 0.8, 'coco/bbox_mAP_50': 0.97, 'mIoU': 80.0}
STAGES = ('classify', 'detect', 'segment')


def write_run(folder, metrics, time='20300101_000000'):
    """Lay down what mmengine writes for a run of two processes with 8 images each."""
    logs = folder / 'train' / time / 'vis_data'
    logs.mkdir(parents=True)
    (logs / 'config.py').write_text('train_dataloader = dict(batch_size=8)\n')
    lines = [
        dict(loss=2.0, lr=1e-4, time=3.0, step=10),
        dict(loss=1.0, lr=1e-3, time=2.0, step=20),
        {key: value / 2 for key, value in metrics.items()} | {'time': 0.1, 'step': 20},
        dict(loss=0.5, lr=1e-5, time=2.0, step=30),
        {'peak_memory_mb/rank0': 700.0, 'peak_memory_mb/rank1': 812.4, 'step': 30},
    ]
    (logs / 'scalars.json').write_text('\n'.join(map(json.dumps, lines)) + '\n')
    test = folder / 'test' / time
    test.mkdir(parents=True)
    (test / f'{time}.json').write_text(json.dumps(metrics | {'time': 0.1}))


def write_runs(work_dir, **changes):
    """Every stage's run; the keyword arguments change :data:`GOOD` metrics, '/' written as '__'."""
    metrics = GOOD | {key.replace('__', '/'): value for key, value in changes.items()}
    for stage, prefix in zip(STAGES, ('accuracy', 'coco', 'mIoU'), strict=True):
        write_run(work_dir / stage, {k: v for k, v in metrics.items() if k.startswith(prefix)})


def figures(work_dir):
    return {
        line[:20].strip(): line[20:].split() for line in table(read_runs(work_dir)).splitlines()
    }


def test_figures_come_from_the_logs(tmp_path):
    write_runs(tmp_path, coco__bbox_mAP=0.761, coco__bbox_mAP_50=0.94, mIoU=81.2)
    lines = figures(tmp_path)
    assert lines['top-1'] == ['0.960', '0.95', 'reached']
    assert lines['box AP'] == ['0.761', '0.75', 'reached']
    assert lines['box AP50'] == ['0.940', '0.95', 'NOT', 'reached']
    assert lines['mIoU'] == ['0.812', '0.75', 'reached']
    assert lines['training'] == list(STAGES)
    assert lines['iterations'] == ['30'] * 3
    assert lines['last loss'] == ['0.500'] * 3
    assert lines['time per iteration'] == ['2.000', 's'] * 3
    assert lines['images per second'] == ['8.0'] * 3
    assert lines['peak memory'] == ['2', 'x', '812', 'MB'] * 3


def test_runs_from_scratch_stand_beside(tmp_path):
    write_runs(tmp_path)
    write_run(tmp_path / 'scratch' / 'segment', {'mIoU': 61.0})
    lines = figures(tmp_path)
    assert lines['mIoU'] == ['0.800', '0.75', 'reached', '0.610']
    assert lines['box AP'] == ['0.800', '0.75', 'reached']
    assert lines['training'] == [*STAGES, 'scratch/segment']


@pytest.mark.parametrize(
    ('changes', 'good'),
    [
        (dict(accuracy__top1=95.0, coco__bbox_mAP=0.75, coco__bbox_mAP_50=0.95, mIoU=75.0), True),
        (dict(accuracy__top1=94.9), False),
        (dict(coco__bbox_mAP=0.749), False),
        (dict(coco__bbox_mAP_50=0.949), False),
        (dict(mIoU=74.9), False),
    ],
)
def test_every_stage_must_reach_its_thresholds(tmp_path, changes, good):
    write_runs(tmp_path, **changes)
    assert reached(read_runs(tmp_path)) == good


def test_the_newest_run_counts(tmp_path):
    write_run(tmp_path, {'mIoU': 90.0}, time='20300101_000000')
    write_run(tmp_path, {'mIoU': 10.0}, time='20300102_000000')
    assert read_run(tmp_path).metrics['mIoU'] == 10.0


def test_the_metrics_are_read_though_two_processes_wrote_the_file(tmp_path):
    write_run(tmp_path, {'mIoU': 80.0})
    (metrics,) = (tmp_path / 'test').glob('*/*.json')
    metrics.write_text(metrics.read_text() + '}')  # the rest of a longer line
    assert read_run(tmp_path).metrics['mIoU'] == 80.0


def test_missing_logs_are_named(tmp_path):
    write_runs(tmp_path)
    shutil.rmtree(tmp_path / 'segment')
    with pytest.raises(FileNotFoundError, match=r'scalars\.json\b.*segment'):
        read_runs(tmp_path)


def test_a_run_that_was_stopped_is_named(tmp_path):
    write_run(tmp_path, {'mIoU': 80.0})
    (scalars,) = (tmp_path / 'train').glob('*/vis_data/scalars.json')
    scalars.write_text(scalars.read_text().splitlines()[0] + '\n')
    with pytest.raises(
        ValueError, match=r'scalars\.json\b.*\b1\b.*\b0\b.*default_hooks\.logger\.interval'
    ):
        read_run(tmp_path)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    out = tmp_path_factory.mktemp('data')
    make_dataset(out, train=1, val=9, size=(48, 64))
    return out


def report(work_dir, data, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['report', str(work_dir), str(data)])
    main()


def test_report_draws_what_was_predicted(tmp_path, data, monkeypatch, capsys):
    write_runs(tmp_path)
    truth = json.loads((data / 'annotations' / 'instances_val.json').read_text())
    found = [
        dict(image_id=a['image_id'], category_id=a['category_id'], bbox=a['bbox'], score=0.9)
        for a in truth['annotations']
    ]
    true_masks, blank = data / 'semantic' / 'val', tmp_path / 'blank'
    blank.mkdir()
    for mask in true_masks.iterdir():
        cv2.imwrite(str(blank / mask.name), np.zeros((48, 64), np.uint8))
    pictures = []
    for detections, masks in (
        ([], blank),
        ([found[0] | dict(score=0.1)], blank),
        (found, blank),
        (found, true_masks),
    ):
        (tmp_path / 'detections.bbox.json').write_text(json.dumps(detections))
        shutil.rmtree(tmp_path / 'segments', ignore_errors=True)
        shutil.copytree(masks, tmp_path / 'segments')
        report(tmp_path, data, monkeypatch)
        pictures.append(plt.imread(tmp_path / 'predictions.png'))
    assert all(min(picture.shape[:2]) > 500 for picture in pictures)
    np.testing.assert_array_equal(pictures[0], pictures[1])  # below the threshold nothing is drawn

    def changed_eighths(before, after):
        columns = np.flatnonzero((before != after).any(axis=(0, 2)))
        return set(columns * 8 // before.shape[1])

    boxes = changed_eighths(pictures[1], pictures[2])
    assert boxes >= {1, 5}  # a label may reach out to the right
    assert not boxes & {0, 4}  # the truth stays
    assert changed_eighths(pictures[2], pictures[3]) == {3, 7}
    assert plt.imread(tmp_path / 'loss_curves.png').std() > 0
    out = capsys.readouterr().out
    assert 'box AP' in out
    assert str(tmp_path / 'predictions.png') in out
    assert 'box AP' in (tmp_path / 'report.txt').read_text()


def test_a_run_that_is_not_good_enough_ends_with_status_1(tmp_path, data, monkeypatch):
    write_runs(tmp_path, coco__bbox_mAP=0.5)
    (tmp_path / 'detections.bbox.json').write_text('[]')
    shutil.copytree(data / 'semantic' / 'val', tmp_path / 'segments')
    with pytest.raises(SystemExit, match='NOT reached'):
        report(tmp_path, data, monkeypatch)
    assert (tmp_path / 'predictions.png').is_file()  # but reports all the same

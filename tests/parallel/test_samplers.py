"""What each process sees: no image is lost, none is seen twice, and metrics do not depend on that.

Lengths that the number of processes does not divide are filled up in training, with as many images
of the same epoch as are missing. In an evaluation, mmengine takes the filling out again.
"""

import itertools
from collections import Counter
from unittest.mock import patch

import numpy as np
import pytest
import torch
from mmdet.datasets.samplers import AspectRatioBatchSampler, ClassAwareSampler
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.runner import Runner
from mmpretrain.datasets.samplers import RepeatAugSampler

from tests.parallel import training

WORLDS = (1, 2, 4)


class Images:
    """Images of two orientations, with classes."""

    metainfo = {'classes': ('a', 'b', 'c')}  # noqa: RUF012

    def __init__(self, number):
        self.number = number

    def __len__(self):
        return self.number

    def __getitem__(self, index):
        return index

    def get_data_info(self, index):
        wide = index % 3 == 0
        return {'width': 20 if wide else 10, 'height': 10 if wide else 20}

    def get_cat_ids(self, index):
        return [0 if index % 5 else 1 + index % 2]


def each_process(kind, data, world, **options):
    """Return the sampler of each process."""
    found = []
    for rank in range(world):
        with patch(f'{kind.__module__}.get_dist_info', lambda rank=rank: (rank, world)):
            found.append(kind(data, seed=5, **options))
    return found


@pytest.mark.parametrize('world', WORLDS)
@pytest.mark.parametrize('number', [4, 5, 7, 8, 13])
@pytest.mark.parametrize('shuffle', [True, False])
def test_an_epoch_holds_each_image_once_and_the_filling(world, number, shuffle):
    samplers = each_process(DefaultSampler, Images(number), world, shuffle=shuffle)
    orders = []
    for epoch in range(3):
        for sampler in samplers:
            sampler.set_epoch(epoch)
        seen = [[*sampler] for sampler in samplers]
        assert len({len(part) for part in seen}) == 1, 'a process with fewer steps would hang'
        # the images in the order of the steps: an epoch, and then its beginning again
        merged = [index for step in zip(*seen, strict=True) for index in step]
        assert sorted(merged[:number]) == [*range(number)]
        assert merged[number:] == merged[: -number % world]
        orders.append(merged)
    assert (orders[0] != orders[1]) == shuffle


@pytest.mark.parametrize('world', WORLDS)
@pytest.mark.parametrize('number', [5, 8, 13])
def test_endless_samplers_give_one_epoch_after_the_other(world, number):
    samplers = each_process(InfiniteSampler, Images(number), world)
    steps = itertools.islice(zip(*samplers, strict=True), 4 * number)
    merged = [index for step in steps for index in step]
    for start in range(0, 4 * number * world - number, number):
        assert sorted(merged[start : start + number]) == [*range(number)]


@pytest.mark.parametrize('world', WORLDS)
@pytest.mark.parametrize(('number', 'size'), [(8, 2), (13, 2), (14, 4), (31, 3)])
def test_batches_of_one_orientation_lose_nothing(world, number, size):
    data = Images(number)
    numbers = set()
    for sampler in each_process(DefaultSampler, data, world):
        grouped = AspectRatioBatchSampler(sampler, batch_size=size)
        for epoch in range(2):
            sampler.set_epoch(epoch)
            batches = [*grouped]
            assert len(batches) == len(grouped)
            numbers.add(len(batches))
            assert Counter(itertools.chain(*batches)) == Counter(sampler)
            mixed = [batch for batch in batches if len({index % 3 == 0 for index in batch}) > 1]
            assert len(mixed) <= 1, 'only what is left in the end has both orientations'
    assert len(numbers) == 1, 'a process with fewer steps would hang'


@pytest.mark.parametrize('world', WORLDS)
def test_classes_are_seen_equally_often(world):
    data = Images(60)
    samplers = each_process(ClassAwareSampler, data, world)
    seen = [[*sampler] for sampler in samplers]
    assert {len(part) for part in seen} == {60 // world}
    classes = Counter(data.get_cat_ids(index)[0] for index in itertools.chain(*seen))
    assert classes == {0: 20, 1: 20, 2: 20}


@pytest.mark.parametrize('world', WORLDS)
def test_repeated_images_are_repeated_as_often_as_asked(world):
    """ImageNet's sampler: each image of an epoch three times, in different processes."""
    samplers = each_process(RepeatAugSampler, Images(768), world, num_repeats=3)
    seen = [[*sampler] for sampler in samplers]
    assert {len(part) for part in seen} == {768 // world}
    times = Counter(itertools.chain(*seen))
    assert set(times.values()) == {3}
    assert len(times) == 256
    if world == 4:
        assert all(max(Counter(part).values()) == 1 for part in seen)


class Seen(BaseMetric):
    """Returns the images that it has seen."""

    def process(self, data_batch, data_samples):
        self.results += [{'index': sample['index']} for sample in data_samples]

    def compute_metrics(self, results):
        return {'images': [result['index'] for result in results]}


def evaluate(job, world, folder):
    """Return the metrics of an evaluation in this process."""
    loader = Runner.build_dataloader(
        dict(
            dataset=Images(job['number']),
            batch_size=job['size'],
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='pseudo_collate'),
        )
    )
    evaluator = Evaluator([METRICS[job['metric']]()])
    evaluator.dataset_meta = {**Images.metainfo, 'palette': [[0, 0, 0]] * 3}
    for batch in loader:
        evaluator.process([PREDICTIONS[job['metric']](index) for index in batch], batch)
    return evaluator.evaluate(job['number'])


def accuracy():
    from mmpretrain.evaluation import Accuracy

    return Accuracy(topk=(1, 2))


def iou():
    from mmseg.evaluation import IoUMetric

    return IoUMetric(iou_metrics=['mIoU', 'mDice'])


def scores(index):
    numbers = torch.Generator().manual_seed(index)
    return {
        'pred_score': torch.rand(3, generator=numbers),
        'gt_label': torch.tensor([index % 3]),
        'pred_label': torch.tensor([0]),
    }


def label_maps(index):
    draw = np.random.default_rng(index).integers
    return {
        name: {'data': torch.from_numpy(draw(0, 3, (1, 6, 6)))}
        for name in ('pred_sem_seg', 'gt_sem_seg')
    }


METRICS = {'seen': Seen, 'accuracy': accuracy, 'iou': iou}
PREDICTIONS = {'seen': lambda index: {'index': index}, 'accuracy': scores, 'iou': label_maps}


def test_metrics_do_not_depend_on_the_number_of_processes(tmp_path):
    jobs = [
        {'metric': metric, 'number': number, 'size': size, 'library': 'mmpretrain'}
        for metric in METRICS
        for number, size in ((8, 1), (7, 1), (9, 2), (13, 3))
    ]
    alone = [evaluate(job, 1, tmp_path) for job in jobs]
    for job, result in zip(jobs, alone, strict=True):
        if job['metric'] == 'seen':
            assert result['images'] == [*range(job['number'])]
    for world in (2, 4):
        for found in training.run(world, tmp_path / str(world), jobs, evaluate):
            assert found == alone

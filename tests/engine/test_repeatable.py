"""Runs that are resumed against runs that were never stopped, with random data and dropout."""

import random

import numpy as np
import pytest
import torch

from tests.engine.toy_run import toy_runner
from tnt_backbone.engine import repeatable
from tnt_backbone.engine.repeatable import make_repeatable, seed_all
from tnt_backbone.errors import InputError


def train(folder, *, end, resume=None, seed=3, **options):
    if resume:
        options |= {'load_from': str(resume), 'resume': True}
    runner = toy_runner(folder, end=end, randomness={'seed': seed}, **options)
    make_repeatable(runner)
    runner.train()
    return [parameter.detach().clone() for parameter in runner.model.parameters()]


def is_same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ('by_epoch', 'workers'),
    [
        (True, 0),
        (True, 2),
        (False, 0),
        (False, 2),
    ],
)
def test_a_resumed_run_ends_with_the_same_weights(tmp_path, by_epoch, workers):
    options = {'by_epoch': by_epoch, 'workers': workers}
    end, half, name = (3, 2, 'epoch_2.pth') if by_epoch else (11, 5, 'iter_5.pth')
    whole = train(tmp_path / 'whole', end=end, **options)
    train(tmp_path / 'half', end=half, **options)
    resumed = train(tmp_path / 'half', end=end, resume=tmp_path / 'half' / name, **options)
    assert is_same(whole, resumed)
    assert not is_same(whole, train(tmp_path / 'other', end=end, seed=4, **options))


def test_mmengine_alone_does_not(tmp_path, monkeypatch):
    """Else the test above would show nothing."""
    monkeypatch.setattr('tests.engine.test_repeatable.make_repeatable', lambda runner: None)
    whole = train(tmp_path / 'whole', end=3)
    train(tmp_path / 'half', end=2)
    assert not is_same(whole, train(tmp_path, end=3, resume=tmp_path / 'half' / 'epoch_2.pth'))


def test_the_number_of_workers_does_not_matter(tmp_path):
    runs = [train(tmp_path / str(n), end=2, workers=n) for n in (0, 1, 2)]
    assert is_same(runs[0], runs[1])
    assert is_same(runs[0], runs[2])


def test_all_generators_are_seeded_by_all_numbers():
    def draw(*place):
        seed_all(*place)
        return random.random(), np.random.random(), float(torch.rand(()))

    one = draw(1, 0, 0, 5)
    assert draw(1, 0, 0, 5) == one
    places = [(2, 0, 0, 5), (1, 1, 0, 5), (1, 0, 1, 5), (1, 0, 0, 6), (5, 0, 0, 1)]
    for kind in range(3):
        assert len({one[kind], *(draw(*place)[kind] for place in places)}) == 6


def test_processes_at_different_places_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(repeatable, 'all_gather_object', lambda place: [place, (0, 500, 3)])
    with pytest.raises(InputError, match=r'(?s)process 0\b.*iteration 0\b.*process 1\b.*500\b'):
        train(tmp_path, end=1)


def test_images_are_drawn_anew_in_each_epoch(tmp_path):
    """The same index, in two epochs and in two passes of a loader that is started again."""
    epoch = repeatable.SharedEpoch()

    class Data:
        def __getitem__(self, index):
            return random.random()

    data = Data()
    repeatable._attach(data, seed=1, rank=0, epoch=epoch)
    first = data.__getitems__([0, 1])
    epoch.number.fill_(1)
    assert not set(first) & set(data.__getitems__([0, 1]))
    epoch.number.fill_(0)
    assert data.__getitems__([0, 1]) == first


def test_a_data_set_keeps_its_own_way_to_fetch():
    class Data:
        def __getitem__(self, index):
            raise NotImplementedError

        def __getitems__(self, indices):
            return [random.random(), *indices]

    data = Data()
    repeatable._attach(data, seed=1, rank=0, epoch=repeatable.SharedEpoch())
    one = data.__getitems__([4, 5])
    assert one[1:] == [4, 5]
    repeatable._attach(data, seed=1, rank=0, epoch=repeatable.SharedEpoch())
    assert data.__getitems__([4, 5]) == one

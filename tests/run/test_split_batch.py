"""Batches in parts: the optimizer makes the same steps, on less memory or in fewer processes."""

import copy
import itertools

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import sampler
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, HOOKS, MODELS
from mmengine.runner import Runner

from tnt_backbone.engine import collate_parts
from tnt_backbone.engine.step_in_parts import images_per_step, parts_of
from tnt_backbone.run.runner import count_accumulated_images
from tnt_backbone.run.split_batch import (
    divisors,
    keep_batch_of,
    notes_on_resumed_batch,
    split_batch,
)

IMAGES, STEPS = 4, 10
NUMBERS = itertools.count()


class Line(BaseModel):
    """Fits a line; the loss is a mean over the batch."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)

    def forward(self, inputs, target, mode):
        return {'loss': (self.layer(inputs) - target).square().mean()}


class Points(torch.utils.data.Dataset):
    def __init__(self, number=IMAGES * STEPS):
        generator = torch.Generator().manual_seed(0)
        self.points = torch.randn(number, 3, generator=generator)

    def __len__(self):
        return len(self.points)

    def __getitem__(self, i):
        return {'inputs': self.points[i], 'target': self.points[i].sum(0, keepdim=True)}


class Rates(Hook):
    """Writes down the rate and the loss of each iteration."""

    seen: list = []  # noqa: RUF012

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.seen.append((runner.optim_wrapper.get_lr()['lr'][0], outputs['loss'].item()))


@pytest.fixture(autouse=True)
def register(monkeypatch):
    for registry, kind in ((MODELS, Line), (DATASETS, Points), (HOOKS, Rates)):
        monkeypatch.setitem(registry._module_dict, kind.__name__, kind)
    monkeypatch.setattr(Runner, '_log_env', lambda *args: None)
    monkeypatch.setattr(Runner, 'dump_config', lambda *args: None)


def config(*schedulers, **changes):
    cfg = Config(
        dict(
            model=dict(type='Line'),
            train_dataloader=dict(
                batch_size=IMAGES,
                num_workers=0,
                sampler=dict(type='DefaultSampler', shuffle=False),
                dataset=dict(type='Points'),
                collate_fn=dict(type='default_collate'),
            ),
            train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=2),
            optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.1)),
            param_scheduler=list(schedulers),
            custom_hooks=[dict(type='Rates')],
            default_hooks=dict(checkpoint=None, logger=None),
            visualizer=dict(type='Visualizer'),
            log_level='ERROR',
            randomness=dict(seed=0),
        )
    )
    cfg.merge_from_dict(changes)
    return cfg


def train(cfg, folder):
    """Train; return the weights, and rate and loss of each iteration."""
    torch.manual_seed(0)
    cfg = copy.deepcopy(cfg)
    cfg.work_dir, cfg.experiment_name = str(folder), f'split {next(NUMBERS)}'
    Rates.seen = []
    model = Runner.from_cfg(cfg).train()
    weights = torch.cat([p.detach().flatten() for p in model.parameters()])
    return weights, torch.tensor(Rates.seen)


SCHEDULES = {
    'none': [],
    'warm-up': [dict(type='LinearLR', start_factor=0.01, begin=0, end=12, by_epoch=False)],
    'cosine': [dict(type='CosineAnnealingLR', T_max=20, begin=0, end=20, by_epoch=False)],
    'epochs': [dict(type='MultiStepLR', milestones=[1], by_epoch=True)],
}


@pytest.mark.parametrize(
    ('parts', 'name', 'by_epoch'),
    [(2, 'none', False), (4, 'warm-up', True), (2, 'cosine', True), (4, 'epochs', True)],
)
def test_steps_rates_losses_and_weights_are_those_of_whole_batches(parts, name, by_epoch, tmp_path):
    cfg = config(*SCHEDULES[name])
    if not by_epoch:
        cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=15)
    whole, steps = train(cfg, tmp_path)
    split_batch(cfg, parts)
    in_parts, same = train(cfg, tmp_path)
    assert len(steps) == (2 * STEPS if by_epoch else 15)
    torch.testing.assert_close(same, steps, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(in_parts, whole, rtol=1e-5, atol=1e-6)
    cfg.optim_wrapper.accumulative_counts = 1  # a comparison that can fail
    assert (train(cfg, tmp_path)[0] - whole).abs().max() > 1e-3


def test_with_accumulation_of_the_config(tmp_path):
    cfg = config(**{'optim_wrapper.accumulative_counts': 3})  # the last step has two iterations
    whole, _ = train(cfg, tmp_path)
    split_batch(cfg, 2)
    assert cfg.optim_wrapper.accumulative_counts == 6
    torch.testing.assert_close(train(cfg, tmp_path)[0], whole, rtol=1e-5, atol=1e-6)


def test_a_run_goes_on_with_another_number_of_parts(tmp_path):
    """From the middle of its only epoch, and with a schedule that counts iterations."""
    whole, _ = train(config(*SCHEDULES['cosine']), tmp_path)
    save = dict(checkpoint=dict(type='CheckpointHook', interval=1), logger=None)
    first = config(*SCHEDULES['cosine'])
    first.default_hooks = save
    first.train_cfg.max_epochs = 1
    split_batch(first, 2)
    train(first, tmp_path)
    second = config(*SCHEDULES['cosine'], load_from=str(tmp_path / 'epoch_1.pth'), resume=True)
    split_batch(second, 4)
    torch.testing.assert_close(train(second, tmp_path)[0], whole, rtol=1e-5, atol=1e-6)


def test_nothing_that_counts_iterations_changes():
    cfg = config(*SCHEDULES['cosine'])
    before = copy.deepcopy(cfg)
    (note,) = split_batch(cfg, 2)
    assert '2 instead of 4' in note
    for key in ('train_cfg', 'param_scheduler', 'default_hooks'):
        assert cfg[key] == before[key]
    assert (parts_of(cfg), divisors(cfg), images_per_step(cfg, 3)) == (2, [2], 12)
    split_batch(cfg, 2)
    assert (parts_of(cfg), divisors(cfg), images_per_step(cfg, 3)) == (4, [], 12)
    assert cfg.optim_wrapper.accumulative_counts == 4


@pytest.mark.parametrize('parts', [0, 1, 3, 8, -2])
def test_batches_that_cannot_be_split_so_are_refused(parts):
    assert divisors(config()) == [2, 4]
    with pytest.raises(ValueError, match=rf'--split-batch {parts}\b.*batch_size=4.*2, 4'):
        split_batch(config(), parts)
    with pytest.raises(ValueError, match='batch_size=1 '):
        split_batch(config(**{'train_dataloader.batch_size': 1}), 2)


@pytest.mark.parametrize('kind', [sampler.DefaultSampler, sampler.InfiniteSampler])
@pytest.mark.parametrize(('processes', 'here'), [(4, 2), (4, 1), (6, 2), (8, 4)])
def test_parts_are_the_batches_of_the_other_processes(kind, processes, here, monkeypatch):
    """Also at the end of an epoch, whose 41 images no number of processes here divides."""
    data = Points(41)

    def batches(world, size):
        found = []
        for rank in range(world):
            monkeypatch.setattr(sampler, 'get_dist_info', lambda rank=rank: (rank, world))
            indices = [*itertools.islice(kind(data, seed=3), 60)]
            found.append([indices[i : i + size] for i in range(0, len(indices), size)])
        return found

    cfg = config(**{'train_dataloader.batch_size': 2})
    keep_batch_of(cfg, processes, here)
    own, parts = cfg.train_dataloader.batch_size, parts_of(cfg)
    assert images_per_step(cfg, here) == 2 * processes
    expected = batches(processes, 2)
    for rank, seen in enumerate(batches(here, own)):
        for i, batch in enumerate(seen[:-1]):
            collated = collate_parts(batch, parts=parts, collate=list)
            assert collated == [expected[rank + here * part][i] for part in range(parts)]


def test_no_part_is_empty():
    assert collate_parts([7], parts=4, collate=list) == [[7]] * 4
    assert collate_parts([1, 2, 3], parts=2, collate=list) == [[1, 3], [2, 1]]
    batch = collate_parts([{'a': 1}, {'a': 2}], parts=2, collate={'type': 'pseudo_collate'})
    assert batch == [{'a': [1]}, {'a': [2]}]


@pytest.mark.parametrize(
    ('processes', 'here', 'own', 'parts'),
    [
        (4, 2, 8, 2),
        (4, 3, None, None),
        (3, 2, 6, 2),
        (8, 1, 32, 8),
        (2, 4, 2, 1),
        (0, 1, None, None),
    ],
)
def test_the_batch_of_other_numbers_of_processes(processes, here, own, parts):
    cfg = config()
    if own is None:
        with pytest.raises(ValueError, match=rf'--batch-of {processes}\b.*{processes} x 4 = '):
            keep_batch_of(cfg, processes, here)
        return
    keep_batch_of(cfg, processes, here)
    assert (cfg.train_dataloader.batch_size, parts_of(cfg)) == (own, parts)
    assert images_per_step(cfg, here) == images_per_step(config(), processes)


def test_the_learning_rate_is_scaled_with_the_images_of_a_step():
    cfg = config(auto_scale_lr=dict(enable=True, base_batch_size=16))
    cfg.optim_wrapper.accumulative_counts = 2
    keep_batch_of(cfg, 4, 2)

    class Built:
        auto_scale_lr = cfg.auto_scale_lr

    count_accumulated_images(Built, cfg)
    # mmengine divides the images of an iteration by it: 2 processes x 8 images
    assert 16 / Built.auto_scale_lr['base_batch_size'] == 32 / 16


def test_a_resumed_run_with_another_batch_is_told(tmp_path, monkeypatch):
    torch.save({'meta': {'images_per_step': 16}, 'state_dict': {}}, tmp_path / 'a.pth')
    monkeypatch.setenv('WORLD_SIZE', '2')
    cfg = config(load_from=str(tmp_path / 'a.pth'), resume=True, launcher='pytorch')
    (note,) = notes_on_resumed_batch(cfg)
    assert '16 images' in note
    assert 'has 8 in 2' in note
    assert '--batch-of' in note
    keep_batch_of(cfg, 4)
    assert notes_on_resumed_batch(cfg) == []

"""Batches in parts: the optimizer makes the same steps."""

import copy
import itertools

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, HOOKS, MODELS
from mmengine.runner import Runner

from tnt_backbone.run.split_batch import divisors, split_batch

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
    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.points = torch.randn(IMAGES * STEPS, 3, generator=generator)

    def __len__(self):
        return len(self.points)

    def __getitem__(self, i):
        return {'inputs': self.points[i], 'target': self.points[i].sum(0, keepdim=True)}


class Rates(Hook):
    """Writes down the rate of each step of the optimizer."""

    seen: list = []  # noqa: RUF012

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        wrapper = runner.optim_wrapper
        if (runner.iter + 1) % wrapper._accumulative_counts == 0:
            self.seen.append(wrapper.get_lr()['lr'][0])


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
    """Train; return the weights and the rate of each step."""
    torch.manual_seed(0)
    cfg = copy.deepcopy(cfg)
    cfg.work_dir, cfg.experiment_name = str(folder), f'split {next(NUMBERS)}'
    Rates.seen = []
    model = Runner.from_cfg(cfg).train()
    return torch.cat([p.detach().flatten() for p in model.parameters()]), Rates.seen


@pytest.mark.parametrize('parts', [2, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize('by_epoch', [True, False])
def test_the_weights_are_those_of_whole_batches(parts, by_epoch, tmp_path):
    cfg = config()
    if not by_epoch:
        cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=15)
    whole, rates = train(cfg, tmp_path)
    split_batch(cfg, parts)
    in_parts, same = train(cfg, tmp_path)
    assert len(rates) == len(same) == (2 * STEPS if by_epoch else 15)
    torch.testing.assert_close(in_parts, whole, rtol=1e-5, atol=1e-6)
    cfg.optim_wrapper.accumulative_counts = 1  # a comparison that can fail
    assert (train(cfg, tmp_path)[0] - whole).abs().max() > 1e-2


SCHEDULES = {
    'warm-up': [dict(type='LinearLR', start_factor=0.01, begin=0, end=12)],
    'poly': [dict(type='PolyLR', power=0.9, eta_min=1e-3, begin=0, end=20)],
    'cosine': [dict(type='CosineAnnealingLR', T_max=20, begin=0, end=20)],
    'steps': [dict(type='MultiStepLR', milestones=[5, 12], gamma=0.1)],
    'step': [dict(type='StepLR', step_size=6, gamma=0.5)],
    'exponential': [dict(type='ExponentialLR', gamma=0.8)],
    'restarts': [
        dict(type='CosineRestartLR', periods=[10, 10], restart_weights=[1, 0.5], eta_min=0)
    ],
    'one cycle': [dict(type='OneCycleLR', eta_max=0.1, total_steps=20)],
    'in turn': [
        dict(type='LinearLR', start_factor=0.1, begin=0, end=4),
        dict(type='MultiStepLR', begin=4, end=20, milestones=[10], gamma=0.1),
    ],
}


@pytest.mark.parametrize('name', SCHEDULES)
def test_each_step_has_the_learning_rate_of_whole_batches(name, tmp_path):
    """Within what the schedule changes from one step to the next."""
    cfg = config(*(scheduler | dict(by_epoch=False) for scheduler in SCHEDULES[name]))
    _, whole = train(cfg, tmp_path)
    split_batch(cfg, 2)
    _, parts = train(cfg, tmp_path)
    assert len(whole) == len(parts) == 2 * STEPS
    assert max(whole) > 1.2 * min(whole)
    # a part's rate lies between those of this step and the next
    near = [sorted(pair) for pair in zip(whole, [*whole[1:], whole[-1]], strict=True)]
    slack = 0.03 * max(whole)
    outside = [
        (step, rate, low, high)
        for step, (rate, (low, high)) in enumerate(zip(parts, near, strict=True))
        if not low - slack <= rate <= high + slack
    ]
    assert outside[:-1] == []


def test_what_counts_iterations_is_multiplied_and_nothing_else():
    epochs = dict(type='MultiStepLR', by_epoch=True, begin=0, end=12, milestones=[8, 11])
    cfg = config(epochs)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=100, dynamic_intervals=[[0, 10]])
    cfg.default_hooks = dict(
        checkpoint=dict(by_epoch=False, interval=20, max_keep_ckpts=3), logger=dict(interval=50)
    )
    cfg.custom_hooks = [dict(type='EMAHook', momentum=0.1)]
    (note,) = split_batch(cfg, 2)
    assert '2 instead of 4' in note
    assert cfg.param_scheduler == [epochs]
    assert cfg.train_cfg == dict(
        type='IterBasedTrainLoop', max_iters=200, val_interval=2000, dynamic_intervals=[[0, 20]]
    )
    assert cfg.default_hooks.checkpoint == dict(by_epoch=False, interval=40, max_keep_ckpts=3)
    assert cfg.default_hooks.logger.interval == 50
    assert cfg.custom_hooks == [dict(type='EMAHook', momentum=0.1, interval=2)]
    split_batch(cfg, 2)
    assert cfg.optim_wrapper.accumulative_counts == 4

    cfg = config(train_cfg=dict(val_interval=1))
    cfg.default_hooks = dict(checkpoint=dict(interval=1))
    split_batch(cfg, 2)
    assert cfg.train_cfg == dict(type='EpochBasedTrainLoop', max_epochs=2, val_interval=1)
    assert cfg.default_hooks.checkpoint.interval == 1


@pytest.mark.parametrize('parts', [0, 1, 3, 8, -2])
def test_batches_that_cannot_be_split_so_are_refused(parts):
    assert divisors(config()) == [2, 4]
    with pytest.raises(ValueError, match=rf'--split-batch {parts}\b.*batch_size=4.*2, 4'):
        split_batch(config(), parts)
    with pytest.raises(ValueError, match='batch_size=1 '):
        split_batch(config(**{'train_dataloader.batch_size': 1}), 2)


@pytest.mark.parametrize(('before', 'fits'), [('', False), ('accumulative_counts=2,', True)])
def test_a_resumed_run_keeps_its_parts(before, fits, tmp_path):
    text = f"optim_wrapper = dict({before} type='OptimWrapper')"
    torch.save({'meta': {'cfg': text}, 'state_dict': {}}, tmp_path / 'a.pth')
    cfg = config(load_from=str(tmp_path / 'a.pth'), resume=True)
    if fits:
        split_batch(cfg, 2)
    else:
        with pytest.raises(ValueError, match=r'--split-batch.*a\.pth'):
            split_batch(cfg, 2)
        split_batch(config(load_from=str(tmp_path / 'a.pth'), resume=False), 2)

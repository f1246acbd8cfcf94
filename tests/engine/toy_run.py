"""A training that takes a fraction of a second, for tests of hooks."""

import itertools
import random

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Dataset

NAMES = itertools.count()


class ToyData(Dataset):
    """Eight random numbers, each with noise of all three generators."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        noise = random.random() + np.random.random() + float(torch.rand(()))
        return {'inputs': np.float32([index, noise])}  # not a tensor: its workers end at once


class ToyModel(BaseModel):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 1)

    def forward(self, inputs, mode='tensor'):
        inputs = torch.tensor(np.stack(inputs))
        outputs = self.linear(nn.functional.dropout(inputs, 0.5, self.training))
        return {'loss': outputs.square().mean()} if mode == 'loss' else [outputs]


class EndedError(Exception):
    """Stands for a machine that is taken away."""


class Scores:
    """An evaluator that gives the scores of a list, and ends the run instead of a ``None``."""

    def __init__(self, scores):
        self.scores, self.given = iter(scores), []
        self.dataset_meta = None

    def process(self, **kwargs):
        pass

    def evaluate(self, size):
        self.given.append(next(self.scores))
        if self.given[-1] is None:
            raise EndedError
        return {'acc': self.given[-1]}


class Act(Hook):
    """Calls a function before an iteration; the first is 0."""

    def __init__(self, iteration, action):
        self.iteration, self.action = iteration, action

    def before_train_iter(self, runner, *args, **kwargs):
        if runner.iter == self.iteration:
            self.action(runner)


def toy_runner(
    work_dir,
    *,
    by_epoch=True,
    end=3,
    workers=0,
    checkpoint=None,
    scores=(),
    optimizer='OptimWrapper',
    val_interval=1000,
    visualizer=None,
    **options,
):
    """Return a Runner of mmengine over `end` epochs of four iterations, or `end` iterations."""
    loader = {
        'dataset': ToyData(),
        'batch_size': 2,
        'num_workers': workers,
        'persistent_workers': workers > 0,
        'collate_fn': {'type': 'pseudo_collate'},
    }
    sampler = {'type': 'DefaultSampler' if by_epoch else 'InfiniteSampler', 'shuffle': True}
    limit = {'max_epochs': end} if by_epoch else {'max_iters': end, 'val_interval': val_interval}
    validation = {}
    if scores:
        validation = {
            'val_dataloader': {**loader, 'sampler': {'type': 'DefaultSampler', 'shuffle': False}},
            'val_cfg': {},
            'val_evaluator': {'type': 'Evaluator', 'metrics': []},
        }
    name = f'toy{next(NAMES)}'
    runner = Runner(
        model={'type': ToyModel},
        work_dir=str(work_dir),
        train_dataloader={**loader, 'sampler': sampler},
        train_cfg={'by_epoch': by_epoch, **limit},
        optim_wrapper={'type': optimizer, 'optimizer': {'type': 'AdamW', 'lr': 0.1}},
        default_hooks={
            **options.pop('default_hooks', {}),
            'checkpoint': {
                'type': 'CheckpointHook',
                'interval': 1,
                'by_epoch': by_epoch,
                **(checkpoint or {}),
            },
        },
        visualizer={'type': 'Visualizer', **(visualizer or {}), 'name': name},
        experiment_name=name,
        log_level='ERROR',
        **validation,
        **options,
    )
    if scores:
        runner.scores = Scores(scores)
        runner.build_evaluator = lambda _: runner.scores
    return runner

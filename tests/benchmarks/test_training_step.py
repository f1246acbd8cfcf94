"""How the time of a training step is split into its parts."""

import time
from types import SimpleNamespace

import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from torch import nn
from training_step import StepTimes

PARTS = [
    'waiting for data',
    'images to the model',
    'backbone, forward',
    'neck, head, losses: forward',
    'neck, head, losses: backward',
    'backbone, backward',
    'optimizer',
    'hooks',
]


class Clock:
    """Stands still but where work is done."""

    now = 0.0


class Work(torch.autograd.Function):
    """Takes 40 s forward and 80 s backward."""

    @staticmethod
    def forward(ctx, x):
        Clock.now += 40
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        Clock.now += 80
        return gradient


class Backbone(nn.Linear):
    def forward(self, x):
        x = super().forward(x)
        return Work.apply(x), x


class Detector(BaseModel):
    def __init__(self):
        super().__init__()
        self.backbone = Backbone(2, 2)

    def forward(self, inputs, mode):
        return {'loss': sum(level.mean() for level in self.backbone(inputs))}


def test_parts_of_a_step(monkeypatch):
    monkeypatch.setattr(time, 'perf_counter', lambda: Clock.now)
    model = Detector()
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    runner, times = SimpleNamespace(model=model, optim_wrapper=wrapper), StepTimes()
    weights = model.backbone.weight.detach().clone()
    times.before_train(runner)
    for _ in range(2):
        Clock.now += 5  # the loader
        times.before_train_iter(runner, 0)
        model.train_step({'inputs': torch.ones(3, 2)}, wrapper)
        times.after_train_iter(runner, 0)
    seconds = {'waiting for data': 5, 'backbone, forward': 40, 'backbone, backward': 80}
    assert times.steps == [{part: seconds.get(part, 0) for part in PARTS}] * 2
    assert [list(step) for step in times.steps] == [PARTS] * 2
    assert not torch.equal(model.backbone.weight, weights)  # the step was taken

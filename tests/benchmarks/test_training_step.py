"""The seams of a training step."""

import time
from types import SimpleNamespace

import pytest
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


class Sleep(torch.autograd.Function):
    """Takes 40 ms forward and 80 ms backward."""

    @staticmethod
    def forward(ctx, x):
        time.sleep(0.04)
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        time.sleep(0.08)
        return gradient


class Backbone(nn.Linear):
    def forward(self, x):
        x = super().forward(x)
        return Sleep.apply(x), x


class Detector(BaseModel):
    def __init__(self):
        super().__init__()
        self.backbone = Backbone(2, 2)

    def forward(self, inputs, mode):
        return {'loss': sum(level.mean() for level in self.backbone(inputs))}


def test_parts_of_a_step():
    model = Detector()
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    runner, times = SimpleNamespace(model=model, optim_wrapper=wrapper), StepTimes()
    weights = model.backbone.weight.detach().clone()
    times.before_train(runner)
    start = time.perf_counter()
    for _ in range(2):
        times.before_train_iter(runner, 0)
        model.train_step({'inputs': torch.ones(3, 2)}, wrapper)
        times.after_train_iter(runner, 0)
    for step in times.steps:
        assert list(step) == PARTS
        assert step['backbone, forward'] >= 0.04
        assert step['backbone, backward'] >= 0.08
    assert sum(sum(step.values()) for step in times.steps) == pytest.approx(
        time.perf_counter() - start, abs=0.1
    )
    assert not torch.equal(model.backbone.weight, weights)  # the step was taken

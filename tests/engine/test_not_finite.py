"""A loss or gradient that is not a number: what the weights are afterwards, and what is kept."""

import copy
import itertools
import math
import random

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper

from tests.engine.toy_run import ToyModel, toy_runner
from tnt_backbone.engine import not_finite
from tnt_backbone.engine.not_finite import NotFiniteHook, random_state, set_random_state
from tnt_backbone.errors import InputError, NotFiniteError


class Spoil(Hook):
    """Makes the loss, or only its gradient, not finite in some iterations."""

    def __init__(self, iterations, value=math.nan, *, only_gradient=False):
        self.iterations, self.value, self.only_gradient = iterations, value, only_gradient

    def before_train_iter(self, runner, *args, **kwargs):
        is_spoiled = runner.iter in self.iterations
        self.weights = copy.deepcopy(runner.model.state_dict())

        def spoil(module, inputs, outputs):
            if not is_spoiled:
                return None
            if self.only_gradient:  # the square root of 0 has no finite slope
                zero = (outputs['loss'] * 0).sqrt()
                return {'loss': outputs['loss'] + zero}
            return {'loss': outputs['loss'] * self.value}

        self.handle = runner.model.register_forward_hook(spoil, prepend=True)

    def after_train_iter(self, *args, **kwargs):
        self.handle.remove()


def train(folder, spoil, hook=None, **options):
    runner = toy_runner(folder, end=6, by_epoch=False, randomness={'seed': 1}, **options)
    runner.register_hook(spoil)
    if hook is not None:
        runner.register_hook(hook)
    runner.train()
    return runner


def names(folder):
    return sorted(path.name for path in folder.glob('not_finite/*'))


@pytest.mark.parametrize(
    ('value', 'only_gradient', 'what'),
    [(math.nan, False, 'loss=nan'), (math.inf, False, 'loss=inf'), (1, True, 'gradients')],
)
def test_the_training_stops_before_the_weights_are_spoiled(tmp_path, value, only_gradient, what):
    spoil = Spoil({3}, value, only_gradient=only_gradient)
    with pytest.raises(NotFiniteError, match=rf'iteration 4\b.*{what}.*not_finite=skip'):
        train(tmp_path, spoil, NotFiniteHook())
    assert names(tmp_path) == ['iter_4_process_0.pth']
    kept = torch.load(tmp_path / 'not_finite/iter_4_process_0.pth', weights_only=False)
    for name, weight in kept['state_dict'].items():
        assert torch.equal(weight, spoil.weights[name])
    assert kept['meta']['iter'] == 3
    assert sorted(path.name for path in tmp_path.glob('iter_*')) == [
        f'iter_{i}.pth' for i in (1, 2, 3)
    ]


@pytest.mark.parametrize('only_gradient', [True, False])
def test_a_process_says_when_the_cause_is_elsewhere(tmp_path, monkeypatch, only_gradient):
    """The gradients are those of all processes, the losses are its own."""
    monkeypatch.setattr(not_finite, 'get_world_size', lambda: 2)
    with pytest.raises(NotFiniteError) as error:
        train(tmp_path, Spoil({3}, only_gradient=only_gradient), NotFiniteHook())
    assert ('another process' in str(error.value)) == only_gradient


def test_what_is_kept_repeats_the_iteration(tmp_path):
    """The batch and the random numbers of the dropout, against the weights' own loss."""
    with pytest.raises(NotFiniteError):
        train(tmp_path, Spoil({3}, 1, only_gradient=True), NotFiniteHook())
    kept = torch.load(tmp_path / 'not_finite/iter_4_process_0.pth', weights_only=False)
    model = ToyModel()
    model.load_state_dict(kept['state_dict'])
    model.train()
    set_random_state(kept['random_state'])
    again = model(**model.data_preprocessor(kept['batch'], True), mode='loss')['loss']
    assert again.item() == kept['losses']['loss'].item()
    others = {model(**kept['batch'], mode='loss')['loss'].item() for _ in range(20)}
    assert len(others) > 1  # other dropout


def test_without_the_hook_the_weights_are_spoiled(tmp_path):
    """Else the tests above would show nothing."""
    runner = train(tmp_path, Spoil({3}))
    assert not torch.isfinite(runner.model.linear.weight).all()


def test_a_step_is_skipped_and_nothing_changes_in_it(tmp_path):
    weights = []

    class Look(Hook):
        priority = 'VERY_LOW'

        def after_train_iter(self, runner, *args, **kwargs):
            weights.append(runner.model.linear.weight.detach().clone())

    runner = toy_runner(tmp_path, end=6, by_epoch=False, randomness={'seed': 1})
    for hook in (Spoil({3}), NotFiniteHook('skip'), Look()):
        runner.register_hook(hook)
    runner.train()
    same = [torch.equal(one, other) for one, other in itertools.pairwise(weights)]
    assert same == [False, False, True, False, False]
    assert names(tmp_path) == ['iter_4_process_0.pth']


def test_skipping_has_an_end_and_few_files(tmp_path):
    with pytest.raises(NotFiniteError, match=r'iteration 5\b.*\b4 in a row'):
        train(tmp_path, Spoil(range(1, 9)), NotFiniteHook('skip', max_skipped=4))
    assert len(names(tmp_path)) == 3
    train(tmp_path / 'b', Spoil({0, 2, 4}), NotFiniteHook('skip', max_skipped=2))


def test_spoiled_statistics_are_not_skipped(tmp_path):
    """What is not finite in the forward pass is in the running mean of a batch norm."""
    runner = toy_runner(tmp_path, end=6, by_epoch=False)
    runner.model.register_buffer('running_mean', torch.tensor([math.nan]))
    for hook in (Spoil({1}), NotFiniteHook('skip')):
        runner.register_hook(hook)
    with pytest.raises(NotFiniteError, match='running_mean'):
        runner.train()


def test_the_loss_scaler_leaves_out_a_step_without_an_end(tmp_path, monkeypatch):
    """The gradients overflow at a scale of 2^127, and the loss does not."""
    wrapper = 'mmengine.optim.optimizer.amp_optimizer_wrapper'
    monkeypatch.setattr(f'{wrapper}.is_cuda_available', lambda: True)
    monkeypatch.setattr(f'{wrapper}.GradScaler', lambda: torch.amp.GradScaler('cpu', 2.0**127))
    runner = toy_runner(
        tmp_path, end=6, by_epoch=False, optimizer=AmpOptimWrapper, randomness={'seed': 0}
    )
    runner.register_hook(NotFiniteHook())
    before = runner.model.linear.weight.detach().clone()
    runner.train()
    assert runner.optim_wrapper.loss_scaler.get_scale() < 2.0**127  # steps were left out
    assert not torch.equal(before, runner.model.linear.weight)  # not all
    assert names(tmp_path) == []
    runner = toy_runner(tmp_path / 'b', end=6, by_epoch=False, optimizer=AmpOptimWrapper)
    for hook in (Spoil({2}), NotFiniteHook()):
        runner.register_hook(hook)
    with pytest.raises(NotFiniteError, match=r'iteration 3\b.*loss=nan'):
        runner.train()


def test_large_gradients_are_finite(tmp_path):
    """Their squares are not."""
    runner = toy_runner(tmp_path, end=1, by_epoch=False)
    runner.model.register_forward_hook(lambda *x: {'loss': x[2]['loss'] * 1e25})
    runner.register_hook(NotFiniteHook())
    runner.train()


def test_random_states_are_those_of_all_generators():
    def draw():
        return random.random(), np.random.random(), float(torch.rand(()))

    state = random_state()
    first = draw()
    assert all(a != b for a, b in zip(first, draw(), strict=True))
    set_random_state(state)
    assert draw() == first


def test_unknown_actions_are_refused():
    with pytest.raises(InputError, match=r"not_finite='ignore'.*stop.*skip"):
        NotFiniteHook('ignore')

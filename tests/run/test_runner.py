"""The way of the tools to a Runner."""

from types import SimpleNamespace

import mmengine.dist.utils
import pytest
from mmengine.config import Config
from mmengine.hooks import LoggerHook
from mmengine.runner import Runner

from tnt_backbone.run.runner import build_runner


class Figures(LoggerHook):
    """Writes what a test came to; stands for the hook of a config."""

    def after_test_epoch(self, runner, metrics=None):
        runner.written.append(metrics)


@pytest.mark.parametrize('rank', [0, 1])
def test_only_one_process_writes_the_figures_of_a_test(monkeypatch, rank):
    made = SimpleNamespace(hooks=[Figures()], written=[])
    monkeypatch.setattr(Runner, 'from_cfg', lambda cfg: made)
    monkeypatch.setattr(mmengine.dist.utils, 'get_rank', lambda group=None: rank)
    runner = build_runner(Config(), [])
    runner.hooks[0].after_test_epoch(runner, metrics={'AP': 0.5})
    assert runner.written == ([{'AP': 0.5}] if rank == 0 else [])

"""The way of the tools to a Runner."""

import logging
from types import SimpleNamespace

import mmengine.dist.utils
import pytest
from mmengine.config import Config
from mmengine.hooks import LoggerHook
from mmengine.runner import Runner

from tnt_backbone.run.formatted_once import FormattedOnce
from tnt_backbone.run.runner import build_runner, tell_faults_once


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


def test_the_config_of_a_run_is_formatted_once(monkeypatch):
    monkeypatch.setattr(Runner, 'from_cfg', lambda cfg: SimpleNamespace(hooks=[], cfg=cfg))
    cfg = Config(dict(a=1))
    runner = build_runner(cfg, [])
    assert isinstance(runner.cfg, FormattedOnce)
    assert runner.cfg.to_dict() == cfg.to_dict()


def test_a_log_on_a_full_disk_is_told_once(capsys):
    file = logging.FileHandler('/dev/full')
    tell_faults_once(file)
    logger = logging.Logger('full')
    logger.addHandler(file)
    logger.info('one')
    logger.info('two')
    message = capsys.readouterr().err
    assert message.count('/dev/full') == 1
    assert 'Traceback' not in message
    logger.info('%d', 'no number')  # a fault of the program is told as ever
    assert 'Traceback' in capsys.readouterr().err

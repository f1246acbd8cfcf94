"""The command: what it prints, and that its command trains with the same steps."""

import json
import shlex

import pytest

from tnt_backbone.cli import plan, train
from tnt_backbone.engine.step_in_parts import images_per_step, parts_of
from tnt_backbone.run import plan as module
from tnt_backbone.run.config import read_config


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')  # the command sets it for its process


WEIGHTS = 141_233_400


@pytest.fixture
def counted(monkeypatch):
    """Building the model takes seconds: tests/run/test_plan.py does."""
    memory = {'parameters': WEIGHTS, 'gradients': WEIGHTS, 'optimizer': 2 * WEIGHTS}
    monkeypatch.setattr(module, 'fixed_memory', lambda cfg, gpus: memory)


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        plan.main(arguments)
    return ended.value.code


def test_the_command_makes_the_steps_of_the_config(counted, capsys):
    config = 'retinanet_tnt_s_coco'
    assert run(config, '--gpus', '2', '--memory', '3.2G', '--json') == 0
    found = json.loads(capsys.readouterr().out)
    chosen = next(choice for choice in found['choices'] if choice['fits'])
    assert chosen['gib'] <= 3.2
    assert (chosen['images'], chosen['parts'], chosen['with_cp']) == (1, 8, True)
    assert found['assumed']
    words = shlex.split(found['command'])
    assert words[:2] == ['tnt', 'train']
    gpus = words.index('--gpus')
    args = train.parse_args([*words[2:gpus], *words[gpus + 2 :]])
    cfg = read_config(
        config,
        options=plan.parse_cfg_options(args.cfg_options),
        work_dir=None,
        launcher='none',
    )
    rate = cfg.optim_wrapper.optimizer.lr
    train.apply_options(cfg, args)
    assert cfg.model.backbone.with_cp
    assert (cfg.train_dataloader.batch_size, parts_of(cfg)) == (8, 8)
    assert images_per_step(cfg, 2) == cfg.auto_scale_lr.base_batch_size == 16
    assert not cfg.auto_scale_lr.enable
    assert cfg.optim_wrapper.optimizer.lr == rate


def test_a_table_and_what_it_rests_on(counted, capsys):
    assert run('retinanet_tnt_s_coco', '--gpus', '8', '--memory', '80GiB') == 0
    said = capsys.readouterr().out
    assert said.count('<- chosen') == 1
    assert '800x1344' in said
    last = said.splitlines()[-1]
    assert last.startswith('tnt train retinanet_tnt_s_coco --gpus 8 ')
    assert '--split-batch' not in last
    assert '--auto-scale-lr' not in last


def test_nothing_fits(counted, capsys):
    assert run('retinanet_tnt_s_coco', '--gpus', '16', '--memory', '1024M') == 1
    assert '--size' in capsys.readouterr().out


def test_another_batch_scales_the_learning_rate(counted, capsys):
    arguments = ('--gpus', '32', '--global-batch', '32', '--memory', '12G')
    assert run('retinanet_tnt_s_coco', *arguments) == 0
    assert '--auto-scale-lr' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('options', 'word'),
    [
        (('--memory', '12'), '12G'),
        (('--memory', '0G'), '0G'),
        (('--memory', 'much'), 'much'),
        (('--gpus', '0', '--memory', '12G'), '--gpus'),
        (('--gpus', '3', '--memory', '12G'), '--global-batch'),
        (('--memory', '12G', '--cfg-options', 'model.backbone.arch=b'), 'tnt train'),
    ],
)
def test_wrong_use(options, word, capsys):
    assert run('retinanet_tnt_s_coco', '--gpus', '8', *options) == 2
    assert word in capsys.readouterr().err

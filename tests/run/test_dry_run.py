"""The numbers of a run that is not started, against those of runs and of arithmetic."""

import math

import pytest
import torch
from mmengine.config import Config
from mmengine.dist import is_distributed
from mmengine.registry import MODELS, init_default_scope

from tnt_backbone.run.config import read_config
from tnt_backbone.run.dry_run import dry_run

MILLI = 1e-3


@pytest.fixture
def cfg(tiny_config):
    return read_config(str(tiny_config), options=None, work_dir=None, launcher='none')


def parameters(cfg):
    init_default_scope('mmdet')
    model = MODELS.build(cfg.model)
    return model, [p.numel() for p in model.parameters() if p.requires_grad]


@pytest.mark.parametrize('processes', [1, 2, 4])
def test_steps_are_those_of_a_run(cfg, processes):
    """Of four images, two processes make two iterations (tests/tools/test_launch.py)."""
    cfg.train_cfg.max_epochs = 3
    run = dry_run(cfg, processes, has_data=True)
    assert run.data == 4
    assert run.iterations_per_epoch == 4 // processes
    assert run.iterations == 3 * 4 // processes
    assert run.global_batch == processes
    assert not is_distributed()


def test_without_data_only_its_numbers_are_missing(cfg):
    cfg.train_dataloader.dataset.data_root = 'nowhere/'
    run = dry_run(cfg, 64, has_data=False)
    assert (run.data, run.iterations, run.iterations_per_epoch) == (None, None, None)
    assert run.global_batch == 64


@pytest.mark.parametrize(
    ('optimizer', 'tensors'),
    [
        (dict(type='SGD', lr=0.1, weight_decay=0.0), 0),
        (dict(type='SGD', lr=0.1, weight_decay=0.0, momentum=0.9), 1),
        (dict(type='AdamW', lr=0.1, weight_decay=0.0), 2),
    ],
)
def test_memory_of_parameters_gradients_and_optimizer(cfg, optimizer, tensors):
    cfg.optim_wrapper.optimizer = optimizer
    model, numbers = parameters(cfg)
    run = dry_run(cfg, 8, has_data=False)
    trained = sum(numbers)
    buffers = sum(b.numel() * b.element_size() for b in model.buffers())
    assert run.trained == trained
    assert run.memory['parameters and buffers'] == 4 * trained + buffers
    assert run.memory['gradients'] == run.all_reduce == 4 * trained
    assert run.memory["all-reduce's copy of the gradients"] == 4 * trained
    counters = 4 * len(numbers) if tensors == 2 else 0  # AdamW counts the steps of each parameter
    assert run.memory['optimizer'] == tensors * 4 * trained + counters
    assert run.wrapper == 'MMDistributedDataParallel'


def test_frozen_parameters_have_no_gradients(cfg):
    cfg.model.backbone.frozen_stages = 1
    _, numbers = parameters(cfg)
    run = dry_run(cfg, 2, has_data=False)
    assert run.memory['gradients'] == 4 * sum(numbers) < run.memory['parameters and buffers'] - 4096


def test_an_average_of_the_weights_takes_memory(cfg):
    cfg.custom_hooks = [dict(type='EMAHook')]
    run = dry_run(cfg, 2, has_data=False)
    memory = run.memory
    assert memory['moving average of the weights'] == memory['parameters and buffers']


@pytest.mark.parametrize('kind', ['MMFullyShardedDataParallel', 'FSDP2'])
def test_sharded_models_lie_in_parts(cfg, kind):
    cfg.model_wrapper_cfg = dict(type=kind)
    whole = dry_run(Config(cfg.to_dict() | {'model_wrapper_cfg': None}), 4, has_data=False)
    run = dry_run(cfg, 4, has_data=False)
    assert run.wrapper == kind
    # FSDP2 cuts each tensor along one dimension, and the first process has the larger part
    error = 0.05 if kind == 'FSDP2' else MILLI
    assert run.trained == pytest.approx(whole.trained / 4, rel=error)
    assert run.memory['optimizer'] == pytest.approx(whole.memory['optimizer'] / 4, rel=0.06)
    assert run.all_reduce is None
    if kind == 'FSDP2':
        block = MODELS.build(cfg.model.backbone).blocks[0]
        one = 4 * sum(p.numel() for p in block.parameters())  # of two equal blocks

        assert run.memory['gathered weights'] == whole.memory['gradients'] - one


def rate(cfg, processes=8, **options):
    cfg = Config(cfg.to_dict())
    cfg.merge_from_dict({'auto_scale_lr.enable': True, **options})
    run = dry_run(cfg, processes, has_data=False)
    assert run.scaled
    return run.learning_rates[1], run.global_batch


def test_the_learning_rate_follows_the_images_of_a_step(cfg):
    base = cfg.optim_wrapper.optimizer.lr
    assert cfg.auto_scale_lr.base_batch_size == 16
    images, counts = 'train_dataloader.batch_size', 'optim_wrapper.accumulative_counts'
    assert rate(cfg, **{images: 2}) == (base, 16)
    assert rate(cfg, 64, **{images: 2}) == (pytest.approx(8 * base), 128)
    # the same steps, one image at a time
    assert rate(cfg, **{images: 1, counts: 2}) == (base, 16)
    assert rate(cfg, 2, **{images: 2, counts: 8}) == (pytest.approx(2 * base), 32)


def test_groups_of_parameters_have_their_rates(cfg):
    cfg.optim_wrapper.constructor = 'LayerDecayOptimWrapperConstructor'
    cfg.optim_wrapper.paramwise_cfg = dict(layer_decay_rate=0.5)
    low, high = dry_run(cfg, 2, has_data=False).learning_rates
    assert high == cfg.optim_wrapper.optimizer.lr
    assert math.isclose(low, high / 2**3)  # two blocks, and the embedding


def test_warm_ups_that_count_iterations_are_found(cfg):
    cfg.param_scheduler = [
        dict(type='MultiStepLR', milestones=[9000], by_epoch=False),
        dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=500),
        dict(type='LinearLR', start_factor=0.1, by_epoch=True, end=5000),
    ]
    assert dry_run(cfg, 2, has_data=False).warm_up == ('param_scheduler.1.end', 500)
    cfg.param_scheduler = None
    assert dry_run(cfg, 2, has_data=False).warm_up == ('', 0)


def test_what_cannot_be_pretended_is_refused(cfg, monkeypatch):
    cfg.runner_type = 'FlexibleRunner'
    with pytest.raises(ValueError, match='FlexibleRunner'):
        dry_run(cfg, 2, has_data=False)
    cfg.pop('runner_type')
    monkeypatch.delattr(torch.distributed.Backend, 'FAKE')
    with pytest.raises(ValueError, match=r'--dry-run.*torch'):
        dry_run(cfg, 2, has_data=False)

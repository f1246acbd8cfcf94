"""Keys of --cfg-options: new ones are allowed, slips of the pen are not."""

import pytest
from mmengine.config import Config

from tnt_backbone.errors import InputError
from tnt_backbone.run.overrides import require_known_keys

CFG = Config(
    dict(
        model=dict(type='RetinaNet', backbone=dict(type='tnt_backbone.TNT', arch='s')),
        train_dataloader=dict(batch_size=2, dataset=dict(pipeline=[dict(type='Load', scale=1)])),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-4)),
    )
)


@pytest.mark.parametrize(
    'key',
    [
        'model.backbone.arch',
        'model.backbone.with_cp',  # an argument
        'model.backbone.init_cfg.type',
        'model.backbone.mine',  # like nothing
        'model.test_cfg.score_thr',
        'val_dataloader.batch_size',  # a key of the Runner
        'work_dir',
        'resume',
        'train_dataloader.dataset.pipeline.0.scale',
        'optim_wrapper.optimizer.betas',
        'mine.other',
    ],
)
def test_new_keys_are_allowed(key):
    require_known_keys(CFG, {key: 1})


@pytest.mark.parametrize(
    ('key', 'meant'),
    [
        ('model.backbone.archs', 'arch'),
        ('model.backbone.with_pc', 'with_cp'),
        ('model.backbon.arch', 'backbone'),
        ('train_dataloader.batchsize', 'batch_size'),
        ('train_dataloder.batch_size', 'train_dataloader'),
        ('train_dataloader.dataset.pipeline.0.scales', 'scale'),
        ('optim_wrapper.optimizer.beta', 'betas'),
        ('wrok_dir', 'work_dir'),
    ],
)
def test_a_slip_of_the_pen_is_named(key, meant):
    with pytest.raises(InputError, match=rf'{key}.*Did you mean {meant}'):
        require_known_keys(CFG, {key: 1})

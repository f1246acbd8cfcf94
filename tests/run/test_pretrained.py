"""Weights that a config's model starts from."""

import pytest
import torch
from mmengine.config import Config
from mmengine.model import PretrainedInit

from tnt_backbone import TNT
from tnt_backbone.run.pretrained import (
    check_backbones,
    check_pretrained,
    drop_pretrained,
    notes_on_frozen_parts,
    pretrained_checkpoints,
    replace_backbone_weights,
)

PRETRAINED = {'type': 'Pretrained', 'checkpoint': 'tnt://tnt_s'}
NORMAL = {'type': 'Normal', 'layer': 'Linear'}


def config(**backbone):
    return Config({'model': {'type': 'RetinaNet', 'backbone': {'type': 'TNT', **backbone}}})


def test_all_pretrained_parts_are_found_and_dropped():
    cfg = Config(
        {
            'model': {
                'pretrained': 'open-mmlab://resnet50_v1c',
                'backbone': {'type': 'TNT', 'init_cfg': PRETRAINED},
                'roi_head': [{'init_cfg': [NORMAL, {**PRETRAINED, 'checkpoint': 'b.pth'}]}],
                'neck': {'init_cfg': NORMAL},
            }
        }
    )
    assert pretrained_checkpoints(cfg) == {
        'model.backbone.init_cfg': 'tnt://tnt_s',
        'model.roi_head.0.init_cfg': 'b.pth',
    }
    drop_pretrained(cfg)
    assert pretrained_checkpoints(cfg) == {}
    assert cfg.model.pretrained is None
    assert cfg.model.backbone.init_cfg is None
    assert cfg.model.roi_head[0].init_cfg == [NORMAL]
    assert cfg.model.neck.init_cfg == NORMAL


def test_mmengines_new_style_gives_the_class():
    cfg = config(init_cfg={'type': PretrainedInit, 'checkpoint': 'a.pth'})
    assert pretrained_checkpoints(cfg) == {'model.backbone.init_cfg': 'a.pth'}
    replace_backbone_weights(cfg, 'mine.pth')
    assert pretrained_checkpoints(cfg) == {'model.backbone.init_cfg': 'mine.pth'}
    drop_pretrained(cfg)
    assert cfg.model.backbone.init_cfg is None


@pytest.mark.parametrize(
    ('before', 'after'),
    [
        ({}, {'type': 'Pretrained', 'checkpoint': 'mine.pth'}),
        (
            {'init_cfg': {**PRETRAINED, 'allow_missing': True}},
            {'type': 'Pretrained', 'checkpoint': 'mine.pth', 'allow_missing': True},
        ),
        (
            {'init_cfg': [NORMAL, PRETRAINED]},
            [NORMAL, {'type': 'Pretrained', 'checkpoint': 'mine.pth'}],
        ),
    ],
)
def test_weights_of_the_backbone_are_replaced(before, after):
    cfg = config(**before)
    replace_backbone_weights(cfg, 'mine.pth')
    assert cfg.model.backbone.init_cfg == after


def test_frozen_random_numbers_are_told_of():
    cfg = config(init_cfg=PRETRAINED, frozen_stages=0, norm_eval=True)
    assert notes_on_frozen_parts(cfg) == []
    drop_pretrained(cfg)
    (note,) = notes_on_frozen_parts(cfg)
    assert 'model.backbone.frozen_stages=0' in note
    _, _, options = note.partition('--cfg-options ')
    for option in options.split():
        key, _, value = option.partition('=')
        cfg.merge_from_dict({key: {'-1': -1, 'False': False}[value]})
    assert (cfg.model.backbone.frozen_stages, cfg.model.backbone.norm_eval) == (-1, False)
    assert notes_on_frozen_parts(cfg) == []
    frozen = config(frozen_stages=1)
    assert 'norm_eval' not in notes_on_frozen_parts(frozen)[0]
    frozen.load_from = 'whole.pth'
    assert notes_on_frozen_parts(frozen) == []


def test_a_wrapped_model_has_its_backbone_deeper():
    cfg = Config({'model': {'type': 'Wrapper', 'detector': {'backbone': {'type': 'TNT'}}}})
    replace_backbone_weights(cfg, 'mine.pth')
    assert cfg.model.detector.backbone.init_cfg.checkpoint == 'mine.pth'


def test_two_backbones_are_refused():
    cfg = Config({'model': {'a': {'backbone': {'type': 'A'}}, 'b': {'backbone': {'type': 'B'}}}})
    with pytest.raises(ValueError, match=r'--weights.*model\.a\.backbone.*model\.b\.backbone'):
        replace_backbone_weights(cfg, 'mine.pth')


def test_weights_must_be_there(tmp_path):
    path = tmp_path / 'tnt.pth'
    cfg = config(init_cfg={'type': 'Pretrained', 'checkpoint': str(path)})
    with pytest.raises(FileNotFoundError, match=r'tnt\.pth.*--weights FILE.*--from-scratch'):
        check_pretrained(cfg)
    torch.save({'weight': torch.ones(1)}, path)
    check_pretrained(cfg)


def test_what_mmengine_fetches_is_left_to_it():
    check_pretrained(
        config(init_cfg={'type': 'Pretrained', 'checkpoint': 'torchvision://resnet50'})
    )


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'arch': 'xxl'}, r"model\.backbone\b.*'xxl'"),
        ({'arhc': 's'}, r"model\.backbone\b.*'arhc'"),
        (
            {'img_size': 32, 'formulation': 'legacy'},
            r"tnt\.pth.*formulation='legacy'.*formulation='official'",
        ),
        ({'img_size': 32, 'arch': 's'}, r'tnt\.pth.*allow_missing=True'),
        ({'img_size': 32}, None),
    ],
)
def test_the_backbone_is_compared_with_its_weights(tmp_path, options, message):
    small = {'depth': 1, 'word_dims': 8, 'word_heads': 2, 'sentence_dims': 24, 'sentence_heads': 2}
    torch.save(TNT(small, img_size=32).state_dict(), tmp_path / 'tnt.pth')
    cfg = config(
        type='tnt_backbone.TNT',
        init_cfg={'type': 'Pretrained', 'checkpoint': str(tmp_path / 'tnt.pth')},
        **{'arch': small, **options},
    )
    if message is None:
        check_backbones(cfg)
        return
    with pytest.raises(ValueError, match=message):
        check_backbones(cfg)


def test_a_fault_in_a_users_backbone_stays_what_it_is():
    class Faulty(TNT):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            torch.zeros(2).view(3)

    with pytest.raises(RuntimeError):
        check_backbones(config(type=Faulty))

    class Mistaken(TNT):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            int('x')

    with pytest.raises(ValueError, match=r'^invalid literal'):
        check_backbones(config(type=Mistaken))

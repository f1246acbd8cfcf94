"""Backbones inside whatever a training tool wrapped around them."""

import copy
from collections import OrderedDict

import pytest
import torch
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.optim.swa_utils import AveragedModel

from tnt_backbone import TNT, PyramidTNT
from tnt_backbone.checkpoints import load_pretrained
from tnt_backbone.checkpoints.convert import to_ours
from tnt_backbone.checkpoints.read import read_tensors

OURS = {'depth': 2, 'word_dims': 8, 'word_heads': 4, 'sentence_dims': 24, 'sentence_heads': 2}


def build(seed=0):
    torch.manual_seed(seed)
    return TNT(OURS, img_size=32)


class Detector(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(2, 2)


class Lightning(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model


def with_checkpointed_blocks(backbone):
    backbone.blocks[0] = checkpoint_wrapper(backbone.blocks[0])
    return backbone


def prefixed(prefix, backbone):
    return {prefix + key: value for key, value in backbone.state_dict().items()}


# What people save, from a backbone.
SAVED = {
    'torch.compile': lambda b: torch.compile(b).state_dict(),
    'compiled inside a detector': lambda b: Detector(torch.compile(b)).state_dict(),
    'DDP around torch.compile': lambda b: prefixed('module._orig_mod.', b),
    'torch.compile around DDP': lambda b: prefixed('_orig_mod.module.', b),
    'AveragedModel': lambda b: AveragedModel(b).state_dict(),
    'AveragedModel of a detector': lambda b: AveragedModel(Detector(b)).state_dict(),
    'AveragedModel around torch.compile': lambda b: AveragedModel(torch.compile(b)).state_dict(),
    'Lightning': lambda b: {'state_dict': Lightning(Detector(b)).state_dict(), 'epoch': 1},
    'Lightning around torch.compile': lambda b: {
        'state_dict': Lightning(torch.compile(b)).state_dict()
    },
    'DDP inside Lightning': lambda b: {'state_dict': prefixed('model.module.backbone.', b)},
    'activation checkpointing': lambda b: with_checkpointed_blocks(copy.deepcopy(b)).state_dict(),
    'FSDP': lambda b: prefixed('_fsdp_wrapped_module.', b),
    'DeepSpeed': lambda b: {'module': b.state_dict(), 'optimizer': {'state': {0: {}}}},
    'encoder of another model': lambda b: prefixed('net.encoder.', b),
}


@pytest.mark.parametrize('save', SAVED)
def test_weights_are_found_inside(tmp_path, save):
    backbone = build()
    torch.save(SAVED[save](backbone), tmp_path / 'w.pth')
    loaded = build(seed=1)
    load_pretrained(loaded, tmp_path / 'w.pth')
    for key, value in backbone.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value), key


@pytest.mark.parametrize('wrap', [torch.compile, nn.DataParallel, lambda b: AveragedModel(b)])
def test_weights_are_loaded_into_a_wrapped_backbone(tmp_path, wrap):
    torch.save(build().state_dict(), tmp_path / 'w.pth')
    backbone = build(seed=1)
    wrapped = wrap(backbone)
    load_pretrained(wrapped, tmp_path / 'w.pth')
    target = wrapped.module if isinstance(wrapped, AveragedModel) else backbone
    assert torch.equal(target.cls_token, build().cls_token)


def test_another_module_is_refused(tmp_path):
    torch.save(build().state_dict(), tmp_path / 'w.pth')
    with pytest.raises(ValueError, match=r'backbone=Detector .*model\.backbone'):
        load_pretrained(Detector(build()), tmp_path / 'w.pth')


TWO = {
    'student and teacher': ('student.backbone.', 'teacher.backbone.'),
    'model and ema': ('model.', 'model_ema.module.'),
}


@pytest.mark.parametrize('pair', TWO)
@pytest.mark.parametrize('nested', [False, True])
def test_the_average_of_two_models_is_used_unless_prefix_says_otherwise(tmp_path, pair, nested):
    plain, average = TWO[pair]
    first, second = build(1), build(2)
    content = {**prefixed(plain, first), **prefixed(average, second)}
    if nested:  # as DINO saves: an entry for each model
        entries = {}
        for key, value in content.items():
            entry, name = key.split('.', 1)
            entries.setdefault(entry, {})[name] = value
        content = {**entries, 'epoch': 3, 'optimizer': {'state': {0: {'step': torch.ones(1)}}}}
        if pair == 'model and ema':  # an entry that read_tensors knows
            content = {'network': content.pop('model'), **content}
            plain = 'network.'
            content['ema'] = content.pop('model_ema')
    torch.save(content, tmp_path / 'w.pth')
    loaded = build()
    load_pretrained(loaded, tmp_path / 'w.pth')
    assert torch.equal(loaded.cls_token, second.cls_token)
    load_pretrained(loaded, tmp_path / 'w.pth', prefix=plain)
    assert torch.equal(loaded.cls_token, first.cls_token)


def test_a_teacher_beside_the_backbone_of_the_file_is_not_used(tmp_path):
    content = {**prefixed('teacher.backbone.', build(1)), **prefixed('backbone.', build(2))}
    torch.save(content, tmp_path / 'w.pth')
    loaded = build()
    load_pretrained(loaded, tmp_path / 'w.pth')
    assert torch.equal(loaded.cls_token, build(2).cls_token)


def test_two_equal_candidates_are_refused_and_named():
    content = {**prefixed('base_encoder.', build()), **prefixed('key_encoder.', build())}
    with pytest.raises(ValueError, match=r"'base_encoder\.', 'key_encoder\.'.*prefix="):
        to_ours(content)
    assert to_ours(content, 'key_encoder').backbone.keys() == build().state_dict().keys()


def test_the_head_beside_a_wrapped_backbone_is_kept():
    state = {**prefixed('model.backbone.', build()), 'model.head.fc.weight': torch.ones(5, 24)}
    state['model.head.fc.bias'] = torch.zeros(5)
    assert to_ours(state).head['weight'].shape == (5, 24)


def test_a_family_is_not_taken_for_another_below_a_prefix():
    """A key of PyramidTNT, ``stages.0.blocks.0...``, ends as one of TNT does."""
    backbone = PyramidTNT('ti', out_indices=0)
    assert to_ours(prefixed('a.b.', backbone)).form.family == 'PyramidTNT'


def test_the_names_of_an_average_keep_their_metadata(tmp_path):
    model = AveragedModel(Detector(torch.compile(TNT(OURS, img_size=(64, 16)))))
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'w.pth')
    tensors = read_tensors(str(tmp_path / 'w.pth'))
    assert isinstance(tensors, OrderedDict)
    assert 'backbone.cls_token' in tensors
    assert to_ours(tensors).grid == (4, 1)

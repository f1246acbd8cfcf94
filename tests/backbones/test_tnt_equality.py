"""TNT computes what the authors' code, timm and mmpretrain compute, from the same weights."""

import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from mmpretrain.models import backbones as mmpretrain_backbones

from tnt_backbone import TNT
from tnt_backbone.checkpoints.convert import to_ours

GOLDEN = Path(__file__).parents[1] / 'data'
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


def relative_error(ours, theirs):
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


def load(backbone, state):
    """Load foreign weights; every tensor of the backbone must come from them."""
    backbone.load_state_dict(to_ours(state).backbone, strict=True)
    return backbone.eval()


def block_outputs(backbone, image):
    """Words and sentences behind each block."""
    outputs = []
    hooks = [
        block.register_forward_hook(lambda *args: outputs.append(args[-1]))
        for block in backbone.blocks
    ]
    with torch.no_grad():
        backbone(image)
    for hook in hooks:
        hook.remove()
    return outputs


@pytest.mark.parametrize('name', ['tnt_official', 'tnt_official_se'])
def test_equals_the_authors_code_block_by_block(name):
    golden = np.load(GOLDEN / f'{name}.npz')
    config = json.loads(str(golden['config']))
    arch = {
        'depth': config['depth'],
        'word_dims': config['inner_dim'],
        'word_heads': config['inner_num_heads'],
        'sentence_dims': config['outer_dim'],
        'sentence_heads': config['outer_num_heads'],
    }
    backbone = TNT(
        arch, img_size=config['img_size'], se=bool(config['se']), out_type='raw', taps=(2,)
    ).double()
    state = {
        key.removeprefix('state/'): torch.from_numpy(golden[key]).double()
        for key in golden.files
        if key.startswith('state/')
    }
    load(backbone, state)
    image = torch.from_numpy(golden['input']).double()

    outputs = block_outputs(backbone, image)
    assert len(outputs) == config['depth']
    for i, (words, sentences) in enumerate(outputs):
        for ours, kind in ((words, 'words'), (sentences, 'sentences')):
            theirs = torch.from_numpy(golden[f'feature/block{i}.{kind}']).double()
            assert relative_error(ours, theirs) < 1e-6, f'block {i}, {kind}'  # stored in fp32
    tokens = backbone(image)[0]
    logits = tokens[:, 0] @ state['head.weight'].T + state['head.bias']
    assert relative_error(logits, torch.from_numpy(golden['logits']).double()) < 1e-6


@pytest.mark.parametrize(
    ('name', 'dtype'),
    [
        ('tnt_s_patch16_224', torch.float32),
        ('tnt_s_patch16_224', torch.float64),
        ('tnt_s_legacy_patch16_224', torch.float64),
        pytest.param('tnt_b_patch16_224', torch.float32, marks=pytest.mark.slow),
        pytest.param('tnt_b_patch16_224', torch.float64, marks=pytest.mark.slow),
    ],
)
def test_equals_timm(name, dtype):
    torch.manual_seed(0)
    theirs = timm.create_model(name, num_classes=0).to(dtype).eval()
    for parameter in theirs.parameters():  # biases and norms too, which a new model has at 0 and 1
        parameter.data += 0.05 * torch.randn_like(parameter)
    formulation = 'legacy' if 'legacy' in name else 'official'
    arch = name.split('_')[1]
    ours = TNT(arch, formulation=formulation, out_type='raw', out_indices=(0, 1, 2, 3)).to(dtype)
    load(ours, theirs.state_dict())
    image = torch.randn(1, 3, 224, 224, dtype=dtype)
    with torch.no_grad():
        final, intermediates = theirs.forward_intermediates(
            image, indices=[2, 5, 8], return_prefix_tokens=True
        )
        outputs = ours(image)
    assert relative_error(outputs[-1], final) < TOLERANCE[dtype]
    for output, (patches, prefix) in zip(outputs, intermediates, strict=False):
        tokens = torch.cat((prefix, patches.flatten(2).transpose(1, 2)), dim=1)
        assert relative_error(output, tokens) < TOLERANCE[dtype]


@pytest.mark.parametrize(
    ('arch', 'dtype'),
    [
        ('s', torch.float32),
        ('s', torch.float64),
        pytest.param('b', torch.float64, marks=pytest.mark.slow),
    ],
)
def test_equals_mmpretrain(arch, dtype):
    torch.manual_seed(0)
    theirs = mmpretrain_backbones.TNT(arch=arch).to(dtype)
    theirs.eval()  # returns nothing there
    for parameter in theirs.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    ours = load(
        TNT(arch, formulation='legacy', out_type='cls_token').to(dtype), theirs.state_dict()
    )
    image = torch.randn(1, 3, 224, 224, dtype=dtype)
    with torch.no_grad():
        assert relative_error(ours(image)[0], theirs(image)[0]) < TOLERANCE[dtype]


def test_the_two_formulations_differ():
    """A patch's last column reaches its neighbours' words only in the legacy form."""
    torch.manual_seed(0)
    image = torch.randn(1, 3, 64, 64)
    changed = image.clone()
    changed[:, :, :16, 15] += 1.0
    reached = {}
    for formulation in ('official', 'legacy'):
        backbone = TNT('ti', formulation=formulation, out_type='raw', img_size=64)
        difference = (
            (backbone.word_embed(image) - backbone.word_embed(changed)).abs().amax(dim=(1, 2))
        )
        reached[formulation] = difference.nonzero().flatten().tolist()
    assert reached == {'official': [0], 'legacy': [0, 1, 4, 5]}

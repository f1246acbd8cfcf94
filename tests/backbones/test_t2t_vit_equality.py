"""T2T-ViT computes what the authors' code computes, and mmpretrain's once its scale is fixed."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmpretrain.models.backbones import T2T_ViT
from mmpretrain.models.utils import MultiheadAttention

from tnt_backbone import T2TViT
from tnt_backbone.checkpoints.convert import from_ours, to_ours

DATA = Path(__file__).parents[1] / 'data'
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


def relative_error(ours, theirs):
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


def read_golden(kind):
    golden = np.load(DATA / f't2t_vit_official_{kind}.npz')
    state = {
        key.removeprefix('state/'): torch.from_numpy(golden[key])
        for key in golden.files
        if key.startswith('state/')
    }
    return golden, state


@pytest.mark.parametrize('kind', ['performer', 'transformer'])
def test_equals_the_authors_code_block_by_block(kind):
    golden, state = read_golden(kind)
    config = json.loads(str(golden['config']))
    arch = {
        'token_attention': config['tokens_type'],
        'depth': config['depth'],
        'embed_dims': config['embed_dim'],
        'num_heads': config['num_heads'],
        'mlp_ratio': config['mlp_ratio'],
        'token_dims': config['token_dim'],
    }
    backbone = T2TViT(arch, img_size=config['img_size'], out_type='raw').double().eval()
    backbone.load_state_dict(to_ours(state).backbone, strict=True)
    outputs = []
    for block in backbone.blocks:
        block.register_forward_hook(lambda *args: outputs.append(args[-1]))
    image = torch.from_numpy(golden['input']).double()
    with torch.no_grad():
        tokens = backbone.tokens_to_token(image)[0].tokens
        (raw,) = backbone(image)
    theirs = torch.from_numpy(golden['feature/tokens_to_token']).double()
    assert relative_error(tokens, theirs) < 1e-6
    for i, output in enumerate(outputs):
        theirs = torch.from_numpy(golden[f'feature/block{i}']).double()
        assert relative_error(output, theirs) < 1e-6, f'block {i}'
    logits = raw[:, 0] @ state['head.weight'].double().T + state['head.bias'].double()
    assert relative_error(logits, torch.from_numpy(golden['logits']).double()) < 1e-6


@pytest.mark.parametrize('kind', ['performer', 'transformer'])
def test_the_authors_file_comes_back_bit_for_bit(kind):
    _, state = read_golden(kind)
    returned = from_ours(to_ours(state), 'official')
    assert returned.keys() == state.keys()
    assert all(torch.equal(returned[key], state[key]) for key in state)


def mmpretrain_t2t_vit(dtype):
    torch.manual_seed(0)
    theirs = T2T_ViT(
        img_size=64,
        embed_dims=48,
        num_layers=3,
        t2t_cfg=dict(token_dims=16, use_performer=False),
        layer_cfgs=dict(num_heads=3, feedforward_channels=144),
    )
    theirs.init_weights()
    for parameter in theirs.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    theirs.to(dtype).eval()  # returns nothing there
    return theirs


def our_t2t_vit(theirs, dtype):
    arch = dict(token_attention='transformer', depth=3, embed_dims=48, num_heads=3, token_dims=16)
    ours = T2TViT(arch, img_size=64, out_type='cls_token').to(dtype).eval()
    ours.load_state_dict(to_ours(theirs.state_dict()).backbone, strict=True)
    return ours


def correct_scale(model):
    """Pass the inverse of the scale, since mmpretrain 1.2.0 divides by it instead."""
    scales = {'tokens_to_token.attention1': 147**0.5, 'tokens_to_token.attention2': 144**0.5}
    for name, module in model.named_modules():
        if isinstance(module, MultiheadAttention):
            inverse = scales.get(name.removesuffix('.attn'), module.head_dims**0.5)
            attend = module.scaled_dot_product_attention
            module.scaled_dot_product_attention = (
                lambda *args, attend=attend, inverse=inverse, **kwargs: attend(
                    *args, **{**kwargs, 'scale': inverse}
                )
            )


@pytest.mark.parametrize('dtype', TOLERANCE)
def test_equals_mmpretrain_with_its_scale_fixed(dtype):
    theirs = mmpretrain_t2t_vit(dtype)
    ours = our_t2t_vit(theirs, dtype)
    correct_scale(theirs)
    image = torch.randn(2, 3, 64, 64, dtype=dtype)
    with torch.no_grad():
        assert relative_error(ours(image)[0], theirs(image)[0]) < TOLERANCE[dtype]


def test_mmpretrains_scale_is_still_wrong():
    """When this fails, mmpretrain was fixed: compare with it as it is."""
    theirs = mmpretrain_t2t_vit(torch.float64)
    ours = our_t2t_vit(theirs, torch.float64)
    image = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        assert relative_error(ours(image)[0], theirs(image)[0]) > 1e-3


def test_the_performer_stays_finite_in_half_precision():
    """In fp16 the authors' squares overflow and their epsilon of 1e-8 is zero."""
    torch.manual_seed(0)
    backbone = T2TViT('7', img_size=64, out_type='cls_token').eval()
    image = 8 * torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        exact = backbone(image)[0]
        for dtype in (torch.float16, torch.bfloat16):
            with torch.autocast('cpu', dtype):
                automatic = backbone(image)[0]
            assert torch.isfinite(automatic).all()
            assert relative_error(automatic, exact) < 0.1
        half = backbone.half()(image.half())[0]
    assert torch.isfinite(half).all()


def test_the_performers_features_overflow_in_half_precision_without_care():
    """What the test above guards against: the same arithmetic in fp16 is not finite."""
    x = 40 * torch.ones(1, 1, 64)
    assert torch.isinf(x.half().square().sum(-1))

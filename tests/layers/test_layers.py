"""Building blocks against their counterparts in torch and timm."""

import copy

import pytest
import timm.layers
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.ops import stochastic_depth

from tnt_backbone.layers import Attention, DropPath, LayerNorm2d, Mlp, TransformerBlock
from tnt_backbone.layers.drop_path import rising_rates
from tnt_backbone.layers.norm import SentenceNorm


def test_attention_equals_torchs_multihead_attention():
    torch.manual_seed(0)
    ours, theirs = Attention(12, 3, qkv_bias=True), nn.MultiheadAttention(12, 3, batch_first=True)
    theirs.load_state_dict(
        {
            'in_proj_weight': ours.qkv.weight,
            'in_proj_bias': ours.qkv.bias,
            'out_proj.weight': ours.proj.weight,
            'out_proj.bias': ours.proj.bias,
        }
    )
    tokens = torch.randn(2, 5, 12)
    torch.testing.assert_close(ours(tokens), theirs(tokens, tokens, tokens)[0])


def test_heads_must_divide_the_channels():
    with pytest.raises(ValueError, match=r'num_heads=5\b.*\b12\b'):
        Attention(12, 5)


def test_only_the_class_token_costs_what_it_needs():
    """Of the products, the queries, keys and values of all tokens and one row of the rest."""
    torch.manual_seed(0)
    block = TransformerBlock(12, 3, class_token_only=True)
    with FlopCounterMode(display=False) as counter, torch.no_grad():  # on CPUs it misses attention
        copy.deepcopy(block).to('meta')(torch.empty(2, 5, 12, device='meta'))
    per_token = {'qkv': 3 * 12**2, 'proj': 12**2, 'mlp': 8 * 12**2, 'attention': 2 * 5 * 12}
    rest = sum(per_token.values()) - per_token['qkv']
    assert counter.get_total_flops() == 2 * 2 * (5 * per_token['qkv'] + rest)

    tokens = torch.randn(2, 5, 12)
    cls_token = block(tokens)
    block.class_token_only = block.attn.class_token_only = False
    torch.testing.assert_close(cls_token, block(tokens)[:, :1])


def test_a_gate_needs_all_tokens():
    with pytest.raises(ValueError, match=r'se=True .*class_token_only=True'):
        TransformerBlock(12, 3, se=True, class_token_only=True)


def test_mlp_equals_timms():
    torch.manual_seed(0)
    ours, theirs = Mlp(6, 24), timm.layers.Mlp(6, 24)
    theirs.load_state_dict(ours.state_dict())
    tokens = torch.randn(2, 5, 6)
    torch.testing.assert_close(ours(tokens), theirs(tokens))


def test_drop_path_equals_torchvisions():
    branch = torch.randn(64, 3, 2)
    torch.manual_seed(0)
    ours = DropPath(0.3)(branch)
    torch.manual_seed(0)
    torch.testing.assert_close(ours, stochastic_depth(branch, 0.3, 'row'))
    assert (ours.flatten(1) == 0).all(dim=1).any()
    assert torch.equal(DropPath(0.3).eval()(branch), branch)


def test_drop_path_rates_rise_to_the_last_block():
    assert rising_rates(0.3, 4) == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert rising_rates(0.3, 1) == [0.0]


def test_layer_norm_2d_normalises_channels():
    feature_map = torch.randn(2, 8, 3, 5)
    expected = nn.LayerNorm(8)(feature_map.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(LayerNorm2d(8)(feature_map), expected)


@pytest.mark.parametrize(
    'options', [{}, dict(bias=False), dict(elementwise_affine=False)], ids=['all', 'scale', 'none']
)
def test_sentence_norm_equals_layer_norm(options):
    ours, plain = (norm((4, 8), **options) for norm in (SentenceNorm, nn.LayerNorm))
    for own, other in zip(ours.parameters(), plain.parameters(), strict=True):
        own.data = other.data = torch.randn(4, 8)
    words = torch.randn(5, 4, 8)
    torch.testing.assert_close(ours(words), plain(words))

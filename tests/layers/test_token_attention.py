"""T2T-ViT's token attention: precision and dropout of the Performer."""

import math

import pytest
import torch
from torch import nn

from tnt_backbone.layers import TokenPerformer, TokenTransformer, token_attention


def approximate_attention(performer, k, q, v):
    """Attention with positive random features (Performer, Eq. 5), as the authors write it."""
    directions = performer.features.double()

    def features(x):
        exponent = x @ directions.T - x.square().sum(-1, keepdim=True) / 2
        return exponent.exp() / math.sqrt(len(directions))

    similarity = features(q) @ features(k).transpose(1, 2)  # (B, N, N)
    return similarity @ v / (similarity.sum(-1, keepdim=True) + 1e-8)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16], ids=str)
def test_the_performer_computes_in_fp32_under_autocast(dtype):
    """Only its inputs and its result are rounded."""
    torch.manual_seed(0)
    performer = TokenPerformer(24, 16).eval()
    seen = {}
    performer.kqv.register_forward_hook(lambda *given: seen.update(kqv=given[-1]))
    performer.proj.register_forward_pre_hook(lambda *given: seen.update(mixed=given[-1][0]))
    with torch.no_grad(), torch.autocast('cpu', dtype):
        performer(3 * torch.randn(2, 50, 24))
    assert seen['kqv'].dtype == seen['mixed'].dtype == dtype
    expected = approximate_attention(performer, *seen['kqv'].double().chunk(3, dim=-1))
    rounding = torch.finfo(dtype).eps
    torch.testing.assert_close(seen['mixed'].double(), expected, rtol=rounding, atol=1e-6)


def test_the_performer_drops_both_projections_only_in_training():
    torch.manual_seed(0)
    performer, tokens = TokenPerformer(24, 16, drop_rate=0.5), torch.randn(2, 50, 24)
    for muted, kept in ((performer.mlp[2], performer.proj), (performer.proj, performer.mlp[2])):
        nn.init.zeros_(muted.weight)
        nn.init.zeros_(muted.bias)
        nn.init.normal_(kept.weight)
        v = performer.kqv(performer.norm1(tokens)).chunk(3, dim=-1)[2]
        update = performer.eval()(tokens) - v
        assert update.abs().mean() > 0.1
        dropped = performer.train()(tokens) - v
        gone = dropped.abs() < 1e-5
        assert 0.4 < gone.float().mean() < 0.6
        torch.testing.assert_close(dropped[~gone], 2 * update[~gone], rtol=1e-3, atol=1e-4)


def test_the_scale_changes_no_bit(monkeypatch):
    torch.manual_seed(0)
    performer = TokenPerformer(24, 16).eval()
    q, k, v = torch.randn(3, 2, 50, 16)
    scaled = performer._mix(q, k, v)
    assert token_attention.EPSILON * token_attention.SCALE > 1e-8  # which ONNX's exporter drops
    monkeypatch.setattr(token_attention, 'SCALE', 1.0)
    assert torch.equal(performer._mix(q, k, v), scaled)


def test_without_a_rate_the_transformer_drops_nothing():
    tokens = torch.randn(2, 5, 24)
    transformer = TokenTransformer(24, 16)
    assert torch.equal(transformer.train()(tokens), transformer.eval()(tokens))

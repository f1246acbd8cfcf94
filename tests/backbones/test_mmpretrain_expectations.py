"""What mmpretrain's own tests of TNT and T2T_ViT expect, asked of our classes.

mmpretrain 1.2.0, ``tests/test_models/test_backbones/test_tnt.py`` and ``test_t2t_vit.py``.
Arguments have our names. Left out are the lines about names within the model (``encoder``,
``attn.embed_dims``, ``ffn.feedforward_channels``, ``out_drop``), ``with_cls_token=False``, which we
do not have, ``init_weights(pretrained=0)``, and the ``NotImplementedError`` of the Performer, which
we do have.
"""

import math

import pytest
import torch
from mmengine.runner import load_checkpoint, save_checkpoint
from mmpretrain.models.utils import resize_pos_embed

from tnt_backbone import TNT, T2TViT


def test_tnt_base_gives_a_class_token_by_default_in_training():
    model = TNT('b', out_type='cls_token')
    model.init_weights()
    model.train()
    (feature,) = model(torch.randn(1, 3, 224, 224))
    assert feature.shape == (1, 640)


def test_tnt_of_other_widths():
    arch = dict(depth=12, word_dims=48, word_heads=4, sentence_dims=768, sentence_heads=6)
    model = TNT(arch, out_type='cls_token')
    model.init_weights()
    model.train()
    (feature,) = model(torch.randn(1, 3, 224, 224))
    assert feature.shape == (1, 768)


def test_t2t_vit_refuses_a_block_that_is_not_there():
    with pytest.raises(ValueError, match=r'taps=.*15.*\b13\b'):
        T2TViT('t-14', out_type='cls_token', taps=(0, 15))


def test_t2t_vits_drop_path_rises_evenly():
    model = T2TViT('t-14', drop_path_rate=0.1, out_type='cls_token')
    assert len(model.blocks) == 14
    for i, block in enumerate(model.blocks):
        assert block.drop_path.drop_prob == pytest.approx(0.1 * i / 13)
        assert block.mlp.fc1.out_features == 3 * 384


def test_t2t_vits_init_cfg_is_applied_and_its_checkpoint_loads(tmp_path):
    init_cfg = [dict(type='TruncNormal', layer='Linear', std=0.02)]
    model = T2TViT('t-14', out_type='cls_token', init_cfg=init_cfg)
    before = model.tokens_to_token.proj.weight.clone()
    model.init_weights()
    assert not torch.allclose(before, model.tokens_to_token.proj.weight)
    save_checkpoint(model.state_dict(), str(tmp_path / 'test.pth'))
    other = T2TViT('t-14', out_type='cls_token')
    load_checkpoint(other, str(tmp_path / 'test.pth'), strict=True)
    assert torch.equal(other.tokens_to_token.proj.weight, model.tokens_to_token.proj.weight)
    larger = T2TViT('t-14', img_size=384, out_type='cls_token')
    load_checkpoint(larger, str(tmp_path / 'test.pth'), strict=True)
    resized = resize_pos_embed(model.token_pos, (14, 14), (24, 24), 'bicubic', 1)
    torch.testing.assert_close(larger.token_pos, resized)


def test_t2t_vit_with_several_outputs():
    model = T2TViT('t-14', out_type='cls_token', taps=(11, 12, 13), out_indices=(-3, -2, -1))
    outputs = model(torch.randn(1, 3, 224, 224))
    assert isinstance(outputs, tuple)
    assert [output.shape for output in outputs] == [(1, 384)] * 3


@pytest.mark.parametrize('size', [(224, 224), (256, 256), (256, 309)], ids=str)
def test_t2t_vit_with_other_sizes(size):
    model = T2TViT('t-14', out_type='featmap')
    (feature_map,) = model(torch.randn(1, 3, *size))
    assert feature_map.shape == (1, 384, math.ceil(size[0] / 16), math.ceil(size[1] / 16))

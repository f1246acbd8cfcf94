"""What only T2T-ViT has; the rest is in test_contract.py."""

import pytest
import torch
from torch import nn

from tnt_backbone import T2TViT


@pytest.fixture
def backbone():
    torch.manual_seed(0)
    return T2TViT('7', img_size=64, out_channels=None)


def test_the_fine_levels_are_the_soft_splits_own_maps(backbone):
    assert backbone.out_channels == (64, 64, 256, 256)
    maps = backbone(torch.randn(1, 3, 50, 70))
    assert [tuple(level.shape) for level in maps] == [
        (1, 64, 13, 18),
        (1, 64, 7, 9),
        (1, 256, 4, 5),
        (1, 256, 2, 3),
    ]


def test_the_fine_levels_are_not_resampled(backbone):
    found = []
    for level in list(backbone.pyramid.levels.values())[:2]:
        level.resample.register_forward_hook(lambda module, args, out: found.append(out))
    for level, split in zip(backbone(torch.randn(1, 3, 64, 96)), found, strict=False):
        assert torch.equal(level, split)
    assert len(found) == 2


def test_the_taps_of_an_odd_depth():
    """The third level reads the block in the middle."""
    assert (
        T2TViT('7', img_size=64).plan.taps
        == T2TViT('7', img_size=64, taps=('split1', 'split2', 3, 6)).plan.taps
    )


def test_the_first_block_can_be_the_last():
    backbone = T2TViT('7', img_size=64, out_channels=None, taps=('split1', 'split2', 0, 0))
    assert backbone.num_layers == 1
    levels = backbone(torch.randn(1, 3, 64, 64))
    assert [level.shape[1] for level in levels] == [64, 64, 256, 256]
    sum(level.sum() for level in levels).backward()
    assert all(p.grad is not None for p in backbone.parameters())


def test_blocks_can_feed_all_levels():
    backbone = T2TViT('7', img_size=64, out_channels=None, taps=(1, 3, 5, 6))
    assert backbone.out_channels == (256,) * 4
    assert backbone(torch.randn(1, 3, 64, 64))[0].shape == (1, 256, 16, 16)


@pytest.mark.parametrize(
    ('out_indices', 'absent'),
    [
        ((0,), ('attend2', 'proj', 'cls_token', 'blocks')),
        ((0, 1), ('tokens_to_token.proj', 'cls_token', 'blocks')),
    ],
)
def test_what_is_behind_the_last_split_in_use_is_not_built(out_indices, absent):
    backbone = T2TViT('7', img_size=64, out_indices=out_indices)
    names = [name for name in backbone.state_dict() if 'attend1' not in name]
    assert not any(part in name for name in names for part in absent)
    backbone(torch.randn(1, 3, 64, 64))[-1].sum().backward()
    if out_indices == (0, 1):
        assert all(p.grad is not None for p in backbone.parameters())


@pytest.mark.parametrize('arch', ['7', 't-14'])
def test_other_shapes_than_squares(arch):
    """The authors' token module fails at 224x320."""
    backbone = T2TViT(arch, out_type='featmap')
    assert backbone(torch.randn(1, 3, 224, 320))[0].shape[-2:] == (14, 20)


def test_the_splits_can_feed_all_levels():
    backbone = T2TViT(
        '7', img_size=64, out_channels=None, taps=('split1', 'split2'), out_strides=(4, 8)
    )
    assert (backbone.num_layers, backbone.cls_token) == (0, None)
    resampling = (nn.ConvTranspose2d, nn.Conv2d, nn.Upsample, nn.MaxPool2d)
    assert not any(isinstance(module, resampling) for module in backbone.pyramid.modules())
    assert [level.shape[1:] for level in backbone(torch.randn(1, 3, 64, 32))] == [
        (64, 16, 8),
        (64, 8, 4),
    ]


def test_bad_taps_are_refused():
    for out_type in ('pyramid', 'raw'):
        with pytest.raises(ValueError, match=r'taps=\(\)'):
            T2TViT('7', out_type=out_type, taps=())
    with pytest.raises(ValueError, match=r"taps=.*\['split3'\].*\('split1', 'split2'\).*\b6\b"):
        T2TViT('7', taps=('split1', 'split3', 3, 6))
    for out_type in ('raw', 'cls_token', 'avg_featmap', 'featmap'):
        with pytest.raises(ValueError, match=rf"taps=.*\['split1'\].*out_type='{out_type}'.*\b6\b"):
            T2TViT('7', out_type=out_type, taps=('split1', 6))


def test_an_unknown_token_attention_is_refused():
    arch = dict(token_attention='linformer', depth=1, embed_dims=8, num_heads=1)
    with pytest.raises(ValueError, match=r"\['token_attention'\]='linformer'.*\('performer'"):
        T2TViT(arch)


def test_the_position_table_is_fixed(backbone):
    assert 'token_pos' not in dict(backbone.named_parameters())
    assert 'token_pos' in backbone.state_dict()


@pytest.mark.parametrize('token_attention', ['performer', 'transformer'])
def test_the_token_module_has_a_rate_of_its_own(token_attention):
    arch = dict(
        token_attention=token_attention, token_drop_rate=0.3, depth=1, embed_dims=8, num_heads=1
    )
    backbone = T2TViT(arch, img_size=32, drop_rate=0.2)
    for attention in (backbone.tokens_to_token.attend1, backbone.tokens_to_token.attend2):
        rates = [module.p for module in attention.modules() if isinstance(module, nn.Dropout)]
        assert rates == [0.3, 0.3]  # of attention's projection, and of the MLP's
    assert backbone.pos_drop.p == 0.2


def test_a_class_token_output_is_the_one_among_all():
    arch = dict(token_dims=8, depth=3, embed_dims=16, num_heads=2)
    outputs = []
    for out_type in ('cls_token', 'raw'):
        torch.manual_seed(0)
        # a text of its own, as those that are read from files
        backbone = T2TViT(arch, img_size=32, out_type=''.join(list(out_type))).eval()
        outputs.append(backbone(torch.randn(2, 3, 48, 64))[0])
        only_last = [False, False, out_type == 'cls_token']
        assert [block.class_token_only for block in backbone.blocks] == only_last
    torch.testing.assert_close(outputs[0], outputs[1][:, 0])

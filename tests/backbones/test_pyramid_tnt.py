"""What only PyramidTNT has; the rest is in test_contract.py."""

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tnt_backbone import PyramidTNT


@pytest.fixture
def backbone():
    torch.manual_seed(0)
    return PyramidTNT('ti', img_size=64)


@pytest.mark.parametrize('size', [(224, 224), (64, 160), (100, 75)], ids=str)
def test_the_stages_own_strides_on_request(size):
    """224 is a size at which the authors' class fails: its last stage has an odd grid."""
    backbone = PyramidTNT('ti', out_strides=(8, 16, 32, 64), out_channels=None)
    maps = backbone(torch.randn(1, 3, *size))
    for level, channels, stride in zip(maps, (80, 160, 320, 320), (8, 16, 32, 64), strict=True):
        assert level.shape == (1, channels, -(-size[0] // stride), -(-size[1] // stride))


def test_the_default_doubles_each_stage_by_a_transposed_convolution(backbone):
    for level in backbone.pyramid.levels.values():
        kinds = [type(layer) for layer in level.resample]
        assert kinds.count(nn.ConvTranspose2d) == 1
        assert nn.Conv2d in kinds  # the paper's 3x3 convolution behind it


def test_sr_ratios_that_leave_sentences_without_a_key_are_refused():
    arch = dict(
        depths=[1] * 4,
        word_dims=[4] * 4,
        word_heads=[1] * 4,
        sentence_dims=[16] * 4,
        sentence_heads=[2] * 4,
    )
    assert PyramidTNT({**arch, 'sr_ratios': (2, 1, 1, 1)}).stages[0].sr_ratio == 2
    with pytest.raises(ValueError, match=r"arch\['sr_ratios'\]=\(4, 4, 1, 1\).*\b1 .*\b4\b"):
        PyramidTNT({**arch, 'sr_ratios': (4, 4, 1, 1)})


def test_inner_transformers_are_where_the_authors_have_them():
    backbone = PyramidTNT('s')
    words = [[block.word_block is not None for block in stage.blocks] for stage in backbone.stages]
    assert words == [
        [True, False],
        [True, True] + [False] * 6,  # more than six blocks
        [True, False, False, False],
        [True, False],
    ]


def test_norm_eval_keeps_the_statistics(backbone):
    kept = PyramidTNT('ti', img_size=64, norm_eval=True).train()
    norm = kept.stem.common[1]
    assert not norm.training
    kept(torch.randn(2, 3, 64, 64))
    assert norm.num_batches_tracked == 0
    backbone.train()(torch.randn(2, 3, 64, 64))
    assert backbone.stem.common[1].num_batches_tracked == 1
    assert all(p.requires_grad for p in kept.stem.parameters())


def test_a_frozen_stem_keeps_its_statistics_too():
    backbone = PyramidTNT('ti', img_size=64, frozen_stages=0).train()
    backbone(torch.randn(2, 3, 64, 64))
    assert backbone.stem.common[1].num_batches_tracked == 0
    assert not any(p.requires_grad for p in backbone.stem.parameters())


def test_the_default_size_is_the_variants():
    assert PyramidTNT('ti').grid == (24, 24)
    assert PyramidTNT('s').grid == (32, 32)


def test_the_grids_halve_from_stage_to_stage():
    backbone = PyramidTNT('ti', img_size=(40, 100))  # padded to 64 x 128
    assert backbone.grid == (8, 16)
    assert [stage.grid for stage in backbone.stages] == [(8, 16), (4, 8), (2, 4), (1, 2)]
    assert backbone.sentence_pos.shape == (1, 8 * 16, 80)
    assert backbone.word_pos.shape == (1, 16, backbone.variant.word_dims[0])
    heads = backbone.variant.sentence_heads
    assert backbone.variant.sr_ratios == (4, 2, 1, 1)
    assert [tuple(stage.relative_pos.shape) for stage in backbone.stages] == [
        (1, heads[0], 8 * 16, 2 * 4),
        (1, heads[1], 4 * 8, 2 * 4),
        (1, heads[2], 2 * 4, 2 * 4),
        (1, heads[3], 1 * 2, 1 * 2),
    ]


@pytest.mark.parametrize('other', [(64, 128), (32, 96)])
def test_all_tables_are_resized_to_the_grids_of_the_stages(other):
    source, target = PyramidTNT('ti', img_size=other), PyramidTNT('ti', img_size=96)
    resized = target.fit_position_tables(source.state_dict(), grid=source.grid)
    state = target.state_dict()
    tables = [name for name in state if name.endswith(('sentence_pos', 'relative_pos'))]
    assert sorted(resized) == sorted(tables)
    for name in tables:
        assert resized[name].shape == state[name].shape
        assert resized[name].std() > 0


def test_there_is_no_class_token():
    with pytest.raises(ValueError, match=r"out_type='cls_token' .*'avg_featmap'"):
        PyramidTNT('ti', out_type='cls_token')


def test_the_table_learned_at_one_size_serves_another(backbone):
    """A twice larger picture of the same content gives about the same features."""
    backbone = PyramidTNT('ti', img_size=96, out_type='avg_featmap').eval()
    torch.manual_seed(0)
    image = nn.functional.interpolate(torch.randn(1, 3, 6, 6), size=(96, 96), mode='bicubic')
    with torch.no_grad():
        own = backbone(image)[0]
        other = backbone(nn.functional.interpolate(image, size=(192, 192), mode='bicubic'))[0]
        noise = backbone(torch.randn(1, 3, 96, 96))[0]
    assert (own - other).norm() < (own - noise).norm()


def test_parts_of_arch_are_checked():
    with pytest.raises(ValueError, match=r"arch\['depths'\]=3\b.*\b4\b"):
        PyramidTNT(
            {
                'depths': 3,
                'word_dims': (2,) * 4,
                'word_heads': (1,) * 4,
                'sentence_dims': (8,) * 4,
                'sentence_heads': (1,) * 4,
            }
        )


@pytest.mark.parametrize('convert', ['torch', 'mmengine', 'reverted'])
def test_norm_eval_survives_synchronised_batch_norm(convert):
    """As in MMDetection's ResNet, whichever class of BatchNorm stands there."""
    backbone = PyramidTNT('ti', img_size=64, norm_eval=True)
    if convert == 'torch':
        backbone = nn.SyncBatchNorm.convert_sync_batchnorm(backbone)
    else:
        model = pytest.importorskip('mmengine.model')
        backbone = nn.SyncBatchNorm.convert_sync_batchnorm(backbone)
        if convert == 'reverted':
            backbone = model.revert_sync_batchnorm(backbone)
        else:
            backbone = model.convert_sync_batchnorm(model.revert_sync_batchnorm(backbone))
    backbone.train()
    norms = [m for m in backbone.modules() if isinstance(m, _BatchNorm)]
    assert norms
    assert not any(norm.training for norm in norms)
    assert all(norm.weight.requires_grad for norm in norms), 'only the statistics stay'
    before = [norm.running_mean.clone() for norm in norms]
    backbone(torch.randn(2, 3, 64, 64))
    assert all(torch.equal(n.running_mean, b) for n, b in zip(norms, before, strict=True))

"""What every backbone promises, checked on all that are registered, each in its smallest form."""

import copy

import pytest
import torch
from torch import nn

from tnt_backbone.registry import BACKBONES

SIZES = [(1, 1), (31, 33), (64, 64), (65, 97), (130, 40)]
STRIDES = [(4, 8, 16, 32), (4, 8, 8, 8), (8, 16, 32, 64), (16, 16, 16, 16), (2, 4, 6, 24)]


@pytest.fixture(params=BACKBONES, ids=lambda backbone: backbone.__name__)
def build(request):
    """Builds the family's smallest variant, seeded."""

    def _build(**kwargs):
        torch.manual_seed(0)
        kwargs.setdefault('img_size', 64)
        return request.param(next(iter(request.param.VARIANTS)), **kwargs)

    return _build


def images(height=64, width=64, batch=2, seed=1):
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(seed))


def without_gradient(backbone):
    return [name for name, p in backbone.named_parameters() if p.requires_grad and p.grad is None]


@pytest.mark.parametrize('size', SIZES, ids=str)
def test_stands_in_for_a_resnet50_at_any_size(build, size):
    backbone = build()
    maps = backbone(images(*size))
    assert isinstance(maps, tuple)
    assert backbone.out_channels == (256, 512, 1024, 2048)
    assert backbone.out_strides == (4, 8, 16, 32)
    for level, channels, stride in zip(
        maps, backbone.out_channels, backbone.out_strides, strict=True
    ):
        assert level.shape == (2, channels, -(-size[0] // stride), -(-size[1] // stride))
        assert level.is_contiguous()
        assert torch.isfinite(level).all()


@pytest.mark.parametrize('strides', STRIDES, ids=str)
def test_any_strides(build, strides):
    backbone = build(out_strides=strides, out_channels=None)
    maps = backbone(images(50, 75))
    for level, stride in zip(maps, strides, strict=True):
        assert level.shape[-2:] == (-(-50 // stride), -(-75 // stride))
    sum(level.sum() for level in maps).backward()
    assert not without_gradient(backbone)


@pytest.mark.parametrize('out_indices', [(0,), (3,), (1, 2, 3), (-1,), 2])
def test_out_indices_select_levels(build, out_indices):
    whole = build().eval()
    part = build(out_indices=out_indices).eval()
    part.load_state_dict(whole.state_dict(), strict=False)
    names = {name for name, _ in part.named_parameters()}
    assert names <= {name for name, _ in whole.named_parameters()}, (
        'a checkpoint of the whole must fit'
    )
    with torch.no_grad():
        expected = whole(images())
        selected = part(images())
    indices = (out_indices,) if isinstance(out_indices, int) else out_indices
    for i, level in zip(indices, selected, strict=True):
        torch.testing.assert_close(level, expected[i])


@pytest.mark.parametrize('out_type', ['cls_token', 'avg_featmap', 'featmap', 'raw'])
def test_out_types(build, out_type):
    backbone = build(out_type=out_type)
    (output,) = backbone(images())
    d, patch = backbone.embed_dims, backbone.out_strides[0]
    side = 64 // patch
    shape = {
        'cls_token': (d,),
        'avg_featmap': (d,),
        'featmap': (d, side, side),
        'raw': (1 + side**2, d),
    }
    assert output.shape == (2, *shape[out_type])
    assert backbone.out_channels == (d,)
    output.square().sum().backward()
    assert not without_gradient(backbone)


def test_out_types_agree_with_each_other(build):
    raw, cls_token, mean, feature_map = (
        build(out_type=out_type).eval()(images())[0]
        for out_type in ('raw', 'cls_token', 'avg_featmap', 'featmap')
    )
    torch.testing.assert_close(cls_token, raw[:, 0])
    torch.testing.assert_close(mean, raw[:, 1:].mean(1))
    torch.testing.assert_close(feature_map.flatten(2).transpose(1, 2), raw[:, 1:])


@pytest.mark.parametrize('level', [0, 1, 2, 3])
def test_every_parameter_has_a_gradient_when_a_head_reads_one_level(build, level):
    """As with a ResNet; DistributedDataParallel stops at a parameter without a gradient."""
    backbone = build(taps=(3, 3, 3, 3))
    backbone(images())[level].square().sum().backward()
    assert not without_gradient(backbone)


def test_the_link_between_levels_changes_no_gradient(build):
    backbone = build(out_channels=None, taps=(3, 3, 3, 3))
    linked = backbone(images())[2]
    linked.square().sum().backward()
    assert all(not p.grad.any() for p in backbone.pyramid.levels['0'].parameters())
    gradients = {name: p.grad.clone() for name, p in backbone.named_parameters()}
    backbone.zero_grad()
    backbone.pyramid.eval()
    backbone(images())[2].square().sum().backward()
    for name, p in backbone.named_parameters():
        if p.grad is not None:
            torch.testing.assert_close(p.grad, gradients[name], msg=name)


def test_checkpointing_changes_nothing_but_memory(build):
    plain, recomputing = build(), build(with_cp=True)
    calls = []
    recomputing.blocks[0].register_forward_pre_hook(lambda *_: calls.append(1))
    for backbone in (plain, recomputing):
        backbone.train()
        sum(level.square().mean() for level in backbone(images())).backward()
    assert len(calls) == 2, 'a block must run once more in the backward pass'
    for (name, ours), theirs in zip(
        plain.named_parameters(), recomputing.parameters(), strict=True
    ):
        torch.testing.assert_close(ours.grad, theirs.grad, msg=name)


def test_drop_path_has_an_effect_in_training_alone(build):
    backbone = build(drop_path_rate=0.9)
    assert not torch.equal(backbone(images())[3], backbone(images())[3])
    backbone.eval()
    torch.testing.assert_close(backbone(images())[3], build().eval()(images())[3])


@pytest.mark.parametrize('rate', ['drop_rate', 'attn_drop_rate'])
def test_dropout_has_an_effect_in_training_alone(build, rate):
    backbone = build(**{rate: 0.5})
    assert not torch.equal(backbone(images())[3], backbone(images())[3])
    backbone.eval()
    torch.testing.assert_close(backbone(images())[3], build().eval()(images())[3])


@pytest.mark.parametrize('stages', [-1, 0, 2])
def test_frozen_stages(build, stages):
    backbone = build(frozen_stages=stages, drop_path_rate=0.5)
    trainable = {name for name, p in backbone.named_parameters() if p.requires_grad}
    depth = {name: backbone.get_layer_depth(name)[0] for name, _ in backbone.named_parameters()}
    assert trainable == {name for name in depth if depth[name] > stages}
    backbone.train()
    backbone(images())[-1].sum().backward()
    assert not without_gradient(backbone)
    frozen = [block for i, block in enumerate(backbone.blocks) if i < stages]
    assert not any(module.training for block in frozen for module in block.modules())
    assert backbone.blocks[-1].training


def test_nothing_is_written_in_place(build):
    backbone = build()
    image = images()
    before = image.clone()
    kept = []
    for block in backbone.blocks:
        block.register_forward_hook(
            lambda module, given, returned: kept.append((given, copy.deepcopy(given)))
        )
    with torch.no_grad():
        backbone(image)
    assert torch.equal(image, before)
    for given, copied in kept:
        for tensor, copied_tensor in zip(given, copied, strict=True):
            assert torch.equal(tensor, copied_tensor)


@pytest.mark.parametrize('out_type', ['pyramid', 'cls_token'])
def test_bfloat16_autocast_stays_close(build, out_type):
    """Bounded by the error of rounding the weights and the input to bfloat16 alone."""
    backbone = build(out_type=out_type).eval()
    rounded = copy.deepcopy(backbone)
    for p in rounded.parameters():
        p.data = p.data.bfloat16().float()
    with torch.no_grad():
        exact = backbone(images())
        rounding = rounded(images().bfloat16().float())
        with torch.autocast('cpu', torch.bfloat16):
            automatic = backbone(images())
    for reference, half, level in zip(exact, rounding, automatic, strict=True):
        assert level.dtype == torch.float32, 'outputs have the dtype of the image'
        error = (level - reference).abs().mean()
        assert 0 < error < 4 * (half - reference).abs().mean()


def test_torch_compile_gives_the_same(build):
    backbone = build().eval()
    with torch.no_grad():
        expected = backbone(images())
        compiled = torch.compile(backbone, backend='aot_eager', fullgraph=True)(images())
    for ours, theirs in zip(expected, compiled, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_torch_export_gives_the_same(build):
    backbone = build().eval()
    program = torch.export.export(backbone, (images(65, 40),))
    with torch.no_grad():
        for ours, theirs in zip(
            backbone(images(65, 40)), program.module()(images(65, 40)), strict=True
        ):
            torch.testing.assert_close(ours, theirs)


def test_layer_depth_follows_mmpretrains_protocol(build):
    """The same depths as mmpretrain's VisionTransformer gives to the parts of the same meaning."""
    from mmpretrain.models.backbones import VisionTransformer

    theirs = VisionTransformer(
        dict(embed_dims=8, num_layers=4, num_heads=1, feedforward_channels=8)
    )
    backbone = build(taps=(0, 1, 2, 3))
    expected = theirs.get_layer_depth('backbone.cls_token', 'backbone.')
    assert backbone.get_layer_depth('backbone.cls_token', 'backbone.') == expected
    for i in range(4):
        expected = theirs.get_layer_depth(f'backbone.layers.{i}.ln1.weight', 'backbone.')
        name = next(
            name for name, _ in backbone.named_parameters() if name.startswith(f'blocks.{i}.')
        )
        assert backbone.get_layer_depth(f'backbone.{name}', 'backbone.') == expected
    expected = theirs.get_layer_depth('neck.conv.weight', 'backbone.')
    assert backbone.get_layer_depth('neck.conv.weight', 'backbone.') == expected
    pyramid = next(name for name, _ in backbone.named_parameters() if name.startswith('pyramid.'))
    assert backbone.get_layer_depth(pyramid) == expected


BAD_ARGUMENTS = {
    'arch': ('xxl', 'choose one of'),
    'img_size': (0, 'at least one patch'),
    'out_type': ('pyramids', 'choose one of'),
    'out_indices': ((0, 4), 'levels from 0 to 3'),
    'out_channels': ((64, 128), 'as many'),
    'out_strides': ((4, 8, 16, 0), 'positive integers'),
    'taps': ((2, 5, 8, 99), 'must name blocks from 0'),
    'frozen_stages': (99, 'must lie between'),
    'drop_path_rate': (1.0, r'must lie in \[0, 1\)'),
}


@pytest.mark.parametrize('argument', BAD_ARGUMENTS)
def test_bad_arguments_are_refused_with_the_way_out(build, argument):
    value, message = BAD_ARGUMENTS[argument]
    backbone_class = type(build())
    with pytest.raises(ValueError, match=message) as error:
        backbone_class(**{argument: value})
    assert argument in str(error.value)


def test_unknown_arguments_are_refused(build):
    with pytest.raises(TypeError, match='depthh'):
        build(depthh=3)


@pytest.mark.parametrize('shape', [(3, 64, 64), (1, 4, 64, 64), (1, 3, 0, 64)], ids=str)
def test_bad_images_are_refused(build, shape):
    with pytest.raises(ValueError, match=r'takes images of shape \(B, 3, H, W\)'):
        build()(torch.zeros(shape))


def test_the_state_dict_travels(build):
    backbone = build().eval()
    other = build().eval()
    for p in other.parameters():
        nn.init.zeros_(p)
    other.load_state_dict(backbone.state_dict())
    for ours, theirs in zip(backbone(images()), other(images()), strict=True):
        assert torch.equal(ours, theirs)

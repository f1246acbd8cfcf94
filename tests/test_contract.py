"""What every backbone promises, checked on all that are registered, each in a small form."""

import copy
import inspect
import re
from collections import defaultdict

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounter
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from tnt_backbone.backbones import BACKBONES, TNT
from tnt_backbone.layers import DropPath

SIZES = [(1, 1), (31, 33), (64, 64), (65, 97), (130, 40)]
# Few blocks and narrow tokens; what is promised does not depend on them.
SMALL = {
    'TNT': dict(depth=4, word_dims=8, word_heads=2, sentence_dims=48, sentence_heads=3),
    'PyramidTNT': dict(
        depths=(1, 2, 1, 1),
        word_dims=(4, 8, 8, 16),
        word_heads=(1, 2, 2, 2),
        sentence_dims=(16, 32, 48, 64),
        sentence_heads=(1, 2, 3, 4),
    ),
    'T2TViT': dict(depth=4, embed_dims=48, num_heads=3, token_dims=16),
}
BUILT = {}  # the last networks that tests asked for; each test has a copy
STRIDES = [(4, 8, 16, 32), (4, 8, 8, 8), (8, 16, 32, 64), (16, 16, 16, 16), (2, 4, 6, 24)]


@pytest.fixture(params=BACKBONES, ids=lambda backbone: backbone.__name__)
def build(request):
    """Builds a small network of the family, seeded."""

    def _build(**kwargs):
        kwargs.setdefault('img_size', 64)
        torch.manual_seed(0)  # what a test draws does not depend on the tests before it
        key = request.param, repr(kwargs)
        if key not in BUILT:
            if len(BUILT) == 8:
                BUILT.clear()
            BUILT[key] = request.param(SMALL[request.param.__name__], **kwargs)
        return copy.deepcopy(BUILT[key])

    _build.family = request.param
    return _build


def classifies_by(backbone_class):
    """The output that the family's authors classify by."""
    return 'cls_token' if 'cls_token' in backbone_class.OUT_TYPES else 'avg_featmap'


def takes_taps(build):
    return 'taps' in inspect.signature(build.family).parameters


def block_names(backbone):
    names = [name for name, _ in backbone.named_modules()]
    return [name for name in names if re.fullmatch(r'(stages\.\d+\.)?blocks\.\d+', name)]


def run(backbone, *args):
    """Run with the same random numbers each time."""
    torch.manual_seed(2)
    return backbone(images(*args))


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


TOKENS = [
    (backbone, out_type)
    for backbone in BACKBONES
    for out_type in backbone.OUT_TYPES
    if out_type != 'pyramid'
]


@pytest.mark.parametrize(('build', 'out_type'), TOKENS, indirect=['build'])
def test_out_types(build, out_type):
    backbone = build(out_type=out_type)
    (output,) = backbone(images())
    d, stride = backbone.embed_dims, backbone.out_strides[0]
    side = 64 // stride
    num_prefix = int('cls_token' in backbone.OUT_TYPES)
    shape = {
        'cls_token': (d,),
        'avg_featmap': (d,),
        'featmap': (d, side, side),
        'raw': (num_prefix + side**2, d),
    }
    assert output.shape == (2, *shape[out_type])
    assert backbone.out_channels == (d,)
    output.square().sum().backward()
    assert not without_gradient(backbone)


def test_out_types_agree_with_each_other(build):
    outputs = {
        out_type: build(out_type=out_type).eval()(images(64, 128))[0]
        for out_type in build.family.OUT_TYPES
    }
    placed = outputs['featmap'].flatten(2).transpose(1, 2)
    torch.testing.assert_close(outputs['raw'][:, -placed.shape[1] :], placed)
    torch.testing.assert_close(outputs['avg_featmap'], placed.mean(1))
    if 'cls_token' in outputs:
        torch.testing.assert_close(outputs['cls_token'], outputs['raw'][:, 0])


WITH_CLASS_TOKEN = [backbone for backbone in BACKBONES if 'cls_token' in backbone.OUT_TYPES]


@pytest.mark.parametrize('build', WITH_CLASS_TOKEN, indirect=True)
def test_a_class_token_output_has_the_gradients_that_it_has_among_all(build):
    """The last block computes no other where no other is read."""
    gradients = []
    for out_type in ('cls_token', 'raw'):
        backbone = build(out_type=out_type).eval().double()
        (output,) = backbone(images(64, 96).double())
        cls_token = output if out_type == 'cls_token' else output[:, 0]
        cls_token.square().sum().backward()
        gradients.append({name: p.grad for name, p in backbone.named_parameters()})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name])


@pytest.mark.parametrize('level', [0, 1, 2, 3])
def test_every_parameter_has_a_gradient_when_a_head_reads_one_level(build, level):
    """As with a ResNet; DistributedDataParallel stops at a parameter without a gradient."""
    backbone = build(taps=(3, 3, 3, 3)) if takes_taps(build) else build()
    backbone(images())[level].square().sum().backward()
    if takes_taps(build):
        assert not without_gradient(backbone)
    else:  # a ResNet's later stages have none either
        later = tuple(f'stages.{stage}.' for stage in range(level + 1, 4))
        assert all(name.startswith(later) for name in without_gradient(backbone))


def test_the_link_between_levels_changes_no_gradient(build):
    kwargs = {'taps': (3, 3, 3, 3)} if takes_taps(build) else {}
    backbone = build(out_channels=None, **kwargs)
    run(backbone)[2].square().sum().backward()
    assert all(not p.grad.any() for p in backbone.pyramid.levels['0'].parameters())
    gradients = {name: p.grad for name, p in backbone.named_parameters()}
    backbone.zero_grad()
    backbone.pyramid.eval()
    run(backbone)[2].square().sum().backward()
    for name, p in backbone.named_parameters():
        if p.grad is not None:
            torch.testing.assert_close(p.grad, gradients[name], msg=name)


def test_checkpointing_changes_nothing_but_memory(build):
    plain, recomputing = build(), build(with_cp=True)
    calls = []
    first_block = recomputing.get_submodule(block_names(recomputing)[0])
    first_block.register_forward_pre_hook(lambda *_: calls.append(1))
    for backbone in (plain, recomputing):
        backbone.train()
        sum(level.square().mean() for level in run(backbone)).backward()
    assert len(calls) == 2, 'a block must run once more in the backward pass'
    for (name, ours), theirs in zip(
        plain.named_parameters(), recomputing.parameters(), strict=True
    ):
        torch.testing.assert_close(ours.grad, theirs.grad, msg=name)


@pytest.mark.parametrize('rate', ['drop_rate', 'attn_drop_rate', 'drop_path_rate'])
def test_rates_have_an_effect_only_in_training(build, rate):
    plain, dropping = build(), build(**{rate: 0.5})
    assert not torch.equal(run(plain)[3], run(dropping)[3])
    torch.testing.assert_close(
        build().eval()(images())[3], build(**{rate: 0.5}).eval()(images())[3]
    )


def test_every_dropout_reaches_the_output(build):
    """A dropout that drops all numbers changes them."""
    backbone = build(out_type='raw', drop_rate=0.5).eval()
    (expected,) = run(backbone)
    drops = defaultdict(list)
    for name, module in backbone.named_modules():
        if isinstance(module, nn.Dropout):
            assert module.p == 0.5 or name.startswith('tokens_to_token.'), name
            drops[re.sub(r'\d+', '*', name)].append(module)
    assert {'pos_drop'} < set(drops)
    for name, modules in drops.items():
        for module in modules:
            module.train().p = 1.0
        (without,) = run(backbone)
        assert not torch.equal(without, expected), name
        for module in modules:
            module.eval()


def test_stochastic_depth_rises_linearly_from_the_first_block_to_the_last(build):
    backbone = build(drop_path_rate=0.3)
    names = block_names(backbone)
    for i, name in enumerate(names):
        expected = 0.3 * i / (len(names) - 1)
        drops = [
            module.drop_prob
            for module in backbone.get_submodule(name).modules()
            if isinstance(module, DropPath)
        ]
        assert drops
        assert drops == pytest.approx([expected] * len(drops)), name


@pytest.mark.parametrize('stages', [-1, 0, 2])
def test_frozen_stages(build, stages):
    backbone = build(frozen_stages=stages, drop_path_rate=0.5)
    counted = backbone.stages if hasattr(backbone, 'stages') else backbone.blocks
    inside = {id(p): i + 1 for i, stage in enumerate(counted) for p in stage.parameters()}
    inside |= {id(p): len(counted) + 1 for p in backbone.pyramid.parameters()}
    for name, p in backbone.named_parameters():
        assert p.requires_grad == (inside.get(id(p), 0) > stages), name
    backbone.train()
    backbone(images())[-1].sum().backward()
    assert not without_gradient(backbone)
    frozen = [stage for i, stage in enumerate(counted) if i < stages]
    assert not any(module.training for stage in frozen for module in stage.modules())
    assert counted[-1].training


def test_a_frozen_backbone_drops_nothing(build):
    stages = build(out_type='raw').plan.num_stages
    backbone = build(out_type='raw', frozen_stages=stages, drop_rate=0.5, drop_path_rate=0.5)
    backbone.train()
    assert torch.equal(backbone(images(seed=1))[0], backbone(images(seed=1))[0])


def test_the_last_norm_is_frozen_only_with_the_last_stage(build):
    stages = build(out_type='raw').plan.num_stages
    for frozen in (-1, stages - 1, stages):
        backbone = build(out_type='raw', frozen_stages=frozen).train()
        assert backbone.norm.training == (frozen < stages)
        trained = {p.requires_grad for p in backbone.norm.parameters()}
        assert trained == {frozen < stages}
    assert not any(p.requires_grad for p in backbone.parameters())


def test_the_last_norm_is_only_of_the_last_stage(build):
    backbone = build(out_type='raw', out_indices=(0, 1, 2, 3)).eval()
    stages = backbone.stages if hasattr(backbone, 'stages') else backbone.blocks
    outputs = {}
    for i, stage in enumerate(stages):
        stage.register_forward_hook(lambda *given, i=i: outputs.update({i: given[-1]}))
    *earlier, last = backbone(images())
    # the blocks of T2T-ViT return only tokens, those of the others words before them
    expected = [out if torch.is_tensor(out) else out[1] for out in map(outputs.get, backbone.taps)]
    for level, tokens in zip(earlier, expected[:-1], strict=True):
        assert torch.equal(level, tokens)
    torch.testing.assert_close(last, nn.LayerNorm(backbone.embed_dims)(expected[-1]))


def test_nothing_is_written_in_place(build):
    backbone = build()
    image = images()
    before = image.clone()
    kept = []
    for name in block_names(backbone):
        backbone.get_submodule(name).register_forward_hook(
            lambda module, given, returned: kept.append((given, copy.deepcopy(given)))
        )
    with torch.no_grad():
        backbone(image)
    assert torch.equal(image, before)
    for given, copied in kept:
        for value, copied_value in zip(tree_leaves(given), tree_leaves(copied), strict=True):
            if isinstance(value, torch.Tensor):
                assert torch.equal(value, copied_value)
            else:
                assert value == copied_value


@pytest.mark.parametrize('pyramid', [True, False])
def test_bfloat16_autocast_stays_close(build, pyramid):
    """Bounded by the error of rounding only the weights and the input to bfloat16."""
    out_type = 'pyramid' if pyramid else classifies_by(build.family)
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


def smallest_part(build):
    """Arguments for a few modules of a family, since tracing all takes some seconds a time."""
    small = {'taps': (0,) * 4} if takes_taps(build) else {'out_indices': (0,)}
    return {'out_channels': None, **small}


def test_torch_compile_gives_the_same(build):
    backbone = build(**smallest_part(build)).eval()
    with torch.no_grad():
        expected = backbone(images())
        compiled = torch.compile(backbone, backend='aot_eager', fullgraph=True)(images())
    for ours, theirs in zip(expected, compiled, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    'build',
    [pytest.param(b, marks=[pytest.mark.slow] * (b is not TNT)) for b in BACKBONES],
    indirect=True,
    ids=lambda backbone: backbone.__name__,
)
def test_torch_compile_takes_any_image_size(build):
    """Two graphs serve all: one for the first size, and one for the others."""
    backbone = build(**smallest_part(build)).eval()
    counter = CompileCounter()
    torch._dynamo.reset()
    compiled = torch.compile(backbone, backend=counter)
    with torch.no_grad():
        for size in [(64, 64), (110, 150), (142, 120), (130, 170), (128, 160), (160, 192)]:
            expected = run(backbone, *size)
            torch.testing.assert_close(run(compiled, *size), expected, rtol=1e-4, atol=1e-4)
    assert counter.frame_count == 2
    torch._dynamo.reset()


@pytest.mark.parametrize('training', [False, True])
def test_operations_are_counted_without_gradients(build, training):
    """The counter watches each module, and stops at a parameter's view that goes into one."""
    backbone = build().train(training)
    counts = []
    for with_gradients in (False, True):
        with (
            torch.set_grad_enabled(with_gradients),
            FlopCounterMode(display=False) as counter,
            sdpa_kernel(SDPBackend.MATH),  # which the counter does not miss
        ):
            run(backbone)
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0


def test_layer_depth_follows_mmpretrains_protocol(build):
    """The same depths as mmpretrain's VisionTransformer gives to the parts of the same meaning."""
    from mmpretrain.models.backbones import VisionTransformer

    backbone = build()
    blocks = block_names(backbone)
    theirs = VisionTransformer(
        dict(embed_dims=8, num_layers=len(blocks), num_heads=1, feedforward_channels=8)
    )
    expected = theirs.get_layer_depth('backbone.cls_token', 'backbone.')
    embedding = next(name for name, _ in backbone.named_parameters())
    assert backbone.get_layer_depth(f'backbone.{embedding}', 'backbone.') == expected
    for i, block in enumerate(blocks):
        expected = theirs.get_layer_depth(f'backbone.layers.{i}.ln1.weight', 'backbone.')
        name = next(name for name, _ in backbone.named_parameters() if name.startswith(f'{block}.'))
        assert backbone.get_layer_depth(f'backbone.{name}', 'backbone.') == expected
    expected = theirs.get_layer_depth('neck.conv.weight', 'backbone.')
    assert backbone.get_layer_depth('neck.conv.weight', 'backbone.') == expected
    pyramid = next(name for name, _ in backbone.named_parameters() if name.startswith('pyramid.'))
    assert backbone.get_layer_depth(pyramid) == expected


BAD_ARGUMENTS = [
    ('arch', 'xxl', "arch='xxl'"),
    ('img_size', 0, r'img_size=0 .*\b\d+\b'),
    ('img_size', (224,) * 3, r'img_size=\(224, 224, 224\) .*\(H, W\)'),
    ('img_size', 224.0, r'img_size=224\.0 .*\(H, W\)'),
    ('in_channels', 0, 'in_channels=0 '),
    ('out_type', 'pyramids', "out_type='pyramids' .*'pyramid', "),
    ('out_indices', (0, 4), r'out_indices=\(0, 4\) .*\b3\b'),
    ('out_indices', (1.0,), r'out_indices=\(1\.0,\) .*\b3\b'),
    ('out_indices', 3.0, r'out_indices=\(3\.0,\) .*\b3\b'),
    ('out_channels', (64, 128), r'out_channels=\(64, 128\) .*\b2\b.*\b4\b'),
    ('out_channels', 64, 'out_channels=64 '),
    ('out_strides', (4, 8, 16, 0), r'out_strides=\(4, 8, 16, 0\) '),
    ('frozen_stages', -2, r'frozen_stages=-2 .*-1 .*\d+'),
    ('frozen_stages', 99, r'frozen_stages=99 .*-1 .*\d+'),
    ('frozen_stages', None, r'frozen_stages=None .*-1 .*\d+'),
    ('drop_path_rate', 1.0, r'drop_path_rate=1\.0 .*\[0, 1\)'),
    ('drop_path_rate', None, r'drop_path_rate=None .*\[0, 1\)'),
]


@pytest.mark.parametrize(('argument', 'value', 'message'), BAD_ARGUMENTS)
def test_bad_arguments_are_refused_with_the_way_out(build, argument, value, message):
    with pytest.raises(ValueError, match=message):
        build.family(**{argument: value})


def test_a_tap_that_is_no_block_is_refused(build):
    if takes_taps(build):
        with pytest.raises(ValueError, match=r'taps=.*99.*\b0\b.*\d+'):
            build(taps=(2, 5, 8, 99))
    else:
        with pytest.raises(TypeError, match='taps'):
            build(taps=(2, 5, 8, 99))


def test_unknown_arguments_are_refused(build):
    with pytest.raises(TypeError, match='depthh'):
        build(depthh=3)


@pytest.mark.parametrize('shape', [(3, 64, 64), (1, 4, 64, 64), (1, 3, 0, 64)], ids=str)
def test_bad_images_are_refused(build, shape):
    with pytest.raises(ValueError, match=rf'{re.escape(str(shape))}.*\(B, 3, H, W\)'):
        build()(torch.zeros(shape))


def test_an_image_of_bytes_is_refused(build):
    with pytest.raises(ValueError, match=r'torch\.uint8'):
        build()(images().byte())


def test_the_state_dict_travels(build):
    backbone = build().eval()
    other = build().eval()
    for p in other.parameters():
        nn.init.zeros_(p)
    other.load_state_dict(backbone.state_dict())
    for ours, theirs in zip(backbone(images()), other(images()), strict=True):
        assert torch.equal(ours, theirs)


def test_weights_of_another_image_size_give_the_same_function(build):
    """For images of the size that the tables were resized to; mmengine loads in the same way."""
    backbone, other = build(img_size=64).eval(), build(img_size=(128, 96)).eval()
    detector = nn.ModuleDict({'backbone': other})
    detector.load_state_dict({f'backbone.{k}': v for k, v in backbone.state_dict().items()})
    with torch.no_grad():
        for ours, theirs in zip(other(images(128, 96)), backbone(images(128, 96)), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)

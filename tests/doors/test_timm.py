"""The backbones in timm, and in segmentation-models-pytorch through timm."""

import subprocess
import sys

import pytest
import timm
import torch
from timm.optim import param_groups_layer_decay
from torchvision.models.feature_extraction import create_feature_extractor

import tnt_backbone.doors.timm  # noqa: F401 (registers)
from tnt_backbone import TNT, T2TViT
from tnt_backbone.backbones import BACKBONES
from tnt_backbone.checkpoints.load import load_pretrained
from tnt_backbone.checkpoints.published import PUBLISHED

SMALLEST = {'TNT': 'tnt_ti', 'PyramidTNT': 'pyramid_tnt_ti', 'T2TViT': 't2t_vit_7'}


def test_every_variant_has_a_name():
    names = set(timm.list_models('tnt_backbone_*'))
    assert len(names) == sum(len(family.VARIANTS) for family in BACKBONES)
    assert {f'tnt_backbone_{name}' for name in SMALLEST.values()} <= names


@pytest.mark.parametrize('name', SMALLEST.values())
def test_features_only(name):
    model = timm.create_model(f'tnt_backbone_{name}', features_only=True, out_indices=(1, 3))
    assert model.feature_info.reduction() == [8, 32]
    maps = model.eval()(torch.randn(1, 3, 64, 96))
    assert [level.shape[1] for level in maps] == model.feature_info.channels()
    assert [tuple(level.shape[2:]) for level in maps] == [(8, 12), (2, 3)]
    for expected, level in zip(model.backbone(torch.zeros(1, 3, 64, 96)), maps, strict=True):
        assert expected.shape == level.shape


@pytest.mark.parametrize('name', SMALLEST.values())
def test_output_stride_caps_the_strides(name):
    """What DeepLabV3 and PAN of segmentation-models-pytorch ask for."""
    model = timm.create_model(
        f'tnt_backbone_{name}', features_only=True, output_stride=8, out_indices=(0, 3)
    )
    assert model.feature_info.reduction() == [4, 8]
    assert [tuple(level.shape[2:]) for level in model(torch.randn(1, 3, 64, 96))] == [
        (16, 24),
        (8, 12),
    ]
    for arguments in ({}, {'features_only': True, 'feature_cls': 'getter'}):
        with pytest.raises(ValueError, match='output_stride'):
            timm.create_model(f'tnt_backbone_{name}', output_stride=8, **arguments)


def test_torch_fx_takes_the_backbone_whole():
    """As timm's own tests trace models: its leaf modules are left out of the graph."""
    model = timm.create_model('tnt_backbone_tnt_ti', num_classes=3).eval()
    leaves = {'leaf_modules': timm.models.get_notrace_modules()}
    traced = create_feature_extractor(model, ['backbone', 'head'], tracer_kwargs=leaves)
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(traced(images)['head'], model(images))
        torch.testing.assert_close(traced(images)['backbone'], model.backbone(images))
    with pytest.raises(TypeError, match='leaf_modules'):
        torch.fx.symbolic_trace(model)


@pytest.fixture
def pair(tmp_path):
    """Timm's own TNT and ours, with the same weights."""
    torch.manual_seed(0)
    theirs = timm.create_model('tnt_s_legacy_patch16_224', num_classes=7).eval()
    ours = timm.create_model('tnt_backbone_tnt_s', num_classes=7, formulation='legacy').eval()
    torch.save(theirs.state_dict(), tmp_path / 'timm.pth')
    load_pretrained(ours.backbone, tmp_path / 'timm.pth')
    ours.head.load_state_dict(theirs.head.state_dict())
    return ours, theirs


def test_scores_and_tokens_equal_those_of_timms_own_tnt(pair):
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        for function in (
            lambda model: model(images),
            lambda model: model.forward_features(images),
            lambda model: model.forward_head(model.forward_features(images), pre_logits=True),
            lambda model: model.forward_intermediates(images, indices=(0, -1), norm=True)[1],
            lambda model: model.forward_intermediates(
                images, indices=2, output_fmt='NLC', intermediates_only=True
            ),
        ):
            ours, theirs = map(function, pair)
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_timm_is_told_the_same_as_of_its_own_tnt(pair):
    ours, theirs = pair
    assert timm.data.resolve_data_config(model=ours) == timm.data.resolve_data_config(model=theirs)
    assert timm.get_pretrained_cfg('tnt_backbone_tnt_s').mean == (0.5, 0.5, 0.5)
    for key in ('num_classes', 'classifier', 'input_size'):
        assert ours.default_cfg[key] == theirs.default_cfg[key]
    assert ours.default_cfg['input_size'] == (3, 224, 224)
    assert len(ours.no_weight_decay()) == len(theirs.no_weight_decay())


@pytest.mark.parametrize('name', SMALLEST.values())
def test_mean_and_std_are_those_of_the_published_weights(name):
    features = timm.create_model(f'tnt_backbone_{name}', features_only=True, in_chans=1)
    classifier = timm.create_model(f'tnt_backbone_{name}', img_size=64)
    row = PUBLISHED[{'tnt_ti': 'tnt_s', 'pyramid_tnt_ti': 'pyramid_tnt_ti'}.get(name, name)]
    for model in (features, classifier):
        data = timm.data.resolve_data_config(model=model)
        for key in ('mean', 'std'):
            assert data[key] == pytest.approx([value / 255 for value in getattr(row, key)])
    assert features.default_cfg['input_size'][0] == 1
    assert classifier.default_cfg['input_size'] == (3, 64, 64)


def test_the_published_head_is_loaded_from_a_file_and_layer_decay_knows_the_depths(pair, tmp_path):
    _, theirs = pair
    model = timm.create_model(
        'tnt_backbone_tnt_s',
        pretrained=True,
        pretrained_cfg_overlay={'file': str(tmp_path / 'timm.pth')},
        num_classes=7,
        formulation='legacy',
    )
    assert torch.equal(model.head.weight, theirs.head.weight)
    groups = param_groups_layer_decay(
        model, weight_decay=0.05, no_weight_decay_list=model.no_weight_decay(), layer_decay=0.5
    )
    scales = {id(p): group['lr_scale'] for group in groups for p in group['params']}
    assert scales[id(model.head.weight)] == 1
    assert scales[id(model.backbone.blocks[11].sentence_block.norm1.weight)] == 0.5
    assert scales[id(model.backbone.cls_token)] == 0.5**13
    free = {id(p) for group in groups if not group['weight_decay'] for p in group['params']}
    assert id(model.backbone.sentence_pos) in free


@pytest.mark.parametrize('name', SMALLEST.values())
def test_tokens_of_blocks(name):
    """They are what ``out_type='featmap'`` returns, also where the image is padded."""
    model = timm.create_model(f'tnt_backbone_{name}', num_classes=0, global_pool='').eval()
    images = torch.randn(1, 3, 70, 100)
    maps = type(model.backbone)(name.rpartition('_')[2], out_type='featmap').eval()
    maps.load_state_dict(model.backbone.state_dict())
    with torch.no_grad():
        tokens, [found] = model.forward_intermediates(images, indices=1, norm=True)
        torch.testing.assert_close(found, maps(images)[0])
        torch.testing.assert_close(model(images), tokens)
        model.reset_classifier(0, 'avg')
        torch.testing.assert_close(model(images), maps(images)[0].mean((2, 3)))
    getter = timm.create_model(f'tnt_backbone_{name}', features_only=True, feature_cls='getter')
    outputs = getter.eval()(images)
    assert [level.shape[1] for level in outputs] == getter.feature_info.channels()
    with pytest.raises(ValueError, match='output_fmt'):
        model.forward_intermediates(images, output_fmt='NHWC')


@pytest.mark.parametrize('name', SMALLEST.values())
def test_stages_that_are_not_read_are_left_out(name):
    torch.manual_seed(0)
    model = timm.create_model(f'tnt_backbone_{name}', num_classes=3).eval()
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        before = model.forward_intermediates(images, indices=(0, -3), intermediates_only=True)
        count = len(list(model.backbone._stages()))
        assert model.prune_intermediate_layers((0, -3)) == [0, count - 3]
        assert len(list(model.backbone._stages())) == count - 2
        tokens, after = model.forward_intermediates(images, indices=(0, count - 3))
    for first, second in zip(before, after, strict=True):
        torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert tokens.shape[2] == model.num_features == after[-1].shape[1]
    assert isinstance(model.head, torch.nn.Identity)
    assert model.num_classes == 0
    for indices in (0, count - 1, (count - 2,), ()):
        with pytest.raises(ValueError, match='indices='):
            model.forward_intermediates(images, indices=indices)


@pytest.mark.parametrize('name', SMALLEST.values())
def test_a_getter_trains_all_its_parameters(name):
    """DistributedDataParallel fails where some have no gradient."""
    model = timm.create_model(
        f'tnt_backbone_{name}', features_only=True, feature_cls='getter', out_indices=(0, 1)
    )
    sum(level.sum() for level in model(torch.randn(1, 3, 64, 96))).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    assert model.feature_info.channels() == [
        level.shape[1] for level in model(torch.zeros(1, 3, 64, 64))
    ]


def test_device_and_dtype_are_those_asked_for():
    model = timm.create_model('tnt_backbone_tnt_ti', device='meta', dtype=torch.bfloat16)
    assert {p.device.type for p in model.parameters()} == {'meta'}
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}


def test_checkpointing_changes_nothing():
    model = timm.create_model('tnt_backbone_tnt_ti', num_classes=3).train()
    images = torch.randn(1, 3, 32, 32)
    gradients = []
    for enable in (False, True):
        model.set_grad_checkpointing(enable)
        assert model.backbone.with_cp == enable
        model.zero_grad()
        model(images).sum().backward()
        gradients.append(model.backbone.word_pos.grad.clone())
    torch.testing.assert_close(*gradients)


def test_timms_arguments():
    model = timm.create_model(
        'tnt_backbone_tnt_ti', num_classes=0, in_chans=1, img_size=64, drop_path_rate=0.1
    )
    assert model(torch.zeros(1, 1, 64, 64)).shape == (1, 192)
    model.reset_classifier(5)
    assert model(torch.zeros(1, 1, 64, 64)).shape == (1, 5)
    assert isinstance(model.backbone, TNT)
    for arguments in (
        {'nonsense': 1},
        {'pretrained': True},  # never published
        {'cache_dir': 'here'},
        {'global_pool': 'max'},
        {'feature_cls': 'hook'},
    ):
        with pytest.raises(ValueError, match=next(iter(arguments))):
            timm.create_model('tnt_backbone_tnt_ti', **arguments)
    with pytest.raises(ValueError, match='global_pool'):  # it has no class token
        timm.create_model('tnt_backbone_pyramid_tnt_ti', global_pool='token')


def test_a_file_of_its_weights_loads_into_a_plain_backbone(tmp_path):
    """LightlyTrain saves the state dict of a whole timm model."""
    model = timm.create_model('tnt_backbone_t2t_vit_7')
    torch.save(model.state_dict(), tmp_path / 'exported_last.pt')
    plain = T2TViT('7')
    load_pretrained(plain, tmp_path / 'exported_last.pt')
    saved = model.backbone.state_dict()
    shared = [key for key in plain.state_dict() if not key.startswith('pyramid.')]
    assert len(shared) > 90
    for key in shared:
        torch.testing.assert_close(plain.state_dict()[key], saved[key], rtol=0, atol=0)


def test_segmentation_models_pytorch_trains_with_it():
    smp = pytest.importorskip('segmentation_models_pytorch', reason='an extra')
    model = smp.Unet('tu-tnt_backbone_tnt_ti', encoder_weights=None, classes=2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    torch.manual_seed(0)
    images, target = torch.randn(2, 3, 64, 64), torch.zeros(2, 64, 64, dtype=torch.long)
    target[:, 16:48, 16:48] = 1
    losses = []
    for _ in range(4):
        loss = torch.nn.functional.cross_entropy(model(images), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_openmmlab_is_not_needed():
    script = """
import sys
for name in ('mmengine', 'mmcv', 'mmdet', 'mmseg', 'mmpretrain'):
    sys.modules[name] = None
import timm, torch
import tnt_backbone.doors.timm, tnt_backbone.doors.torchvision
print(len(timm.create_model('tnt_backbone_tnt_ti', features_only=True)(torch.zeros(1, 3, 32, 32))))
"""
    command = [sys.executable, '-W', 'ignore', '-c', script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == '4\n', done.stderr

"""Backbones that are built in another dtype, on another device, or without memory."""

import pytest
import torch
from mmengine.logging import MMLogger

from tnt_backbone import TNT, PyramidTNT, T2TViT
from tnt_backbone.checkpoints import load_pretrained

OURS = {'depth': 2, 'word_dims': 8, 'word_heads': 4, 'sentence_dims': 24, 'sentence_heads': 2}
T2T = {'depth': 2, 'embed_dims': 24, 'num_heads': 2, 'token_dims': 16}
BACKBONES = {
    'TNT': lambda: TNT(OURS, img_size=32),
    'PyramidTNT': lambda: PyramidTNT('ti', img_size=64, out_indices=(0, 1)),
    'Performer': lambda: T2TViT(T2T, img_size=32),
    'Transformer': lambda: T2TViT({**T2T, 'token_attention': 'transformer'}, img_size=32),
}
FIXED = ('token_pos', 'num_batches_tracked', 'running_mean', 'running_var')


@pytest.fixture(params=BACKBONES)
def build(request):
    return BACKBONES[request.param]


@pytest.fixture
def default_dtype(request):
    before = torch.get_default_dtype()
    torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(before)


@pytest.mark.parametrize(
    'default_dtype', [torch.bfloat16, torch.float16, torch.float64], indirect=True
)
def test_the_default_dtype_is_that_of_everything(build, default_dtype):
    backbone = build()
    floats = [t for t in backbone.state_dict().values() if t.is_floating_point()]
    assert {tensor.dtype for tensor in floats} == {default_dtype}
    for mode in (True, False):
        maps = backbone.train(mode)(torch.randn(2, 3, 40, 64))
        assert {level.dtype for level in maps} == {default_dtype}
        assert all(level.isfinite().all() for level in maps)
    maps = backbone.train()(torch.randn(2, 3, 40, 64))
    sum(level.float().mean() for level in maps).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in backbone.parameters())


@pytest.mark.parametrize('default_dtype', [torch.bfloat16], indirect=True)
def test_the_fixed_table_is_that_of_fp32_after_a_cast(default_dtype):
    half = T2TViT(T2T, img_size=32)
    torch.set_default_dtype(torch.float32)
    assert torch.equal(half.token_pos, T2TViT(T2T, img_size=32).token_pos.bfloat16())


@pytest.mark.parametrize('method', ['init_weights', 'reset_parameters'])
def test_a_backbone_from_meta_is_initialised_as_another(build, method):
    usual = build().state_dict()
    with torch.device('meta'):
        backbone = build()
    assert all(tensor.is_meta for tensor in backbone.state_dict().values())
    backbone.to_empty(device='cpu')
    with torch.no_grad():
        for tensor in backbone.state_dict().values():  # memory holds anything
            tensor.fill_(float('nan') if tensor.is_floating_point() else 7)
    getattr(backbone, method)()
    for key, value in backbone.state_dict().items():
        if value.float().std() == 0 or key.endswith(FIXED):  # norms, biases, tables
            assert torch.equal(value, usual[key]), key
        elif value.numel() > 500:
            assert 0.8 < value.std() / usual[key].std() < 1.25, key
        assert value.isfinite().all(), key


def test_the_features_from_meta_are_orthogonal():
    with torch.device('meta'):
        backbone = T2TViT(T2T, img_size=32)
    backbone.to_empty(device='cpu').init_weights()
    features = backbone.tokens_to_token.attend1.features
    torch.testing.assert_close(features @ features.T, len(features) * torch.eye(len(features)))


def test_weights_that_were_assigned_to_meta_stay(build):
    usual = build().eval()
    with torch.device('meta'):
        backbone = build().eval()
    backbone.load_state_dict(usual.state_dict(), assign=True)
    backbone.init_weights()
    image = torch.randn(1, 3, 40, 64)
    with torch.no_grad():
        for first, second in zip(usual(image), backbone(image), strict=True):
            assert torch.equal(first, second)


def test_weights_that_were_copied_to_what_was_on_meta_stay(build):
    usual = build().state_dict()
    with torch.device('meta'):
        backbone = build()
    backbone.to_empty(device='cpu').load_state_dict(usual)
    backbone.init_weights()
    assert all(torch.equal(value, usual[key]) for key, value in backbone.state_dict().items())


def test_a_file_without_the_pyramid_starts_it_after_meta(build, tmp_path):
    usual = build().state_dict()
    torch.save({k: v for k, v in usual.items() if 'pyramid.' not in k}, tmp_path / 'w.pth')
    with torch.device('meta'):
        backbone = build()
    backbone.to_empty(device='cpu')
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.fill_(float('nan'))
    load_pretrained(backbone, tmp_path / 'w.pth')
    for key, value in backbone.state_dict().items():
        assert value.isfinite().all(), key
        assert key.startswith('pyramid.') or torch.equal(value, usual[key]), key


@pytest.mark.parametrize('argument', ['init_cfg', 'pretrained'])
def test_weights_that_were_never_loaded_are_reported(tmp_path, caplog, argument):
    torch.save(TNT(OURS, img_size=32).state_dict(), tmp_path / 'w.pth')
    path = str(tmp_path / 'w.pth')
    value = path if argument == 'pretrained' else {'type': 'Pretrained', 'checkpoint': path}

    def warnings(prepare):
        backbone = TNT(OURS, img_size=32, **{argument: value})
        prepare(backbone)
        caplog.clear()
        backbone(torch.randn(1, 3, 32, 32))
        backbone(torch.randn(1, 3, 32, 32))
        return [r for r in caplog.records if 'init_weights()' in r.getMessage()]

    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        assert len(warnings(lambda backbone: None)) == 1
        assert not warnings(lambda backbone: backbone.init_weights())
        assert not warnings(lambda backbone: backbone.load_state_dict(backbone.state_dict()))
    finally:
        logger.removeHandler(caplog.handler)


def test_an_initialiser_that_fails_leaves_init_cfg(tmp_path):
    init_cfg = [
        {'type': 'Constant', 'layer': 'LayerNorm', 'val': 1.0, 'bias': 'x'},
        {'type': 'Pretrained', 'checkpoint': str(tmp_path / 'nowhere.pth')},
    ]
    backbone = TNT(OURS, img_size=32, init_cfg=init_cfg)
    with pytest.raises(TypeError):
        backbone.init_weights()
    assert backbone.init_cfg == init_cfg
    assert not backbone.is_init

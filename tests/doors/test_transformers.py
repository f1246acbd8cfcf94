"""The backbones in transformers: built, saved, loaded, with equal maps."""

import pytest
import torch

transformers = pytest.importorskip('transformers', reason='an extra')

from transformers import AutoBackbone, AutoConfig  # noqa: E402

from tnt_backbone.backbones import BACKBONES  # noqa: E402
from tnt_backbone.doors.transformers import TokenBackboneConfig, TokenBackboneModel  # noqa: E402

SMALLEST = {'TNT': 'ti', 'PyramidTNT': 'ti', 'T2TViT': '7'}


@pytest.mark.parametrize('family', BACKBONES)
def test_saved_and_loaded_maps_are_equal(tmp_path, family):
    arch = SMALLEST[family.__name__]
    config = TokenBackboneConfig(family.__name__, arch, {'img_size': 64}, out_indices=[2, 4])
    torch.manual_seed(0)
    model = AutoBackbone.from_config(config).eval()
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        maps = model(pixel_values=images).feature_maps
        model.save_pretrained(tmp_path)
        loaded = TokenBackboneModel.from_pretrained(tmp_path).eval()
        again = loaded(pixel_values=images).feature_maps

        plain = family(arch, img_size=64, out_indices=(1, 3)).eval()
        plain.load_state_dict(model.backbone.state_dict())
        expected = plain(images)
    assert loaded.channels == [level.shape[1] for level in maps]
    for first, second, third in zip(maps, again, expected, strict=True):
        torch.testing.assert_close(first, second, rtol=0, atol=0)
        torch.testing.assert_close(first, third, rtol=0, atol=0)
    assert AutoConfig.from_pretrained(tmp_path).out_features == ['stage2', 'stage4']


def embed(backbone, images):
    """Return the tokens with their positions, before the first block."""
    kept = []
    parts = (
        (backbone.pos_drop, backbone.stem) if hasattr(backbone, 'stem') else (backbone.pos_drop,)
    )
    handles = [part.register_forward_hook(lambda *args: kept.append(args[2])) for part in parts]
    backbone(images)
    for handle in handles:
        handle.remove()
    return kept[0] if len(kept) == 1 else kept[0][1] + kept[1]  # the stem runs first


@pytest.mark.parametrize(
    ('config', 'depths'),
    [
        (('TNT', 'ti'), [3, 3, 3, 3]),
        (('TNT', 'ti', {'taps': (0, 1, 5, 11)}), [1, 1, 4, 6]),
        (('PyramidTNT', 'ti'), [2, 6, 3, 2]),
        (('T2TViT', '7'), [0, 0, 4, 3]),
    ],
    ids=str,
)
def test_depths_are_the_blocks_of_each_stage(config, depths):
    """``tests/test_backbone_common.py`` of transformers reads the names of the stages from them."""
    assert TokenBackboneConfig(*config).depths == depths


@pytest.mark.parametrize('family', BACKBONES)
def test_what_transformers_tests_ask_of_every_backbone(family):
    """Its ``tests/test_backbone_common.py``, by value."""
    arch = SMALLEST[family.__name__]
    config = TokenBackboneConfig(family.__name__, arch, {'img_size': 64})
    assert (config.out_features, config.out_indices) == (['stage4'], [4])
    config.out_features = ['stage1', 'stage4']
    torch.manual_seed(0)
    model = TokenBackboneModel(config).eval()
    assert model.num_features == [0, 256, 512, 1024, 2048]
    assert model.channels == [256, 2048]
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        output = model(images)
        assert output.hidden_states is None
        both = model(images, output_hidden_states=True)
        maps, hidden = model(images, output_hidden_states=True, return_dict=False)
        tokens = family(arch, img_size=64, out_type='raw').eval()
        tokens.load_state_dict(model.backbone.state_dict(), strict=False)
        tokens.norm = None  # theirs are those behind the blocks
        torch.testing.assert_close(hidden[-1], tokens(images)[0])
        torch.testing.assert_close(hidden[0], embed(model.backbone, images))
    assert len(hidden) == len(list(model.backbone._stages())) + 1 == len(both.hidden_states)
    for first, second in zip(maps, output.feature_maps, strict=True):
        torch.testing.assert_close(first, second, rtol=0, atol=0)
    with pytest.raises(ValueError, match='output_attentions'):
        model(images, output_attentions=True)


def test_activation_checkpointing_is_with_cp():
    config = TokenBackboneConfig('TNT', 'ti', {'img_size': 32})
    model = TokenBackboneModel(config).train()
    gradients = []
    for enable in (False, True):
        if enable:
            model.activation_checkpointing_enable()
        assert model.backbone.with_cp == enable == model.is_activation_checkpointing
        model.zero_grad()
        model(torch.ones(1, 3, 32, 32)).feature_maps[0].square().sum().backward()
        gradients.append(model.get_input_embeddings().proj.weight.grad.clone())
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        ({'img_size': 64}, 'img_size=64'),  # transformers would keep it and nobody would read it
        ({'options': {'out_type': 'raw'}}, 'out_type'),
        ({'options': {'out_indices': (1,)}}, 'out_indices'),
        ({'options': {'nonsense': 1}}, 'nonsense'),
    ],
)
def test_options_that_would_have_no_effect_are_refused(arguments, named):
    with pytest.raises(ValueError, match=named):
        TokenBackboneConfig('TNT', 'ti', **arguments)


def test_bad_configs_are_named():
    with pytest.raises(ValueError, match='family'):
        TokenBackboneConfig(family='ViT')
    with pytest.raises(ValueError, match='out_indices'):
        AutoBackbone.from_config(TokenBackboneConfig('TNT', 'ti', out_indices=[0, 1]))


@pytest.mark.parametrize('family', BACKBONES)
def test_a_file_without_the_pyramid_keeps_what_it_has_and_starts_the_pyramid(tmp_path, family):
    arch = SMALLEST[family.__name__]
    config = TokenBackboneConfig(family.__name__, arch, {'img_size': 64}, out_indices=[2, 4])
    torch.manual_seed(0)
    model = AutoBackbone.from_config(config)
    state = {
        key: torch.rand_like(value) if value.is_floating_point() else value + 7
        for key, value in model.state_dict().items()
        if '.pyramid.' not in key
    }
    model.save_pretrained(tmp_path, state_dict=dict(state))  # it empties what it gets
    loaded = TokenBackboneModel.from_pretrained(tmp_path).state_dict()
    for key, value in state.items():
        torch.testing.assert_close(loaded[key], value, rtol=0, atol=0)
    for key in loaded.keys() - state.keys():
        if loaded[key].ndim == 1 and key.endswith('weight'):  # a norm
            assert loaded[key].eq(1).all(), key
        else:
            assert loaded[key].abs().max() < 0.2, key

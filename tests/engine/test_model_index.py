"""model-index.yml, and the models that MMPretrain builds from it."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain import get_model, inference_model, list_models
from mmpretrain.apis.model import ModelHub
from modelindex.load_model_index import load

from tnt_backbone.checkpoints.published import PUBLISHED
from tnt_backbone.engine import model_index
from tnt_backbone.engine.model_index import register_model_index
from tnt_backbone.variants import PYRAMID_TNT_VARIANTS, T2T_VIT_VARIANTS, TNT_VARIANTS

ROOT = Path(__file__).parents[2]
TABLES = {
    'TNT': TNT_VARIANTS,
    'PyramidTNT': PYRAMID_TNT_VARIANTS,
    'T2T-ViT': T2T_VIT_VARIANTS,
}


@pytest.fixture(autouse=True)
def _restore_hub():
    before = dict(ModelHub._models_dict)
    # MMPretrain's inferencer looks its transforms up in the scope that is current.
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield
    ModelHub._models_dict.clear()
    ModelHub._models_dict.update(before)


@pytest.fixture
def index():
    index = load(str(ROOT / 'model-index.yml'))
    assert index.check(silent=True) == []
    index.build_models_with_collections()
    return index


def test_the_index_names_every_imagenet_config(index):
    configs = sorted(f'configs/{path.name}' for path in ROOT.glob('configs/*_imagenet.py'))
    assert sorted(model.config for model in index.models) == configs
    for model in index.models:
        assert Path(model.config).stem == model.name


def test_the_numbers_of_the_index_are_those_of_the_tables(index):
    for model in index.models:
        arch = Config.fromfile(ROOT / model.config).model.backbone.arch
        variant = TABLES[model.in_collection][arch]
        assert model.metadata.data['Parameters'] == pytest.approx(variant.params_m * 1e6)
        assert model.metadata.data['FLOPs'] == pytest.approx(variant.flops_g * 1e9)
        (result,) = model.results
        assert result.task == 'Image Classification'
        assert 70 < result.metrics['Top 1 Accuracy'] < 85
        assert ('Top 5 Accuracy' in result.metrics) == (model.in_collection != 'PyramidTNT')
        assert 'not measured here' in model.full_model.data['Results From']
        assert model.full_model.data['Paper']['URL'].startswith('https://arxiv.org/abs/')


def test_the_weights_are_those_that_are_published(index):
    for model in index.models:
        name = model.name.removesuffix('_imagenet')
        assert model.weights == (f'tnt://{name}' if name in PUBLISHED else None)
        if name in PUBLISHED:
            row, cfg = PUBLISHED[name], Config.fromfile(ROOT / model.config)
            assert cfg.model.backbone.arch == row.arch
            assert cfg.model.data_preprocessor.mean == row.mean
            assert cfg.model.data_preprocessor.std == row.std
            assert cfg.test_dataloader.dataset.pipeline[2].crop_size == row.img_size
            assert model.results[0].metrics['Top 1 Accuracy'] == row.top1


def test_registering_twice_is_harmless():
    register_model_index()
    once = dict(ModelHub._models_dict)
    register_model_index()
    assert once == ModelHub._models_dict
    assert 'tnt_s_imagenet' in list_models('*tnt*', task='Image Classification')
    assert 'tnt-small-p16_3rdparty_in1k' in list_models('*tnt*')  # MMPretrain's own stays
    assert len(list_models('t2t_vit_')) == 9


def test_a_name_that_is_taken_is_an_error():
    register_model_index()
    del ModelHub._models_dict['tnt_s_imagenet']
    with pytest.raises(ValueError, match='conflict'):
        register_model_index()


def test_without_a_checkout_the_error_says_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path))):
        register_model_index(tmp_path)
    monkeypatch.setattr(model_index, 'ROOT', tmp_path)
    with pytest.raises(FileNotFoundError, match='not part of an installed package'):
        register_model_index()
    register_model_index(ROOT)
    assert ModelHub.has('tnt_s_imagenet')


@pytest.mark.parametrize(('name', 'width'), [('tnt_ti', 192), ('pyramid_tnt_ti', 320)])
def test_a_model_by_its_name_extracts_and_classifies(name, width):
    register_model_index()
    torch.manual_seed(0)
    model = get_model(f'{name}_imagenet', pretrained=False)
    assert not model.training
    (features,) = model.extract_feat(torch.zeros(2, 3, 64, 64))
    assert features.shape == (2, width)
    image = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    result = inference_model(model, image)
    assert result['pred_scores'].shape == (1000,)
    assert result['pred_scores'].sum() == pytest.approx(1, abs=1e-4)
    assert result['pred_label'] == result['pred_scores'].argmax()
    assert isinstance(result['pred_class'], str)


def test_the_pretrained_weights_are_those_of_the_published_name(tmp_path, monkeypatch):
    register_model_index()
    torch.manual_seed(0)
    published = get_model('t2t_vit_7_imagenet', pretrained=False)
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    file = tmp_path / 'checkpoints' / PUBLISHED['t2t_vit_7'].file_name
    file.parent.mkdir()
    torch.save(published.state_dict(), file)

    model = get_model('t2t_vit_7_imagenet', pretrained=True)
    state = model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in published.state_dict().items())


def test_arguments_of_the_model_can_be_changed():
    register_model_index()
    model = get_model('tnt_ti_imagenet', backbone=dict(out_type='featmap'), head=None)
    (features,) = model.extract_feat(torch.zeros(1, 3, 64, 96))
    assert features.shape == (1, 192, 4, 6)

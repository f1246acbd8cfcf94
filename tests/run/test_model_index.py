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
from tnt_backbone.run import model_index
from tnt_backbone.run.model_index import register_model_index
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


def imagenet(index):
    return [model for model in index.models if model.name.endswith('_imagenet')]


def test_the_index_names_every_config_of_a_paper_or_a_benchmark(index):
    configs = [path.stem for path in ROOT.glob('configs/*.py') if 'digits' not in path.stem]
    configs.remove('tnt_ti_cifar10')  # like the digits, a small run of our own
    # models that are listed, trained in another way
    configs = [name for name in configs if not name.endswith('_fsdp2')]
    assert sorted(model.name for model in index.models) == sorted(configs)
    for model in index.models:
        assert model.config == f'configs/{model.name}.py'
        assert (ROOT / 'configs/metafiles' / model.full_model.readme).is_file()


def test_every_file_of_the_index_is_of_classifiers_or_has_none(index):
    """So MMPretrain can be given whole files."""
    files = {}
    for model in index.models:
        files.setdefault(model.filepath, set()).update(result.task for result in model.results)
    assert len(files) == 6
    assert [tasks for tasks in files.values() if 'Image Classification' in tasks] == [
        {'Image Classification'}
    ] * 4


def test_tasks_of_a_detector_are_what_its_config_measures(index):
    measured = {
        'Object Detection': "'bbox'|'VOCMetric'",
        'Instance Segmentation': "'segm'",
        'Panoptic Segmentation': "'CocoPanopticMetric'",
        'Region Proposal': "'proposal'",
    }
    detectors = [model for model in index.models if model.in_collection == 'Detectors']
    for model in detectors:
        evaluator = str(Config.fromfile(ROOT / model.config).val_evaluator)
        tasks = {task for task, pattern in measured.items() if re.search(pattern, evaluator)}
        assert {result.task for result in model.results} == tasks, model.name


def test_numbers_are_those_that_the_configs_want_to_reach(index):
    for model in index.models:
        text = (ROOT / model.config).read_text()
        numbers = [value for result in model.results for value in result.metrics.values()]
        assert model.full_model.data['Results From'].endswith('not measured here')
        if not model.name.endswith('_imagenet'):
            assert bool(numbers) == bool(
                re.search(r"^To reach(?!: no)|^The paper's num", text, re.M)
            )
            assert all(re.search(rf'\b{value}\b', text) for value in numbers), model.name


def test_the_numbers_of_imagenet_are_those_of_the_tables(index):
    for model in imagenet(index):
        arch = Config.fromfile(ROOT / model.config).model.backbone.arch
        variant = TABLES[model.in_collection][arch]
        assert model.metadata.data['Parameters'] == pytest.approx(variant.params_m * 1e6)
        assert model.metadata.data['FLOPs'] == pytest.approx(variant.flops_g * 1e9)
        (result,) = model.results
        assert 70 < result.metrics['Top 1 Accuracy'] < 85
        assert ('Top 5 Accuracy' in result.metrics) == (model.in_collection != 'PyramidTNT')
        assert model.full_model.data['Paper']['URL'].startswith('https://arxiv.org/abs/')


def test_the_weights_are_those_that_are_published(index):
    for model in index.models:
        name = model.name.removesuffix('_imagenet')
        assert model.weights == (f'tnt://{name}' if name in PUBLISHED else None)
        if name in PUBLISHED:
            row, cfg = PUBLISHED[name], Config.fromfile(ROOT / model.config)
            assert cfg.model.backbone.arch == row.arch
            assert model.results[0].metrics['Top 1 Accuracy'] == row.top1
            assert cfg.model.data_preprocessor.mean == row.mean
            assert cfg.model.data_preprocessor.std == row.std
    for model in imagenet(index):
        if model.weights:
            row, cfg = PUBLISHED[model.weights[6:]], Config.fromfile(ROOT / model.config)
            assert cfg.test_dataloader.dataset.pipeline[2].crop_size == row.img_size


def test_registering_twice_is_harmless():
    register_model_index()
    once = dict(ModelHub._models_dict)
    register_model_index()
    assert once == ModelHub._models_dict
    assert 'tnt_s_imagenet' in list_models('*tnt*', task='Image Classification')
    assert 'tnt-small-p16_3rdparty_in1k' in list_models('*tnt*')  # MMPretrain's own stays
    assert len(list_models('t2t_vit_*_imagenet')) == 9
    assert len(list_models('tnt_*_inaturalist')) == 3
    assert list_models('*_coco') == []  # MMPretrain cannot build detectors


def test_a_name_that_is_taken_is_an_error():
    register_model_index()
    del ModelHub._models_dict['tnt_s_imagenet']
    with pytest.raises(ValueError, match='conflict'):  # mmpretrain's message
        register_model_index()


def test_without_a_checkout_the_error_says_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path))):
        register_model_index(tmp_path)
    monkeypatch.setattr(model_index, 'home', lambda: tmp_path)
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path))):
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


@pytest.mark.parametrize('name', ['t2t_vit_7_imagenet', 't2t_vit_14_cifar10'])
def test_the_pretrained_weights_are_those_of_the_published_name(name, tmp_path, monkeypatch):
    register_model_index()
    torch.manual_seed(0)
    published = get_model(name, pretrained=False)
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    file = tmp_path / 'checkpoints' / PUBLISHED[name.removesuffix('_imagenet')].file_name
    file.parent.mkdir()
    torch.save(published.state_dict(), file)

    model = get_model(name, pretrained=True)
    state = model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in published.state_dict().items())


def test_arguments_of_the_model_can_be_changed():
    register_model_index()
    model = get_model('tnt_ti_imagenet', backbone=dict(out_type='featmap'), head=None)
    (features,) = model.extract_feat(torch.zeros(1, 3, 64, 96))
    assert features.shape == (1, 192, 4, 6)

"""configs/*_coco.py: what they are built of, a step of training and one of testing for each."""

import copy
import dataclasses
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import cv2
import mmdet
import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.optim import build_optim_wrapper
from mmengine.registry import TRANSFORMS, init_default_scope
from mmengine.structures import InstanceData, PixelData
from torch import nn

from tnt_backbone.checkpoints.published import PUBLISHED
from tnt_backbone.run.pretrained import drop_pretrained

CONFIGS = Path(__file__).parents[2] / 'configs'
NAMES = sorted(path.stem for path in CONFIGS.glob('*_coco.py'))
STOCK = Path(mmdet.__file__).parent / '.mim/configs'
# The detector's name, and MMDetection's config whose values it has
DETECTORS = {
    'retinanet': 'retinanet/retinanet_r50_fpn_1x_coco.py',
    'atss': 'atss/atss_r50_fpn_1x_coco.py',
    'rpn': 'rpn/rpn_r50_fpn_1x_coco.py',
    'faster_rcnn': 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    'mask_rcnn_3x': 'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    'mask_rcnn': 'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    'cascade_mask_rcnn_3x': 'cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py',
    'panoptic_fpn': 'panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py',
    'detr': 'detr/detr_r50_8xb2-150e_coco.py',
    'deformable_detr': 'deformable_detr/deformable-detr_r50_16xb2-50e_coco.py',
    'dino': 'dino/dino-4scale_r50_8xb2-12e_coco.py',
    'mask2former': 'mask2former/mask2former_r50_8xb2-lsj-50e_coco-panoptic.py',
}
DEFAULTS = (('match_low_quality', True), ('batch_first', True), ('num_feature_levels', 4))
DETR_LIKE = ('detr', 'deformable_detr', 'dino', 'mask2former')

# Networks of a few blocks; everything behind them is the config's own.
TINY = {
    'tnt_backbone.TNT': dict(
        depth=2, word_dims=8, word_heads=2, sentence_dims=48, sentence_heads=3, mlp_ratio=2.0
    ),
    'tnt_backbone.PyramidTNT': dict(
        depths=(1, 1, 1, 1),
        word_dims=(4, 4, 8, 8),
        word_heads=(1, 1, 2, 2),
        sentence_dims=(16, 16, 32, 48),
        sentence_heads=(1, 1, 2, 2),
    ),
    'tnt_backbone.T2TViT': dict(depth=2, embed_dims=48, num_heads=3, token_dims=16),
}
SIZE = (64, 96)  # pixels


def detector_of(name):
    return max((d for d in DETECTORS if name.startswith(d)), key=len)


@cache
def _read(name):
    return Config.fromfile(CONFIGS / f'{name}.py')


def read(name):
    init_default_scope('mmdet')
    return copy.deepcopy(_read(name))


def reader_of(model):
    """The part of a model that reads the backbone's maps."""
    return model.get('neck') or model['panoptic_head']


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture(scope='module')
def on_meta():
    """Models of full width and few blocks by name, without memory behind their parameters."""
    models = {}

    def build(name):
        if name not in models:
            model = read(name).model
            family = MODELS.get(model.backbone.type)
            arch = dataclasses.asdict(family.VARIANTS[model.backbone.arch])
            model.backbone.arch = arch | ({'depth': 4} if 'depth' in arch else {'depths': [1] * 4})
            with torch.device('meta'):
                models[name] = MODELS.build(model)
        return models[name]

    return build


def tiny(name):
    """The config with a small backbone, and few regions or queries."""
    cfg = read(name)
    backbone = cfg.model.backbone
    backbone.arch, backbone.init_cfg = TINY[backbone.type], None
    widths = MODELS.build(copy.deepcopy(backbone)).out_channels
    reader_of(cfg.model)['in_channels'] = list(widths)
    if detector_of(name) == 'mask2former':
        cfg.model.data_preprocessor.batch_augments[0].size = SIZE
    if detector_of(name) == 'dino':  # it takes its 900 queries from as many cells of its maps
        cfg.model.num_queries = 100
    if 'roi_head' in cfg.model:  # convolutions on hundreds of regions would take half a minute
        train, test = cfg.model.train_cfg, cfg.model.test_cfg
        train.rpn_proposal.max_per_img = test.rpn.max_per_img = 50
        for stage in train.rcnn if isinstance(train.rcnn, list) else [train.rcnn]:
            stage.sampler.num = 16
        test.rcnn.max_per_img = 10
        test.rcnn.score_thr = 0.0  # nothing is learnt in one step
    return cfg


def make_batch():
    """Two images of different widths with two boxes, their masks, and a map of things and stuff."""
    images, samples = [], []
    for height, width in (SIZE, (SIZE[0], SIZE[1] - 20)):
        shape = dict(img_shape=(height, width), ori_shape=(height, width))
        sample = DetDataSample(metainfo=dict(**shape, scale_factor=(1.0, 1.0), img_id=0))
        boxes = torch.tensor([[4.0, 8.0, 40.0, 50.0], [30.0, 20.0, 70.0, 60.0]])
        masks = np.zeros((2, height, width), dtype=np.uint8)
        masks[0, 8:50, 4:40] = masks[1, 20:60, 30:70] = 1
        sample.gt_instances = InstanceData(
            bboxes=boxes, labels=torch.tensor([1, 17]), masks=BitmapMasks(masks, height, width)
        )
        none = dict(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
        sample.ignored_instances = InstanceData(**none)
        sem_seg = torch.full((1, height, width), 100)  # stuff: 80 to 132
        sem_seg[:, : height // 2] = 90
        sem_seg[:, 8:50, 4:40], sem_seg[:, 20:60, 30:70] = 1, 17
        sample.gt_sem_seg = PixelData(sem_seg=sem_seg)
        samples.append(sample)
        images.append(torch.randint(0, 256, (3, height, width), dtype=torch.uint8))
    return images, samples


def test_every_config_is_of_a_known_detector_and_shows_its_command(name):
    text = (CONFIGS / f'{name}.py').read_text()
    assert f'\nbash tools/dist_train.sh configs/{name}.py 8' in text
    assert name.removeprefix(f'{detector_of(name)}_').removesuffix('_coco') in {
        *('tnt_ti', 'tnt_s', 'tnt_b', 't2t_vit_14'),
        *('pyramid_tnt_ti', 'pyramid_tnt_s', 'pyramid_tnt_m', 'pyramid_tnt_b'),
    }
    cfg = read(name)
    assert cfg.default_scope == 'mmdet'
    assert 'tnt_backbone' in cfg.custom_imports.imports


def test_the_backbone_is_the_named_one_with_its_pixels_and_weights(name):
    model = read(name).model
    backbone = name.removeprefix(f'{detector_of(name)}_').removesuffix('_coco')
    family, _, arch = backbone.rpartition('_')
    kinds = {'tnt': 'TNT', 'pyramid_tnt': 'PyramidTNT', 't2t_vit': 'T2TViT'}
    assert model.backbone.type == f'tnt_backbone.{kinds[family]}'
    assert model.backbone.arch == arch
    assert model.backbone.out_channels is None
    if backbone == 'tnt_ti':  # no weights were published
        assert model.backbone.init_cfg is None
    else:
        assert model.backbone.init_cfg == dict(type='Pretrained', checkpoint=f'tnt://{backbone}')
        assert backbone in PUBLISHED
    mean, std = model.data_preprocessor.mean, model.data_preprocessor.std
    if family == 't2t_vit':
        assert (mean, std) == ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
    else:
        assert mean == std == [127.5] * 3
    assert model.data_preprocessor.bgr_to_rgb
    assert model.backbone.get('norm_eval', False) == (family == 'pyramid_tnt')
    assert model.backbone.get('frozen_stages', -1) == (0 if family == 'pyramid_tnt' else -1)


@pytest.mark.parametrize('detector', DETECTORS)
def test_the_detector_is_that_of_mmdetection(detector):
    """All but the backbone, its maps and its pixels."""
    stock = Config.fromfile(STOCK / DETECTORS[detector]).model.to_dict()
    ours = read(next(n for n in NAMES if detector_of(n) == detector)).model.to_dict()
    for model in (stock, ours):
        del model['backbone'], model['data_preprocessor']['mean'], model['data_preprocessor']['std']
        del reader_of(model)['in_channels']
    if detector in ('retinanet', 'atss'):
        assert stock['neck'].pop('start_level') == 1  # of four maps
        assert ours['neck'].pop('start_level') == 0  # of three: the same ones
    assert _without_defaults(ours) == _without_defaults(stock)


def _without_defaults(node):
    """Leave out what MMDetection has by default and only some configs write out."""
    if isinstance(node, dict):
        return {
            key: _without_defaults(value)
            for key, value in node.items()
            if (key, value) not in DEFAULTS
        }
    if isinstance(node, list):
        return [_without_defaults(part) for part in node]
    return node.removeprefix('mmdet.') if isinstance(node, str) else node


def test_maps_have_the_widths_and_strides_that_the_head_reads(name, on_meta):
    cfg, model = read(name), on_meta(name)
    assert tuple(reader_of(cfg.model)['in_channels']) == model.backbone.out_channels
    height, width = 800, 1344
    with torch.device('meta'), torch.no_grad():
        levels = model.extract_feat(torch.zeros(1, 3, height, width))
    head = next(
        (head for head in (getattr(model, n, None) for n in ('rpn_head', 'bbox_head')) if head),
        model.panoptic_head if hasattr(model, 'panoptic_head') else None,
    )
    if hasattr(head, 'prior_generator'):
        strides = [stride for stride, _ in head.prior_generator.strides]
    else:
        last = {'detr': [32], 'mask2former': [4, 8, 16, 32]}
        strides = last.get(detector_of(name), [8, 16, 32, 64])
    assert [tuple(level.shape[-2:]) for level in levels] == [
        (-(-height // stride), -(-width // stride)) for stride in strides
    ]
    if hasattr(model, 'roi_head'):
        extractor = cfg.model.roi_head.bbox_roi_extractor
        assert extractor.featmap_strides == strides[:4]


def test_weight_decay_spares_norms_biases_and_tables_of_the_backbone(name, on_meta):
    cfg, model = read(name), on_meta(name)
    optimizer = cfg.optim_wrapper.optimizer
    wrapper = build_optim_wrapper(model, copy.deepcopy(cfg.optim_wrapper))
    found = {
        id(parameter): (group['lr'], group['weight_decay'])
        for group in wrapper.optimizer.param_groups
        for parameter in group['params']
    }
    trained = {key: p for key, p in model.named_parameters() if p.requires_grad}
    assert found.keys() == {id(parameter) for parameter in trained.values()}

    norms = (nn.LayerNorm, nn.GroupNorm, nn.BatchNorm2d)
    of_norms = {
        id(p) for m in model.modules() if isinstance(m, norms) for p in m.parameters(recurse=False)
    }
    tables = ('cls_token', 'word_pos', 'sentence_pos')
    detector = detector_of(name)
    slow = detector in DETR_LIKE
    for key, parameter in trained.items():
        lr, decay = found[id(parameter)]
        is_norm, is_bias = id(parameter) in of_norms, key.endswith('.bias')
        if key.startswith('backbone.'):
            spared = is_norm or is_bias or key.removeprefix('backbone.') in tables
            lr_mult = 0.1 if slow and not key.startswith('backbone.pyramid.') else 1.0
        elif slow:  # the stock config's rules
            spared = detector == 'mask2former' and (
                is_norm or any(k in key for k in ('query_embed', 'query_feat', 'level_embed'))
            )
            moved = ('sampling_offsets', 'reference_points')
            lr_mult = 0.1 if detector == 'deformable_detr' and any(k in key for k in moved) else 1.0
        else:
            spared, lr_mult = is_norm or is_bias, 1.0
        assert decay == (0.0 if spared else optimizer.weight_decay), key
        assert lr == pytest.approx(optimizer.lr * lr_mult), key
    if 'pyramid_tnt' in name:
        assert found[id(model.backbone.stages[0].relative_pos)][1] == optimizer.weight_decay


def test_the_schedule_is_the_published_one(name):
    cfg = read(name)
    steps = cfg.param_scheduler[-1]
    lr, decay = cfg.optim_wrapper.optimizer.lr, cfg.optim_wrapper.optimizer.weight_decay
    expected = {
        'detr': (50, [33], 1e-4, 1e-4, 16),
        'deformable_detr': (50, [40], 2e-4, 1e-4, 32),
        'dino': (12, [11], 1e-4, 1e-4, 16),
        'mask2former': (368750, [327778, 355092], 1e-4, 0.05, 16),
        'mask_rcnn_3x': (36, [27, 33], 1e-4, 0.05, 16),
        'cascade_mask_rcnn_3x': (36, [27, 33], 1e-4, 0.05, 16),
    }.get(detector_of(name), (12, [8, 11], 1e-4, 0.05, 16))
    length = cfg.train_cfg.get('max_epochs') or cfg.train_cfg.max_iters
    assert (steps.type, steps.gamma, steps.end) == ('MultiStepLR', 0.1, length)
    assert (length, steps.milestones, lr, decay, cfg.auto_scale_lr.base_batch_size) == expected
    assert cfg.train_dataloader.batch_size == 2
    assert cfg.optim_wrapper.optimizer.type == 'AdamW'
    assert cfg.test_dataloader == cfg.val_dataloader
    assert cfg.test_evaluator == cfg.val_evaluator


# Other variants are left to the slow tests.
LEFT_OUT = ('_ti_', '_m_', '_b_', 'mask_rcnn_pyramid', 'mask_rcnn_3x_pyramid')


@pytest.mark.parametrize(
    'name',
    [
        pytest.param(name, marks=[pytest.mark.slow] * any(part in name for part in LEFT_OUT))
        for name in NAMES
    ],
    indirect=True,
)
def test_it_takes_a_step_and_predicts(name):
    torch.manual_seed(0)
    cfg = tiny(name)
    model = MODELS.build(cfg.model)
    if detector_of(name) in ('deformable_detr', 'dino'):
        model.init_weights()  # writes to their table of levels, which is left as it lay in memory
    images, samples = make_batch()
    batch = {'inputs': images, 'data_samples': samples}

    model.train()
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    data = model.data_preprocessor(copy.deepcopy(batch), training=True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    assert torch.isfinite(loss)
    wrapper.backward(loss)
    unreached = [key for key, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not unreached, 'DistributedDataParallel would stop'
    wrapper.step()

    model.eval()
    batch['inputs'], batch['data_samples'] = images[:1], samples[:1]
    with torch.no_grad():
        (result,) = model.test_step(batch)
    kind = detector_of(name)
    if kind in ('panoptic_fpn', 'mask2former'):
        assert result.pred_panoptic_seg.sem_seg.shape[-2:] == SIZE
    if kind != 'panoptic_fpn':
        found = result.pred_instances
        assert len(found) > 0
        assert found.bboxes.shape == (len(found), 4)
        assert torch.isfinite(found.scores).all()
        assert ('masks' in found) == ('mask' in kind)
        if 'masks' in found:
            assert found.masks.shape == (len(found), *SIZE)


@pytest.fixture
def scene(tmp_path, monkeypatch):
    """An image with two polygons, and its map of segments as COCO's panoptic files have it."""
    # panoptic annotations are read by a package that is not on any index
    codes = SimpleNamespace(rgb2id=lambda color: color.astype(int) @ (1, 256, 65536))
    monkeypatch.setitem(sys.modules, 'panopticapi', SimpleNamespace(utils=codes))
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / 'image.jpg'), pixels)
    ids = np.full((60, 80), 3, dtype=np.uint8)
    ids[8:50, 4:40] = 1
    ids[20:58, 44:74] = 2
    # OpenCV writes BGR: the first of three bytes is red's
    cv2.imwrite(str(tmp_path / 'ids.png'), np.stack([ids * 0, ids * 0, ids], axis=-1))
    boxes = [[4, 8, 40, 50], [44, 20, 74, 58]]
    polygons = [[[x1, y1, x2, y1, x2, y2, x1, y2]] for x1, y1, x2, y2 in boxes]
    segments = [dict(id=1, category=1), dict(id=2, category=17), dict(id=3, category=100)]
    return dict(
        img_path=str(tmp_path / 'image.jpg'),
        img_id=1,
        height=60,
        width=80,
        seg_map_path=str(tmp_path / 'ids.png'),
        instances=[
            dict(bbox=box, bbox_label=label, ignore_flag=0, mask=polygon)
            for box, label, polygon in zip(boxes, (1, 17), polygons, strict=True)
        ],
        segments_info=[{**s, 'is_thing': s['category'] < 80} for s in segments],
    )


# one config of each data set
DATA = {
    'faster_rcnn_tnt_s_coco': 'boxes',
    'mask_rcnn_tnt_s_coco': 'masks',
    'mask_rcnn_3x_pyramid_tnt_s_coco': 'masks',
    'detr_tnt_s_coco': 'boxes',
    'dino_pyramid_tnt_s_coco': 'boxes',
    'panoptic_fpn_tnt_s_coco': 'segments',
    'mask2former_tnt_s_coco': 'segments',
}


@pytest.mark.parametrize('name', DATA)
def test_pipelines_give_what_the_detector_reads(name, scene):
    np.random.seed(0)
    cfg = read(name)
    for loader in ('train_dataloader', 'val_dataloader'):
        pipeline = cfg[loader].dataset.pipeline
        first = 'LoadImageOrSkip' if loader == 'train_dataloader' else 'LoadImageFromFile'
        assert pipeline[0].type == first
        packed = Compose([TRANSFORMS.build(t) for t in pipeline])(copy.deepcopy(scene))
        image, sample = packed['inputs'], packed['data_samples']
        height, width = image.shape[-2:]
        assert sample.img_shape == (height, width)
        if name == 'mask2former_tnt_s_coco' and loader == 'train_dataloader':
            assert height <= 1024
            assert width <= 1024
        else:
            assert max(height, width) <= 1333
            if 'crop' not in str(pipeline).lower():
                assert 640 <= min(height, width) <= 800
        assert len(sample.gt_instances.bboxes) <= 2
        if loader == 'val_dataloader':  # annotations keep the image's own size, for pictures
            height, width = 60, 80
        if DATA[name] != 'boxes':
            assert sample.gt_instances.masks.masks.shape[1:] == (height, width)
        if DATA[name] == 'segments':
            assert sample.gt_sem_seg.sem_seg.shape == (1, height, width)
            assert set(sample.gt_sem_seg.sem_seg.unique().tolist()) <= {1, 17, 100, 255}


def test_every_data_set_is_among_those():
    def pipelines(name):
        cfg = read(name)
        return str(cfg.train_dataloader), str(cfg.val_dataloader)

    tested = {pipelines(name) for name in DATA}
    assert len(tested) == len(DATA)
    assert {pipelines(name) for name in NAMES} == tested


def test_what_is_measured(name):
    evaluators = read(name).val_evaluator
    evaluators = evaluators if isinstance(evaluators, list) else [evaluators]
    kind = detector_of(name)
    boxes, masks = ('CocoMetric', 'bbox'), ('CocoMetric', ['bbox', 'segm'])
    panoptic = ('CocoPanopticMetric', None)
    expected = {
        'rpn': [('CocoMetric', 'proposal')],
        'panoptic_fpn': [panoptic],
        'mask2former': [panoptic, masks],
    }.get(kind, [masks] if 'mask' in kind else [boxes])
    assert [(e.type, e.get('metric')) for e in evaluators] == expected
    best = read(name).default_hooks.checkpoint
    # mmengine knows by itself that more AP and AR is better
    assert best.save_best == ('coco_panoptic/PQ' if panoptic in expected else 'auto')
    assert best.get('rule') == ('greater' if panoptic in expected else None)


def test_only_detectors_of_boxes_offer_tta(name):
    """MMDetection merges no masks."""
    cfg = read(name)
    offers = detector_of(name) in ('retinanet', 'atss', 'faster_rcnn')
    assert ('tta_model' in cfg and 'tta_pipeline' in cfg) == offers


def test_without_weights_it_starts_from_random_ones(name):
    cfg = read(name)
    drop_pretrained(cfg)
    assert not cfg.model.backbone.init_cfg

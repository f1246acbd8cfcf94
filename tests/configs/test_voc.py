"""configs/*_voc0712.py: the data of MMDetection's config, a step of training and an evaluation."""

from pathlib import Path

import cv2
import mmdet
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, init_default_scope
from mmengine.runner import Runner

from tnt_backbone.run.preflight import check_training
from tnt_backbone.run.pretrained import drop_pretrained

NAME = 'faster_rcnn_tnt_s_voc0712'
CONFIG = Path(__file__).parents[2] / f'configs/{NAME}.py'
STOCK = Path(mmdet.__file__).parent / '.mim/configs/pascal_voc/faster-rcnn_r50_fpn_1x_voc0712.py'
OBJECT = """<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>
<xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"""


@pytest.fixture
def cfg():
    cfg = Config.fromfile(CONFIG)
    init_default_scope(cfg.default_scope)
    return cfg


@pytest.fixture
def devkit(tmp_path):
    """``VOC2007`` and ``VOC2012``: two images each, with a sofa, and a cat that is difficult."""
    root = tmp_path / 'VOCdevkit'
    for year in (2007, 2012):
        folders = [root / f'VOC{year}' / f for f in ('JPEGImages', 'Annotations', 'ImageSets/Main')]
        for folder in folders:
            folder.mkdir(parents=True)
        images, annotations, lists = folders
        for i in range(2):
            pixels = np.random.default_rng(i).integers(0, 256, (60, 80, 3), dtype=np.uint8)
            cv2.imwrite(str(images / f'00000{i}.jpg'), pixels)
            sofa = OBJECT.format(5, 9, 45, 55, name='sofa', difficult=0)
            cat = OBJECT.format(30, 1, 80, 40, name='cat', difficult=1)
            (annotations / f'00000{i}.xml').write_text(
                f'<annotation><size><width>80</width><height>60</height></size>{sofa}{cat}'
                '</annotation>'
            )
        for split in ('trainval', 'test'):
            (lists / f'{split}.txt').write_text('000000\n000001\n')
    return root


def use(cfg, devkit):
    train = cfg.train_dataloader.dataset.dataset.datasets
    for part in (*train, cfg.val_dataloader.dataset, cfg.test_dataloader.dataset):
        part.data_root = str(devkit)
    return cfg


def without_backends(node):
    if isinstance(node, dict):
        return {k: without_backends(v) for k, v in node.items() if k != 'backend_args'}
    if isinstance(node, list | tuple):
        return [without_backends(part) for part in node]
    return 'LoadImageFromFile' if node == 'LoadImageOrSkip' else node


def test_data_and_length_are_those_of_mmdetection(cfg):
    stock = Config.fromfile(STOCK)
    keys = ('train_dataloader', 'val_dataloader', 'test_dataloader')
    for key in (*keys, 'val_evaluator', 'test_evaluator'):
        assert without_backends(cfg[key].to_dict()) == without_backends(stock[key].to_dict())
    assert cfg.train_cfg == stock.train_cfg
    ours, theirs = cfg.param_scheduler[-1], stock.param_scheduler[-1]
    assert (ours.end, ours.milestones, ours.gamma) == (theirs.end, theirs.milestones, theirs.gamma)
    assert cfg.auto_scale_lr == stock.auto_scale_lr
    ours, theirs = cfg.model.to_dict(), stock.model.to_dict()
    for part in ('rpn_head', 'roi_head', 'train_cfg', 'test_cfg'):
        assert without_backends(ours[part]) == without_backends(theirs[part])
    with torch.device('meta'):
        widths = MODELS.build(cfg.model.backbone).out_channels
    assert list(widths) == cfg.model.neck.in_channels
    assert cfg.model.backbone.init_cfg.checkpoint == 'tnt://tnt_s'


@pytest.mark.slow
def test_it_takes_a_step_and_is_measured(cfg, devkit, tmp_path):
    torch.manual_seed(0)
    drop_pretrained(use(cfg, devkit))
    assert check_training(cfg) == []
    cfg.model.backbone.arch = dict(
        depth=2, word_dims=8, word_heads=2, sentence_dims=48, sentence_heads=3
    )
    cfg.model.neck.in_channels = [48] * 4
    train, test = cfg.model.train_cfg, cfg.model.test_cfg
    train.rpn_proposal.max_per_img = test.rpn.max_per_img = 50
    train.rcnn.sampler.num = 16
    test.rcnn.update(score_thr=0.0, max_per_img=10)
    cfg.train_dataloader.dataset.times = 1
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    train = cfg.train_dataloader.dataset.dataset.datasets
    for part in (*train, cfg.val_dataloader.dataset, cfg.test_dataloader.dataset):
        part.indices = 1  # an image of each year: a step
        for transform in part.pipeline:
            if transform.type == 'Resize':
                transform.scale = (96, 64)
    cfg.train_cfg.max_epochs = 1
    cfg.default_hooks.logger.interval = 1
    cfg.work_dir = str(tmp_path / 'work')
    cfg.visualizer.name = cfg.experiment_name = f'voc{tmp_path.name}'
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.iter == 1
    assert list((tmp_path / 'work').glob('best_pascal_voc_mAP_epoch_1.pth'))


def test_the_annotations_are_read(cfg, devkit):
    dataset = DATASETS.build(use(cfg, devkit).train_dataloader.dataset)
    assert len(dataset) == 3 * 4
    sample = dataset[0]['data_samples']
    assert sample.img_shape == (600, 800)
    found = sample.gt_instances
    assert [dataset.metainfo['classes'][label] for label in found.labels] == ['sofa']
    x1, y1, x2, y2 = 4, 8, 44, 54  # counted from 0, ten times as large, perhaps mirrored
    expected = [800 - 10 * x2, 800 - 10 * x1] if sample.flip else [10 * x1, 10 * x2]
    box = found.bboxes.tensor[0].tolist() if hasattr(found.bboxes, 'tensor') else found.bboxes[0]
    assert [box[0], box[2]] == expected
    assert [box[1], box[3]] == [10 * y1, 10 * y2]
    assert len(sample.ignored_instances) == 1


def test_without_data_the_message_shows_the_layout(cfg, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as error:
        check_training(cfg)
    for path in (
        'VOC2007/ImageSets/Main/trainval.txt',
        'VOC2012/ImageSets/Main/trainval.txt',
        'VOC2007/ImageSets/Main/test.txt',
        'VOC2012/Annotations',
        'VOC2007/JPEGImages',
    ):
        assert f'MISSING  data/VOCdevkit/{path} ' in str(error.value)
    for path in (
        'train_dataloader.dataset.dataset.datasets.1.data_root=DIR',
        'val_dataloader.dataset.data_root=DIR',
    ):
        assert path in str(error.value)

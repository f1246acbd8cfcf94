"""tools/new_config.py: what it writes runs, and what it cannot do well it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

ROOT = Path(__file__).parents[2]
MASK_RCNN = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'
RETINANET = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'


def run(tool, *args):
    return subprocess.run(
        [sys.executable, ROOT / 'tools' / tool, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=300,
    )


def make(path, source, backbone, *args):
    result = run('new_config.py', path, '--from', source, '--backbone', backbone, *args)
    assert result.returncode == 0, result.stderr
    return Config.fromfile(path), result.stdout


def test_a_detector(tmp_path):
    cfg, said = make(tmp_path / 'c.py', MASK_RCNN, 'pyramid_tnt_s', '--layer-decay', 0.8)
    backbone = cfg.model.backbone
    assert (backbone.type, backbone.arch) == ('tnt_backbone.PyramidTNT', 's')
    assert backbone.out_channels is None
    assert cfg.model.neck.in_channels == [128, 256, 512, 512]
    assert cfg.model.data_preprocessor.mean == [127.5] * 3
    assert cfg.optim_wrapper.optimizer.type == 'AdamW'
    assert cfg.optim_wrapper.constructor == 'LayerDecayOptimWrapperConstructor'
    assert cfg.optim_wrapper.paramwise_cfg.layer_decay_rate == 0.8
    assert backbone.init_cfg.checkpoint == 'tnt://pyramid_tnt_s'
    head = (tmp_path / 'c.py').read_text().split('\n\n')[0]
    for change in said.splitlines()[1:]:
        assert f'# - {change.strip()}' in head, 'the file says what was changed'


def test_a_dilated_segmentor(tmp_path):
    source = 'mmseg::deeplabv3plus/deeplabv3plus_r50-d8_4xb2-40k_cityscapes-512x1024.py'
    cfg, _ = make(tmp_path / 'c.py', source, 'tnt_s')
    assert cfg.model.backbone.out_strides == (4, 8, 8, 8)
    assert cfg.model.decode_head.in_channels == 384
    assert cfg.model.decode_head.c1_in_channels == 384
    assert cfg.model.auxiliary_head.in_channels == 384
    assert cfg.model.pretrained is None
    assert cfg.param_scheduler[0].type == 'LinearLR'


def test_a_transformers_own_recipe_is_kept(tmp_path):
    source = 'mmdet::deformable_detr/deformable-detr_r50_16xb2-50e_coco.py'
    stock = Config.fromfile(_stock(source))
    cfg, _ = make(tmp_path / 'c.py', source, 't2t_vit_14')
    assert cfg.optim_wrapper.optimizer == stock.optim_wrapper.optimizer
    assert cfg.optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult == 0.1
    assert cfg.model.neck.in_channels == [64, 384, 384]
    assert cfg.model.data_preprocessor.mean == [123.675, 116.28, 103.53]


def _stock(source):
    import mmdet

    return Path(mmdet.__file__).parent / '.mim' / 'configs' / source.partition('::')[2]


def test_from_own_data_to_a_trained_detector(tmp_path, coco_root):
    """The tutorial: a new config with the user's data, and a run of the training tool."""
    cfg, said = make(tmp_path / 'mine.py', RETINANET, 'tnt_ti', '--data', coco_root / 'train.json')
    assert cfg.model.bbox_head.num_classes == 2
    assert cfg.train_dataloader.dataset.metainfo.classes == ('box', 'disc')
    assert cfg.val_evaluator.ann_file == str(coco_root / 'train.json')
    assert 'evaluation is on the training images' in said
    result = run(
        'train.py',
        tmp_path / 'mine.py',
        '--work-dir',
        tmp_path / 'run',
        '--cfg-options',
        'train_cfg.max_epochs=1',
        'model.test_cfg.score_thr=0.0',  # an untrained detector is sure of nothing
        'train_dataloader.num_workers=0',
        'val_dataloader.num_workers=0',
        'train_dataloader.persistent_workers=False',
        'val_dataloader.persistent_workers=False',
        'train_dataloader.dataset.pipeline.2.scale=(64,64)',
        'test_pipeline.1.scale=(64,64)',
        'val_dataloader.dataset.pipeline.1.scale=(64,64)',
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert (tmp_path / 'run' / 'epoch_1.pth').is_file()
    assert 'coco/bbox_mAP' in result.stdout + result.stderr


REFUSED = {
    'mmdet::faster_rcnn/faster-rcnn_r50-caffe-c4_ms-1x_coco.py': 'roi_head.shared_head',
    'mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py': 'the backbone is SwinTransformer',
    'mmdet::dcn/faster-rcnn_r50-dconv-c3-c5_fpn_1x_coco.py': 'dcn and plugins',
    'mmdet::nothing/at_all.py': 'there is no such config',
    'mmdetection::x.py': 'mmdetection is not installed',
}


@pytest.mark.parametrize('source', REFUSED)
def test_what_it_cannot_do_well_is_refused(tmp_path, source):
    result = run('new_config.py', tmp_path / 'c.py', '--from', source, '--backbone', 'tnt_s')
    assert result.returncode == 1
    assert REFUSED[source] in result.stderr
    assert not (tmp_path / 'c.py').exists()


def test_unknown_backbones_and_taken_names(tmp_path):
    args = (tmp_path / 'c.py', '--from', RETINANET, '--backbone')
    result = run('new_config.py', *args, 'tnt_xl')
    assert 'tnt_xl is not known: choose one of tnt_ti, tnt_s' in result.stderr
    (tmp_path / 'c.py').write_text('mine = 1\n')
    result = run('new_config.py', *args, 'tnt_s')
    assert 'c.py exists: give another name, or --force' in result.stderr
    assert (tmp_path / 'c.py').read_text() == 'mine = 1\n'


def test_data_that_does_not_fit(tmp_path, coco_root):
    content = json.loads((coco_root / 'train.json').read_text())
    content['categories'].pop()
    (coco_root / 'val.json').write_text(json.dumps(content))
    args = ('--from', RETINANET, '--backbone', 'tnt_ti', '--data', coco_root / 'train.json')
    result = run('new_config.py', tmp_path / 'c.py', *args, '--val-data', coco_root / 'val.json')
    assert "has the categories ['box'], but" in result.stderr
    result = run('new_config.py', tmp_path / 'c.py', *args[:-1], coco_root / 'no.json')
    assert 'no.json: no such file' in result.stderr

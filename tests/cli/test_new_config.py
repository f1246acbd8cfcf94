"""tools/new_config.py: what it writes runs, and what it cannot do well it refuses."""

import itertools
import json
import re
import runpy
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from PIL import Image
from torch import nn

from tnt_backbone.demo.dataset import make_dataset

ROOT = Path(__file__).parents[2]
MASK_RCNN = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'
RETINANET = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
UPERNET = 'mmseg::upernet/upernet_r50_4xb4-160k_ade20k-512x512.py'
RESNET = 'mmpretrain::resnet/resnet50_8xb32_in1k.py'
NO_WORKERS = ('train_dataloader.num_workers=0', 'val_dataloader.num_workers=0')


@pytest.fixture
def run(monkeypatch):
    """Run a tool with arguments in this process."""
    names = itertools.count()
    for name in ('LOCAL_RANK', 'RANK', 'WORLD_SIZE'):
        monkeypatch.delenv(name, raising=False)

    def run_tool(tool, *args):
        if tool == 'train.py':
            # A second visualizer of one name in a process writes into the first one's folder.
            args = (*args, f'visualizer.name=new_config{id(monkeypatch)}_{next(names)}')
        monkeypatch.setattr(sys, 'argv', [tool, *map(str, args)])
        with warnings.catch_warnings():
            runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')

    return run_tool


@pytest.fixture
def make(run, tmp_path, capsys):
    """Write a config; return it, and what the tool said."""

    def make_config(*args):
        run('new_config.py', tmp_path / 'c.py', *args)
        return Config.fromfile(tmp_path / 'c.py'), capsys.readouterr().out

    return make_config


@pytest.fixture
def refuses(run, tmp_path, capsys):
    """Return why the tool writes no config."""

    def refuse(*args):
        with pytest.raises(SystemExit) as stopped:
            run('new_config.py', tmp_path / 'c.py', *args)
        assert stopped.value.code == 2
        assert not (tmp_path / 'c.py').exists()
        return capsys.readouterr().err

    return refuse


@pytest.fixture(scope='session')
def digits(tmp_path_factory):
    """The demo's data set, with 12 scenes and 12 single digits to train on, and 10 of each more."""
    root = tmp_path_factory.mktemp('digits')
    make_dataset(root / 'all', train=12, val=10, size=64)
    return root / 'all'


@pytest.fixture
def masks(digits, tmp_path):
    """A folder in the layout that the tutorial shows."""
    for split in ('train', 'val'):
        for part, source in (('images', digits / split), ('labels', digits / 'semantic' / split)):
            (tmp_path / 'own' / part).mkdir(parents=True, exist_ok=True)
            (tmp_path / 'own' / part / split).symlink_to(source)
    names = ['background', *(f'digit {i}' for i in range(10))]
    (tmp_path / 'own' / 'classes.txt').write_text('\n'.join(names) + '\n')
    return tmp_path / 'own'


def fill(folder, name, pixels):
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(folder / name)


# ------------------------------------------------------------------ the backbone


def test_a_detector(make, tmp_path):
    cfg, said = make('--from', MASK_RCNN, '--backbone', 'pyramid_tnt_s', '--layer-decay', 0.8)
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


@pytest.mark.parametrize('rate', [7, 0, -1, 'nan'])
def test_a_layer_decay_that_no_run_would_take(refuses, rate):
    said = refuses('--from', RETINANET, '--backbone', 'tnt_s', '--layer-decay', rate)
    assert re.search(rf'--layer-decay {rate}\b.*\(0, 1\]', said)


def test_a_dilated_segmentor(make):
    source = 'mmseg::deeplabv3plus/deeplabv3plus_r50-d8_4xb2-40k_cityscapes-512x1024.py'
    cfg, _ = make('--from', source, '--backbone', 'tnt_s')
    assert cfg.model.backbone.out_strides == (4, 8, 8, 8)
    assert cfg.model.decode_head.in_channels == 384
    assert cfg.model.decode_head.c1_in_channels == 384
    assert cfg.model.auxiliary_head.in_channels == 384
    assert cfg.model.pretrained is None
    warm_up, decay = cfg.param_scheduler
    assert (warm_up.type, decay.type) == ('LinearLR', 'PolyLR')
    assert decay.eta_min / cfg.optim_wrapper.optimizer.lr == pytest.approx(1e-4 / 1e-2)  # the stock
    assert cfg.auto_scale_lr.base_batch_size == 16


OURS = [
    ('retinanet_tnt_s_coco', 'pyramid_tnt_ti', [160, 320, 320], None),
    ('faster_rcnn_pyramid_tnt_s_coco', 'tnt_ti', [192] * 4, None),
    ('fpn_tnt_s_ade20k', 't2t_vit_14', [64, 64, 384, 384], 0.1),
]


@pytest.mark.parametrize(('source', 'backbone', 'widths', 'drop_path'), OURS)
def test_one_of_our_backbones_takes_the_place_of_another(make, source, backbone, widths, drop_path):
    before = Config.fromfile(ROOT / f'configs/{source}.py')
    cfg, said = make('--from', source, '--backbone', backbone)
    assert cfg.model.neck.in_channels == widths
    assert cfg.model.backbone.get('drop_path_rate') == drop_path
    assert ('frozen_stages' in said.partition('not taken over')[2]) == ('pyramid' in source)
    init_default_scope(cfg.default_scope)
    maps = MODELS.build({**cfg.model.backbone, 'init_cfg': None})
    assert list(maps.out_channels) == widths
    assert maps.out_strides == MODELS.build({**before.model.backbone, 'init_cfg': None}).out_strides
    assert cfg.optim_wrapper.optimizer == before.optim_wrapper.optimizer


def test_what_is_no_pyramid_or_a_classifier_keeps_our_backbone(refuses):
    assert 'featmap' in refuses('--from', 'segmenter_tnt_s_ade20k', '--backbone', 'tnt_ti')
    assert 'tnt_ti_imagenet' in refuses('--from', 'tnt_s_imagenet', '--backbone', 'tnt_ti')


def test_a_transformers_own_recipe_is_kept(make):
    source = 'mmdet::deformable_detr/deformable-detr_r50_16xb2-50e_coco.py'
    cfg, _ = make('--from', source, '--backbone', 't2t_vit_14')
    assert cfg.optim_wrapper.optimizer == stock(source).optim_wrapper.optimizer
    assert cfg.optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult == 0.1
    assert cfg.model.neck.in_channels == [64, 384, 384]
    assert cfg.model.data_preprocessor.mean == [123.675, 116.28, 103.53]


@pytest.mark.parametrize(
    ('source', 'backbone', 'share'),
    [
        ('mmdet::detr/detr_r50_8xb2-150e_coco.py', 'tnt_s', 0.1),
        ('mmdet::yolof/yolof_r50-c5_8xb8-1x_coco.py', 'pyramid_tnt_s', 1 / 3),
        pytest.param(
            'mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco.py',
            't2t_vit_14',
            0.1,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_slow_backbone_keeps_its_norms_free_of_decay(make, source, backbone, share):
    cfg, said = make('--from', source, '--backbone', backbone)
    assert f' {share:g} ' in said
    init_default_scope('mmdet')
    cfg.model.backbone.init_cfg = None
    cfg.model.backbone.frozen_stages = -1
    model = MODELS.build(cfg.model)
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    groups = {id(group['params'][0]): group for group in optimizer.param_groups}
    for path, module in model.named_modules():
        norm = isinstance(module, (nn.LayerNorm, nn.GroupNorm, nn.BatchNorm2d))
        for name, parameter in module.named_parameters(recurse=False):
            group = groups[id(parameter)]
            slow = path.startswith('backbone') and not path.startswith('backbone.pyramid')
            lr = cfg.optim_wrapper.optimizer.lr * (share if slow else 1.0)
            assert group['lr'] == pytest.approx(lr), f'{path}.{name}'
            if path.startswith('backbone'):
                free = norm or name in ('bias', 'cls_token', 'word_pos', 'sentence_pos')
                decay = 0.0 if free else cfg.optim_wrapper.optimizer.weight_decay
                assert group['weight_decay'] == decay, f'{path}.{name}'


def stock(source):
    library, _, name = source.partition('::')
    return Config.fromfile(Path(find_spec(library).origin).parent / '.mim' / 'configs' / name)


@pytest.mark.parametrize(
    ('backbone', 'out_type', 'width'),
    [('tnt_s', 'cls_token', 384), ('pyramid_tnt_s', 'avg_featmap', 512)],
)
def test_a_classifier_is_what_our_own_configs_are(make, backbone, out_type, width):
    source = 'mmpretrain::resnet/resnet50_8xb8_cub.py'
    cfg, _ = make('--from', source, '--backbone', backbone)
    ours = Config.fromfile(ROOT / 'configs' / f'{backbone}_imagenet.py')
    assert cfg.model.backbone.init_cfg.checkpoint == f'tnt://{backbone}'
    assert (cfg.model.backbone.out_type, cfg.model.head.in_channels) == (out_type, width)
    for key in ('type', 'arch', 'out_type', 'drop_path_rate'):
        assert cfg.model.backbone[key] == ours.model.backbone[key]
    assert cfg.model.head.in_channels == ours.model.head.in_channels
    assert cfg.model.neck is None
    preprocessor = ours.model.data_preprocessor
    assert cfg.data_preprocessor.mean == list(preprocessor.mean)
    assert cfg.data_preprocessor.to_rgb
    assert 'bgr_to_rgb' not in cfg.data_preprocessor
    rate = ours.optim_wrapper.optimizer.lr / ours.auto_scale_lr.base_batch_size
    assert cfg.optim_wrapper.optimizer.lr / 64 == pytest.approx(rate)  # the stock config: 8 x 8


# ------------------------------------------------------------------ own data, to a trained model


def test_coco(make, run, coco_root, tmp_path):
    cfg, said = make(
        '--from', RETINANET, '--backbone', 'tnt_ti', '--data', coco_root / 'train.json'
    )
    assert cfg.model.bbox_head.num_classes == 2
    assert cfg.train_dataloader.dataset.metainfo.classes == ('box', 'disc')
    assert cfg.val_evaluator.ann_file == str(coco_root / 'train.json')
    assert 'data_root' not in cfg, 'the stock one, which nothing reads'
    assert '--val-data' in said
    run(
        'train.py',
        tmp_path / 'c.py',
        '--work-dir',
        tmp_path / 'run',
        '--cfg-options',
        *NO_WORKERS,
        'train_cfg.max_epochs=1',
        'model.test_cfg.score_thr=0.0',  # an untrained detector is sure of nothing
        'train_dataloader.dataset.pipeline.2.scale=(64,64)',
        'val_dataloader.dataset.pipeline.1.scale=(64,64)',
    )
    assert (tmp_path / 'run' / 'epoch_1.pth').is_file()
    assert {'loss', 'coco/bbox_mAP'} <= logged(tmp_path / 'run')


def test_a_folder_of_yolo_with_a_rare_class(make, run, tmp_path, capsys):
    root = tmp_path / 'yolo'
    for split, number in (('train', 5), ('val', 1)):
        for i in range(number):
            fill(root / 'images' / split, f'{i}.png', np.full((64, 64, 3), 20 * i))
            (root / 'labels' / split).mkdir(parents=True, exist_ok=True)
            label = 1 if i == 4 else 0
            (root / 'labels' / split / f'{i}.txt').write_text(f'{label} 0.5 0.5 0.5 0.25\n')
    (root / 'data.yaml').write_text('train: images/train\nval: images/val\nnames: [box, disc]\n')
    cfg, said = make(
        '--from', RETINANET, '--backbone', 'tnt_ti', '--data', root / 'data.yaml', '--balance'
    )
    assert cfg.train_dataloader.dataset.dataset.ann_file == str(tmp_path / 'c_coco_train.json')
    assert 'format: yolo' in said
    assert 'disc 1 -> 2. An epoch has 6 images instead of 5' in said
    with pytest.raises(SystemExit) as stopped:
        run('check_data.py', tmp_path / 'c.py', '--workers', 1)
    assert stopped.value.code == 0
    assert 'CocoDataset: 5 images' in capsys.readouterr().out
    run(
        'train.py',
        tmp_path / 'c.py',
        '--work-dir',
        tmp_path / 'run',
        '--no-validate',
        '--cfg-options',
        NO_WORKERS[0],
        'train_cfg.max_epochs=1',
        'train_dataloader.dataset.dataset.pipeline.2.scale=(64,64)',
    )
    assert (tmp_path / 'run' / 'epoch_1.pth').is_file()


def logged(work_dir):
    (file,) = work_dir.glob('*/vis_data/scalars.json')
    return set().union(*map(json.loads, file.read_text().splitlines()))


def test_one_coco_file_is_parted(make, refuses, coco_root, tmp_path):
    args = ('--from', RETINANET, '--backbone', 'tnt_ti', '--data', coco_root / 'train.json')
    assert re.search(r'--val-share 0\.01\b.*\b4\b', refuses(*args, '--val-share', 0.01))
    cfg, _ = make(*args, '--val-share', 0.25)
    whole, *parts = (
        json.loads((coco_root / name).read_text())
        for name in ('train.json', 'train_train.json', 'train_val.json')
    )
    assert cfg.val_dataloader.dataset.ann_file == str(coco_root / 'train_val.json')
    assert [len(part['images']) for part in parts] == [3, 1]
    for section in ('images', 'annotations'):
        joined = parts[0][section] + parts[1][section]
        assert sorted(joined, key=lambda entry: entry['id']) == whole[section]
    for part in parts:
        ids = {image['id'] for image in part['images']}
        assert {entry['image_id'] for entry in part['annotations']} == ids
    (tmp_path / 'c.py').unlink()
    said = refuses(*args, '--val-share', 0.25)
    assert re.search(r'train_train\.json.*--data.*--val-data.*--force', said)


def test_a_detector_of_masks_is_refused_for_boxes_only(refuses, coco_root):
    args = ('--backbone', 'tnt_ti', '--data', coco_root / 'train.json')
    said = refuses('--from', MASK_RCNN, *args)
    assert re.search(r'train\.json.*\b4\b.*"segmentation"', said)


def test_label_maps(make, run, masks, tmp_path, capsys):
    cfg, said = make('--from', UPERNET, '--backbone', 'tnt_ti', '--data', masks)
    assert (cfg.model.decode_head.num_classes, cfg.model.auxiliary_head.num_classes) == (11, 11)
    for loader, split in ((cfg.train_dataloader, 'train'), (cfg.test_dataloader, 'val')):
        assert loader.dataset.data_prefix.seg_map_path == f'labels/{split}'
        assert loader.dataset.reduce_zero_label is False
        assert 'reduce_zero_label' not in str(loader.dataset.pipeline)
    assert cfg.train_dataloader.dataset.metainfo.classes[:2] == ('background', 'digit 0')
    assert re.search(r"\b0\b.*'background'.*\b255\b", said)

    with pytest.raises(SystemExit) as stopped:
        run('check_data.py', tmp_path / 'c.py', '--workers', 1)
    assert stopped.value.code == 0
    assert re.search(r'BaseSegDataset.*\b12\b', capsys.readouterr().out)
    run(
        'train.py',
        tmp_path / 'c.py',
        '--work-dir',
        tmp_path / 'run',
        '--cfg-options',
        *NO_WORKERS,
        'train_cfg.max_iters=1',
        'train_cfg.val_interval=1',
        'train_dataloader.batch_size=2',
        'default_hooks.checkpoint.interval=1',
        'default_hooks.logger.interval=1',
        'train_dataloader.dataset.pipeline.2.scale=(64,64)',
        'train_dataloader.dataset.pipeline.3.crop_size=(64,64)',
        'val_dataloader.dataset.pipeline.1.scale=(64,64)',
        'val_dataloader.dataset.indices=2',
        'model.data_preprocessor.size=(64,64)',
        'model.decode_head.channels=16',
        'model.auxiliary_head.channels=16',
    )
    assert (tmp_path / 'run' / 'iter_1.pth').is_file()
    assert list((tmp_path / 'run').glob('best_mIoU_*.pth'))
    assert {'loss', 'mIoU'} <= logged(tmp_path / 'run')


def test_label_maps_of_other_names_and_colours(make, tmp_path):
    """ADE20K's folders, PNGs with a palette, endings that differ; a config of ours is kept."""
    root = tmp_path / 'own'
    for split in ('training', 'validation'):
        for name in ('a1', 'a10'):
            fill(root / 'images' / split, f'{name}.jpg', np.zeros((2, 2, 3)))
            (root / 'annotations' / split).mkdir(parents=True, exist_ok=True)
            indexed = Image.fromarray(np.array([[0, 1], [2, 255]], np.uint8), mode='P')
            indexed.putpalette([0, 0, 0, 9, 8, 7, 1, 2, 3, *[5] * 759])
            indexed.save(root / 'annotations' / split / f'{name}_mask.png')
    cfg, _ = make('--from', ROOT / 'configs' / 'mask2former_tnt_s_ade20k.py', '--data', root)
    dataset = cfg.train_dataloader.dataset
    assert dataset.data_prefix.img_path == 'images/training'
    assert dataset.seg_map_suffix == '_mask.png'
    assert dataset.metainfo.palette == [[0, 0, 0], [9, 8, 7], [1, 2, 3]]
    assert dataset.metainfo.classes == ('class 0', 'class 1', 'class 2')
    assert cfg.model.decode_head.loss_cls.class_weight == [1.0] * 3 + [0.1]  # "no object" is kept
    ours = Config.fromfile(ROOT / 'configs' / 'mask2former_tnt_s_ade20k.py')
    assert cfg.model.backbone == ours.model.backbone


def test_class_folders(make, run, digits, tmp_path, capsys):
    data = digits / 'classification'
    cfg, said = make('--from', RESNET, '--backbone', 'tnt_ti', '--data', data)
    assert (cfg.model.head.num_classes, cfg.data_preprocessor.num_classes) == (10, 10)
    assert cfg.train_dataloader.dataset.metainfo.classes == tuple('0123456789')
    assert cfg.train_dataloader.batch_size == 9
    assert re.search(r'batch_size\b.*\b32\b.*\b9\b', said)
    with pytest.raises(SystemExit) as stopped:
        run('check_data.py', tmp_path / 'c.py', '--workers', 1)
    assert stopped.value.code == 0
    run(
        'train.py',
        tmp_path / 'c.py',
        '--work-dir',
        tmp_path / 'run',
        '--cfg-options',
        *NO_WORKERS,
        'train_cfg.max_epochs=1',
        'train_dataloader.dataset.pipeline.1.scale=64',
        'train_dataloader.dataset.indices=9',
        'val_dataloader.dataset.pipeline.2.crop_size=64',
        'model.backbone.img_size=64',
    )
    assert (tmp_path / 'run' / 'epoch_1.pth').is_file()
    assert {'loss', 'accuracy/top1', 'accuracy/top5'} <= logged(tmp_path / 'run')


def test_few_classes_for_our_imagenet_recipe(make, tmp_path):
    for split, number in (('train', 20), ('val', 2)):
        for name, i in itertools.product(('cat', 'dog'), range(number)):
            fill(tmp_path / 'own' / split / name, f'{i}.JPG', np.zeros((8, 8, 3)))
    source = ROOT / 'configs' / 'tnt_s_imagenet.py'
    cfg, _ = make('--from', source, '--data', tmp_path / 'own')
    assert cfg.model.backbone.init_cfg.checkpoint == 'tnt://tnt_s'
    assert cfg.model.head.topk == cfg.val_evaluator.topk == (1,)
    assert cfg.train_dataloader.sampler.type == 'DefaultSampler'
    assert cfg.train_dataloader.batch_size == 10
    assert cfg.custom_hooks == []
    assert cfg.default_hooks.checkpoint.save_best == 'accuracy/top1'


# ------------------------------------------------------------------ what is refused

REFUSED = {
    'mmdet::faster_rcnn/faster-rcnn_r50-caffe-c4_ms-1x_coco.py': 'roi_head.shared_head',
    'mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py': 'SwinTransformer',
    'mmdet::dcn/faster-rcnn_r50-dconv-c3-c5_fpn_1x_coco.py': 'dcn',
    'mmdet::nothing/at_all.py': 'mmdet::nothing/at_all.py',
    'mmdet::_base_/default_runtime.py': '"model"',
    'mmdetection::x.py': 'mmdet, mmseg, mmpretrain',
    RESNET: 'configs/tnt_s_imagenet.py',
    'mmpretrain::simsiam/simsiam_resnet50_8xb32-coslr-100e_in1k.py': 'SimSiam',
    'mmpretrain::resnet/resnet50_8xb16_cifar10.py': 'ResNet_CIFAR',
}


@pytest.mark.parametrize('source', REFUSED)
def test_configs_that_it_cannot_do_well(refuses, source):
    own = ('--data', ROOT) if 'simsiam' in source else ()
    assert REFUSED[source] in refuses('--from', source, '--backbone', 'tnt_s', *own)


def test_a_broken_config_says_why(refuses, tmp_path):
    (tmp_path / 'broken.py').write_text(
        stock(RETINANET).pretty_text + '\nmodel["neck"]["no"] = 1\n'
    )
    said = refuses('--from', tmp_path / 'broken.py', '--backbone', 'tnt_s')
    assert "unexpected keyword argument 'no'" in said


def test_unknown_backbones_and_taken_names(refuses, run, tmp_path, capsys):
    message = refuses('--from', RETINANET, '--backbone', 'tnt_xl')
    assert re.search(r'--backbone tnt_xl\b.*\btnt_ti, tnt_s\b', message)
    message = refuses('--from', RETINANET, '--data', ROOT / 'setup.py')
    assert re.search(r'\bResNet\b.*--backbone', message)
    (tmp_path / 'c.py').write_text('mine = 1\n')
    with pytest.raises(SystemExit):
        run('new_config.py', tmp_path / 'c.py', '--from', RETINANET, '--backbone', 'tnt_s')
    said = capsys.readouterr().err
    assert re.search(r'c\.py\b.*--force', said)
    assert (tmp_path / 'c.py').read_text() == 'mine = 1\n'


def test_coco_data_that_do_not_fit(refuses, coco_root):
    content = json.loads((coco_root / 'train.json').read_text())
    content['categories'][1]['name'] = 'ring'
    (coco_root / 'val.json').write_text(json.dumps(content))
    data, val = ('--data', coco_root / 'train.json'), ('--val-data', coco_root / 'val.json')
    args = ('--backbone', 'tnt_ti', *data)
    said = refuses('--from', RETINANET, *args, *val)
    assert re.search(r"val\.json.*\['box', 'ring'\].*\['box', 'disc'\]", said)
    message = refuses('--from', RETINANET, '--backbone', 'tnt_ti', '--data', coco_root / 'no.json')
    assert f'--data {coco_root / "no.json"}' in message
    message = refuses('--from', 'mmdet::pascal_voc/retinanet_r50_fpn_1x_voc0712.py', *args)
    assert 'ConcatDataset' in message
    message = refuses('--from', 'mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py', *args)
    assert 'CocoPanopticDataset' in message
    message = refuses('--from', UPERNET, *args)
    assert f'--data {data[1]}' in message
    folder = ('--from', RETINANET, '--backbone', 'tnt_ti', '--data', coco_root)
    assert "['box', 'ring']" in refuses(*folder)
    message = refuses(*folder, '--format', 'masks')
    assert '--format masks' in message
    assert 'mmseg' in message
    assert '--images' in refuses(*folder, '--images', coco_root)
    assert '--format voc' in refuses('--from', RETINANET, *args, '--format', 'voc')


def spoil_masks(root, fault):
    labels = root / 'labels' / 'train'
    if fault == 'no folder':
        (root / 'images').rename(root / 'pictures')
    elif fault == 'no label map':
        (labels / 'a.png').unlink()
    elif fault == 'two of a name':
        fill(root / 'images' / 'train', 'a.png', np.zeros((4, 4, 3)))
    elif fault == 'jpeg':
        for path in labels.iterdir():
            path.rename(path.with_suffix('.jpg'))
    elif fault == 'colours':
        fill(labels, 'b.png', np.zeros((1, 3, 3)))
    elif fault == 'damaged':
        (labels / 'a.png').write_bytes(b'no picture')
    elif fault == 'one too many':
        (root / 'classes.txt').write_text('cat\n')
    elif fault == 'gap':
        fill(labels, 'b.png', np.full((1, 3), 40))
    else:
        value = {'binary': 0, 'nothing': 255}[fault]
        for name in ('a.png', 'b.png'):
            fill(labels, name, np.array([[value, 255, 255]]))


SPOILED = {
    'no folder': r'\bimages\b.*\bimg_dir\b',
    'no label map': r'\b1\b.*\b2\b.*images/train.*labels/train.*\ba\.png',
    'two of a name': r'\ba\.jpg and .*\ba\.png',
    'jpeg': r'\.jpg.*\.png',
    'colours': r'b\.png.*\b3\b',
    'damaged': r'a\.png',
    'one too many': r'classes\.txt.*\b1\b.*[ab]\.png.*--label-map',
    'gap': r'0, 1, 40.* 2, 3, 4',
    'binary': r'255=1',
    'nothing': r'\b255\b.*--label-map',
}


@pytest.mark.parametrize('fault', SPOILED)
def test_label_maps_that_do_not_fit(tmp_path, fault):
    import tnt_backbone.engine  # noqa: F401
    from tnt_backbone.new_config.masks import set_mask_data

    for split, name in itertools.product(('train', 'val'), ('a', 'b')):
        fill(tmp_path / 'images' / split, f'{name}.jpg', np.zeros((1, 3, 3)))
        fill(tmp_path / 'labels' / split, f'{name}.png', np.array([[0, 1, 255]]))
    spoil_masks(tmp_path, fault)
    with pytest.raises((ValueError, FileNotFoundError), match=SPOILED[fault]):
        set_mask_data(stock(UPERNET), tmp_path)


def test_class_folders_that_do_not_fit(tmp_path):
    from tnt_backbone.new_config.class_folders import set_class_folders

    def refused(text, source=RESNET):
        with pytest.raises((ValueError, FileNotFoundError), match=text):
            set_class_folders(stock(source), tmp_path)

    fill(tmp_path / 'cat', '0.jpg', np.zeros((4, 4, 3)))
    refused(r'\btrain\b.*DIR/train/<class>/.*DIR/val/<class>/')
    (tmp_path / 'cat').rename(tmp_path / 'away')
    for split in ('train', 'val'):
        fill(tmp_path / split / 'cat', '0.jpg', np.zeros((4, 4, 3)))
    refused(r'train\b.*\b1\b')
    (tmp_path / 'train' / 'dog').mkdir()
    refused('train/dog')
    fill(tmp_path / 'train' / 'dog', '0.jpg', np.zeros((4, 4, 3)))
    refused(r'\bval\b.*\bdog\b')
    (tmp_path / 'val' / '.ipynb_checkpoints').mkdir()
    refused(r'val/\.ipynb_checkpoints')
    refused(
        'SimSiam.*ImageClassifier', 'mmpretrain::simsiam/simsiam_resnet50_8xb32-coslr-100e_in1k.py'
    )


def test_splits_without_class_folders_are_refused(refuses, tmp_path):
    for split in ('train', 'val'):
        fill(tmp_path / 'flat' / split, '1.jpg', np.zeros((4, 4, 3)))
    said = refuses('--from', RESNET, '--backbone', 'tnt_ti', '--data', tmp_path / 'flat')
    assert re.search(r'flat/train\b.*\b0 class folders.*train/<class>', said)

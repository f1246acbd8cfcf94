"""tools/train.py and tools/test.py, from the command line to the files that they write."""

import itertools
import json
import os
import pickle
import re
import runpy
import signal
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import LoggerHook
from mmengine.registry import MODELS, DefaultScope

from tnt_backbone.checkpoints.read import read_tensors

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run a tool with arguments in this process, in an empty folder."""
    folder = tmp_path / 'run'
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ('LOCAL_RANK', 'RANK', 'WORLD_SIZE'):
        monkeypatch.delenv(name, raising=False)

    names = itertools.count()

    def run_tool(tool, *arguments):
        # A second visualizer or logger of the same name in one process writes where the first did.
        name = f'{folder.parent.name}{next(names)}'
        options = (f'visualizer.name={name}', f'experiment_name={name}')
        arguments = (*arguments, '--cfg-options', *options)
        monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments)])
        try:
            runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')
        finally:  # the next run may start in the same second, and would log into the same folder
            for logs in list(folder.glob('**/20*/vis_data')):
                logs.parent.rename(f'{logs.parent}_{name}')

    return run_tool


@pytest.fixture
def fails(run, capsys):
    """Run a tool that must stop with status 2; return its message."""

    def run_tool(tool, *arguments):
        with pytest.raises(SystemExit) as exit_:
            run(tool, *arguments)
        assert exit_.value.code == 2
        return capsys.readouterr().err

    return run_tool


@pytest.fixture
def untrained(tiny_config, tmp_path):
    """Weights of the tiny detector before any training."""
    cfg = Config.fromfile(tiny_config)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'untrained.pth')
    return tmp_path / 'untrained.pth'


def scalars(work_dir):
    """What the newest training run logged, in order."""
    file = max(Path(work_dir).glob('*/vis_data/scalars.json'), key=lambda f: f.stat().st_mtime_ns)
    return [json.loads(line) for line in file.read_text().splitlines()]


def metrics(work_dir):
    """What a test run measured."""
    (file,) = Path(work_dir).glob('*/*.json')
    return json.loads(file.read_text())


def losses(work_dir):
    return {row['iter']: row['loss'] for row in scalars(work_dir) if 'loss' in row}


def log_text(work_dir):
    return ''.join(path.read_text() for path in Path(work_dir).glob('*/*.log'))


RANDOM = """
_base_ = ['{}']
model = dict(backbone=dict(drop_rate=0.1, drop_path_rate=0.2))
train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='LoadImageOrSkip'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(64, 64), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]))
"""

ITERATIONS = """
_base_ = ['{}']
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=8, val_interval=100)
train_dataloader = dict(sampler=dict(_delete_=True, type='InfiniteSampler'))
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=4))
log_processor = dict(by_epoch=False)
"""


@pytest.mark.parametrize('loop', ['epochs', 'iterations'])
def test_a_resumed_run_is_the_run_that_was_never_stopped(run, tiny_config, tmp_path, loop):
    path = tmp_path / 'random.py'
    path.write_text(RANDOM.format(tiny_config))
    tiny_config = path
    limit, halves, checkpoint = 'train_cfg.max_epochs', (1, 2), 'epoch_2.pth'
    if loop == 'iterations':
        path = tmp_path / 'iterations.py'
        path.write_text(ITERATIONS.format(tiny_config))
        tiny_config, limit, halves, checkpoint = path, 'train_cfg.max_iters', (4, 8), 'iter_8.pth'

    def train(work_dir, end, *arguments):
        options = ('--cfg-options', f'{limit}={end}', 'randomness.seed=0')
        run('train.py', tiny_config, '--no-validate', '--work-dir', work_dir, *arguments, *options)

    train('whole', halves[1])
    train('stopped', halves[0])
    train('stopped', halves[1], '--resume')  # --resume finds the last checkpoint by itself

    assert sorted(losses('whole')) == list(range(1, 9))
    assert sorted(losses('stopped')) == [5, 6, 7, 8]  # four images, one each iteration
    assert losses('stopped') == {i: losses('whole')[i] for i in range(5, 9)}
    whole, stopped = (read_tensors(f'{folder}/{checkpoint}') for folder in ('whole', 'stopped'))
    assert all(torch.equal(whole[key], stopped[key]) for key in whole)

    first = f'stopped/{checkpoint.replace(str(halves[1]), str(halves[0]))}'
    train('from_path', halves[1], '--resume', first)
    assert losses('from_path') == losses('stopped')


@pytest.mark.parametrize('loop', ['epochs', 'iterations'])
def test_a_run_that_is_asked_to_stop_goes_on_as_if_it_had_not_been(
    run, tiny_config, tmp_path, monkeypatch, loop
):
    """SIGUSR1 arrives in the sixth iteration, which is the second of an epoch of four."""
    limit, end, saved = 'train_cfg.max_epochs', 2, 'epoch_1.pth'
    if loop == 'iterations':
        path = tmp_path / 'iterations.py'
        path.write_text(ITERATIONS.format(tiny_config))
        tiny_config, limit, end, saved = path, 'train_cfg.max_iters', 8, 'iter_6.pth'
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)]

    def train(work_dir, *arguments):
        options = ('--cfg-options', f'{limit}={end}', 'randomness.seed=0')
        run('train.py', tiny_config, '--no-validate', '--work-dir', work_dir, *arguments, *options)

    train('whole')
    log = LoggerHook.after_train_iter

    def kill_in_the_sixth(self, runner, *args, **kwargs):
        if runner.iter == 5:
            os.kill(os.getpid(), signal.SIGUSR1)
        log(self, runner, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(LoggerHook, 'after_train_iter', kill_in_the_sixth)
        with pytest.raises(SystemExit) as stopped:
            train('stopped')
    assert stopped.value.code == 75
    assert sorted(losses('stopped')) == [1, 2, 3, 4, 5, 6]
    assert Path('stopped/last_checkpoint').read_text().endswith(saved)
    assert re.search(rf'iteration 6\b.*SIGUSR1.*{saved}.*--resume', log_text('stopped'))
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)] == before

    train('stopped', '--resume')
    rest = range(5 if loop == 'epochs' else 7, 9)
    assert losses('stopped') == {i: losses('whole')[i] for i in rest}


def test_resume_without_a_checkpoint_starts_from_the_beginning(run, tiny_config):
    run('train.py', tiny_config, '--resume', 'auto', '--work-dir', 'new')
    assert sorted(losses('new')) == [1, 2, 3, 4]
    assert re.search(r'--resume\b.*\bnew\b', log_text('new'))


@pytest.mark.skipif(torch.cuda.is_available(), reason='for machines without a GPU')
def test_amp_trains_on_a_cpu(run, tiny_config):
    # At 64 pixels the coarsest maps are 1x1, where torch 2.11's bfloat16 convolution has no right
    # gradient on a CPU.
    options = ('randomness.seed=0', 'train_dataloader.dataset.pipeline.2.scale=(128,128)')
    for folder, amp in (('fp32', ()), ('bf16', ('--amp',))):
        run('train.py', tiny_config, '--work-dir', folder, *amp, '--cfg-options', *options)
    fp32, bf16 = scalars('fp32')[0], scalars('bf16')[0]
    assert fp32['loss'] != bf16['loss']
    assert bf16['loss'] == pytest.approx(fp32['loss'], rel=0.02)  # bfloat16 rounds to 0.4%
    assert bf16['grad_norm'] == pytest.approx(fp32['grad_norm'], rel=0.05)


def test_options_reach_the_run(run, tiny_config):
    options = ('train_dataloader.batch_size=2', 'train_dataloader.dataset.indices=2')
    run('train.py', tiny_config, '--auto-scale-lr', '--cfg-options', *options)
    (row,) = [row for row in scalars('work_dirs/tiny') if 'loss' in row]  # 2 images, batch of 2
    assert row['lr'] == pytest.approx(1e-4 * 2 / 16)


def test_weights_of_a_file_are_loaded_into_the_backbone(
    run, fails, tiny_config, tmp_path, untrained
):
    run('train.py', tiny_config, '--work-dir', 'second', '--weights', untrained)
    assert re.search(rf'\d+ \w+ \d+ tensors\b.*{re.escape(str(untrained))}', log_text('second'))
    message = fails('train.py', tiny_config, '--weights', tmp_path / 'gone.pth')
    assert 'gone.pth' in message
    assert '--from-scratch' in message
    load_from = ('--cfg-options', f'load_from={untrained}')
    run('train.py', tiny_config, '--work-dir', 'third', *load_from)
    assert f'Load checkpoint from {untrained}' in log_text('third')
    run('train.py', tiny_config, '--work-dir', 'fourth', '--from-scratch', *load_from)
    assert 'Load checkpoint from' not in log_text('fourth')
    message = fails('train.py', tiny_config, '--weights', 'a.pth', '--from-scratch')
    assert '--weights' in message


def test_dropped_annotations_and_damaged_images_are_in_the_log(run, tiny_config, coco_root):
    content = json.loads((coco_root / 'train.json').read_text())
    content['annotations'][0]['bbox'][2] = 0
    (coco_root / 'train.json').write_text(json.dumps(content))
    bad = coco_root / 'images' / '1.jpg'
    bad.write_bytes(bad.read_bytes()[:200])
    run('train.py', tiny_config, '--no-validate')
    assert sorted(losses('work_dirs/tiny')) == [1, 2, 3, 4]  # nothing is lost
    assert not any('coco/bbox_mAP' in row for row in scalars('work_dirs/tiny'))
    assert re.search(r'train\.json.*\b1\b.*\bids 10\b', log_text('work_dirs/tiny'))
    assert str(bad) in log_text('work_dirs/tiny')


def test_testing_measures_draws_and_keeps_predictions(run, tiny_config, untrained):
    run('test.py', tiny_config, untrained, '--work-dir', 'a', '--out', 'a.pkl', '--show-dir', 'vis')
    assert 0 <= metrics('a')['coco/bbox_mAP'] <= 1
    pictures = sorted(Path('a').glob('*/vis/*.jpg'))
    assert [picture.name for picture in pictures] == ['0.jpg', '1.jpg', '2.jpg', '3.jpg']
    plain = pickle.loads(Path('a.pkl').read_bytes())
    assert [Path(result['img_path']).name for result in plain] == [p.name for p in pictures]

    run('test.py', tiny_config, untrained, '--tta', '--out', 'b.pkl')
    merged = pickle.loads(Path('b.pkl').read_bytes())
    assert len(merged) == len(plain)
    scores = [result['pred_instances']['scores'] for result in (plain[0], merged[0])]
    assert not torch.equal(*(s[: min(map(len, scores))] for s in scores))


def test_mistakes_are_one_message(fails, tiny_config, coco_root, checkpoint, tmp_path):
    assert "'gone.py'" in fails('train.py', 'gone.py')
    assert "'gone.pth'" in fails('test.py', tiny_config, 'gone.pth')
    page = tmp_path / 'page.pth'
    page.write_text('<html>404</html>')
    said = fails('test.py', tiny_config, page, '--amp')
    assert re.search(r'--amp\b.*\bmmdet\b.*float32', said)
    assert re.search(r'page\.pth.*web page', fails('test.py', tiny_config, page))
    assert re.search(r'page\.pth.*web page', fails('train.py', tiny_config, '--resume', page))
    for tool, key, option in (
        ('train.py', 'optim_wrapper', '--amp'),
        ('test.py', 'test_dataloader', '--tta'),
        ('test.py', 'test_evaluator', '--out=a.pkl'),
        ('test.py', 'test_cfg', '--show-dir=a'),
    ):
        arguments = [tiny_config, *([checkpoint] if tool == 'test.py' else []), option]
        said = fails(tool, *arguments, '--cfg-options', f'{key}=None')
        assert said.count(key) == 2, 'as the missing one, and among those that are needed'
    for option in ('--work-dir', '--out'):
        message = fails('test.py', tiny_config, checkpoint, option, page / 'folder' / 'a.pkl')
        assert f'{page}/folder' in message
        assert option in message
    coco_root.rename(tmp_path / 'elsewhere')
    message = fails('train.py', tiny_config)
    assert f'MISSING  {coco_root}/train.json' in message
    assert 'docs/datasets.md' in message


def test_the_message_stands_last_after_a_short_log(run, tiny_config, capsys):
    """Also if the Runner was built before: mmengine's environment and config go to the file."""
    constructor = 'optim_wrapper.constructor=LayerDecayOptimWrapperConstructor'
    rate = 'optim_wrapper.paramwise_cfg.layer_decay_rate=2'
    with pytest.raises(SystemExit) as exit_:
        run('train.py', tiny_config, '--cfg-options', constructor, rate)
    assert exit_.value.code == 2
    out, err = capsys.readouterr()
    assert len(out) < 1000
    assert err.startswith('tools/train.py: error: paramwise_cfg.layer_decay_rate=2 ')
    assert err.count('\n') == 1
    text = log_text('work_dirs/tiny')
    assert all(part in text for part in ('System environment:', 'Config:', 'before_train_epoch:'))


def test_a_fault_of_a_library_keeps_its_traceback_after_a_short_log(run, tiny_config, capsys):
    with pytest.raises(SystemExit) as exit_:
        run('train.py', tiny_config, '--cfg-options', 'model.neck.out_channels=wide')
    assert exit_.value.code == 3
    out, err = capsys.readouterr()
    assert len(out) < 1000
    assert err.startswith('Traceback')
    assert err.splitlines()[-1].startswith('TypeError')


def test_a_validation_that_cannot_be_ends_the_training_before_it_begins(run, tiny_config, capsys):
    """MMDetection's heads read the scale of the picture, which comes of Resize."""
    config = Config.fromfile(tiny_config)
    pipeline = config.val_dataloader.dataset.pipeline
    steps = [step for step in pipeline if step['type'] != 'Resize']
    steps[-1]['meta_keys'] = ('img_id', 'img_path', 'ori_shape', 'img_shape')
    config.val_dataloader.dataset.pipeline = config.test_dataloader.dataset.pipeline = steps
    config.dump(tiny_config)
    with pytest.raises(SystemExit) as exit_:
        run('train.py', tiny_config, '--from-scratch')
    assert exit_.value.code == 3
    error = capsys.readouterr().err
    assert 'Traceback' in error
    assert 'trial_run=False' in error.splitlines()[-1]
    assert not [*Path('work_dirs/tiny').glob('*/vis_data/scalars.json')]  # of the first step


@pytest.mark.parametrize(
    ('option', 'meant'),
    [
        ('model.bbox_head.reg_decoded_bbx=True', 'reg_decoded_bbox'),
        ('train_cfg.max_epoch=6', 'max_epochs'),
        ('model.neck.type=FPM', 'FPN'),
        ('default_hooks.checkpoint.save_best=bbox_mAP', 'coco/bbox_mAP'),
    ],
)
def test_a_slip_of_the_pen_is_answered_with_what_was_meant(fails, tiny_config, option, meant):
    said = fails('train.py', tiny_config, '--from-scratch', '--cfg-options', option)
    assert meant in said.partition('Did you mean ')[2]


def test_an_argument_that_a_class_does_not_have_is_a_mistake_in_the_config(fails, tiny_config):
    said = fails('train.py', tiny_config, '--cfg-options', 'model.bbox_head.wrong=1')
    assert "'wrong'" in said


CLASSIFIER = """
custom_imports = dict(imports=['tnt_backbone'], allow_failed_imports=False)
default_scope = 'mmpretrain'
arch = dict(depth=2, word_dims=8, word_heads=2, sentence_dims=48, sentence_heads=3, mlp_ratio=2.0)
model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True),
    backbone=dict(type='tnt_backbone.TNT', arch=arch, img_size=64, out_type='cls_token'),
    head=dict(type='LinearClsHead', num_classes=2, in_channels=48, topk=(1,)),
)
dataset = dict(
    type='CustomDataset',
    data_root='{data}',
    pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')],
)
loader = dict(batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False))
train_dataloader = dict(**loader, dataset=dataset)
test_dataloader = dict(**loader, dataset=dataset)
test_evaluator = dict(type='Accuracy', topk=1)
train_cfg = dict(by_epoch=True, max_epochs=1)
test_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-3))
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=1), visualization=dict(type='VisualizationHook'))
visualizer = dict(type='UniversalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
"""


def test_mmpretrain(run, tmp_path):
    for name in ('cat', 'dog'):
        (tmp_path / 'data' / name).mkdir(parents=True)
        for i in range(2):
            image = np.full((64, 64, 3), 50 + 100 * i, np.uint8)
            cv2.imwrite(str(tmp_path / 'data' / name / f'{name}{i}.png'), image)
    config = tmp_path / 'classifier.py'
    config.write_text(CLASSIFIER.replace('{data}', str(tmp_path / 'data')))
    run('train.py', config)
    assert len(losses('work_dirs/classifier')) == 2
    checkpoint = 'work_dirs/classifier/epoch_1.pth'
    run('test.py', config, checkpoint, '--work-dir', 'a', '--out', 'a.pkl', '--show-dir', 'vis')
    assert 0 <= metrics('a')['accuracy/top1'] <= 100
    assert len(list(Path('vis').glob('*.png'))) == 4
    run('test.py', config, checkpoint, '--amp', '--out', 'b.pkl')
    scores, rounded = (
        torch.stack([result['pred_score'] for result in pickle.loads(Path(file).read_bytes())])
        for file in ('a.pkl', 'b.pkl')
    )
    assert scores.shape == (4, 2)
    assert not torch.equal(rounded, scores)
    torch.testing.assert_close(rounded.float(), scores, rtol=0.05, atol=0)


SEGMENTER = """
default_scope = 'mmseg'
arch = dict(depth=2, word_dims=8, word_heads=2, sentence_dims=48, sentence_heads=3, mlp_ratio=2.0)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True,
        size=(64, 64), seg_pad_val=255),
    backbone=dict(type='TNT', arch=arch, taps=(0, 0, 1, 1), out_indices=(0,), out_channels=None),
    decode_head=dict(type='FCNHead', in_channels=48, in_index=0, channels=8, num_convs=1,
                     num_classes=2, norm_cfg=dict(type='BN'), align_corners=False),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
dataset = dict(
    type='BaseSegDataset',
    data_root='{data}',
    metainfo=dict(classes=('ground', 'box'), palette=[[0, 0, 0], [255, 0, 0]]),
    data_prefix=dict(img_path='images', seg_map_path='labels'),
    pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
              dict(type='PackSegInputs')],
)
train_dataloader = dict(batch_size=2, num_workers=0, dataset=dataset,
                        sampler=dict(type='InfiniteSampler', shuffle=True))
test_dataloader = dict(batch_size=1, num_workers=0, dataset=dataset,
                       sampler=dict(type='DefaultSampler', shuffle=False))
test_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
train_cfg = dict(type='IterBasedTrainLoop', max_iters=2)
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-3))
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=1, log_metric_by_epoch=False),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2),
    visualization=dict(type='SegVisualizationHook'))
log_processor = dict(by_epoch=False)
visualizer = dict(type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
"""


def test_mmseg_without_custom_imports(run, coco_root, tmp_path):
    (coco_root / 'labels').mkdir()
    label = np.zeros((64, 64), np.uint8)
    label[16:48, 16:40] = 1
    for i in range(4):
        cv2.imwrite(str(coco_root / 'labels' / f'{i}.png'), label)
    config = tmp_path / 'segmenter.py'
    config.write_text(SEGMENTER.replace('{data}', str(coco_root)))
    run('train.py', config)
    assert len(losses('work_dirs/segmenter')) == 2
    checkpoint = 'work_dirs/segmenter/iter_2.pth'
    run('test.py', config, checkpoint, '--work-dir', 'a', '--out', 'maps', '--show-dir', 'vis')
    assert 0 <= metrics('a')['mIoU'] <= 100
    assert len(list(Path('maps').glob('*.png'))) == 4
    assert len(list(Path('vis').rglob('*.png'))) == 4
    run('test.py', config, checkpoint, '--work-dir', 'b', '--amp')
    assert metrics('b')['mIoU'] == pytest.approx(metrics('a')['mIoU'], abs=5)

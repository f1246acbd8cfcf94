"""A checkpoint predicts what the Runner predicts with it, from the picture file on."""

import shutil

import cv2
import numpy as np
import pytest
import torch
from mmdet.datasets import CocoDataset
from mmengine.dataset import default_collate
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from PIL import Image

from tnt_backbone import load_model
from tnt_backbone.predict.pictures import UnreadablePictureError, find_pictures
from tnt_backbone.predict.prepare import Preparation

TASKS = ('detection', 'segmentation', 'classification')
FOLDERS = {'classification': 'classification/val'}


def predicted_by_the_runner(cfg, path, tmp_path):
    """Return mmengine's own predictions, by the base name of the picture."""
    cfg.work_dir = str(tmp_path / 'runner')
    cfg.load_from = str(path)
    cfg.test_dataloader.batch_size = 1
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        runner = Runner.from_cfg(cfg)
        loader = runner.build_dataloader(cfg.test_dataloader)
        runner.load_checkpoint(str(path))
        runner.model.eval()
        with torch.no_grad():
            samples = [sample for batch in loader for sample in runner.model.test_step(batch)]
    return {sample.img_path.rpartition('/')[2]: sample for sample in samples}


@pytest.mark.parametrize('rule', [{'thr': 0.45}, {'thr': 0.99}, {'topk': 7}])
def test_all_labels_of_a_multi_label_head_are_written(make_checkpoint, data, rule):
    path, cfg = make_checkpoint('classification')
    cfg.model.head = {'type': 'MultiLabelLinearClsHead', 'num_classes': 10, 'in_channels': 192}
    cfg.model.head.update(rule)
    content = torch.load(path, weights_only=False)
    content['meta']['cfg'] = cfg.pretty_text
    torch.save(content, path)
    model = load_model(path, device='cpu')
    (picture,) = find_pictures([data / 'classification/val/0/0.jpg'])
    (result,) = model.predict([picture.path])
    with torch.no_grad(), DefaultScope.overwrite_default_scope('mmpretrain'):
        given = default_collate([model.prepare(picture)])
        tensor = model.model.data_preprocessor(given, False)['inputs']
        scores = model.model(tensor, mode='tensor')[0].sigmoid()
    np.testing.assert_allclose(result.scores, scores, rtol=1e-5)
    order = scores.argsort(descending=True).tolist()
    wanted = order[:7] if 'topk' in rule else [i for i in order if scores[i] >= rule['thr']]
    assert len(wanted) > 5 or rule == {'thr': 0.99}
    entry = result.to_json()
    assert [found['category'] for found in entry['labels']] == [str(i) for i in wanted]
    assert entry['labels'][:5] == entry['top5'][: len(wanted)]
    assert result.draw().ndim == 3


@pytest.mark.parametrize('task', TASKS)
def test_predictions_equal_those_of_the_runner(make_checkpoint, data, tmp_path, task):
    path, cfg = make_checkpoint(task)
    expected = predicted_by_the_runner(cfg, path, tmp_path)
    model = load_model(path)
    assert model.task == task
    results = model.predict(data / FOLDERS.get(task, 'val'), score=0.0)
    assert len(results) == len(expected) == (10 if task == 'classification' else 4)
    for result in results:
        sample = expected[result.name.rpartition('/')[2]]
        assert (result.height, result.width) == tuple(sample.ori_shape)
        if task == 'classification':
            np.testing.assert_array_equal(result.scores, sample.pred_score)
        elif task == 'segmentation':
            np.testing.assert_array_equal(result.labels, sample.pred_sem_seg.data[0])
        else:
            objects = sample.pred_instances
            assert len(objects) > 5
            np.testing.assert_array_equal(result.boxes, objects.bboxes)
            np.testing.assert_array_equal(result.scores, objects.scores)
            np.testing.assert_array_equal(result.labels, objects.labels)
            assert result.names == [str(label) for label in objects.labels.tolist()]


def test_batches_and_loader_processes_keep_the_order(make_checkpoint, data):
    model = load_model(make_checkpoint('segmentation')[0])
    pictures = find_pictures([data / 'val'])
    one = list(model.stream(pictures))
    many = list(model.stream(pictures, batch_size=3, workers=2))
    assert [result.name for result in many] == ['0.jpg', '1.jpg', '2.jpg', '3.jpg']
    for first, second in zip(one, many, strict=True):
        np.testing.assert_array_equal(first.labels, second.labels)


def test_a_path_an_array_and_a_pil_image_are_one_picture(make_checkpoint, data, tmp_path):
    model = load_model(make_checkpoint('detection')[0])
    path = tmp_path / 'lossless.png'
    Image.open(data / 'val/0.jpg').save(path)
    image = Image.open(path)
    results = model.predict([str(path), image, np.asarray(image)[..., ::-1]], score=0.0)
    assert len(results[0].boxes) > 5
    for result in results[1:]:
        np.testing.assert_array_equal(result.boxes, results[0].boxes)
        np.testing.assert_array_equal(result.pixels, np.asarray(image))


def test_one_picture_gives_one_result_and_a_folder_a_list(make_checkpoint, data, tmp_path):
    model = load_model(make_checkpoint('classification')[0])
    assert model.predict(data / 'val/0.jpg').name == '0.jpg'
    folder = tmp_path / 'one'
    folder.mkdir()
    shutil.copy(data / 'val/0.jpg', folder)
    assert [result.name for result in model.predict(folder)] == ['0.jpg']


def test_orientation_of_exif_is_applied(make_checkpoint, data, tmp_path):
    image = Image.open(data / 'val/0.jpg')
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = tmp_path / 'turned.jpg'
    image.save(turned, exif=exif.tobytes(), quality=95)
    result = load_model(make_checkpoint('detection')[0]).predict(turned)
    assert (result.height, result.width) == (image.width, image.height)
    assert result.pixels.shape == (image.width, image.height, 3)


@pytest.mark.parametrize('mode', ['L', 'P', 'RGBA', 'CMYK', '1'])
def test_pictures_of_other_kinds_are_read_as_training_reads_them(
    make_checkpoint, data, tmp_path, mode
):
    path = tmp_path / ('picture.jpg' if mode == 'CMYK' else 'picture.png')
    Image.open(data / 'val/0.jpg').convert(mode).save(path)
    result = load_model(make_checkpoint('segmentation')[0]).predict(path)
    assert result.labels.shape == (96, 128)


def test_a_damaged_picture_is_named_and_the_others_are_predicted(make_checkpoint, data):
    whole = (data / 'val/1.jpg').read_bytes()
    (data / 'val/1.jpg').write_bytes(whole[: len(whole) // 2])
    (data / 'val/2.jpg').write_bytes(b'')
    model = load_model(make_checkpoint('detection')[0])
    results = list(model.stream(find_pictures([data / 'val']), batch_size=4))
    failed = [isinstance(result, UnreadablePictureError) for result in results]
    assert failed == [False, True, True, False]
    assert '1.jpg' in str(results[1])
    with pytest.raises(UnreadablePictureError, match=r'1\.jpg'):
        model.predict(data / 'val')


def test_objects_are_chosen_by_score_and_class(make_checkpoint, data):
    model = load_model(make_checkpoint('detection')[0])
    every = model.predict(data / 'val/0.jpg', score=0.0)
    limit = float(np.median(every.scores))
    high = model.predict(data / 'val/0.jpg', score=limit)
    assert high.scores.tolist() == [score for score in every.scores.tolist() if score >= limit]
    assert 0 < len(high.scores) < len(every.scores)
    name = every.names[0]
    chosen = model.predict(data / 'val/0.jpg', score=0.0, classes=[name])
    assert chosen.names == [name] * every.names.count(name)
    with pytest.raises(ValueError, match='horse'):
        model.predict(data / 'val/0.jpg', classes=['horse'])


def test_a_name_of_a_class_may_be_a_text(make_checkpoint, data):
    model = load_model(make_checkpoint('detection')[0])
    every = model.predict(data / 'val/0.jpg', score=0.0).names
    name = every[0]
    found = model.predict(data / 'val/0.jpg', score=0.0, classes=name).names
    assert found == [name] * every.count(name)
    with pytest.raises(ValueError, match='10'):
        model.predict(data / 'val/0.jpg', classes='10')  # not the classes 1 and 0


def test_supervision_is_optional(make_checkpoint, data, monkeypatch):
    result = load_model(make_checkpoint('detection')[0]).predict(data / 'val/0.jpg')
    monkeypatch.setattr('tnt_backbone.predict.results.find_spec', lambda name: None)
    with pytest.raises(ImportError, match='pip install supervision'):
        result.to_supervision()


def test_a_checkpoint_in_the_home_folder(make_checkpoint, tmp_path, monkeypatch):
    make_checkpoint('classification')
    monkeypatch.setenv('HOME', str(tmp_path))
    assert load_model('~/classification.pth', device='cpu').task == 'classification'


def test_a_checkpoint_that_is_not_there(tmp_path):
    (tmp_path / 'a.pth').touch()
    with pytest.raises(FileNotFoundError, match=r'b\.pth.*a\.pth'):
        load_model(tmp_path / 'b.pth')


def test_names_come_from_the_checkpoint_first(make_checkpoint):
    names = tuple('abcdefghij')
    path, _ = make_checkpoint('detection', dataset_meta={'classes': names})
    assert load_model(path).classes == names


def test_names_of_older_libraries(make_checkpoint):
    """MMDetection 2 and MMSegmentation 0 wrote them in capitals."""
    names, palette = list('abcdefghij'), [[number] * 3 for number in range(10)]
    path, _ = make_checkpoint('detection', CLASSES=names, PALETTE=palette)
    model = load_model(path)
    assert model.classes == tuple(names)
    assert list(map(list, model.palette)) == palette


def test_names_of_a_stock_data_set(make_checkpoint, tmp_path):
    """Its config has none: they are those of the data set's type, in the config's library."""
    path, cfg = make_checkpoint('detection')
    for loader in (cfg.test_dataloader, cfg.val_dataloader):
        loader.dataset.type = 'CocoDataset'
        loader.dataset.pop('metainfo')
    content = torch.load(path, weights_only=True)
    torch.save({**content, 'meta': {'cfg': cfg.pretty_text}}, path)
    cfg.dump(tmp_path / 'config.py')
    for model in (load_model(path), load_model(path, config=tmp_path / 'config.py')):
        assert model.classes == CocoDataset.METAINFO['classes']
        assert list(model.palette) == CocoDataset.METAINFO['palette']


def test_an_error_of_the_model_names_the_picture(make_checkpoint, data):
    model = load_model(make_checkpoint('detection')[0])

    def fail(batch):
        raise RuntimeError('selected index k out of range')

    model.model.test_step = fail
    with pytest.raises(RuntimeError, match='selected index') as caught:
        model.predict(data / 'val/1.jpg')
    (note,) = caught.value.__notes__
    assert f'{data}/val/1.jpg' in note
    assert '128x128' in note


def test_a_config_file_replaces_the_one_inside(make_checkpoint, tmp_path, data):
    path, cfg = make_checkpoint('detection')
    bare = tmp_path / 'bare.pth'
    torch.save(torch.load(path, weights_only=True)['state_dict'], bare)
    with pytest.raises(ValueError, match='--config'):
        load_model(bare)
    config = tmp_path / 'config.py'
    cfg.dump(config)
    first, second = (
        model.predict(data / 'val/0.jpg', score=0.0)
        for model in (load_model(path), load_model(bare, config=config))
    )
    assert len(first.boxes)
    np.testing.assert_array_equal(first.boxes, second.boxes)


def test_weights_of_another_model_are_refused(make_checkpoint, tmp_path):
    path, _ = make_checkpoint('detection')
    content = torch.load(path, weights_only=True)
    weights = content['state_dict']
    weights['other.weight'] = weights.pop('bbox_head.retina_cls.weight')
    torch.save(content, path)
    with pytest.raises(ValueError, match=r'bbox_head\.retina_cls\.weight.*other\.weight'):
        load_model(path)


def test_a_picture_that_resizing_leaves_nothing_of_is_named(tmp_path):
    """1 x 3000 pixels in a field of 80 x 133 are less than half a pixel high."""
    for name, shape in (('good.png', (40, 60)), ('narrow.png', (1, 3000))):
        cv2.imwrite(str(tmp_path / name), np.zeros((*shape, 3), np.uint8))
    model = load_model('tnt://digits')
    first, *others = model.cfg.test_dataloader.dataset.pipeline
    resize = {'type': 'Resize', 'scale': (133, 80), 'keep_ratio': True}
    with DefaultScope.overwrite_default_scope('mmdet'):
        model.prepare = Preparation([first, resize, *others])
    good, narrow = model.stream(find_pictures([tmp_path]))
    assert (good.height, good.width) == (40, 60)
    assert isinstance(narrow, UnreadablePictureError)
    assert all(word in str(narrow) for word in ('narrow.png', ' 3000x1 '))

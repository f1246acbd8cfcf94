"""tnt predict and tnt publish, from the command line to the files."""

import json
import re
import socket
import sys

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.conftest import ROOT
from tnt_backbone import load_model
from tnt_backbone.checkpoints.read import read_tensors
from tnt_backbone.cli import tnt
from tnt_backbone.demo.dataset import make_dataset
from tnt_backbone.predict.load import BUILT_IN

DIGITS = 'tnt://digits'


@pytest.fixture
def run(monkeypatch, capsys):
    """Run tnt in this process; return its exit status and what it printed."""

    def run_tnt(*arguments):
        monkeypatch.setattr(sys, 'argv', ['tnt', *map(str, arguments)])
        try:
            tnt.main()
            status = 0
        except SystemExit as exit_:
            status = exit_.code
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return run_tnt


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    """Thirty held-out scenes of the demo."""
    root = tmp_path_factory.mktemp('scenes') / 'data'
    make_dataset(root, train=1, val=30)
    return root


def average_precision(annotations, results):
    truth = COCO(str(annotations))
    names = {image['file_name']: image['id'] for image in truth.loadImgs(truth.getImgIds())}
    evaluation = COCOeval(
        truth,
        truth.loadRes([{**entry, 'image_id': names[entry['file_name']]} for entry in results]),
        'bbox',
    )
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats[0]


def test_the_detector_in_the_package_knows_digits(run, scenes, tmp_path, monkeypatch):
    status, printed = run('predict', DIGITS, scenes / 'val', '--out', tmp_path, '--score', 0)
    assert status == 0, printed
    results = json.loads((tmp_path / 'predictions.json').read_text())
    assert len(list((tmp_path / 'pictures').glob('*.jpg'))) == 30
    annotations = scenes / 'annotations/instances_val.json'
    measured = average_precision(annotations, results)
    assert measured > 0.7

    # the evaluator of tnt test says the same
    monkeypatch.setenv('TNT_DEMO_DATA', f'{scenes}/')
    cfg = Config.fromfile(ROOT / 'configs/retinanet_tnt_digits.py')
    cfg.work_dir, cfg.load_from = str(tmp_path / 'test'), str(BUILT_IN[DIGITS])
    with DefaultScope.overwrite_default_scope('mmdet'):
        metrics = Runner.from_cfg(cfg).test()
    assert metrics['coco/bbox_mAP'] == pytest.approx(measured, abs=1e-3)  # it prints 3 digits


def test_pictures_without_an_object_say_how_to_see_less_certain_ones(run, tmp_path):
    Image.new('RGB', (128, 128)).save(tmp_path / 'dark.png')
    out = tmp_path / 'out'
    status, printed = run('predict', DIGITS, tmp_path / 'dark.png', '--out', out, '--score', 0.8)
    assert (status, json.loads((out / 'predictions.json').read_text())) == (0, [])
    assert '--score 0.08 --force' in printed
    status, printed = run(
        *('predict', DIGITS, tmp_path / 'dark.png', '--out', out, '--score', 0, '--force')
    )
    assert status == 0
    assert '--score' not in printed


def test_no_socket_is_opened(run, scenes, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(socket.socket, 'connect', lambda _, address: opened.append(address))
    monkeypatch.setattr(socket, 'create_connection', lambda address, *_: opened.append(address))
    status, printed = run('predict', DIGITS, scenes / 'val/000000.jpg', '--out', tmp_path)
    assert (status, opened) == (0, []), printed


def test_the_users_pictures_are_not_written_over(run, scenes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'pictures').mkdir()
    mine = tmp_path / 'pictures/a.jpg'
    content = (scenes / 'val/000000.jpg').read_bytes()
    mine.write_bytes(content)
    status, printed = run('predict', DIGITS, 'pictures', '--out', '.')
    assert (status, '--out' in printed) == (2, True)
    assert mine.read_bytes() == content
    for _ in range(2):  # the second call does not see the pictures of the first
        status, printed = run('predict', DIGITS, '.')
        assert status == 0, printed
    entries = json.loads((tmp_path / 'predictions/predictions.json').read_text())
    assert {entry['file_name'] for entry in entries} == {'pictures/a.jpg'}


@pytest.mark.parametrize('form', ['coco', 'yolo'])
def test_forced_labels_are_of_this_run(run, scenes, tmp_path, form):
    files = sorted((scenes / 'val').glob('*.jpg'))[:2]
    command = ('--out', tmp_path, '--as', form, '--no-pictures')
    run('predict', DIGITS, *files, *command)
    status, printed = run('predict', DIGITS, files[1], *command, '--score', 0.5, '--force')
    assert status == 0, printed
    if form == 'coco':
        coco = COCO(str(tmp_path / 'labels_coco.json'))
        names = [image['file_name'] for image in coco.imgs.values()]
    else:
        names = [path.with_suffix('.jpg').name for path in tmp_path.glob('labels_yolo/*.txt')]
    assert names == [files[1].name]


def test_a_broken_picture_is_reported_and_the_run_goes_on(run, scenes, tmp_path):
    folder = tmp_path / 'pictures'
    (folder / 'sub').mkdir(parents=True)
    whole = (scenes / 'val/000000.jpg').read_bytes()
    (folder / 'a.jpg').write_bytes(whole[:900])
    (folder / 'sub/a.jpg').write_bytes(whole)
    command = ('predict', DIGITS, folder, '--out', tmp_path / 'out', '--no-pictures')
    status, printed = run(*command)
    assert status == 1
    assert 'a.jpg' in printed
    entries = json.loads((tmp_path / 'out/predictions.json').read_text())
    assert {entry['file_name'] for entry in entries} == {'sub/a.jpg'}

    (folder / 'a.jpg').write_bytes(whole)
    status, printed = run(*command)
    assert status == 0
    assert re.search(r'^1 ', printed, re.MULTILINE)  # the other is done
    entries = json.loads((tmp_path / 'out/predictions.json').read_text())
    boxes = {name: [] for name in ('a.jpg', 'sub/a.jpg')}
    for entry in entries:
        boxes[entry['file_name']].append((entry['category'], entry['bbox'], entry['score']))
    assert boxes['a.jpg'] == boxes['sub/a.jpg'] != []


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        (['{tmp}/none.pth', '{tmp}'], 'none.pth'),
        (['{tmp}/text.pth', '{tmp}/a.png'], 'text.pth'),
        ([DIGITS, '{tmp}/none.png'], 'none.png'),
        ([DIGITS, '{tmp}/empty'], 'empty'),
        ([DIGITS, '{tmp}/text.pth'], 'text.pth'),
        ([DIGITS, '{tmp}/a.png', '--classes', 'horse'], 'horse'),
        ([DIGITS, '{tmp}/a.png', '--config', '{tmp}/none.py'], 'none.py'),
        ([DIGITS, '{tmp}/a.png', '--score', '2'], '--score'),
        ([DIGITS, '{tmp}/a.png', '--batch', '0'], '--batch'),
        ([DIGITS, '{tmp}/a.png', '--tiles', '8'], '--tiles 8'),
        ([DIGITS, '{tmp}/a.png', '--size', '8'], '--size 8'),
    ],
)
def test_mistakes_are_named_and_write_nothing(run, tmp_path, arguments, named):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'text.pth').write_text('no weights')
    Image.new('RGB', (32, 32)).save(tmp_path / 'a.png')
    given = [text.replace('{tmp}', str(tmp_path)) for text in arguments]
    status, printed = run('predict', *given, '--out', tmp_path / 'out')
    assert status == 2
    assert named in printed
    assert not list(tmp_path.glob('out/*'))


def test_an_option_is_told_before_the_folder(run, tmp_path):
    """The folder cannot be used either, and another one would not help."""
    Image.new('RGB', (32, 32)).save(tmp_path / 'a.png')
    (tmp_path / 'file').write_text('')
    for option in (('--size', '8'), ('--tiles', '8'), ('--score', '2'), ('--batch', '0')):
        command = ('predict', DIGITS, tmp_path / 'a.png', '--out', tmp_path / 'file', *option)
        status, printed = run(*command)
        assert (status, ' '.join(option) in printed, '--out' in printed.splitlines()[-1]) == (
            2, True, False
        )  # fmt: skip


def test_a_published_checkpoint_predicts_like_the_one_it_was_made_of(run, scenes, tmp_path):
    content = torch.load(BUILT_IN[DIGITS], weights_only=True)
    content['optimizer'] = {'state': {0: torch.zeros(1000)}}
    content['meta']['hook_msgs'] = {'last_ckpt': '/home/somebody/epoch_1.pth'}
    content['meta']['cfg'] += "\nwork_dir = '/home/somebody'\n"
    whole, out = tmp_path / 'whole.pth', tmp_path / 'out.pth'
    torch.save(content, whole)
    status, printed = run('publish', whole, out)
    assert status == 0, printed
    assert b'somebody' not in out.read_bytes()
    first, second = read_tensors(str(whole)), read_tensors(str(out))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    picture = scenes / 'val/000000.jpg'
    before, after = (load_model(path).predict(picture) for path in (whole, out))
    np.testing.assert_array_equal(before.boxes, after.boxes)

    assert run('publish', whole, out)[0] == 2  # it exists
    assert run('publish', whole, out, '--half', '--force')[0] == 0
    assert {tensor.dtype for tensor in read_tensors(str(out)).values()} == {torch.float16}


def test_a_checkpoint_is_enough_for_a_test(run, scenes, tmp_path, monkeypatch):
    monkeypatch.setenv('TNT_DEMO_DATA', f'{scenes}/')
    cfg = Config.fromfile(ROOT / 'configs/retinanet_tnt_digits.py')
    content = torch.load(BUILT_IN[DIGITS], weights_only=True)
    content['meta']['cfg'] = cfg.pretty_text
    path = tmp_path / 'digits.pth'
    torch.save(content, path)
    # with and without the config, a checkpoint's data can be changed in the same words
    annotations = scenes / 'annotations/instances_val.json'
    options = ('--cfg-options', f'test_evaluator.ann_file={annotations}')
    figures = []
    for arguments in ((path,), ('retinanet_tnt_digits', path)):
        work_dir = tmp_path / f'run{len(figures)}'
        status, printed = run('test', *arguments, '--work-dir', work_dir, *options)
        assert status == 0, printed
        (file,) = work_dir.glob('*/*.json')
        figures.append(json.loads(file.read_text())['coco/bbox_mAP'])
    assert figures[0] == figures[1] > 0.7

"""What is written for predictions, and how a run that was ended goes on."""

import json

import numpy as np
import pycocotools.mask
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from tnt_backbone.predict.pictures import Picture, UnreadablePictureError
from tnt_backbone.predict.results import Detection, Segmentation
from tnt_backbone.predict.write import PredictionFolder

SETTINGS = {'checkpoint': 'a.pth', 'score': 0.3}
SHARED = dict(
    height=4, width=6, classes=('cat', 'dog'), palette=((9, 8, 7), (1, 2, 3)), _sample=None,
    _pixels='',
)  # fmt: skip


def segmentation(name, value=1):
    return Segmentation(name=name, labels=np.full((4, 6), value), **SHARED)


def detection(name, *, masks=None):
    boxes = np.array([[1, 1, 3, 4], [0.5, 0, 6, 2]], np.float32)
    return Detection(
        name=name,
        boxes=boxes,
        scores=np.array([0.75, 0.5], np.float32),
        labels=np.array([1, 0]),
        masks=masks,
        **SHARED,
    )


def write(folder, results, **options):
    out = PredictionFolder(folder, SETTINGS, draw=False, **options)
    list(out.write(result for result in results if result.name not in out.done))
    return json.loads(out.finish().read_text())


def test_boxes_and_masks_in_coco_form(tmp_path):
    masks = np.zeros((2, 4, 6), bool)
    masks[0, 1:4, 1:3] = True
    first, second = write(tmp_path, [detection('sub/a.jpg', masks=masks)])
    assert pycocotools.mask.decode(first.pop('segmentation')).tolist() == masks[0].tolist()
    assert pycocotools.mask.decode(second.pop('segmentation')).sum() == 0
    shared = {'file_name': 'sub/a.jpg'}
    assert first == {
        **shared, 'category_id': 2, 'category': 'dog', 'bbox': [1, 1, 2, 3], 'score': 0.75
    }  # fmt: skip
    assert second == {
        **shared, 'category_id': 1, 'category': 'cat', 'bbox': [0.5, 0, 5.5, 2], 'score': 0.5
    }  # fmt: skip


def test_label_maps_of_more_classes_than_a_palette_has_colours(tmp_path):
    many = {**SHARED, 'classes': tuple(map(str, range(300))), 'palette': ((9, 8, 7),) * 300}
    labels = np.arange(276, 300).reshape(4, 6)
    write(tmp_path, [Segmentation(name='a.jpg', labels=labels, **many)])
    with Image.open(tmp_path / 'labels/a.png') as image:
        np.testing.assert_array_equal(np.asarray(image), labels)


def test_label_maps_of_pictures_that_differ_by_their_ending(tmp_path):
    pictures = [Picture(name, f'/data/{name}') for name in ('sub/a.jpg', 'sub/a.png', 'a.jpg')]
    results = [segmentation(picture.name, value % 2) for value, picture in enumerate(pictures)]
    write(tmp_path, results, pictures=pictures)
    found = {
        str(path.relative_to(tmp_path / 'labels')): np.asarray(Image.open(path)).max()
        for path in tmp_path.glob('labels/**/*.png')
    }
    assert found == {'sub/a.jpg.png': 0, 'sub/a.png.png': 1, 'a.png': 0}


def test_a_drawn_picture_has_the_name_of_its_source(tmp_path):
    names = ('a.bmp', 'a.jpg', 'a.webp', 'b.tif')
    pictures = [Picture(name, f'/data/{name}') for name in names]
    shared = {**SHARED, 'palette': ((0, 0, 0),) * 2}
    results = [
        Segmentation(
            name=name, labels=np.zeros((4, 6), int),
            **{**shared, '_pixels': np.full((4, 6, 3), 60 * number, np.uint8)},
        )
        for number, name in enumerate(names)
    ]  # fmt: skip
    list(PredictionFolder(tmp_path, SETTINGS, pictures=pictures).write(results))
    found = {
        path.name: float(np.asarray(Image.open(path)).mean())
        for path in tmp_path.glob('pictures/*')
    }
    order = sorted(found, key=found.get)
    assert order == ['a.bmp.jpg', 'a.jpg', 'a.webp.jpg', 'b.jpg']


@given(mask=arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_any_mask_survives_the_file(mask):
    result = detection('a.jpg', masks=np.stack([mask, ~mask]))
    first, second = json.loads(json.dumps(result.to_json()))
    for found, expected in ((first, mask), (second, ~mask)):
        assert found['segmentation']['size'] == list(mask.shape)
        np.testing.assert_array_equal(
            pycocotools.mask.decode(found['segmentation']), expected.astype(np.uint8)
        )


def test_a_picture_without_objects_is_done_but_not_listed(tmp_path):
    empty = Detection(
        name='a.jpg', boxes=np.zeros((0, 4)), scores=np.zeros(0), labels=np.zeros(0, int),
        masks=None, **SHARED,
    )  # fmt: skip
    assert write(tmp_path, [empty]) == []
    assert PredictionFolder(tmp_path, SETTINGS).done == {'a.jpg'}


def test_label_maps_have_labels_and_colours(tmp_path):
    assert write(tmp_path, [segmentation('sub/a.jpg')]) == [
        {'file_name': 'sub/a.jpg', 'shares': {'dog': 1.0}}
    ]
    image = Image.open(tmp_path / 'labels/sub/a.png')
    assert np.asarray(image).tolist() == [[1] * 6] * 4
    assert image.convert('RGB').getpixel((0, 0)) == (1, 2, 3)


def test_pictures_of_equal_names_do_not_overwrite_each_other(tmp_path):
    names = ('a/1.jpg', 'b/1.jpg', 'a/1.bmp', '../1.jpg')
    write(tmp_path, [segmentation(name, i % 2) for i, name in enumerate(names)])
    written = {'a/1.png': 0, 'b/1.png': 1, 'a/1.bmp.png': 0, '1.png': 1}
    for name, value in written.items():
        assert np.asarray(Image.open(tmp_path / 'labels' / name)).max() == value
    assert len(list(tmp_path.rglob('*.png'))) == 4


def test_a_run_goes_on_where_it_stopped(tmp_path):
    write(tmp_path, [detection('a.jpg')])
    with (tmp_path / 'predictions.jsonl').open('a') as file:
        file.write('{"name": "b.jpg", "predic')  # killed while it wrote
    seen = []

    def results():
        for name in ('a.jpg', 'b.jpg'):
            seen.append(name)
            yield detection(name)

    entries = write(tmp_path, results())
    assert [entry['file_name'] for entry in entries] == ['a.jpg', 'a.jpg', 'b.jpg', 'b.jpg']


def test_other_settings_are_refused_unless_forced(tmp_path):
    write(tmp_path, [detection('a.jpg')])
    other = {**SETTINGS, 'score': 0.5}
    with pytest.raises(FileExistsError, match='--force'):
        PredictionFolder(tmp_path, other)
    assert len((tmp_path / 'predictions.jsonl').read_text().splitlines()) == 2
    assert PredictionFolder(tmp_path, other, force=True).done == set()


def test_nothing_of_an_earlier_run_stays_among_what_is_forced(tmp_path):
    mine = tmp_path / 'labels/mine.png'
    write(tmp_path, [segmentation('sub/a.jpg'), segmentation('b.jpg')])
    mine.write_text('not of a run')
    with (tmp_path / 'predictions.jsonl').open('a') as file:  # paths of nobody are not followed
        for place in ('../out.png', 'labels/../../out.png', '/tmp', 'labels', 3, 'b.jpg'):
            file.write(json.dumps({'name': 'x', 'files': [place]}) + '\n')
        file.write('["name"]\n{"na')
    outside = tmp_path.parent / 'out.png'
    outside.write_text('')
    (tmp_path / 'b.jpg').write_text('')
    write(tmp_path, [segmentation('b.jpg', 0)], force=True)
    found = {
        str(path.relative_to(tmp_path / 'labels')) for path in tmp_path.glob('labels/**/*.png')
    }
    assert found == {'b.png', 'mine.png'}
    assert outside.is_file()
    assert (tmp_path / 'b.jpg').is_file()


def test_the_classes_of_label_maps_are_named(tmp_path):
    write(tmp_path, [segmentation('a.jpg')])
    classes = json.loads((tmp_path / 'classes.json').read_text())
    image = Image.open(tmp_path / 'labels/a.png')
    (entry,) = (entry for entry in classes if entry['number'] == np.asarray(image)[0, 0])
    assert entry['name'] == 'dog'
    assert image.convert('RGB').getpixel((0, 0)) == tuple(entry['color'])
    assert [entry['name'] for entry in classes] == ['cat', 'dog']
    # those of another model do not stay
    other = {**SHARED, 'classes': ('cow', 'pig')}
    labels = np.zeros((4, 6), int)
    write(tmp_path, [Segmentation(name='a.jpg', labels=labels, **other)], force=True)
    assert 'pig' in (tmp_path / 'classes.json').read_text()


def test_pictures_that_were_not_drawn_are_counted(tmp_path):
    def begin(**options):
        return PredictionFolder(tmp_path, SETTINGS, **options)

    shared = {**SHARED, '_pixels': np.zeros((4, 6, 3), np.uint8)}
    boxes = np.zeros((0, 4), np.float32)
    results = [
        Detection(
            name=name, boxes=boxes, scores=boxes[:, 0], labels=boxes[:, 0], masks=None, **shared
        )
        for name in ('a.jpg', 'b.jpg', 'c.jpg')
    ]
    list(begin(draw=False).write(results[:2]))
    list(begin().write(results[2:]))
    assert (begin().undrawn, begin(draw=False).undrawn, begin(force=True).undrawn) == (2, 0, 0)


def test_unreadable_pictures_are_tried_again(tmp_path):
    out = PredictionFolder(tmp_path, SETTINGS, draw=False)
    error = UnreadablePictureError('b.jpg')
    assert list(out.write([detection('a.jpg'), error]))[1] is error
    assert PredictionFolder(tmp_path, SETTINGS).done == {'a.jpg'}


def test_other_pictures_of_the_same_name_are_refused(tmp_path):
    """What is kept of a picture is that of its file, not of its name."""
    pictures = [
        Picture('a.jpg', str(tmp_path / 'one/a.jpg')),
        Picture('b.jpg', 'http://host/b.jpg'),
    ]
    (tmp_path / 'one').mkdir()
    (tmp_path / 'two').mkdir()
    for folder in ('one', 'two'):
        (tmp_path / folder / 'a.jpg').write_text(folder)
    out = tmp_path / 'out'

    def begin(given, **options):
        return PredictionFolder(out, SETTINGS, draw=False, pictures=given, **options)

    list(begin(pictures).write([detection('a.jpg'), detection('b.jpg')]))
    assert begin(pictures).done == {'a.jpg', 'b.jpg'}
    assert begin([Picture('c.jpg', 'c.jpg')]).done == {'a.jpg', 'b.jpg'}
    other = [Picture('a.jpg', str(tmp_path / 'two/a.jpg'))]
    with pytest.raises(FileExistsError, match=r'a\.jpg of .*/one/a\.jpg, not of .*/two/a\.jpg'):
        begin(other)
    assert begin(other, force=True).done == set()
    list(begin(pictures).write([detection('a.jpg')]))
    (tmp_path / 'one/a.jpg').write_text('changed')
    with pytest.raises(FileExistsError, match=r'one/a\.jpg.*changed'):
        begin(pictures)


def test_frames_belong_to_their_video(tmp_path):
    video = tmp_path / 'v.mp4'
    video.write_text('1')
    given = [Picture('v.mp4', str(video))]
    list(PredictionFolder(tmp_path / 'out', SETTINGS, draw=False, pictures=given).write(
        [detection('v.mp4/000000.jpg')]
    ))  # fmt: skip
    assert PredictionFolder(tmp_path / 'out', SETTINGS, pictures=given).done == {'v.mp4/000000.jpg'}
    video.write_text('another')
    with pytest.raises(FileExistsError, match='changed'):
        PredictionFolder(tmp_path / 'out', SETTINGS, pictures=given)


def test_predictions_of_earlier_versions_say_nothing_of_their_files(tmp_path):
    write(tmp_path, [detection('a.jpg')])
    lines = (tmp_path / 'predictions.jsonl').read_text().replace('"source": null, ', '')
    (tmp_path / 'predictions.jsonl').write_text(lines)
    given = [Picture('a.jpg', str(tmp_path / 'a.jpg'))]
    assert PredictionFolder(tmp_path, SETTINGS, pictures=given).done == {'a.jpg'}


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'score': 0.5}, r'\(score: 0\.3, now 0\.5\)'),
        ({'size': 64}, r'\(size: None, now 64\)'),
        ({'written': 2.0}, 'written anew'),
    ],
)
def test_what_differs_is_named(tmp_path, changes, said):
    settings = {**SETTINGS, 'written': 1.0}
    list(PredictionFolder(tmp_path, settings, draw=False).write([detection('a.jpg')]))
    with pytest.raises(FileExistsError, match=said):
        PredictionFolder(tmp_path, {**settings, **changes})

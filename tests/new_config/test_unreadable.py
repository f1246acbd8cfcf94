"""Files that were not downloaded, or are damaged: they are named before a training."""

import pytest

from tests.new_config.scenes import CLASSIFIER, SEGMENTOR, configure, draw
from tests.new_config.test_class_tables import draw_all
from tests.new_config.test_correct_coco import make, write
from tests.new_config.test_mask_layouts import inside
from tnt_backbone.data_checks.label_maps import read_label_map
from tnt_backbone.datasets.load_image import LoadImageOrSkip

POINTER = 'version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 12345\n'
PULL = "it is Git LFS's pointer: run git lfs pull"


@pytest.fixture
def coco(tmp_path):
    content = make(tmp_path / 'own', number=12)
    write(tmp_path / 'own/train.json', content)
    return tmp_path / 'own'


@pytest.mark.parametrize(('text', 'fault'), [(POINTER, PULL), ('', 'the file is empty')])
def test_pictures_of_a_coco_file(coco, text, fault):
    (coco / 'images/003.png').write_text(text)
    _, said = configure(coco)
    assert f'1 of 12 images that were looked at cannot be read (images/003.png: {fault})' in said
    (coco / 'images/004.png').write_text(text)
    with pytest.raises(ValueError, match=r'2 of 12 images .* Replace the files'):
        configure(coco)


@pytest.mark.parametrize('kind', ['class folders', 'label maps'])
def test_pictures_of_folders(tmp_path, kind):
    root = tmp_path / 'own'
    if kind == 'label maps':
        inside(root)
        damaged, config = root / 'Train/images/1.png', SEGMENTOR
    else:
        for split in ('train', 'val'):
            for name in ('bird', 'cat'):
                draw_all(root / split / name, range(8), names=(name,))
        damaged, config = root / 'train/cat/1.png', CLASSIFIER
    damaged.write_text(POINTER)
    _, said = configure(root, config=config)
    assert (
        f'images that were looked at cannot be read ({"/".join(damaged.parts[-2:])}: {PULL})'
        in said
    )


def test_a_class_without_a_picture_that_can_be_read(tmp_path):
    root = tmp_path / 'own'
    for split in ('train', 'val'):
        for name in ('bird', 'cat'):
            draw_all(root / split / name, range(8), names=(name,))
    for file in (root / 'train/cat').iterdir():
        file.write_text('')
    with pytest.raises(ValueError, match=r'8 of 16 images .*cat/0\.png: the file is empty'):
        configure(root, config=CLASSIFIER)


def test_pointers_are_called_so(tmp_path):
    file = tmp_path / 'own/all.json'
    draw(tmp_path / 'own/1.png')
    file.write_text(POINTER)
    for data in (file, file.parent):
        with pytest.raises(ValueError, match=r'Git LFS.*git lfs pull'):
            configure(data)
    for read in (LoadImageOrSkip().read, read_label_map):
        with pytest.raises(ValueError, match='git lfs pull'):
            read(str(file))
    file.write_text('')
    with pytest.raises(ValueError, match='the file is empty'):
        read_label_map(file)


@pytest.mark.parametrize('text', [POINTER, '', '{"images": ['])
def test_a_damaged_file_of_a_split_is_not_passed_over(coco, text):
    (coco / 'val.json').write_text(text)
    with pytest.raises(ValueError, match=r'val\.json is not JSON .* it is the val split'):
        configure(coco)
    (coco / 'val.json').rename(coco / 'notes.json')
    assert 'files that cannot be read are left out: ' in configure(coco)[1]


def test_a_validation_split_without_annotations_is_not_passed_over(coco):
    write(coco / 'val.json', {'images': [], 'categories': []})
    with pytest.raises(ValueError, match=r'val\.json has "images", and no annotations.*val split'):
        configure(coco)
    (coco / 'val.json').rename(coco / 'test.json')  # is not published
    configure(coco)

"""Headers of images, against what OpenCV reads and what a COCO file says."""

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.data_checks.test_coco import dataset, edit
from tnt_backbone.data_checks import image_headers
from tnt_backbone.data_checks.coco import check_coco
from tnt_backbone.data_checks.files import _read_image
from tnt_backbone.data_checks.image_headers import read_header
from tnt_backbone.datasets.load_scaled import LoadImageScaled
from tnt_backbone.errors import InputError


def save(path, size, turn=1):
    """Write an image of a stored height and width."""
    exif = Image.Exif()
    exif[image_headers.ORIENTATION] = turn
    Image.fromarray(np.zeros((*size, 3), np.uint8)).save(path, exif=exif.tobytes())


@pytest.mark.parametrize('turn', [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
@pytest.mark.parametrize('suffix', ['jpg', 'png', 'webp'])
def test_the_size_is_what_opencv_reads(tmp_path, suffix, turn):
    path = tmp_path / f'a.{suffix}'
    save(path, (40, 60), turn)
    assert read_header(path).size == cv2.imread(str(path)).shape[:2]


def test_what_is_no_image_has_no_header(tmp_path):
    (tmp_path / 'a.jpg').write_bytes(b'no image')
    assert read_header(tmp_path / 'a.jpg') is None
    assert read_header(tmp_path / 'gone.jpg') is None


def test_sizes_that_differ_are_an_error(coco_root):
    def enlarge(content):
        for image in content['images'][1:]:
            image.update(width=128, height=96)

    edit(coco_root, enlarge)
    with pytest.raises(InputError, match=r'3 of 4 images.*1\.jpg: 64x64, not 96x128'):
        check_coco(dataset(coco_root))


@pytest.mark.parametrize('said', ['stored', 'turned'])
def test_images_that_exif_turns(coco_root, said):
    def change(content):
        height, width = (40, 64) if said == 'stored' else (64, 40)
        for image in content['images']:
            save(coco_root / 'images' / image['file_name'], (40, 64), turn=6)
            image.update(height=height, width=width)

    edit(coco_root, change)
    if said == 'stored':
        with pytest.raises(InputError, match=r'0\.jpg: 64x40, not 40x64, exchanged'):
            check_coco(dataset(coco_root))
    else:
        (note,) = check_coco(dataset(coco_root))
        assert 'EXIF turns 4 of 4 images' in note


def test_of_many_images_some_are_opened(coco_root, monkeypatch):
    monkeypatch.setattr(image_headers, 'READ_BEFORE_A_RUN', 3)
    edit(coco_root, lambda content: content['images'][1].update(width=65))
    assert check_coco(dataset(coco_root)) == []  # every second one
    edit(coco_root, lambda content: content['images'][2].update(width=65))
    with pytest.raises(InputError, match=r'1 of 2 images.*2\.jpg'):
        check_coco(dataset(coco_root))


@pytest.mark.parametrize('second', ['equal', 'smaller'])
def test_files_of_several_pages(tmp_path, second):
    """OpenCV reads the first page; smaller pages are previews, as GeoTIFFs have."""
    pages = [Image.fromarray(np.full((40, 60, 3), value, np.uint8)) for value in (1, 2)]
    if second == 'smaller':
        pages[1] = pages[1].resize((30, 20))
    path = tmp_path / 'a.tif'
    pages[0].save(path, save_all=True, append_images=pages[1:])
    assert cv2.imread(str(path)).max() == 1
    assert read_header(path).is_stack == (second == 'equal')
    kinds = [finding.kind for finding in _read_image(str(path))[1]]
    assert kinds == ['image of several pages'] * (second == 'equal')


def test_pages_of_the_images_of_a_coco_file(coco_root):
    def change(content):
        for image in content['images']:
            name = f'{image["id"]}.tif'
            pages = [Image.new('RGB', (image['width'], image['height'])) for _ in range(2)]
            pages[0].save(coco_root / 'images' / name, save_all=True, append_images=pages[1:])
            image['file_name'] = name

    edit(coco_root, change)
    notes = check_coco(dataset(coco_root))
    assert [note for note in notes if '4 images (' in note and 'several pages' in note]


@pytest.mark.parametrize('kept', [False, True])
def test_images_of_more_than_8_bits_of_a_coco_file(coco_root, kept):
    def change(content):
        for image in content['images']:
            image['file_name'] = f'{image["id"]}.png'
            pixels = np.zeros((image['height'], image['width'], 3), np.uint16)
            cv2.imwrite(str(coco_root / 'images' / image['file_name']), pixels)

    edit(coco_root, change)
    data = dataset(coco_root)
    if kept:
        data.pipeline.transforms.append(LoadImageScaled(max_value=4095))
    notes = check_coco(data)
    assert any('4 images (' in note and 'more than 8 bits' in note for note in notes) is not kept

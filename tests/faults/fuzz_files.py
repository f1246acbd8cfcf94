"""Damaged checkpoints and pictures."""

import io

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from PIL import Image, ImageOps
from safetensors.torch import save

from tests.faults.fuzzing import VALUES, damage_bytes, damage_content, fuzz
from tests.faults.hostile import ARCH, DETECTOR
from tnt_backbone import TNT
from tnt_backbone.checkpoints import load_pretrained
from tnt_backbone.cli import convert_checkpoint
from tnt_backbone.data_checks.files import _look_at_boxes
from tnt_backbone.datasets.load_image import LoadImageOrSkip
from tnt_backbone.new_config.labelled import Item, LabelledImages, UnusableError
from tnt_backbone.new_config.opened import open_image
from tnt_backbone.predict.load import load_model
from tnt_backbone.predict.pictures import UnreadablePictureError, find_pictures

pytestmark = pytest.mark.fuzz


def serialised(content, kind):
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=kind == 'zip')
    return buffer.getvalue()


def test_weights(tmp_path):
    """A damaged file of weights is refused, or all weights are those that were written."""
    torch.manual_seed(0)
    source = TNT(ARCH)
    tensors = {key: value.clone() for key, value in source.state_dict().items()}
    whole = {
        'zip': serialised({'state_dict': tensors, 'meta': {'epoch': 1}}, 'zip'),
        'legacy': serialised({'state_dict': tensors}, 'legacy'),
        'safetensors': save(tensors),
    }
    kinds = list(whole)
    path = tmp_path / 'weights.pth'

    def attempt(rng, number):
        kind = kinds[number % 3]
        path.write_bytes(damage_bytes(whole[kind], rng))
        backbone = TNT(ARCH)
        load_pretrained(backbone, path)
        equal = all(torch.equal(v, tensors[k]) for k, v in backbone.state_dict().items())
        if not equal and kind == 'zip':  # the other two have no checksums
            raise AssertionError('weights that nobody wrote')
        return f'{kind}, {"equal" if equal else "other weights, as no checksum says so"}'

    fuzz(attempt, 'weights')


def odd_tensors(tensors, rng):
    """Return tensors of which some have other names, shapes, types or values."""
    tensors = dict(tensors)
    for _ in range(int(rng.integers(1, 3))):
        key = list(tensors)[int(rng.integers(len(tensors)))]
        value = tensors[key]
        change = int(rng.integers(14))
        if change == 0:
            tensors[key] = torch.full_like(value, float('nan'))
        elif change == 1:
            tensors[key] = value.to(torch.complex64)
        elif change == 2:
            tensors[key] = value[None]
        elif change == 3:
            tensors[key] = torch.ones(1).expand(10**6, 10**6)
        elif change == 4:
            tensors[key] = value.to(torch.int64)
        elif change == 5:
            tensors[f'_orig_mod.{key}'] = value
        elif change == 6:
            del tensors[key]
        elif change == 7:
            tensors = {f'module.{k}': v for k, v in tensors.items()}
        elif change == 8:
            tensors[key] = VALUES[int(rng.integers(len(VALUES)))]
        elif change == 9:
            tensors[key] = value.to_sparse()
        elif change == 10:
            tensors = {f'{k}\ud800' if k == key else k: v for k, v in tensors.items()}
        elif change == 11:
            tensors[7] = value
        elif change == 12:
            tensors[key] = value.to(torch.float8_e4m3fn)
        else:
            tensors[key] = torch.full_like(value, float('inf'))
    return tensors


def test_content_of_weights(tmp_path):
    torch.manual_seed(0)
    source = TNT(ARCH).state_dict()
    path = tmp_path / 'weights.pth'

    def attempt(rng, number):
        tensors = odd_tensors(source, rng)
        wrapped = (tensors, {'state_dict': tensors}, {'teacher': tensors}, {'model': [tensors]})
        torch.save(wrapped[number % 4], path)
        if number % 2:
            backbone = TNT(ARCH)
            load_pretrained(backbone, path)
            assert all(value.isfinite().all() for value in backbone.state_dict().values())
            return 'loaded'
        converted = tmp_path / 'converted.pth'
        try:
            convert_checkpoint.main([str(path), str(converted), '--force'])
        except SystemExit as ended:
            return {2: 'message'}[ended.code]
        return 'converted'

    fuzz(attempt, 'content of weights')


def test_checkpoints(tmp_path):
    """What a checkpoint says about its model may be anything."""
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(Config(DETECTOR).model)
    path = tmp_path / 'epoch_1.pth'
    dataset_meta = {'classes': ['box', 'disc'], 'palette': [[1] * 3] * 2}
    content = {'cfg': DETECTOR, 'dataset_meta': dataset_meta}

    def attempt(rng, number):
        meta, _ = damage_content(content, rng)
        cfg = meta.get('cfg')
        if isinstance(cfg, dict):
            text = ''.join(f'{key} = {value!r}\n' for key, value in cfg.items())
            if number % 4 == 0:
                text = damage_bytes(text.encode(errors='replace'), rng).decode(errors='replace')
            meta['cfg'] = text
        torch.save({'meta': meta, 'state_dict': model.state_dict()}, path)
        trained = load_model(path, device='cpu')
        try:
            result = trained.predict(np.zeros((40, 60, 3), np.uint8))
        except (AssertionError, TypeError, ValueError, RuntimeError, AttributeError, KeyError):
            return 'an error of the library while it predicts'
        assert np.isfinite(result.boxes).all()
        return 'predicted'

    fuzz(attempt, 'checkpoints')


FORMATS = ('PNG', 'JPEG', 'WEBP', 'TIFF', 'BMP', 'JPEG2000', 'PPM')
ENDINGS = dict(zip(FORMATS, ('.png', '.jpg', '.webp', '.tif', '.bmp', '.jp2', '.ppm'), strict=True))


def whole_picture(rng, form):
    """Return the bytes of a picture of any size and mode."""
    height, width = (int(v) for v in rng.choice([1, 2, 7, 64, 300], 2))
    pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
    image = Image.fromarray(pixels)
    modes = {'PNG': ('RGB', 'L', 'P', 'RGBA', 'LA', '1'), 'JPEG': ('RGB', 'L', 'CMYK'),
             'TIFF': ('RGB', 'L', 'P', 'CMYK', '1')}.get(form, ('RGB',))  # fmt: skip
    image = image.convert(modes[int(rng.integers(len(modes)))])
    exif = Image.Exif()
    exif[0x0112] = int(rng.integers(0, 10))
    buffer = io.BytesIO()
    options = {'exif': exif.tobytes()} if form in ('PNG', 'JPEG', 'WEBP') else {}
    options |= {'lossless': True} if form == 'WEBP' else {}
    if form in ('PNG', 'WEBP', 'TIFF') and rng.random() < 0.2:
        options.pop('exif', None)  # OpenCV does not turn animations
        options |= {'save_all': True, 'append_images': [image.copy()]}
    image.save(buffer, form, **options)
    return buffer.getvalue()


def test_pictures(tmp_path):
    reader = LoadImageOrSkip()

    def attempt(rng, number):
        form = FORMATS[number % len(FORMATS)]
        data = whole_picture(rng, form)
        is_whole = number % 3 == 0
        path = tmp_path / f'a{ENDINGS[form]}'
        path.write_bytes(data if is_whole else damage_bytes(data, rng))
        item = {'path': str(path), 'size': None, 'categories': (), 'boxes': []}
        found = {finding.kind for finding in _look_at_boxes(item)}
        data_set = LabelledImages(tmp_path, {}, lambda path, size: None, ())
        opened = open_image(data_set, Item(path, None))
        (picture,) = find_pictures([path])
        try:
            pixels = reader.read(picture.path)
        except (UnreadablePictureError, OSError, ValueError):
            assert 'image cannot be read' in found
            assert isinstance(opened, UnusableError)
            assert not is_whole
            return 'refused'
        assert 'image cannot be read' not in found
        assert opened.size == pixels.shape[1::-1]
        if is_whole:
            with Image.open(path) as image:
                turned = ImageOps.exif_transpose(image)
                expected = np.asarray(turned.convert('RGB'))[..., ::-1]
            assert pixels.shape == expected.shape
            difference = np.abs(pixels.astype(int) - expected)
            lossy = form in ('JPEG', 'JPEG2000')
            assert difference.max(initial=0) <= (8 if lossy else 0), f'off by {difference.max()}'
            return 'right'
        return 'read although damaged'

    fuzz(attempt, 'pictures')

"""Images of coloured rectangles, one colour per class: whether a box fits, the pixels tell."""

from typing import NamedTuple

import numpy as np
from mmengine.registry import DATASETS, DefaultScope
from PIL import Image

from tests.conftest import ROOT
from tnt_backbone.cli.new_config import convert, find_config, parse_args
from tnt_backbone.data_checks.coco_file import forget_coco_files
from tnt_backbone.datasets.load_image import LoadImageOrSkip
from tnt_backbone.new_config.write_coco import write_coco

COLOURS = {'cat': (220, 40, 40), 'dog': (40, 200, 40), 'bird': (40, 40, 220)}
BOXES = ROOT / 'configs/retinanet_tnt_s_coco.py'
MASKS = ROOT / 'configs/mask_rcnn_tnt_s_coco.py'
SEGMENTOR = ROOT / 'configs/fpn_tnt_s_ade20k.py'
CLASSIFIER = ROOT / 'configs/tnt_s_imagenet.py'


class Thing(NamedTuple):
    """A rectangle in an image: its class, and left, top, right, bottom in pixels."""

    name: str
    box: tuple[int, int, int, int]


def draw(path, seed=0, *, names=('cat', 'dog'), size=(96, 64), number=2, turn=1):
    """Write an image of a width and height; return its rectangles as they are seen.

    Args:
        path: File to write; lossless formats keep the colours.
        seed: Of the places and the noise behind.
        names: Classes in turns.
        size: Width and height as they are seen.
        number: Of rectangles, at most 2.
        turn: EXIF's orientation; the stored picture is turned the other way.
    """
    rng = np.random.default_rng(seed)
    width, height = size
    pixels = rng.integers(90, 130, (height, width, 3), dtype=np.uint8)
    things = []
    for i in range(number):
        w, h = (int(value) for value in rng.integers(14, 20, 2))
        # side by side, so that none hides another, and not at the edge
        x = int(rng.integers(3, width // 2 - w - 2)) + i * width // 2
        y = int(rng.integers(3, height - h - 2))
        name = names[(seed + i) % len(names)]
        pixels[y : y + h, x : x + w] = COLOURS[name]
        things.append(Thing(name, (x, y, x + w, y + h)))
    image = Image.fromarray(pixels)
    path.parent.mkdir(parents=True, exist_ok=True)
    if turn == 1:
        image.save(path)
    else:
        exif = Image.Exif()
        exif[0x0112] = turn
        back = {
            2: Image.Transpose.FLIP_LEFT_RIGHT,
            3: Image.Transpose.ROTATE_180,
            4: Image.Transpose.FLIP_TOP_BOTTOM,
            5: Image.Transpose.TRANSPOSE,
            6: Image.Transpose.ROTATE_90,
            7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_270,
        }[turn]
        image.transpose(back).save(path, exif=exif.tobytes())
    return things


def configure(data, *options, config=BOXES, out=None):
    """Return the config that tools/new_config.py makes of a folder, and what it says."""
    forget_coco_files()
    out = out or data.parent / f'{data.name}.py'
    args = parse_args([str(out), '--from', str(config), '--data', str(data), *map(str, options)])
    cfg, changes = convert(args, find_config(args.source))
    return cfg, '\n'.join(changes)


def dataset_of(cfg, phase='train'):
    """Return MMDetection's own data set of a phase, without a pipeline."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        return DATASETS.build({**cfg[f'{phase}_dataloader'].dataset, 'pipeline': []})


def convert_folder(read, root):
    """Return {split: MMDetection's data set} of the files that are written, and what is said.

    The files are those of ``configure``, which takes longer.
    """
    data = read(root)
    written = write_coco(data, root)
    with DefaultScope.overwrite_default_scope('mmdet'):
        datasets = {
            split: DATASETS.build(
                dict(
                    type='CocoDataset',
                    ann_file=str(file),
                    data_prefix=dict(img=str(written.images)),
                    metainfo=dict(classes=tuple(data.classes)),
                    pipeline=[],
                )
            )
            for split, file in written.files.items()
        }
    return datasets, '\n'.join(written.notes)


def infos_of(dataset):
    return [dataset.get_data_info(i) for i in range(len(dataset))]


def boxes_of(dataset):
    """Return {name of the image: [(class, box, is ignored), ...]} of MMDetection's data set."""
    names = dataset.metainfo['classes']
    return {
        info['img_path'].rpartition('/')[2]: [
            (names[box['bbox_label']], tuple(box['bbox']), box['ignore_flag'])
            for box in info['instances']
        ]
        for info in infos_of(dataset)
    }


def assert_equal(dataset, truth):
    """Compare all boxes of a data set with ``{name of the image: rectangles}``."""
    found = boxes_of(dataset)
    assert {name: [(box[0], box[2]) for box in boxes] for name, boxes in found.items()} == {
        name: [(thing.name, 0) for thing in things] for name, things in truth.items()
    }
    for name, things in truth.items():
        for (_, box, _), thing in zip(found[name], things, strict=True):
            np.testing.assert_allclose(box, thing.box, atol=1e-3, err_msg=name)


def assert_fits(dataset, *, boxes):
    """Check each box against the colours under it and around it.

    Args:
        dataset: MMDetection's own.
        boxes: How many there must be.
    """
    seen = 0
    for info in infos_of(dataset):
        pixels = LoadImageOrSkip().read(info['img_path'])[..., ::-1].astype(int)
        assert (info['height'], info['width']) == pixels.shape[:2]
        for box in info['instances']:
            x1, y1, x2, y2 = (round(value) for value in box['bbox'])
            colour = COLOURS[dataset.metainfo['classes'][box['bbox_label']]]
            fits = (abs(pixels - colour) < 10).all(axis=-1)
            assert fits[y1:y2, x1:x2].all(), (info['img_path'], box)
            fits[y1:y2, x1:x2] = False
            assert not fits[y1 - 1 : y2 + 1, x1 - 1 : x2 + 1].any(), (info['img_path'], box)
            seen += 1
    assert seen == boxes

"""Plans: the table is that of docs/performance.md, and the steps are those of the config."""

import re

import pytest
from mmengine.config import Config

from tests.conftest import ROOT
from tnt_backbone.run.config import read_config
from tnt_backbone.run.image_size import training_size
from tnt_backbone.run.measured_memory import BACKBONES, DETECTORS, SIZES, backbone_memory
from tnt_backbone.run.plan import choices, find_measured, fixed_memory, images_per_process

PAGE = (ROOT / 'docs/performance.md').read_text()
NAMES = {('TNT', 's'): 'TNT-S', ('PyramidTNT', 's'): 'PyramidTNT-S', ('T2TViT', '14'): 'T2T-ViT-14'}


def read(name='retinanet_tnt_s_coco', **options):
    return read_config(name, options=options, work_dir=None, launcher='none')


def rows(heading):
    """Return the cells of the rows of a section."""
    section = PAGE.partition(f'## {heading}\n')[2].partition('\n## ')[0]
    lines = re.findall(r'^\| (.*) \|$', section, re.MULTILINE)
    return [[cell.strip() for cell in line.split('|')] for line in lines]


def test_backbones_are_those_of_the_page():
    found = {}
    for name, images, dtype, *cells in rows('Memory of a training step')[2:]:
        ((family, arch),) = [key for key, value in NAMES.items() if value == name]
        long = {'fp32': 'float32', 'bf16': 'bfloat16'}[dtype]
        sizes = zip(cells[0::3], cells[1::3], cells[2::3], strict=True)
        # a backbone without words has only the plain way
        found[family, arch, int(images), long] = tuple(
            (float(fused or plain), float(with_cp)) for plain, fused, with_cp in sizes
        )
    assert found == BACKBONES


def test_detectors_are_those_of_the_page():
    steps = [row for row in rows('Whole detectors')[2:] if len(row) == 9]
    found = {row[0]: (float(row[3]), float(row[7])) for row in steps}
    for (model, family, arch, window), gib in DETECTORS.items():
        name = NAMES[family, arch] + (f', `window_size={window}`' if window else '')
        assert found[name][model == 'MaskRCNN'] == gib


def test_further_images_take_as_much_as_the_second():
    one, two, five = (
        backbone_memory('TNT', 's', n, 'float32', 2, with_cp=False) for n in (1, 2, 5)
    )
    assert (one, two) == (2.23, 4.34)
    assert five == pytest.approx(2.23 + 4 * 2.11)


WEIGHTS = 141_233_400  # bytes of this config's parameters and buffers
MEMORY = {'parameters and buffers': WEIGHTS, 'gradients': WEIGHTS, 'optimizer': 2 * WEIGHTS}


def plan(gpus, images=None, **options):
    cfg = read(**options)
    images = images_per_process(cfg, gpus, images)
    return list(choices(cfg, find_measured(cfg), images, MEMORY)), images


@pytest.mark.slow
def test_memory_that_does_not_depend_on_images():
    """35.3 M parameters of 4 bytes; builds the whole detector twice."""
    one, eight = (fixed_memory(read(), gpus) for gpus in (1, 8))
    for name, size in MEMORY.items():
        assert one[name] == eight[name] == pytest.approx(size, rel=1e-3)
    assert sum(eight.values()) == pytest.approx(sum(one.values()) + WEIGHTS, rel=1e-3)


def test_one_image_takes_what_the_detector_took():
    """Its measurement is on top of the model."""
    found, images = plan(8)
    assert images == 2
    one = next(c for c in found if (c.images, c.amp, c.with_cp) == (1, False, False))
    assert one.gib == pytest.approx(3.35 + WEIGHTS / 2**30, abs=0.01)


@pytest.mark.parametrize(
    ('images', 'with_cp', 'measured'), [(1, True, 2.26), (2, False, 6.05), (2, True, 3.80)]
)
def test_estimates_are_not_below_what_was_measured(images, with_cp, measured):
    """Whole RetinaNets, measured after the table was made (docs/performance.md)."""
    found, _ = plan(8)
    (one,) = [c for c in found if (c.images, c.amp, c.with_cp) == (images, False, with_cp)]
    assert measured <= one.gib - WEIGHTS / 2**30 <= 1.3 * measured


def test_every_choice_has_the_images_of_the_config_per_step():
    found, images = plan(4)
    assert images == 4
    assert {c.images * c.parts for c in found} == {4}
    assert [(c.images, c.parts) for c in found[:3]] == [(4, 1), (2, 2), (1, 4)]
    assert [(c.amp, c.with_cp) for c in found[::3]] == [
        (False, False), (False, True), (True, False), (True, True),
    ]  # fmt: skip
    for more, less in zip(found[:3], found[3:6], strict=True):
        assert less.gib < more.gib
    # what the config has already is not undone
    found, _ = plan(8, **{'model.backbone.with_cp': True, 'optim_wrapper.type': 'AmpOptimWrapper'})
    assert {(c.amp, c.with_cp) for c in found} == {(True, True)}


def test_a_smaller_backbone_is_planned_as_the_one_that_was_measured():
    tiny, small = (find_measured(read(**{'model.backbone.arch': a})) for a in ('tiny', 's'))
    assert (tiny.arch, tiny.is_smaller) == ('s', True)
    assert (small.arch, small.is_smaller) == ('s', False)
    one, other = (next(choices(read(), known, 2, MEMORY)) for known in (tiny, small))
    assert one == other


def test_smaller_images_take_less():
    cfg = read()
    small, large = (
        next(choices(cfg, find_measured(cfg, size), 2, MEMORY)).gib
        for size in ((500, 512), (800, 1344))
    )
    assert small < 0.5 * large
    assert SIZES[find_measured(cfg, (513, 512)).size] == (640, 640)


@pytest.mark.parametrize(
    ('gpus', 'images', 'words'),
    [(64, None, ('16', '--gpus 64', '--global-batch 64')), (3, 16, ('--global-batch 18',))],
)
def test_images_that_cannot_be_shared_out(gpus, images, words):
    with pytest.raises(ValueError, match=words[-1]) as caught:
        images_per_process(read(), gpus, images)
    assert all(word in str(caught.value) for word in words)
    cfg = read()
    cfg.auto_scale_lr = None
    with pytest.raises(ValueError, match='--global-batch'):
        images_per_process(cfg, 8, None)


OWN = dict(depth=2, word_dims=8, word_heads=2, sentence_dims=48, sentence_heads=3)


@pytest.mark.parametrize(
    ('name', 'options', 'word'),
    [
        ('retinanet_tnt_s_coco', {'model.backbone.arch': 'b'}, "arch='b'"),
        ('retinanet_tnt_s_coco', {'model.backbone.arch': OWN}, "'depth': 2"),
        ('upernet_tnt_s_ade20k', {}, 'EncoderDecoder'),
        ('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py', {}, '0 backbones'),
        (
            'retinanet_tnt_s_coco',
            {'train_dataloader.dataset.pipeline.2.scale': (2000, 1200)},
            '1216x2016',
        ),
    ],
)
def test_what_was_not_measured_is_said(name, options, word):
    with pytest.raises(ValueError, match=re.escape(word)):
        find_measured(read(name, **options))


def size(*transforms):
    return training_size(Config(dict(train_dataloader=dict(dataset=dict(pipeline=transforms)))))


def test_sizes_of_pipelines():
    resize = dict(type='Resize', scale=(1333, 800), keep_ratio=True)
    assert size(resize, dict(type='RandomFlip', prob=0.5)) == (800, 1344)
    assert size(resize, dict(type='RandomCrop', crop_size=(512, 500))) == (512, 512)
    several = dict(type='RandomChoiceResize', scales=[(480, 1333), (800, 1333)])
    assert size(several) == (800, 1344)
    detr = dict(type='RandomChoice', transforms=[[several], [dict(type='Resize', scale=(400, 600)),
                                                             resize]])  # fmt: skip
    assert size(detr) == (800, 1344)
    assert size(dict(type='RandomResizedCrop', scale=224)) == (224, 224)
    assert size(dict(type='mmdet.Resize', scale=(64, 64))) == (64, 64)
    assert size(dict(type='PackDetInputs')) is None
    wrapped = dict(dataset=dict(pipeline=[resize]), times=2)
    assert training_size(Config(dict(train_dataloader=dict(dataset=wrapped)))) == (800, 1344)

"""What is known of a config without running it: published accuracy and tests of exports."""

import ast
import re
from functools import cache
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
TNT_PAPER = 'https://arxiv.org/abs/2103.00112'
# Where the numbers of a file of configs/metafiles are from
SOURCES = {
    'detection': '',  # the docstrings of the configs say it
    'pyramid_tnt': "README of PyramidTNT's code",
    'segmentation': f"TNT's paper, Table 11, {TNT_PAPER}",
    't2t_vit': "README of T2T-ViT's code; top-5: timm's pull request 2426",
    'tnt': f"TNT's paper, Table 4, {TNT_PAPER}",
    'transfer': "README of T2T-ViT's code",
}
# Papers that a docstring may name instead, with a table
PAPERS = {
    '2103.00112': "TNT's paper",
    '2201.00978': "a summary of PyramidTNT's paper",
    '2101.11986': "T2T-ViT's paper",
}
FACTS = ('published', 'source', 'trained_here', 'parity')
# Trained for this project, from docs/demo.md and docs/classification.md
TRAINED = {
    'tnt_digits_classifier': 'yes: demo, top-1 96.2',
    'retinanet_tnt_digits': 'yes: demo, box AP 80.9',
    'fpn_tnt_digits': 'yes: demo, mIoU 78.2',
    'tnt_ti_cifar10': 'yes: 20 epochs of 5000 images, top-1 43.7',
}
# Exported and checkpoint agree: measured on trained models (docs/export.md), ...
MEASURED = {
    'tnt_digits_classifier': '100 % of 60 pictures',
    'retinanet_tnt_digits': '100 % of 993 objects',
    'fpn_tnt_digits': '100 % of 983040 pixels',
}
# ... or on small models with random weights (tests/exported/test_export.py)
SMALL = 'small model: 99.9 %'
COMPARED = {
    'atss_tnt_s_coco',
    'detr_tnt_s_coco',
    'faster_rcnn_pyramid_tnt_s_coco',
    'faster_rcnn_t2t_vit_14_coco',
    'faster_rcnn_tnt_s_coco',
    'fpn_pyramid_tnt_s_ade20k',
    'fpn_t2t_vit_14_ade20k',
    'fpn_tnt_s_ade20k',
    'mask_rcnn_pyramid_tnt_s_coco',
    'mask_rcnn_tnt_s_coco',
    'pyramid_tnt_s_imagenet',
    'retinanet_pyramid_tnt_s_coco',
    'retinanet_t2t_vit_14_coco',
    'retinanet_tnt_s_coco',
    'segmenter_tnt_s_ade20k',
    't2t_vit_14_imagenet',
    't2t_vit_t_14_imagenet',
    'tnt_s_imagenet',
    'upernet_pyramid_tnt_s_ade20k',
    'upernet_t2t_vit_14_ade20k',
    'upernet_tnt_s_ade20k',
}


@cache
def _index() -> dict[str, tuple[dict[str, float], str]]:
    """Return metrics and their source by config, from ``configs/metafiles``."""
    found = {}
    for path in sorted(ROOT.glob('configs/metafiles/*.yml')):
        content = yaml.safe_load(path.read_text())
        for model in content['Models']:
            metrics: dict[str, float] = {}
            for result in model['Results']:
                metrics |= result['Metrics']
            found[model['Name']] = (metrics, SOURCES[path.stem])
    return found


def facts(name: str) -> dict[str, str]:
    """Return the columns ``FACTS`` of a config; ``''`` for what is not known."""
    metrics, source = _index().get(name, ({}, ''))
    about = ast.get_docstring(ast.parse((ROOT / 'configs' / f'{name}.py').read_text())) or ''
    if paper := re.search(
        r"paper's numbers? \(https://arxiv\.org/abs/([\d.]+\d)(, Table \d+)?", about
    ):
        source = f'{PAPERS[paper[1]]}{paper[2] or ""}, https://arxiv.org/abs/{paper[1]}'
    parity = MEASURED.get(name) or (SMALL if name in COMPARED else '')
    return {
        'published': ', '.join(f'{metric} {value}' for metric, value in metrics.items()),
        'source': source if metrics else '',
        'trained_here': TRAINED.get(name, 'no'),
        'parity': parity,
    }

"""The recipes that ``overfit.py`` runs, and how each is changed so that it can learn by heart.

What all of them change: random weights instead of published ones, one process, no drop path, and
pictures as they are. A recipe keeps its loss, its optimizer, its learning rate and the shape of its
schedule, unless its row says otherwise.
"""

from dataclasses import dataclass, field
from typing import Any

# What a source of pictures takes away from the recipes that read it.
TAKEN_AWAY = dict(
    coco='flips, random sizes and crops',
    ade='flips, random sizes, crops and colours',
    imagenet='mixup, CutMix, label smoothing, RandAugment, erasing, random crops, flips, EMA',
)
PARTS = dict(  # what the folder of the data must hold
    coco='coco/annotations/instances_train2017.json',
    ade='ade/ADEChallengeData2016/images',
    imagenet='imagenet/train',
)
METRICS = dict(coco='coco/bbox_mAP_50', ade='mIoU', imagenet='accuracy/top1')
TI = dict(arch='ti', init_cfg=None)


@dataclass(frozen=True)
class Recipe:
    """A config and what is changed in it.

    Attributes:
        config: A file of ``configs/``.
        data: ``coco``, ``ade`` or ``imagenet``.
        steps: Length of the shortened schedule.
        batch: Pictures a step.
        rate: What the learning rate is multiplied by.
        model: Changes of ``model``: a smaller backbone costs less and changes no recipe.
        paramwise: Changes of ``optim_wrapper.paramwise_cfg.custom_keys``.
        why: The changes of this recipe in words.
    """

    config: str
    data: str
    steps: int
    batch: int = 2
    rate: float = 1.0
    model: dict[str, Any] = field(default_factory=dict)
    paramwise: dict[str, Any] = field(default_factory=dict)
    why: tuple[str, ...] = ()


def _ti_of(levels: int, **others: Any) -> dict[str, Any]:
    return dict(backbone=TI, neck=dict(in_channels=[192] * levels), **others)


WHOLE_BACKBONE = dict(backbone=dict(lr_mult=1.0))
UNDROPPED = dict(self_attn_cfg=dict(dropout=0.0), ffn_cfg=dict(ffn_drop=0.0))
WITHOUT_DROPOUT = dict(
    encoder=dict(layer_cfg=UNDROPPED),
    decoder=dict(layer_cfg=dict(cross_attn_cfg=dict(dropout=0.0), **UNDROPPED)),
)
SMALL = 'TNT-Ti in place of TNT-S'
FULL_RATE = "the backbone's rate is not divided by 10, as it has no weights to keep"

RECIPES = {
    'TNT classification': Recipe('tnt_ti_imagenet.py', 'imagenet', 100, batch=4),
    'PyramidTNT classification': Recipe('pyramid_tnt_ti_imagenet.py', 'imagenet', 100, batch=4),
    'T2T-ViT classification': Recipe('t2t_vit_7_imagenet.py', 'imagenet', 100, batch=4),
    'Semantic FPN': Recipe(
        'fpn_tnt_s_ade20k.py', 'ade', 1200, rate=4.0, model=_ti_of(4), why=(SMALL,)
    ),
    'RetinaNet': Recipe('retinanet_tnt_s_coco.py', 'coco', 400, model=_ti_of(3), why=(SMALL,)),
    'Faster R-CNN': Recipe('faster_rcnn_tnt_ti_coco.py', 'coco', 400),
    'Mask R-CNN': Recipe(
        'mask_rcnn_pyramid_tnt_ti_coco.py', 'coco', 400, model=dict(backbone=dict(init_cfg=None))
    ),
    'Segmenter': Recipe(
        'segmenter_tnt_s_ade20k.py',
        'ade',
        1200,
        rate=10.0,
        model=dict(
            backbone=TI,
            decode_head=dict(in_channels=192, channels=192, embed_dims=192, num_heads=3),
            test_cfg=dict(_delete_=True, mode='whole'),
        ),
        why=(SMALL, 'the test sees the whole picture, which is smaller than a window'),
    ),
    'Trans2Seg': Recipe(
        'trans2seg_tnt_s_ade20k.py',
        'ade',
        2400,
        model=dict(backbone=TI, decode_head=dict(in_channels=[192, 192])),
        why=(SMALL,),
    ),
    'UPerNet': Recipe('upernet_tnt_ti_ade20k.py', 'ade', 700, rate=10.0),
    'DETR': Recipe(
        'detr_tnt_s_coco.py',
        'coco',
        2500,
        model=_ti_of(1, **WITHOUT_DROPOUT),
        paramwise=WHOLE_BACKBONE,
        why=(SMALL, FULL_RATE, 'no dropout'),
    ),
    'Deformable DETR': Recipe(
        'deformable_detr_tnt_s_coco.py',
        'coco',
        1000,
        model=_ti_of(3),
        paramwise=WHOLE_BACKBONE,
        why=(SMALL, FULL_RATE),
    ),
    'DINO': Recipe(
        'dino_pyramid_tnt_s_coco.py',
        'coco',
        800,
        model=dict(backbone=dict(arch='ti', init_cfg=None), neck=dict(in_channels=[160, 320, 320])),
        paramwise=WHOLE_BACKBONE,
        why=('PyramidTNT-Ti in place of PyramidTNT-S', FULL_RATE),
    ),
    'Mask2Former': Recipe(
        'mask2former_tnt_s_ade20k.py',
        'ade',
        800,
        model=dict(backbone=TI, decode_head=dict(in_channels=[192] * 4)),
        paramwise=WHOLE_BACKBONE,
        why=(SMALL, FULL_RATE),
    ),
}


def key_of(name: str) -> tuple[str, ...]:
    """Return what tells a run of a recipe from one with other numbers."""
    recipe = RECIPES[name]
    return (name, str(recipe.steps), str(recipe.batch), f'{recipe.rate:g}')

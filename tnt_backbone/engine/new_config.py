"""A stock config with a ResNet, made into a good config with one of our backbones.

The bare swap keeps a ResNet's widths and its recipe. This takes the backbone's own widths, its
pixel normalisation, its published weights, AdamW, and no weight decay where a Transformer has none,
and says each change. What comes out stands on its own.
"""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from ..checkpoints import PUBLISHED
from ..registry import BACKBONES

IMAGENET = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
HALF = ([127.5] * 3, [127.5] * 3)
FAMILIES = {'tnt': 'TNT', 'pyramid_tnt': 'PyramidTNT', 't2t_vit': 'T2TViT'}
RESNETS = ('ResNet', 'ResNetV1c', 'ResNetV1d', 'ResNeXt')
# name of the family's position tables and tokens, which have no weight decay
UNDECAYED = ('cls_token', 'word_pos', 'sentence_pos')
# learning rate and weight decay where the stock config has SGD. Detection: PyramidTNT on COCO;
# segmentation: MMSegmentation's UPerNet with Swin.
ADAMW = {'mmdet': (1e-4, 0.05), 'mmseg': (6e-5, 0.01)}


def parse_backbone(name: str) -> tuple[str, str]:
    """Read a name such as ``'pyramid_tnt_s'``, ``'t2t_vit_14'`` or ``'t2t_vit_t_14'``.

    Returns:
        The class and its ``arch``.

    Raises:
        ValueError: If there is no such variant; the text lists all.
    """
    known = {
        f'{prefix}_{arch.replace("-", "_")}': (backbone.__name__, arch)
        for prefix, family in FAMILIES.items()
        for backbone in BACKBONES
        if backbone.__name__ == family
        for arch in backbone.VARIANTS
    }
    if name not in known:
        raise ValueError(f'--backbone {name} is not known: choose one of {", ".join(known)}')
    return known[name]


def convert_config(cfg: Config, backbone_name: str, *, layer_decay: float = 1.0) -> list[str]:
    """Put a backbone into a config, in place.

    Args:
        cfg: A config of MMDetection or MMSegmentation with a ResNet, whole.
        backbone_name: Such as ``'pyramid_tnt_s'``.
        layer_decay: Factor of the learning rate from layer to layer; 1 for none.

    Returns:
        What was changed, a line each.

    Raises:
        ValueError: If the config is not one that this can do well; the text says why.
    """
    scope = cfg.get('default_scope')
    if scope not in ADAMW:
        raise ValueError(
            f'default_scope={scope!r}: only configs of {" and ".join(ADAMW)} are known'
        )
    family, arch = parse_backbone(backbone_name)
    model = _owner_of_backbone(cfg)
    stock = model['backbone']
    changes = [f'backbone: {stock["type"]} -> {family} {arch!r}, by its full name']
    changes += _set_backbone(cfg, model, family, arch)
    changes += _set_pixels(cfg, family)
    changes += _set_optimizer(cfg, scope, layer_decay)
    imports = list((cfg.get('custom_imports') or {}).get('imports', ()))
    cfg.custom_imports = dict(
        imports=list(dict.fromkeys([*imports, 'tnt_backbone', 'tnt_backbone.engine'])),
        allow_failed_imports=False,
    )
    return changes


def _owner_of_backbone(cfg: Config) -> dict[str, Any]:
    owners = [node for node in _dicts(cfg.model) if isinstance(node.get('backbone'), dict)]
    if len(owners) != 1:
        raise ValueError(f'the model has {len(owners)} backbones: this is for models with one')
    (owner,) = owners
    kind = str(owner['backbone'].get('type')).rpartition('.')[2]
    if kind not in RESNETS:
        raise ValueError(
            f'the backbone is {kind}: this knows the widths of {", ".join(RESNETS)} alone. Start '
            'from the config of the same head with a ResNet-50'
        )
    if 'shared_head' in (owner.get('roi_head') or {}):
        raise ValueError(
            "roi_head.shared_head is a ResNet's last stage, which no other backbone has: start "
            'from the config with an FPN'
        )
    if owner['backbone'].get('dcn') or owner['backbone'].get('plugins'):
        raise ValueError(
            'dcn and plugins change the convolutions of a ResNet, which the backbone does not '
            'have: start from the config without them'
        )
    return owner


def _set_backbone(cfg: Config, model: dict[str, Any], family: str, arch: str) -> list[str]:
    """Replace the backbone; take its own widths where the parts behind it can."""
    stock = model['backbone']
    widths = (64, 128, 256, 512) if stock.get('depth') in (18, 34) else (256, 512, 1024, 2048)
    indices = tuple(stock.get('out_indices', (0, 1, 2, 3)))
    options: dict[str, Any] = {
        'type': f'tnt_backbone.{family}',
        'arch': arch,
        'out_indices': indices,
    }
    changes = []
    if max(stock.get('dilations', (1,))) > 1:
        options['out_strides'] = (4, 8, 8, 8)
        changes.append('out_strides=(4, 8, 8, 8): those of the dilated ResNet')
    if family == 'PyramidTNT':
        options |= {'frozen_stages': 0, 'norm_eval': True}
        changes.append(
            "the stem and its BatchNorm are frozen, as in the authors' later detectors; from "
            'scratch set frozen_stages=-1 and norm_eval=False'
        )
    for node in _dicts(cfg.model):
        if node.get('pretrained'):
            node['pretrained'] = None
    weights = _published(family, arch)
    if weights:
        options['init_cfg'] = {'type': 'Pretrained', 'checkpoint': f'tnt://{weights}'}
        by_hand = '' if PUBLISHED[weights].places else ', which only a person can fetch'
        changes.append(f'weights: tnt://{weights}{by_hand} (docs/weights.md)')
    else:
        changes.append('weights: none were published; --weights FILE of tools/train.py takes yours')

    native = _native_widths(family, arch)
    before = copy.deepcopy(dict(model))
    model['backbone'] = {**options, 'out_channels': None}
    if _set_channels(model, widths, native, indices) and _fits(cfg):
        changes.append(f'widths: {widths} -> {native}, its own, in the parts that read them')
    else:
        model.clear()
        model.update(before)
        model['backbone'] = {**options, 'out_channels': widths}
        changes.append(f'widths: {widths}, those of the ResNet, since other parts rely on them')
        if not _fits(cfg):
            raise ValueError(
                'the model does not run with the backbone, neither with its own widths nor with '
                "the ResNet's"
            )
    return changes


def _set_channels(
    model: dict[str, Any], widths: Sequence[int], native: Sequence[int], indices: Sequence[int]
) -> bool:
    """Put other widths where the backbone's maps are read; tell whether all places were found."""
    old, new = [widths[i] for i in indices], [native[i] for i in indices]
    neck = model.get('neck')
    if neck:
        first = neck[0] if isinstance(neck, (list, tuple)) else neck
        given = first.get('in_channels')
        if list(given if isinstance(given, (list, tuple)) else [given]) != old:
            return False
        first['in_channels'] = new if isinstance(given, (list, tuple)) else new[0]
        return True
    heads = []
    for part in ('decode_head', 'auxiliary_head'):
        head = model.get(part)
        heads += list(head) if isinstance(head, (list, tuple)) else [head] if head else []
    for head in heads:
        where = head.get('in_index', -1)
        several = isinstance(where, (list, tuple))
        read = list(where) if several else [where]
        given = head.get('in_channels')
        try:
            if list(given if several else [given]) != [old[i] for i in read]:
                return False
        except (IndexError, TypeError):
            return False
        head['in_channels'] = [new[i] for i in read] if several else new[where]
        if head.get('c1_in_channels') == old[0]:  # DeepLabV3+
            head['c1_in_channels'] = new[0]
    return bool(heads)


def _fits(cfg: Config) -> bool:
    """Build the model without data and send an image through all that reads the backbone."""
    init_default_scope(cfg.default_scope)
    model_cfg = copy.deepcopy(cfg.model)
    for node in _dicts(model_cfg):
        node.pop('init_cfg', None)
    try:
        with torch.device('meta'), torch.no_grad():
            model = MODELS.build(model_cfg).eval().requires_grad_(False)
            image = torch.empty(1, 3, 128, 160)
            if cfg.default_scope == 'mmseg':
                model(image, mode='tensor')
            else:
                (model.detector if hasattr(model, 'detector') else model).extract_feat(image)
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError):
        return False
    return True


def _native_widths(family: str, arch: str) -> tuple[int, ...]:
    (backbone,) = (backbone for backbone in BACKBONES if backbone.__name__ == family)
    with torch.device('meta'):
        return backbone(arch, out_channels=None).out_channels


def _published(family: str, arch: str) -> str | None:
    """The first row of the weights that a program can fetch."""
    for name, row in PUBLISHED.items():
        plain = row.options in ({}, {'formulation': 'official'})
        if (row.family, row.arch) == (family, arch) and plain and row.data == 'ImageNet-1k':
            return name
    return None


def _set_pixels(cfg: Config, family: str) -> list[str]:
    mean, std = IMAGENET if family == 'T2TViT' else HALF
    for node in _dicts(cfg.model):
        if 'data_preprocessor' in node:
            node['data_preprocessor'].update(mean=mean, std=std, bgr_to_rgb=True)
    if 'data_preprocessor' in cfg:
        cfg.data_preprocessor.update(mean=mean, std=std, bgr_to_rgb=True)
    return [f'pixels: mean {mean[0]:g}, std {std[0]:g} ..., RGB, as {family} was pretrained']


def _set_optimizer(cfg: Config, scope: str, layer_decay: float) -> list[str]:
    wrapper = cfg.optim_wrapper
    optimizer = wrapper['optimizer']
    changes = []
    if optimizer['type'] != 'AdamW':
        lr, weight_decay = ADAMW[scope]
        changes.append(
            f'optimizer: {optimizer["type"]}, {optimizer["lr"]:g} -> AdamW, {lr:g}, weight decay '
            f'{weight_decay:g}'
        )
        wrapper['optimizer'] = {
            'type': 'AdamW',
            'lr': lr,
            'betas': (0.9, 0.999),
            'weight_decay': weight_decay,
        }
    rules = dict(wrapper.get('paramwise_cfg') or {})
    custom_keys = dict(rules.get('custom_keys') or {})
    custom_keys |= {key: {'decay_mult': 0.0} for key in UNDECAYED}
    rules |= {'norm_decay_mult': 0.0, 'bias_decay_mult': 0.0, 'custom_keys': custom_keys}
    changes.append('no weight decay of norms, biases, class token and position tables')
    if layer_decay != 1.0:
        wrapper['constructor'] = 'LayerDecayOptimWrapperConstructor'
        rules['layer_decay_rate'] = layer_decay
        changes.append(f'layer-wise decay of the learning rate: {layer_decay:g}')
    wrapper['paramwise_cfg'] = rules
    if not wrapper.get('clip_grad'):
        wrapper['clip_grad'] = {'max_norm': 1.0, 'norm_type': 2}
        changes.append('gradients are clipped to a norm of 1')
    schedule = cfg.get('param_scheduler') or []
    schedule = list(schedule) if isinstance(schedule, (list, tuple)) else [schedule]
    if not any(step['type'] == 'LinearLR' for step in schedule):
        warm_up = {
            'type': 'LinearLR',
            'start_factor': 1e-3,
            'by_epoch': False,
            'begin': 0,
            'end': 1000,
        }
        cfg.param_scheduler = [warm_up, *schedule]
        changes.append('warm-up of 1000 iterations')
    return changes


def _dicts(node: Any) -> Iterator[dict[str, Any]]:
    """Every dict within a part of a config."""
    if isinstance(node, dict):
        yield node
        for value in list(node.values()):
            yield from _dicts(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _dicts(value)

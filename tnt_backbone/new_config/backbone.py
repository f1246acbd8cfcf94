"""Put one of our backbones into a config with a ResNet, or with another one of ours.

Replacing only the backbone keeps the ResNet's widths and recipe. This module also sets the
backbone's own widths, its pixel normalisation, its published weights, AdamW, and no weight decay
for the parameters that have none in a Transformer. It lists each change. The new config is complete
and has no ``_base_``.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from ..backbones import BACKBONES
from ..checkpoints import PUBLISHED
from ..engine.slow_backbone import UNDECAYED, slow_backbone_keys
from ..errors import InputError
from ..near_names import did_you_mean
from .shared import dicts, leaf_dataset

FAMILIES = {'tnt': 'TNT', 'pyramid_tnt': 'PyramidTNT', 't2t_vit': 'T2TViT'}
RESNETS = ('ResNet', 'ResNetV1c', 'ResNetV1d', 'ResNeXt')
KEPT = ('drop_path_rate', 'with_cp', 'out_strides')  # what another backbone of ours takes over
SET_ANEW = ('type', 'arch', 'out_indices', 'out_channels', 'init_cfg', 'norm_eval')
# learning rate and weight decay where the stock config has SGD. Detection: PyramidTNT on COCO, for
# 16 images. Segmentation: UPerNet with Swin of MMSegmentation, for 16. Classification: what all
# families were pretrained with, 1e-3 for 1024; TNT's authors fine-tune with the same settings.
ADAMW = {'mmdet': (1e-4, 0.05), 'mmseg': (6e-5, 0.01), 'mmpretrain': (1e-3 / 1024, 0.05)}
# what a classifier of the family reads
CLASSIFIED = {'TNT': 'cls_token', 'PyramidTNT': 'avg_featmap', 'T2TViT': 'cls_token'}


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
        raise InputError(
            f'--backbone {name} is not known: choose one of {", ".join(known)}.'
            + did_you_mean(name, known)
        )
    return known[name]


def convert_config(
    cfg: Config, backbone_name: str, *, layer_decay: float = 1.0, own_data: bool = False
) -> list[str]:
    """Put a backbone into a config, in place.

    Args:
        cfg: A config of MMDetection or MMSegmentation with a ResNet or a backbone of ours, or of
            MMPretrain with a ResNet, whole.
        backbone_name: Such as ``'pyramid_tnt_s'``.
        layer_decay: Factor of the learning rate from layer to layer, in (0, 1]; 1 for none.
        own_data: Whether the user's own data come into it next.

    Returns:
        What was changed, one line per change.

    Raises:
        ValueError: If the config is not one that this can do well; the text says why.
    """
    if not 0.0 < layer_decay <= 1.0:
        raise InputError(f'--layer-decay {layer_decay:g} must lie in (0, 1]; 1 decays nothing')
    scope = cfg.get('default_scope')
    if scope not in ADAMW:
        raise InputError(
            f'default_scope={scope!r}: only configs of {" and ".join(ADAMW)} are known'
        )
    family, arch = parse_backbone(backbone_name)
    model = _owner_of_backbone(cfg)
    stock = model['backbone']
    changes = [f'backbone: {_named(stock)} -> {family} {arch!r}, by its full name']
    if scope == 'mmpretrain':
        if _kind_of(stock) not in RESNETS:
            raise InputError(
                f'the config is a classifier with {_named(stock)} already. Start --from '
                f'{backbone_name}_imagenet instead, without --backbone, or --from a ResNet'
            )
        if not own_data and leaf_dataset(cfg, 'train')['type'].startswith('ImageNet'):
            raise InputError(
                f'the config trains on ImageNet from nothing, which configs/{backbone_name}_'
                "imagenet.py does by its authors' recipe. For your own images: --data DIR"
            )
        changes += _set_classifier(cfg, family, arch)
    else:
        changes += _set_backbone(cfg, model, family, arch)
    changes += _set_pixels(cfg, family)
    changes += _set_optimizer(cfg, scope, layer_decay)
    imports = list((cfg.get('custom_imports') or {}).get('imports', ()))
    cfg.custom_imports = dict(
        imports=list(dict.fromkeys([*imports, 'tnt_backbone', 'tnt_backbone.engine'])),
        allow_failed_imports=False,
    )
    return changes


def keep_backbone(cfg: Config) -> list[str]:
    """Make sure that a config, into which only data come, has a backbone of ours, with weights.

    Returns:
        What was changed, one line per change.

    Raises:
        ValueError: If it has another backbone.
    """
    owners = [node for node in dicts(cfg.model) if isinstance(node.get('backbone'), dict)]
    kinds = [_kind_of(owner['backbone']) for owner in owners]
    if len(kinds) != 1 or kinds[0] not in FAMILIES.values():
        raise InputError(
            f'the config has the backbone {", ".join(kinds) or "of no name"}. Pass the one of '
            'ours that replaces it, such as --backbone tnt_s'
        )
    backbone = owners[0]['backbone']
    weights = _published(kinds[0], backbone.get('arch', 's'))
    if backbone.get('init_cfg') or cfg.get('load_from') or not weights:
        return []
    backbone['init_cfg'] = {'type': 'Pretrained', 'checkpoint': f'tnt://{weights}'}
    return [_say_weights(weights)]


def _owner_of_backbone(cfg: Config) -> dict[str, Any]:
    owners = [node for node in dicts(cfg.model) if isinstance(node.get('backbone'), dict)]
    if len(owners) != 1:
        raise InputError(f'the model has {len(owners)} backbones: this is for models with one')
    (owner,) = owners
    kind = _kind_of(owner['backbone'])
    if kind not in (*RESNETS, *FAMILIES.values()):
        raise InputError(
            f'the backbone is {kind}, but only the widths of {", ".join(RESNETS)} and of ours are '
            'known. Start --from the config of the same head with a ResNet-50'
        )
    if 'shared_head' in (owner.get('roi_head') or {}):
        raise InputError(
            "roi_head.shared_head is a ResNet's last stage, which no other backbone has: start "
            'from the config with an FPN'
        )
    if owner['backbone'].get('dcn') or owner['backbone'].get('plugins'):
        raise InputError(
            'dcn and plugins change the convolutions of a ResNet, which the backbone does not '
            'have: start from the config without them'
        )
    return owner


def _kind_of(backbone: dict[str, Any]) -> str:
    return str(backbone.get('type')).rpartition('.')[2]


def _named(backbone: dict[str, Any]) -> str:
    arch = backbone.get('arch')
    return _kind_of(backbone) + (f' {arch!r}' if isinstance(arch, str) else '')


def _stock_widths(stock: dict[str, Any]) -> tuple[int, ...]:
    """Return the widths of the four levels of a ResNet or of a backbone of ours."""
    if _kind_of(stock) in RESNETS:
        shallow = stock.get('depth') in (18, 34)
        return (64, 128, 256, 512) if shallow else (256, 512, 1024, 2048)
    with torch.device('meta'):
        before = MODELS.build({**stock, 'out_indices': (0, 1, 2, 3), 'init_cfg': None})
    if before.out_type != 'pyramid':
        raise InputError(
            f'the backbone has out_type={before.out_type!r}, but another one can replace only one '
            'with a pyramid. Start --from the config of the same head with a ResNet-50, or leave '
            '--backbone out'
        )
    return before.out_channels


def _set_backbone(cfg: Config, model: dict[str, Any], family: str, arch: str) -> list[str]:
    """Replace the backbone; take its own widths where the parts behind it can."""
    stock = model['backbone']
    widths = _stock_widths(stock)
    indices = tuple(stock.get('out_indices', (0, 1, 2, 3)))
    options: dict[str, Any] = {
        'type': f'tnt_backbone.{family}',
        'arch': arch,
        'out_indices': indices,
    }
    changes = []
    if _kind_of(stock) not in RESNETS:
        options |= {key: stock[key] for key in KEPT if key in stock}
        if dropped := [key for key in stock if key not in (*KEPT, *SET_ANEW)]:
            changes.append(f'not taken over from the other backbone: {", ".join(dropped)}')
    if max(stock.get('dilations', (1,))) > 1:
        options['out_strides'] = (4, 8, 8, 8)
        changes.append('out_strides=(4, 8, 8, 8): those of the dilated ResNet')
    weights = _published(family, arch)
    if family == 'PyramidTNT':
        options |= {'frozen_stages': 0, 'norm_eval': True}
        changes.append(
            "the stem and its BatchNorm are frozen, as in the authors' later detectors; from "
            'scratch set frozen_stages=-1 and norm_eval=False'
        )
    for node in dicts(cfg.model):
        if node.get('pretrained'):
            node['pretrained'] = None
    if weights:
        options['init_cfg'] = {'type': 'Pretrained', 'checkpoint': f'tnt://{weights}'}
    changes.append(_say_weights(weights))

    native = _native_widths(family, arch)
    before = copy.deepcopy(dict(model))
    model['backbone'] = {**options, 'out_channels': None}
    if _set_channels(model, widths, native, indices) and not find_misfit(cfg):
        changes.append(f'widths: {widths} -> {native}, its own, in the parts that read them')
    else:
        model.clear()
        model.update(before)
        model['backbone'] = {**options, 'out_channels': widths}
        changes.append(f'widths: {widths}, those of the ResNet, since other parts rely on them')
        if misfit := find_misfit(cfg):
            raise InputError(
                'the model does not run with the backbone, neither with its own widths nor with '
                f"the ResNet's ({misfit})"
            )
    return changes


def _set_classifier(cfg: Config, family: str, arch: str) -> list[str]:
    """Replace a ResNet that classifies by one vector of each image."""
    model, stock = cfg.model, cfg.model.get('backbone')
    neck, head = model.get('neck') or {}, model.get('head') or {}
    width = 512 if (stock or {}).get('depth') in (18, 34) else 2048
    parts = (model.get('type'), neck.get('type'), head.get('in_channels'))
    if parts != ('ImageClassifier', 'GlobalAveragePooling', width):
        raise InputError(
            f'the model is {parts[0]} with the neck {parts[1]} and a head for {parts[2]} channels: '
            f'known is ImageClassifier with GlobalAveragePooling and {width}, as in '
            'resnet/resnet50_8xb32_in1k.py'
        )
    (kind,) = (backbone for backbone in BACKBONES if backbone.__name__ == family)
    with torch.device('meta'), torch.no_grad():
        vectors = kind(arch, out_type=CLASSIFIED[family]).eval()(torch.empty(1, 3, 224, 224))
    weights = _published(family, arch)
    model['backbone'] = {
        'type': f'tnt_backbone.{family}',
        'arch': arch,
        'out_type': CLASSIFIED[family],
        'drop_path_rate': 0.1,  # all families' authors
        'init_cfg': {'type': 'Pretrained', 'checkpoint': f'tnt://{weights}'} if weights else None,
    }
    model['neck'] = None
    model['pretrained'] = None
    head['in_channels'] = vectors[-1].shape[1]
    if misfit := find_misfit(cfg):
        raise InputError(f'the model does not run with the backbone ({misfit})')
    return [
        _say_weights(weights),
        f'head: reads {head["in_channels"]} channels of {CLASSIFIED[family]}; drop path 0.1',
    ]


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
        given = head.get('in_channels')
        several = isinstance(given, (list, tuple))
        where = head.get('in_index', range(len(old)) if several else -1)
        read = list(where) if several else [where]
        try:
            if list(given if several else [given]) != [old[i] for i in read]:
                return False
        except (IndexError, TypeError):
            return False
        head['in_channels'] = [new[i] for i in read] if several else new[where]
        if head.get('c1_in_channels') == old[0]:  # DeepLabV3+
            head['c1_in_channels'] = new[0]
    return bool(heads)


def find_misfit(cfg: Config) -> str:
    """Build the model without data and send an image through all that reads the backbone.

    Returns:
        The error, or nothing where it runs.
    """
    model_cfg = _plain_model(cfg)
    try:
        try:
            _run(model_cfg, cfg.default_scope, 'meta')  # only shapes: no memory, no time
        except RuntimeError as error:
            if 'meta tensors' not in str(error):
                raise
            _run(model_cfg, cfg.default_scope, 'cpu')  # deformable attention reads its values
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
        return f'{type(error).__name__}: {error}'
    return ''


def _plain_model(cfg: Config) -> dict[str, Any]:
    """The model's part of a config, to be built without weights."""
    init_default_scope(cfg.default_scope)
    model_cfg = copy.deepcopy(cfg.model)
    if cfg.get('data_preprocessor'):
        model_cfg.setdefault('data_preprocessor', cfg.data_preprocessor)
    for node in dicts(model_cfg):
        node.pop('init_cfg', None)
    return model_cfg


def _run(model_cfg: dict[str, Any], scope: str, device: str) -> None:
    with torch.device(device), torch.no_grad():
        model = MODELS.build(copy.deepcopy(model_cfg)).eval().requires_grad_(False)
        image = torch.zeros(1, 3, 128, 160)
        if scope == 'mmseg':
            shapes = dict.fromkeys(('img_shape', 'ori_shape', 'pad_shape'), (128, 160))
            model.encode_decode(image, [shapes])
        elif scope == 'mmpretrain':
            model(image, mode='tensor')
        else:
            (model.detector if hasattr(model, 'detector') else model).extract_feat(image)


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


def _say_weights(name: str | None) -> str:
    if not name:
        return 'weights: none were published; tnt train --weights FILE takes yours'
    by_hand = '' if PUBLISHED[name].places else ', which only a person can fetch'
    return f'weights: tnt://{name}{by_hand} (docs/weights.md)'


def _set_pixels(cfg: Config, family: str) -> list[str]:
    row = next(row for row in PUBLISHED.values() if row.family == family)
    mean, std = list(row.mean), list(row.std)
    order = 'to_rgb' if cfg.default_scope == 'mmpretrain' else 'bgr_to_rgb'
    for node in dicts([cfg.model, {'data_preprocessor': cfg.get('data_preprocessor')}]):
        if node.get('data_preprocessor'):
            node['data_preprocessor'].update({'mean': mean, 'std': std, order: True})
    return [f'pixels: mean {mean[0]:g}, std {std[0]:g} ..., RGB, as {family} was pretrained']


def _set_optimizer(cfg: Config, scope: str, layer_decay: float) -> list[str]:
    wrapper = cfg.optim_wrapper
    optimizer = wrapper['optimizer']
    changes = []
    if optimizer['type'] != 'AdamW':
        lr, weight_decay = ADAMW[scope]
        if scope == 'mmpretrain':
            lr *= _images_a_step(cfg)
        else:
            cfg.auto_scale_lr = {'enable': False, 'base_batch_size': 16}
        for step in dicts(cfg.get('param_scheduler')):
            if step.get('eta_min'):  # where the rate ends; that of SGD may be above AdamW's first
                step['eta_min'] *= lr / optimizer['lr']
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
    if slow := custom_keys.get('backbone', {}).get('lr_mult'):
        custom_keys |= slow_backbone_keys(MODELS.build(_plain_model(cfg)), slow, UNDECAYED)
        changes.append(
            f'the backbone learns at {slow:g} of the rate, as before, and its pyramid at all of it'
        )
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
        warm_up = {'type': 'LinearLR', 'start_factor': 1e-3, 'begin': 0}
        # A classifier has many images in an iteration, so that few may be an epoch.
        by_epoch = scope == 'mmpretrain' and 'max_epochs' in cfg.train_cfg
        warm_up |= (
            {'by_epoch': True, 'end': 5, 'convert_to_iter_based': True}
            if by_epoch
            else {'by_epoch': False, 'end': 1000}
        )
        cfg.param_scheduler = [warm_up, *schedule]
        changes.append(f'warm-up of {"5 epochs" if by_epoch else "1000 iterations"}')
    return changes


def _images_a_step(cfg: Config) -> int:
    """For how many images the config's learning rate is."""
    number = (cfg.get('auto_scale_lr') or {}).get('base_batch_size')
    if not number:
        raise InputError(
            'the config does not say for how many images its learning rate is: start from one '
            'with auto_scale_lr.base_batch_size'
        )
    return number

"""Put another backbone into a stock config's model, train it for a step and let it predict.

What ``sweep.py`` does to all configs of MMDetection and MMSegmentation, and ``tests/test_swap.py``
to a few of them.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from operator import mul
from typing import Any

import torch
from batches import BATCHES, SIZE
from mmdet.models.mot import DeepSORT
from mmengine.config import Config, ConfigDict
from mmengine.logging import MessageHub
from mmengine.model.utils import revert_sync_batchnorm
from mmengine.registry import MODELS, DefaultScope, init_default_scope
from mmengine.runner import set_random_seed
from torch import nn

import tnt_backbone.engine  # noqa: F401
from tnt_backbone.backbones import BACKBONES

Model = dict[str, Any]  # the config of a model
RESNETS = ('ResNet', 'ResNetV1c', 'ResNetV1d', 'ResNeXt')
FAMILIES = [backbone.__name__ for backbone in BACKBONES]
FEWER = {'nms_pre': 100, 'max_per_img': 20, 'num': 64}  # boxes to keep, and to sample
STRIDES = (4, 8, 16, 32)  # of a ResNet that is not dilated, and of our pyramids


def dicts(node: Any) -> Iterator[dict[str, Any]]:
    """Every dict in a config, the outer ones first."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for value in node:
            yield from dicts(value)


def resnets(model: Model) -> list[dict[str, Any]]:
    """The configs of all ResNets in a model: of its detector, of its teacher, of its tracker."""
    return [
        node for node in dicts(model) if str(node.get('type', '')).rpartition('.')[2] in RESNETS
    ]


def prepare(cfg: Config) -> Model:
    """Take out what a small test cannot have: downloaded weights, large images, 1000 proposals."""
    model = cfg.model.to_dict()
    for node in dicts(model):
        init_cfg = node.get('init_cfg')
        if isinstance(init_cfg, dict) and init_cfg.get('type') == 'Pretrained':
            node['init_cfg'] = None
        for key in {'pretrained', 'teacher_ckpt', 'checkpoint'} & node.keys():
            node[key] = None
        if node.get('type') == 'MMSyncBN':  # mmcv's, which asks for several processes
            node['type'] = 'BN'
        # Not where queries are boxes: there are as many as max_per_img says, and no NMS.
        if 'nms_pre' in node or 'nms' in node or 'pos_fraction' in node:
            node.update({key: min(node[key], FEWER[key]) for key in FEWER.keys() & node.keys()})
    preprocessor = model.get('data_preprocessor') or {}
    for key in ('size', 'size_divisor', 'batch_augments'):
        preprocessor.pop(key, None)
    if cfg.default_scope == 'mmseg':
        preprocessor['size'] = SIZE
    return model


def options(stock: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arguments that replace a ResNet's, and those for levels that must match."""
    kept = {key: tuple(stock[key]) for key in ('out_indices',) if key in stock}
    if stock.get('depth') in (18, 34):
        kept['out_channels'] = (64, 128, 256, 512)
    strides = tuple(accumulate((4, *stock.get('strides', (1, 2, 2, 2))[1:]), mul))
    return kept, {} if strides == STRIDES[: len(strides)] else {'out_strides': strides}


def swap(model: Model, **backbone: Any) -> Model:
    """Replace every ResNet by ``backbone``, and nothing else.

    Args:
        model: The stock model.
        backbone: ``type``, and what to add to :func:`options`.
    """
    swapped = ConfigDict(model).to_dict()  # a deep copy
    for node in resnets(swapped):
        kept, _ = options(node)
        node.clear()
        node.update({**kept, **backbone})
    return swapped


def swin(model: Model) -> Model:
    """Replace every ResNet by a Swin Transformer of the same widths and levels."""
    swapped = ConfigDict(model).to_dict()
    for node in resnets(swapped):
        kept, _ = options(node)
        narrow = 'out_channels' in kept
        node.clear()
        node.update(
            type='mmdet.SwinTransformer',
            embed_dims=64 if narrow else 256,
            num_heads=(2, 4, 8, 16),
            depths=(1, 1, 1, 1),
            out_indices=kept.get('out_indices', (0, 1, 2, 3)),
        )
    return swapped


def build(model: Model, scope: str) -> nn.Module:
    """Build a model with the batch norm of one process."""
    DefaultScope._instance_dict.clear()
    init_default_scope(scope)
    built = revert_sync_batchnorm(MODELS.build(ConfigDict(model)))
    # Some heads leave tables in memory that nobody wrote to until then, and NaN may stand there.
    built.init_weights()
    return built


def train_and_predict(
    built: nn.Module, model: Model, size: tuple[int, int] = SIZE
) -> Sequence[Any]:
    """Run loss, backward and predict on a batch for the model's data preprocessor.

    Args:
        built: What ``model`` was built to.
        model: Its config.
        size: ``(H, W)`` of the images in pixels.

    Returns:
        What was predicted, a sample each.

    Raises:
        ValueError: If the loss is not finite, or there are not as many results as samples.
    """
    numbers = [node.get('num_classes') for node in dicts(model)]
    classes = max(min((n for n in numbers if isinstance(n, int)), default=80), 1)
    kind = str(model['data_preprocessor']['type']).rpartition('.')[2]
    make = BATCHES[kind]
    if 'roi_head' in model and 'rpn_head' not in model:
        make = BATCHES['proposals']
    if model['type'] == 'YOLACT':
        make = BATCHES['equal']

    if not isinstance(built, DeepSORT):  # put together from trained parts, it has no loss
        built.train()
        data = built.data_preprocessor(make(classes, size), training=True)
        loss, _ = built.parse_losses(built(**data, mode='loss'))
        if not torch.isfinite(loss):
            raise ValueError(f'the loss is {loss}')
        loss.backward()

    built.eval()
    data = built.data_preprocessor(make(classes, size, training=False), training=False)
    with torch.no_grad():
        results = built(**data, mode='predict')
    if len(results) != len(data['data_samples']):
        raise ValueError(f'{len(results)} results for {len(data["data_samples"])} samples')
    return results


def attempt(model: Model, scope: str, size: tuple[int, int]) -> str:
    """Return ``'ok'``, or what went wrong."""
    set_random_seed(0)
    hub = MessageHub.get_current_instance()
    hub.update_info('iter', 0)  # BoxInst's warm-up asks for it
    hub.update_info('epoch', 0)  # TOOD's
    try:
        train_and_predict(build(model, scope), model, size)
    except Exception as error:
        text = ' '.join(str(error).split()) or repr(error)
        return f'{type(error).__name__}: {text[:200]}'
    return 'ok'

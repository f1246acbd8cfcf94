"""Put another backbone into a stock config, train it for a step and let it predict.

``python tests/sweep/swapping.py CONFIG`` tries one config with its own backbone and with each of
ours, and prints a line of JSON. ``test_sweep.py`` runs it over MMDetection's and MMSegmentation's
configs, and ``tests/test_swap.py`` uses its parts.
"""

import contextlib
import copy
import io
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.model.utils import revert_sync_batchnorm
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample
from torch import nn

import tnt_backbone.engine  # noqa: F401
from tnt_backbone.registry import BACKBONES

RESNETS = ('ResNet', 'ResNetV1c', 'ResNetV1d', 'ResNeXt')
FAMILIES = [backbone.__name__ for backbone in BACKBONES]
HEIGHT, WIDTH = 96, 128  # pixels
SWEEP_SIZE = (192, 256)  # DINO takes the best 900 of its tokens: images must have as many
DILATED = {'out_strides': (4, 8, 8, 8)}


def detection_batch(num_classes: int = 80) -> list[DetDataSample]:
    """Two samples of different width with two boxes, masks and a semantic map each."""
    samples = []
    for width in (WIDTH, WIDTH - 28):
        sample = DetDataSample(
            metainfo=dict(
                img_shape=(HEIGHT, width),
                ori_shape=(HEIGHT, width),
                pad_shape=(HEIGHT, width),
                batch_input_shape=(HEIGHT, WIDTH),
                scale_factor=(1.0, 1.0),
                img_id=0,
            )
        )
        boxes = torch.tensor([[4.0, 8.0, 60.0, 70.0], [30.0, 20.0, 90.0, 90.0]])
        masks = np.zeros((2, HEIGHT, width), dtype=np.uint8)
        masks[0, 8:70, 4:60] = masks[1, 20:90, 30:90] = 1
        labels = torch.tensor([1, 17]) % num_classes
        sample.gt_instances = InstanceData(
            bboxes=boxes, labels=labels, masks=BitmapMasks(masks, HEIGHT, width)
        )
        sample.ignored_instances = InstanceData(
            bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long)
        )
        sample.gt_sem_seg = PixelData(sem_seg=torch.randint(0, 50, (1, HEIGHT, width)))
        samples.append(sample)
    return samples


def segmentation_batch(num_classes: int = 19) -> list[SegDataSample]:
    """Two samples."""
    samples = []
    for _ in range(2):
        shape = (HEIGHT, WIDTH)
        sample = SegDataSample(metainfo=dict(img_shape=shape, ori_shape=shape, pad_shape=shape))
        sample.gt_sem_seg = PixelData(data=torch.randint(0, num_classes, (1, *shape)))
        samples.append(sample)
    return samples


def images() -> list[torch.Tensor]:
    """Two images of noise, as a pipeline gives them."""
    return [torch.randint(0, 256, (3, HEIGHT, WIDTH), dtype=torch.uint8) for _ in range(2)]


def holders(node: Any) -> Iterator[dict[str, Any]]:
    """Every dict of a model's config that has a backbone."""
    if isinstance(node, dict):
        if isinstance(node.get('backbone'), dict):
            yield node
        for value in node.values():
            yield from holders(value)


def stock_backbone(cfg: Config) -> dict[str, Any] | None:
    """The config of the ResNet, where there is exactly one backbone and it is one."""
    found = list(holders(cfg.get('model')))
    if len(found) != 1 or found[0]['backbone'].get('type', '').split('.')[-1] not in RESNETS:
        return None
    return found[0]['backbone']


def swap(cfg: Config, backbone: dict[str, Any]) -> Config:
    """Replace the backbone's dict, and nothing else."""
    swapped = copy.deepcopy(cfg)
    (holder,) = holders(swapped.model)
    holder['backbone'] = backbone
    return swapped


def without_weights(node: Any) -> None:
    """Take out the weights that a stock config asks a host for which is gone."""
    if isinstance(node, dict):
        init_cfg = node.get('init_cfg')
        if isinstance(init_cfg, dict) and init_cfg.get('type') == 'Pretrained':
            node['init_cfg'] = None
        if 'pretrained' in node:
            node['pretrained'] = None
        for value in node.values():
            without_weights(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            without_weights(value)


def build(cfg: Config) -> nn.Module:
    """Build the model for small images, with batch norm of one process."""
    scope = cfg.get('default_scope')
    init_default_scope(scope)
    model_cfg = copy.deepcopy(cfg.model)
    if scope == 'mmseg':
        model_cfg.data_preprocessor.size = (HEIGHT, WIDTH)  # the stock size is that of crops
        model_cfg.data_preprocessor.pop('size_divisor', None)
    model = revert_sync_batchnorm(MODELS.build(model_cfg))
    # Some heads leave tables in memory that nobody wrote to until then, and NaN may stand there.
    model.init_weights()
    return model


def num_classes(node: Any) -> Iterator[int]:
    """Numbers of classes of all heads."""
    if isinstance(node, dict):
        if isinstance(node.get('num_classes'), int):
            yield node['num_classes']
        for value in node.values():
            yield from num_classes(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from num_classes(value)


def train_and_predict(model: nn.Module, cfg: Config) -> None:
    """Run loss, backward and predict.

    Raises:
        ValueError: If the loss is not finite, or there are not as many results as images.
    """
    classes = min(num_classes(cfg.model), default=80)
    batch = detection_batch if cfg.default_scope == 'mmdet' else segmentation_batch
    inputs, samples = images(), batch(max(classes, 1))

    model.train()
    data = {'inputs': inputs, 'data_samples': samples}
    data = model.data_preprocessor(data, training=True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    if not torch.isfinite(loss):
        raise ValueError(f'the loss is {loss}')
    loss.backward()

    model.eval()
    data = {'inputs': inputs, 'data_samples': samples}
    data = model.data_preprocessor(data, training=False)
    with torch.no_grad():
        results = model(**data, mode='predict')
    if len(results) != len(inputs):
        raise ValueError(f'{len(results)} results for {len(inputs)} images')


def attempt(cfg: Config) -> str:
    """Return ``'ok'``, or what went wrong."""
    torch.manual_seed(0)
    try:
        train_and_predict(build(cfg), cfg)
    except Exception as error:
        text = ' '.join(str(error).split()) or repr(error)
        return f'{type(error).__name__}: {text[:300]}'
    return 'ok'


def try_config(path: Path) -> dict[str, Any]:
    """Try a config with its own backbone, then with ours; what was needed is said beside ``ok``."""
    cfg = Config.fromfile(path)
    without_weights(cfg.get('model'))
    stock = stock_backbone(cfg)
    if stock is None:
        return {'stock': 'no single ResNet'}
    outcome = {'stock': attempt(cfg)}
    if outcome['stock'] != 'ok':
        return outcome
    options: dict[str, Any] = {}
    if 'out_indices' in stock:
        options['out_indices'] = tuple(stock['out_indices'])
    if stock.get('depth') in (18, 34):
        options['out_channels'] = (64, 128, 256, 512)
    is_dilated = max(stock.get('dilations', (1,))) > 1
    for family in FAMILIES:
        for extra in ({}, DILATED) if is_dilated else ({},):
            outcome[family] = attempt(swap(cfg, {'type': family, **options, **extra}))
            if outcome[family] == 'ok':
                if extra:
                    outcome[family] = f'ok with {extra}'
                break
    return outcome


if __name__ == '__main__':
    warnings.simplefilter('ignore')
    HEIGHT, WIDTH = SWEEP_SIZE
    with contextlib.redirect_stdout(io.StringIO()):
        result = try_config(Path(sys.argv[1]))
    sys.stdout.write(json.dumps(result) + '\n')

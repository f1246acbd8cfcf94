"""Small models with random weights of the configs of this repository, and pictures for them."""

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from tests.configs.test_coco import TINY
from tests.conftest import ROOT
from tnt_backbone.predict.model import TrainedModel

CLASSES = ('a', 'b', 'c')


def make_model(name, *, scale=(160, 96), **changes):
    """Return the model of a config, tiny and with random weights.

    Args:
        name: Of the config.
        scale: Of its step ``Resize``, in pixels.
        changes: Of ``model``.
    """
    cfg = Config.fromfile(ROOT / 'configs' / f'{name}.py')
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        _shrink(cfg, scale)
        cfg.merge_from_dict({f'model.{key}': value for key, value in changes.items()})
        torch.manual_seed(0)
        before = cfg.model.get('data_preprocessor') or cfg.data_preprocessor
        model = MODELS.build({**cfg.model, 'data_preprocessor': before}).eval()
    for parameter in model.parameters():  # answers that differ from place to place
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=1.0 / parameter[0].numel() ** 0.5)
    return TrainedModel(model, cfg, CLASSES, [(0, 0, 255), (0, 255, 0), (255, 0, 0)])


def _shrink(cfg, scale):
    model = cfg.model
    backbone = model.backbone
    backbone.arch, backbone.init_cfg = TINY[backbone.type], None
    widths = list(MODELS.build({**backbone}).out_channels)
    if cfg.default_scope == 'mmpretrain':
        model.head.update(num_classes=3, in_channels=backbone.arch.get('embed_dims', 48))
    for step in cfg.test_dataloader.dataset.pipeline:
        if step['type'] == 'Resize':
            step['scale'] = scale
    if cfg.default_scope == 'mmseg':
        model.decode_head.num_classes = 3
        if 'neck' in model:
            model.neck.update(in_channels=widths, out_channels=32, num_outs=4)
            widths = [32] * 4
        model.decode_head.update(in_channels=widths, channels=16)
        if model.decode_head.type == 'SegmenterMaskTransformerHead':
            for width in ('in_channels', 'channels', 'embed_dims'):
                model.decode_head[width] = widths[0]
        model.auxiliary_head = None
    if cfg.default_scope == 'mmdet':
        if model.type == 'DETR':
            _shrink_queries(model, widths)
            return
        model.neck.update(in_channels=widths, out_channels=32)
        for head in ('bbox_head', 'rpn_head'):
            if head in model:
                model[head].update(in_channels=32, feat_channels=32)
        if 'bbox_head' in model:
            model.bbox_head.update(num_classes=3, stacked_convs=1)
            if model.bbox_head.type == 'ATSSHead':  # its 32 groups need more channels
                model.bbox_head.norm_cfg = {'type': 'GN', 'num_groups': 8}
            model.test_cfg.update(score_thr=0.3, max_per_img=30, nms_pre=100)
            return
        roi = model.roi_head
        roi.bbox_roi_extractor.out_channels = 32
        roi.bbox_head.update(num_classes=3, in_channels=32, fc_out_channels=32)
        if 'mask_head' in roi:
            roi.mask_roi_extractor.out_channels = 32
            roi.mask_head.update(num_classes=3, num_convs=1, in_channels=32, conv_out_channels=16)
        model.test_cfg.rpn.update(nms_pre=100, max_per_img=50)
        model.test_cfg.rcnn.update(score_thr=0.25, max_per_img=20)


def _shrink_queries(model, widths):
    model.num_queries, model.test_cfg = 20, {'max_per_img': 15}
    model.neck.update(in_channels=widths, out_channels=32)
    for part in (model.encoder, model.decoder):
        part.num_layers = 2
        part.layer_cfg.ffn_cfg.update(embed_dims=32, feedforward_channels=64)
        for attention in ('self_attn_cfg', 'cross_attn_cfg'):
            if attention in part.layer_cfg:
                part.layer_cfg[attention].update(embed_dims=32, num_heads=4)
    model.positional_encoding.num_feats = 16
    model.bbox_head.update(num_classes=3, embed_dims=32)


def write_pictures(folder, sizes):
    """Write pictures of coarse noise ``(height, width)``; return the folder."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(1)
    for number, (height, width) in enumerate(sizes):
        cells = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
        image = cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f'{number}.png'), image)
    return folder

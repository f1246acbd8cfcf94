"""The networks of a detector, made ready for PyTorch's exporter, and what NumPy does with them.

A one-stage detector is one network. A two-stage detector is two or three, as its regions are chosen
between them: ``exported/detect.py``.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import roi_align

from ..errors import InputError
from ..predict.model import TrainedModel
from .query_networks import query_network

KNOWN = (
    'one-stage detectors with anchors (RetinaNet, ATSS), Faster R-CNN, Mask R-CNN and DETR, in the '
    'form of their stock configs,'
)


def refuse(what: str) -> ValueError:
    """Return the error for a detector that cannot be exported."""
    return InputError(f'{what} cannot be exported. Of detectors, {KNOWN} can')


class DenseDetector(nn.Module):
    """Normalised pictures ``(N, 3, H, W)`` to the maps of all levels, one kind after the other.

    Scores ``(N, A * C, h, w)``, deltas ``(N, A * 4, h, w)`` and, if the head has them, factors
    ``(N, A, h, w)``. With ``num_features``, that many maps of the neck follow.
    """

    def __init__(self, model: Any, head: Any, num_features: int = 0) -> None:
        super().__init__()
        self.model = model
        self.head = head
        self.num_features = num_features

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the maps."""
        features = self.model.extract_feat(images)
        logits, deltas, *factors = self.head(features)
        scores = [self._score(level) for level in logits]
        others = [level.sigmoid() for level in factors[0]] if factors else []
        return (*scores, *deltas, *others, *features[: self.num_features])

    def _score(self, logits: Tensor) -> Tensor:
        if self.head.use_sigmoid_cls:
            return logits.sigmoid()
        by_anchor = logits.unflatten(1, (-1, self.head.cls_out_channels))
        return by_anchor.softmax(dim=2)[:, :, :-1].flatten(1, 2)


class _RegionReader(nn.Module):
    """Maps and regions of each level to features of all regions, level after level.

    mmcv's ``RoIAlign`` becomes torchvision's, which ONNX knows; the values are the same.
    """

    def __init__(self, extractor: Any) -> None:
        super().__init__()
        self.layers: Any = extractor.roi_layers

    def forward(self, features: list[Tensor], regions: list[Tensor]) -> Tensor:
        """Return the features ``(K, C, h, w)``."""
        found = []
        for level, inside, layer in zip(features, regions, self.layers, strict=True):
            size, scale = layer.output_size, layer.spatial_scale
            sampling = (layer.sampling_ratio, layer.aligned)
            found.append(roi_align(level, inside, size, scale, *sampling))
        return torch.cat(found)


class BoxHead(nn.Module):
    """Maps ``(N, C, h, w)`` and regions ``(K, 5)`` of each level to scores and deltas.

    A region is the number of its picture, x1, y1, x2, y2. The rows of the outputs are those of the
    first level's regions, then of the second's.
    """

    def __init__(self, roi_head: Any) -> None:
        super().__init__()
        self.read = _RegionReader(roi_head.bbox_roi_extractor)
        self.head = roi_head.bbox_head

    def forward(self, features: list[Tensor], regions: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return scores ``(K, C + 1)`` and deltas ``(K, C * 4)``."""
        logits, deltas = self.head(self.read(features, regions))
        return logits.softmax(dim=-1), deltas


class MaskHead(nn.Module):
    """Maps and regions of each level, as for :class:`BoxHead`, to masks ``(K, C, h, w)``."""

    def __init__(self, roi_head: Any) -> None:
        super().__init__()
        self.read = _RegionReader(roi_head.mask_roi_extractor)
        self.head = roi_head.mask_head

    def forward(self, features: list[Tensor], regions: list[Tensor]) -> Tensor:
        """Return the masks, 0 to 1."""
        return self.head(self.read(features, regions)).sigmoid()


def detector_networks(trained: TrainedModel) -> tuple[dict[str, nn.Module], dict[str, Any]]:
    """Return the networks by their part (``''`` is the first), and what the metadata says.

    Raises:
        ValueError: If the detector, or a part of it, is none that is known here.
    """
    from mmdet.models import DETR, SingleStageDetector, TwoStageDetector

    model = trained.model
    if isinstance(model, DETR):
        return query_network(model)
    for base, export in ((SingleStageDetector, _one_stage), (TwoStageDetector, _two_stage)):
        if isinstance(model, base):
            _require_inherited(model, base, ('predict', 'extract_feat'))
            return export(model)
    raise refuse(type(model).__name__)


def _one_stage(model: Any) -> tuple[dict[str, nn.Module], dict[str, Any]]:
    from mmdet.models.dense_heads.base_dense_head import BaseDenseHead

    head = model.bbox_head
    names = ('predict', 'predict_by_feat', '_predict_by_feat_single', '_bbox_post_process')
    _require_inherited(head, BaseDenseHead, names)
    if getattr(getattr(head, 'loss_cls', None), 'custom_cls_channels', False):
        raise refuse(f'{type(head).__name__} with {type(head.loss_cls).__name__}')
    settings = {
        **_dense_settings(head, model.test_cfg),
        'num_classes': head.num_classes,
        'score_thr': model.test_cfg.get('score_thr', 0),
    }
    _require_positive(model.test_cfg, 'nms_pre')
    return {'': DenseDetector(model, head)}, {'dense': settings}


def _two_stage(model: Any) -> tuple[dict[str, nn.Module], dict[str, Any]]:
    from mmdet.models.dense_heads import RPNHead
    from mmdet.models.roi_heads import StandardRoIHead
    from mmdet.models.roi_heads.bbox_heads import BBoxHead
    from mmdet.models.roi_heads.mask_heads import FCNMaskHead

    rpn, roi = model.rpn_head, model.roi_head
    for part, known in ((rpn, RPNHead), (roi, StandardRoIHead)):
        if type(part) is not known:
            raise refuse(f'{type(model).__name__} with {type(part).__name__}')
    if not rpn.use_sigmoid_cls or roi.with_shared_head:
        raise refuse('an RPN with softmax, or a shared head of regions,')
    box_head = roi.bbox_head
    _require_inherited(box_head, BBoxHead, ('predict_by_feat', '_predict_by_feat_single'))
    if box_head.custom_cls_channels or not (box_head.with_cls and box_head.with_reg):
        raise refuse(f'{type(box_head).__name__} with a loss or outputs of its own')
    num_features = _check_extractor(roi.bbox_roi_extractor)
    about: dict[str, Any] = {
        'proposals': _dense_settings(rpn, model.test_cfg.rpn),
        'boxes': {
            'coder': _coder(box_head.bbox_coder),
            **_suppression(model.test_cfg.rcnn),
            'score_thr': model.test_cfg.rcnn.score_thr,
            'levels': num_features,
            'finest_scale': roi.bbox_roi_extractor.finest_scale,
        },
    }
    networks: dict[str, nn.Module] = {'boxes': BoxHead(roi)}
    if roi.with_mask:
        threshold = model.test_cfg.rcnn.mask_thr_binary
        if type(roi.mask_head) is not FCNMaskHead or threshold < 0:
            raise refuse(f'{type(roi.mask_head).__name__} with mask_thr_binary={threshold}')
        about['masks'] = {
            'threshold': threshold,
            'class_agnostic': roi.mask_head.class_agnostic,
            'levels': _check_extractor(roi.mask_roi_extractor),
            'finest_scale': roi.mask_roi_extractor.finest_scale,
        }
        networks['masks'] = MaskHead(roi)
        num_features = max(num_features, about['masks']['levels'])
    return {'': DenseDetector(model, rpn, num_features), **networks}, about


def _require_inherited(module: Any, base: type, names: tuple[str, ...]) -> None:
    """Refuse a module whose steps are not those of its base, as others would be left out."""
    for name in names:
        if getattr(type(module), name) is not getattr(base, name):
            raise refuse(f'{type(module).__name__}, which has a {name} of its own,')


def _require_positive(cfg: Any, name: str) -> None:
    if cfg.get(name, -1) < 1:
        raise refuse(f'test_cfg with {name}={cfg.get(name)}')


def _dense_settings(head: Any, cfg: Any) -> dict[str, Any]:
    from mmdet.models.task_modules import AnchorGenerator

    anchors = head.prior_generator
    if not isinstance(anchors, AnchorGenerator):
        raise refuse(f'{type(head).__name__} with {type(anchors).__name__}')
    names = ('grid_priors', 'single_level_grid_priors', '_meshgrid')
    _require_inherited(anchors, AnchorGenerator, names)
    _require_positive(cfg, 'max_per_img')
    return {
        'anchors': [level.tolist() for level in anchors.base_anchors],
        'strides': [list(stride) for stride in anchors.strides],
        'coder': _coder(head.bbox_coder),
        'nms_pre': cfg.get('nms_pre', -1),
        'min_bbox_size': cfg.get('min_bbox_size', -1),
        **_suppression(cfg),
    }


def _coder(coder: Any) -> dict[str, Any]:
    from mmdet.models.task_modules import DeltaXYWHBBoxCoder

    if type(coder) is not DeltaXYWHBBoxCoder or coder.add_ctr_clamp:
        raise refuse(f'a head with {type(coder).__name__}, or with add_ctr_clamp,')
    names = ('means', 'stds', 'clip_border')
    return {name: getattr(coder, name) for name in names}


def _suppression(cfg: Any) -> dict[str, Any]:
    nms = dict(cfg.nms or {})
    known = {'iou_threshold', 'class_agnostic', 'split_thr'}
    if nms.pop('type', 'nms') != 'nms' or 'iou_threshold' not in nms or not {*nms} <= known:
        raise refuse(f'test_cfg with nms={cfg.nms}')
    return {'nms': nms, 'max_per_img': cfg.max_per_img}


def _check_extractor(extractor: Any) -> int:
    """Return how many maps it reads."""
    from mmcv.ops import RoIAlign
    from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor

    layers = list(extractor.roi_layers)
    if type(extractor) is not SingleRoIExtractor or any(
        type(layer) is not RoIAlign or layer.pool_mode != 'avg' for layer in layers
    ):
        raise refuse(f'{type(extractor).__name__} with {layers[0]}')
    return len(layers)

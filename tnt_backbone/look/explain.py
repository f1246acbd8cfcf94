"""Heat maps of what a model predicts: objects found, classes of pixels, classes of pictures."""

import copy
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from ..backbones.base import TokenBackbone
from ..errors import InputError
from ..predict.model import TrainedModel
from ..predict.results import labels_of
from .blocks import places_of
from .cam_library import library_cam
from .heat import HeatMap, Layer, gradients_from, layer_cam
from .network_input import NetworkInput

NO_BOXES = np.zeros((0, 4), np.float32)


def backbone_of(model: TrainedModel) -> nn.Module:
    """Return the backbone of a model.

    Raises:
        ValueError: If it has none.
    """
    ours = (part for part in model.model.modules() if isinstance(part, TokenBackbone))
    backbone = next(ours, getattr(model.model, 'backbone', None))
    if backbone is None:
        raise InputError(f'{type(model.model).__name__} has no backbone that can be looked into')
    return backbone


def explained_layer(backbone: nn.Module, size: tuple[int, int]) -> Layer:
    """Return the layer whose maps explain a prediction.

    That is the backbone with its maps. If a classifier reads only one vector, it is what the last
    attention reads, or the last tokens if the vector is their mean.

    Args:
        backbone: The backbone.
        size: ``(H, W)`` of the network's input.
    """
    if not isinstance(backbone, TokenBackbone):
        return Layer(backbone)
    if backbone.out_type in ('pyramid', 'featmap'):
        return Layer(backbone, backbone.out_strides)
    last = places_of(backbone)[-1]
    grid = (-(-size[0] // last.stride), -(-size[1] // last.stride))
    is_mean = backbone.out_type == 'avg_featmap'
    return Layer(last.sentences if is_mean else last.sentences.norm1, (last.stride,), grid)


def explain(
    model: TrainedModel,
    seen: NetworkInput,
    *,
    score: float,
    limit: int,
    classes: Collection[str] | None = None,
    method: str = 'layercam',
) -> list[HeatMap]:
    """Return heat maps of a model's predictions, the most certain first.

    Args:
        model: The model.
        seen: The picture.
        score: Detectors: objects of a lower score are left out.
        limit: The largest number of objects or classes that are explained.
        classes: Only these: objects of these classes, or these classes, whether predicted or not.
        method: For classifiers also one of grad-cam's, see :data:`cam_library.METHODS`.

    Returns:
        A map per object or class. A detector that finds several objects gives their maximum first.
        None if it finds no object.

    Raises:
        ValueError: If the model has no such class, or no gradient.
        ImportError: If the method needs the package grad-cam, which is not installed.
    """
    if unknown := [name for name in classes or () if name not in model.classes]:
        raise InputError(
            f'classes={unknown} are not known to the model. It knows {", ".join(model.classes)}'
        )
    if method != 'layercam' and model.task != 'classification':
        raise InputError(
            f'--cam {method} is for classifiers, and this is for {model.task}. Leave it out'
        )
    size = (seen.tensor.shape[2], seen.tensor.shape[3])
    layer = explained_layer(backbone_of(model), size)
    with DefaultScope.overwrite_default_scope(model.cfg.default_scope):
        if model.task == 'detection':
            return _explain_objects(model, seen, layer, score, limit, classes)
        if model.task == 'segmentation':
            return _explain_pixels(model, seen, layer, limit, classes)
        return _explain_picture(model, seen, layer, limit, classes, method)


def _explain_objects(
    model: TrainedModel,
    seen: NetworkInput,
    layer: Layer,
    score: float,
    limit: int,
    classes: Collection[str] | None,
) -> list[HeatMap]:
    kept = labels_of(classes, model.classes, model.task)
    with gradients_from(model.model, layer) as outputs:
        (sample,) = model.model.predict(seen.tensor, copy.deepcopy(seen.samples), rescale=False)
        objects = sample.pred_instances
        chosen = objects.scores >= score
        if kept is not None:
            chosen &= torch.isin(objects.labels, torch.tensor(kept, device=chosen.device))
        order = objects.scores.argsort(descending=True, stable=True)
        found = [i for i in order.tolist() if chosen[i]][:limit]
        maps = []
        for i in found:
            name, value = model.classes[int(objects.labels[i])], float(objects.scores[i])
            heat = layer_cam(objects.scores[i], layer, outputs, seen.pixels.shape[:2])
            box = objects.bboxes[i : i + 1].float().cpu().numpy()
            maps.append(HeatMap(f'{name}: {value:.2f}', heat, box))
    if len(maps) < 2:
        return maps
    hidden = int(chosen.sum()) - len(maps)
    title = f'{len(maps)} most certain objects' if hidden else f'all {len(maps)} objects'
    heat = np.max([entry.heat for entry in maps], axis=0)
    return [HeatMap(title, heat, np.concatenate([entry.boxes for entry in maps])), *maps]


def _explain_pixels(
    model: TrainedModel,
    seen: NetworkInput,
    layer: Layer,
    limit: int,
    classes: Collection[str] | None,
) -> list[HeatMap]:
    """Explain the mean logit of a class over the pixels that have it (Seg-Grad-CAM's target)."""
    height, width = seen.content
    metas = [sample.metainfo for sample in seen.samples]
    with gradients_from(model.model, layer) as outputs:
        logits = model.model.encode_decode(seen.tensor, metas)[0, :, :height, :width]
        if len(logits) == 1:  # one class against the rest, as mmseg's sigmoid does
            threshold = getattr(model.model.decode_head, 'threshold', 0.3)
            labels = (logits[0].sigmoid() > threshold).long()
            logits = torch.cat((-logits, logits))
        else:
            labels = logits.argmax(dim=0)
        shares = torch.bincount(labels.flatten(), minlength=len(model.classes)) / labels.numel()
        maps = []
        for label in _wanted(shares, model.classes, classes, limit):
            is_there = labels == label
            if not is_there.any():  # asked for, but nowhere predicted
                is_there = torch.ones_like(is_there)
            heat = layer_cam(logits[label][is_there].mean(), layer, outputs, seen.pixels.shape[:2])
            title = f'{model.classes[label]}: {shares[label]:.0%} of the pixels'
            maps.append(HeatMap(title, heat, NO_BOXES))
    return maps


def _explain_picture(
    model: TrainedModel,
    seen: NetworkInput,
    layer: Layer,
    limit: int,
    classes: Collection[str] | None,
    method: str,
) -> list[HeatMap]:
    with torch.no_grad():
        (sample,) = model.model.predict(seen.tensor, copy.deepcopy(seen.samples))
    scores = sample.pred_score
    labels = _wanted(scores, model.classes, classes, limit)
    if method == 'layercam':
        with gradients_from(model.model, layer) as outputs:
            logits = _logits(model.model, seen.tensor)
            heats = [layer_cam(logits[0, i], layer, outputs, seen.pixels.shape[:2]) for i in labels]
    else:
        heats = library_cam(model.model, layer, seen.tensor, labels, method)
    return [
        HeatMap(f'{model.classes[i]}: {scores[i]:.2f}', heat, NO_BOXES)
        for i, heat in zip(labels, heats, strict=True)
    ]


def _logits(network: Any, tensor: Tensor) -> Tensor:
    logits = network(tensor, mode='tensor')
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        raise InputError(
            f'{type(network.head).__name__} does not give one number per class, so there are no '
            'heat maps. Pass --no-heat'
        )
    return logits


def _wanted(
    scores: Tensor, names: Sequence[str], classes: Collection[str] | None, limit: int
) -> list[int]:
    """Return the labels that are asked for, else the most certain ones that are there."""
    if classes is not None:
        return [names.index(name) for name in classes]
    order = scores.argsort(descending=True, stable=True).tolist()
    return [label for label in order if scores[label] > 0][:limit]

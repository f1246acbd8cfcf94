"""A trained classifier or segmentor as an ONNX file, for any number of pictures of one size."""

import json
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

from ..predict.model import TrainedModel
from ..run.embedded_config import test_dataset
from ..version import __version__
from .model import KEY
from .pipeline import portable


class _Classifier(nn.Module):
    """Normalised pictures ``(N, 3, H, W)`` to scores ``(N, C)``."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.model.head(self.model.extract_feat(images)).softmax(dim=1)


class _Segmentor(nn.Module):
    """Normalised pictures ``(N, 3, H, W)`` to logits ``(N, C, H, W)``."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.model.encode_decode(images, [{'img_shape': images.shape[2:]}])


def _refuse(what: str) -> ValueError:
    return ValueError(
        f'{what} cannot be exported. Classifiers with a softmax head and segmentors with '
        "test_cfg=dict(mode='whole') can. Pass a config that is one: --config FILE"
    )


def _classifier(trained: TrainedModel) -> tuple[nn.Module, dict[str, Any]]:
    from mmpretrain.models import ClsHead, ImageClassifier

    model, before = trained.model, trained.model.data_preprocessor
    head = getattr(model, 'head', None)
    if type(model) is not ImageClassifier or not isinstance(head, ClsHead):
        raise _refuse(f'{type(model).__name__} with {type(head).__name__}')
    for name in ('predict', '_get_predictions'):
        if getattr(type(head), name) is not getattr(ClsHead, name):
            raise _refuse(f'{type(head).__name__}, which has a {name} of its own,')
    about = {
        'bgr_to_rgb': bool(before.to_rgb),
        'size_divisor': before.pad_size_divisor,
        'pad_val': before.pad_value,
    }
    return _Classifier(model), about


def _segmentor(trained: TrainedModel) -> tuple[nn.Module, dict[str, Any]]:
    from mmseg.models import EncoderDecoder

    model, before = trained.model, trained.model.data_preprocessor
    if type(model) is not EncoderDecoder:
        raise _refuse(type(model).__name__)
    if model.test_cfg.mode != 'whole':
        raise _refuse(f'test_cfg.mode={model.test_cfg.mode!r}')
    if model.out_channels < 2:
        raise _refuse('a segmentor with one output channel')
    if model.align_corners and portable(test_dataset(trained.cfg)['pipeline']):
        raise _refuse('align_corners=True with a pipeline that resizes')
    padding = dict(before.test_cfg or {})
    if padding.get('size'):
        raise _refuse(f'data_preprocessor.test_cfg.size={padding["size"]}')
    about = {
        'bgr_to_rgb': bool(before.channel_conversion),
        'size_divisor': padding.get('size_divisor') or 1,
        'pad_val': before.pad_val,
    }
    return _Segmentor(model), about


WRAPPERS = {'classification': _classifier, 'segmentation': _segmentor}


def export_onnx(trained: TrainedModel, path: Path, size: tuple[int, int]) -> None:
    """Write a model and all that a prediction needs to know into one ONNX file.

    Inside are the network and the softmax of a classifier. Beside it, in ``exported/model.py``, are
    reading, resizing, normalisation, padding and the labels of the pixels.

    Args:
        trained: On the CPU.
        path: The file. Its folder exists.
        size: Height and width of the pictures after the test pipeline, before padding.

    Raises:
        ValueError: If the model cannot be exported.
    """
    if trained.task not in WRAPPERS:
        raise _refuse(f'a model for {trained.task}')
    steps = portable(test_dataset(trained.cfg)['pipeline'])
    network, about = WRAPPERS[trained.task](trained)
    before = trained.model.data_preprocessor
    numbers = {
        name: getattr(before, name).flatten().tolist() if before._enable_normalize else None
        for name in ('mean', 'std')
    }
    about = {
        'version': __version__,
        'task': trained.task,
        'classes': trained.classes,
        'palette': trained.palette,
        'pipeline': steps,
        'size': list(size),
        **numbers,
        **about,
    }
    text = json.dumps(about)
    padded = [side + -side % about['size_divisor'] for side in size]
    # One picture would make the exporter take the size of the batch for a constant.
    images = torch.zeros(2, 3, *padded)
    shapes = ({0: torch.export.Dim('batch', max=1024)},)
    try:
        program = torch.export.export(
            network.eval(), (images,), dynamic_shapes=shapes, strict=False
        )
        torch.onnx.export(program, f=str(path), dynamo=True, verbose=False, external_data=False)
    except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
        reason = str(error).strip().partition('\n')[0]
        raise ValueError(f'PyTorch cannot export {trained}: {reason}') from error
    content = onnx.load(str(path))
    onnx.helper.set_model_props(content, {KEY: text})
    onnx.save(content, str(path))

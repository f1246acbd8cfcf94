"""The networks of a trained model, made ready for PyTorch's exporter."""

import copy
from typing import Any

import torch
from torch import nn

from ..errors import InputError
from ..predict.model import TrainedModel
from ..run.embedded_config import test_dataset
from .detector_networks import detector_networks
from .pipeline import portable

KEPT = ('mode', 'align_corners')  # of an upsampling
Networks = tuple[dict[str, nn.Module], dict[str, Any]]


class Classifier(nn.Module):
    """Normalised pictures ``(N, 3, H, W)`` to scores ``(N, C)``."""

    def __init__(self, model: Any, *, several: bool) -> None:
        super().__init__()
        self.model = model
        self.several = several

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the scores."""
        logits = self.model.head(self.model.extract_feat(images))
        return logits.sigmoid() if self.several else logits.softmax(dim=1)


class Segmentor(nn.Module):
    """Normalised pictures ``(N, 3, H, W)`` to logits ``(N, C, H, W)``."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = copy.deepcopy(model)
        _replace_upsampling(self.model)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        return self.model.encode_decode(images, [{'img_shape': images.shape[2:]}])


def _replace_upsampling(model: nn.Module) -> None:
    """Put PyTorch's module in the place of mmseg's, whose ``int()`` makes a constant of the size.

    For whole factors they give the same values.
    """
    from mmseg.models.utils import Upsample

    for parent in list(model.modules()):
        for name, child in parent.named_children():
            factor = getattr(child, 'scale_factor', None)
            if type(child) is Upsample and isinstance(factor, float) and factor.is_integer():
                options: dict[str, Any] = {key: getattr(child, key) for key in KEPT}
                setattr(parent, name, nn.Upsample(scale_factor=factor, **options))


def _refuse(what: str) -> ValueError:
    return InputError(
        f'{what} cannot be exported. Classifiers with a softmax head or a head for several labels '
        'and segmentors of EncoderDecoder with two or more outputs can'
    )


def _classifier(trained: TrainedModel) -> Networks:
    from mmpretrain.models import ClsHead, ImageClassifier, MultiLabelClsHead

    model, before = trained.model, trained.model.data_preprocessor
    head = getattr(model, 'head', None)
    if type(model) is not ImageClassifier or not isinstance(head, ClsHead | MultiLabelClsHead):
        raise _refuse(f'{type(model).__name__} with {type(head).__name__}')
    several = isinstance(head, MultiLabelClsHead)
    base = MultiLabelClsHead if several else ClsHead
    for name in ('predict', '_get_predictions'):
        if getattr(type(head), name) is not getattr(base, name):
            raise _refuse(f'{type(head).__name__}, which has a {name} of its own,')
    about = {
        'bgr_to_rgb': bool(before.to_rgb),
        'size_divisor': before.pad_size_divisor,
        'pad_val': before.pad_value,
    }
    if several:
        about['several_labels'] = {'thr': head.thr, 'topk': head.topk}
    return {'': Classifier(model, several=several)}, about


def _segmentor(trained: TrainedModel) -> Networks:
    from mmseg.models import EncoderDecoder

    model, before = trained.model, trained.model.data_preprocessor
    if type(model) is not EncoderDecoder:
        raise _refuse(type(model).__name__)
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
        'align_corners': model.align_corners,
    }
    if model.test_cfg.mode == 'slide':
        about['slide'] = {key: list(model.test_cfg[key]) for key in ('crop_size', 'stride')}
    return {'': Segmentor(model)}, about


def _detector(trained: TrainedModel) -> Networks:
    before = trained.model.data_preprocessor
    steps = [step['type'] for step in portable(test_dataset(trained.cfg)['pipeline'])]
    if steps != ['Resize']:
        raise InputError(
            f'the test pipeline has the steps {steps}; of detectors, those with one Resize can be '
            'exported. Pass a config with it: --config FILE'
        )
    networks, settings = detector_networks(trained)
    about = {
        'bgr_to_rgb': bool(before._channel_conversion),
        'size_divisor': before.pad_size_divisor,
        'pad_val': before.pad_value,
        'detector': settings,
    }
    return networks, about


WRAPPERS = {'classification': _classifier, 'segmentation': _segmentor, 'detection': _detector}


def networks_of(trained: TrainedModel) -> Networks:
    """Return the networks by their part (``''`` is the first), and what the metadata says of them.

    Raises:
        ValueError: If the model is of a kind that cannot be exported.
    """
    networks, about = WRAPPERS[trained.task](trained)
    before = trained.model.data_preprocessor
    numbers = {
        name: getattr(before, name).flatten().tolist() if before._enable_normalize else None
        for name in ('mean', 'std')
    }
    return {name: network.eval() for name, network in networks.items()}, {**about, **numbers}

"""Detectors that take their queries from the places of their feature maps: small pictures have few.

DINO and the two-stage Deformable DETR take the best ``num_queries`` places. If a picture has fewer,
PyTorch says "selected index k out of range".
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from mmengine.config import Config

from ..errors import InputError
from ..type_names import type_name
from .image_size import largest_size
from .pretrained import our_backbones

TAKE_PLACES = ('DINO', 'GroundingDINO')
STEP = 32  # pixels; sizes in a message are multiples of it


def check_places(cfg: Config, phases: Iterable[str]) -> None:
    """Check that the largest pictures of a config have enough places for the queries.

    Args:
        cfg: Of a detector with a backbone of ours; others pass.
        phases: Such as ``'train'``.

    Raises:
        ValueError: If they do not.
    """
    model = cfg.model
    takes = type_name(model) in TAKE_PLACES or model.get('as_two_stage')
    strides = _strides(cfg) if takes and model.get('num_queries') else []
    for phase in phases if strides else ():
        loader = cfg.get(f'{phase}_dataloader')
        size = largest_size(loader.dataset) if loader else None
        if size and (number := _places(size, strides)) < model.num_queries:
            text = _text(type_name(model), model.num_queries, size, number, strides)
            raise InputError(f'{phase}_dataloader: {text}')


def explain_few_places(error: BaseException) -> str | None:
    """Return what an error of MMDetection means, or ``None`` if it is another one."""
    trace = error.__traceback__ if isinstance(error, RuntimeError) else None
    size, found = None, None
    while trace is not None:
        names = trace.tb_frame.f_locals
        samples = names.get('batch_data_samples')
        if samples and 'batch_input_shape' in samples[0]:
            size = samples[0].batch_input_shape
        if trace.tb_frame.f_code.co_name == 'pre_decoder':
            found = names
        trace = trace.tb_next
    if found is None or size is None or found.get('spatial_shapes') is None:
        return None
    shapes, detector = found['spatial_shapes'].tolist(), found['self']
    number = sum(height * width for height, width in shapes)
    if number >= detector.num_queries:
        return None
    strides = [2 ** round(math.log2(max(1, size[0] / height))) for height, _ in shapes]
    return _text(type(detector).__name__, detector.num_queries, size, number, strides)


def _strides(cfg: Config) -> list[int]:
    """Return the strides of the encoder's maps; none if the backbone is not ours."""
    for path, part in our_backbones(cfg).items():
        if path == 'model.backbone':
            options = {key: value for key, value in part.items() if key != 'type'}
            with torch.device('meta'):
                strides = list(part['type'](**options).out_strides)
            while len(strides) < (cfg.model.get('neck') or {}).get('num_outs', 0):
                strides.append(2 * strides[-1])
            return strides
    return []


def _places(size: Any, strides: list[int]) -> int:
    return sum(math.prod(math.ceil(side / stride) for side in size) for stride in strides)


def _text(kind: str, queries: int, size: Any, number: int, strides: list[int]) -> str:
    side = STEP
    while _places((side, side), strides) < queries:
        side += STEP
    return (
        f'{kind} takes its num_queries={queries} from the places in its feature maps, and pictures '
        f'of {size[0]}x{size[1]} pixels have {number}. Resize them to {side}x{side} or more (scale '
        f'of Resize in the pipeline), or train with model.num_queries={number} or fewer'
    )

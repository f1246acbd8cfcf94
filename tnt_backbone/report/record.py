"""Chooses what is kept of each tested picture: numbers, no maps.

A recorder turns what a model returns for a batch into one dict per picture. Its memory does not
grow with the size of the pictures.
"""

from collections.abc import Sequence
from typing import Any

from ..errors import InputError
from .record_boxes import DetectionRecorder
from .record_labels import ClassificationRecorder, MultiLabelRecorder
from .record_maps import SegmentationRecorder

MULTI_LABEL = ('MultiLabelMetric', 'AveragePrecision', 'VOCMultiLabelMetric', 'VOCAveragePrecision')


def recorder_for(sample: Any, classes: Sequence[str], metrics: Sequence[Any]) -> Any:
    """Return the recorder that understands what a model returns.

    Raises:
        ValueError: If none does.
    """
    kind: Any = None
    if 'pred_instances' in sample and 'scores' in sample.pred_instances:
        kind = DetectionRecorder
    elif 'pred_sem_seg' in sample and 'gt_sem_seg' in sample:
        kind = SegmentationRecorder
    elif 'pred_score' in sample and 'gt_label' in sample:
        names = {base.__name__ for metric in metrics for base in type(metric).__mro__}
        is_single = names.isdisjoint(MULTI_LABEL)
        kind = ClassificationRecorder if is_single else MultiLabelRecorder
    if kind is None:
        raise InputError(
            'a report is made of boxes, label maps or class scores with their truth, and the '
            f'model returns {type(sample).__name__} with {", ".join(sorted(sample.keys()))}'
        )
    return kind(classes, metrics)

"""What is kept of each picture that a segmentor was tested on."""

import base64
import heapq
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from ..errors import InputError
from .confusion import scores_of
from .results import about

EXAMPLES = 6  # best and worst pictures whose label maps are kept
SIDE = 480  # pixels of a kept label map's longer side


class SegmentationRecorder:
    """How many pixels of each class were given which class.

    The dict has ``counts``: triples of true label, predicted label and number of pixels. The number
    of classes stands for a label that is none of them. Ignored pixels are left out. The best and
    worst pictures also have ``maps``: true and predicted labels as small PNG files in base64.

    Args:
        classes: Names of the classes.
        metrics: Of the evaluator; their ``ignore_index`` counts.
    """

    task = 'segmentation'

    def __init__(self, classes: Sequence[str], metrics: Sequence[Any]) -> None:
        self.classes = list(classes)
        self.notes: list[str] = []
        self.ignored = next(
            (metric.ignore_index for metric in metrics if hasattr(metric, 'ignore_index')), 255
        )
        self._kept: dict[bool, list[tuple[float, int, dict[str, Any]]]] = {False: [], True: []}
        self._seen = 0

    def record(self, outputs: Sequence[Any]) -> list[dict[str, Any]]:
        """Return the dicts of a batch of ``SegDataSample``."""
        return [self._record(sample) for sample in outputs]

    def _record(self, sample: Any) -> dict[str, Any]:
        import torch

        truth = sample.gt_sem_seg.data.squeeze(0)
        predicted = sample.pred_sem_seg.data.squeeze(0).to(truth.device)
        if predicted.shape != truth.shape:
            raise InputError(f'label maps of {tuple(predicted.shape)} and {tuple(truth.shape)}')
        counted, size = truth != self.ignored, len(self.classes) + 1
        pairs = truth[counted].long().clamp(0, size - 1) * size
        pairs += predicted[counted].long().clamp(0, size - 1)
        matrix = torch.bincount(pairs, minlength=size**2).reshape(size, size).cpu().numpy()
        record = {
            **about(sample),
            'counts': [
                [int(i), int(j), int(matrix[i, j])]
                for i, j in zip(*np.nonzero(matrix), strict=True)
            ],
        }
        self._keep_maps(record, matrix, truth, predicted)
        return record

    def _keep_maps(self, record: dict[str, Any], matrix: Any, truth: Any, predicted: Any) -> None:
        """Add the label maps if the picture is one of the best or worst, and drop another's."""
        ious = scores_of(matrix)['iou']
        if np.isnan(ious).all():  # all pixels are ignored
            return
        score = float(np.nanmean(ious))
        self._seen += 1
        for best, heap in self._kept.items():
            entry = (score if best else -score, self._seen, record)
            if len(heap) == EXAMPLES and entry[0] <= heap[0][0]:
                continue
            outside = len(self.classes)
            record['maps'] = {
                'truth': _small_map(
                    truth.long().masked_fill(truth == self.ignored, outside), outside
                ),
                'predicted': _small_map(predicted, outside),
            }
            if len(heap) < EXAMPLES:
                heapq.heappush(heap, entry)
                continue
            _, _, dropped = heapq.heapreplace(heap, entry)
            if not any(dropped is kept for *_, kept in self._kept[not best]):
                del dropped['maps']


def _small_map(labels: Any, outside: int) -> str:
    """Return a label map as a PNG of at most ``SIDE`` pixels, in base64.

    Args:
        labels: ``(H, W)``.
        outside: Stands for labels that are no class.
    """
    height, width = labels.shape
    step = max(1, -(-max(height, width) // SIDE))
    small = labels[step // 2 :: step, step // 2 :: step].long().clamp(0, outside).cpu().numpy()
    file = io.BytesIO()
    Image.fromarray(small.astype(np.uint8 if outside < 256 else np.uint16)).save(file, 'png')
    return base64.b64encode(file.getvalue()).decode()

"""What is kept of each picture that a detector was tested on."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from .results import about, as_array, numbers


class DetectionRecorder:
    """Boxes and truth of each picture.

    The dict has ``boxes`` (x1, y1, x2, y2 in pixels of the picture), ``scores``, ``labels``,
    ``truth_boxes`` (x, y, width, height), ``truth_labels``, ``truth_areas``, ``truth_crowd``. With
    masks it also has ``mask_areas`` and ``mask_ious``: triples of a box, a truth and their IoU.

    Args:
        classes: Names of the classes.
        metrics: Of the evaluator. The truth is that of a ``CocoMetric`` if there is one with an
            annotation file, else that of the pipeline.
    """

    task = 'detection'

    def __init__(self, classes: Sequence[str], metrics: Sequence[Any]) -> None:
        self.classes = list(classes)
        self.notes: list[str] = []
        coco = [metric for metric in metrics if getattr(metric, '_coco_api', None) is not None]
        self.metric = coco[0] if coco else None
        self.labels: dict[int, int] = {}
        if self.metric is not None:
            api = self.metric._coco_api
            ids = api.get_cat_ids(cat_names=self.classes)
            self.labels = {key: label for label, key in enumerate(ids)}
            # MMDetection numbers the classes in the order of the file
            self.classes = [api.cats[key]['name'] for key in ids]

    def record(self, outputs: Sequence[Any]) -> list[dict[str, Any]]:
        """Return the dicts of a batch of ``DetDataSample``."""
        return [
            self._record(sample, number - len(outputs)) for number, sample in enumerate(outputs)
        ]

    def _record(self, sample: Any, place: int) -> dict[str, Any]:
        found = sample.pred_instances
        boxes = as_array(found.bboxes)
        if boxes.shape[-1] != 4 and boxes.size:
            numbers_of = boxes.shape[-1]
            raise InputError(f'boxes of {numbers_of} numbers are not known; x1, y1, x2, y2 are')
        boxes = boxes.reshape(-1, 4)
        truth = self._coco_truth(sample) if self.metric else self._pipeline_truth(sample)
        record = {
            **about(sample),
            'boxes': boxes.astype(np.float32),
            'scores': as_array(found.scores).astype(np.float32),
            'labels': as_array(found.labels).astype(np.int32),
            'truth_boxes': [numbers(box, np.float64) for box, *_ in truth],
            'truth_labels': [label for _, label, *_ in truth],
            'truth_areas': [float(area) for _, _, area, *_ in truth],
            'truth_crowd': [int(crowd) for *_, crowd, _ in truth],
        }
        if self.metric is not None and 'segm' in self.metric.metrics:
            record |= self._mask_numbers(truth, self.metric.results[place][1])
        return record

    def _coco_truth(self, sample: Any) -> list[tuple[Any, ...]]:
        """Return box, label, area, crowd and annotation of each object of a COCO file."""
        assert self.metric is not None
        return [
            (
                annotation['bbox'],
                self.labels[annotation['category_id']],
                annotation.get('area', annotation['bbox'][2] * annotation['bbox'][3]),
                bool(annotation.get('iscrowd')),
                annotation,
            )
            for annotation in self.metric._coco_api.imgToAnns[sample.img_id]
            if annotation['category_id'] in self.labels
        ]

    def _pipeline_truth(self, sample: Any) -> list[tuple[Any, ...]]:
        """Return the same of what the pipeline loaded, which MMDetection's other metrics use."""
        truth = []
        for part, crowd in (('gt_instances', False), ('ignored_instances', True)):
            instances = sample.get(part)
            if instances is None or 'bboxes' not in instances:
                continue
            for (x1, y1, x2, y2), label in zip(
                as_array(instances.bboxes).astype(float).tolist(),
                as_array(instances.labels).astype(int).tolist(),
                strict=True,
            ):
                size = (x2 - x1, y2 - y1)
                truth.append(([x1, y1, *size], label, size[0] * size[1], crowd, None))
        return truth

    def _mask_numbers(self, truth: list[tuple[Any, ...]], result: dict[str, Any]) -> dict[str, Any]:
        """Return areas and IoUs of the masks that the metric has just encoded."""
        from pycocotools import mask

        assert self.metric is not None
        if not all(annotation.get('segmentation') for *_, annotation in truth):
            return {}
        masks = list(result.get('masks', ()))
        true_masks = [self.metric._coco_api.annToRLE(annotation) for *_, annotation in truth]
        ious = np.zeros((0, 0))
        if masks and true_masks:
            ious = mask.iou(masks, true_masks, [int(crowd) for *_, crowd, _ in truth])
        return {
            'mask_areas': [int(area) for area in mask.area(masks)] if masks else [],
            'mask_ious': [
                [int(i), int(j), float(ious[i, j])] for i, j in zip(*np.nonzero(ious), strict=True)
            ],
        }

"""Segments of whole pictures, of panoptic segmentors: Panoptic FPN, MaskFormer, Mask2Former."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image


@dataclass(frozen=True, kw_only=True)
class Segments:
    """A segment for each object and for each kind of stuff in a picture.

    Attributes:
        ids: ``(H, W)``: the segment of each pixel, from 1; 0 is none. int64.
        labels: ``(N,)``: the class of segments 1 to N, indices into the names of the classes.
        is_thing: ``(N,)``: whether a segment is an object, and no stuff.
    """

    ids: np.ndarray
    labels: np.ndarray
    is_thing: np.ndarray

    def to_json(self, classes: tuple[str, ...]) -> list[dict[str, Any]]:
        """Return COCO's ``segments_info``; numbers of categories as in ``predictions.json``."""
        areas = np.bincount(self.ids.ravel(), minlength=len(self.labels) + 1)
        return [
            {
                'id': number + 1,
                'category_id': int(label) + 1,
                'category': classes[label],
                'isthing': int(self.is_thing[number]),
                'area': int(areas[number + 1]),
            }
            for number, label in enumerate(self.labels)
        ]

    def to_image(self) -> Image.Image:
        """Return COCO's form of a panoptic picture: ``id = R + 256 G + 256 * 256 B``."""
        parts = [self.ids >> shift & 255 for shift in (0, 8, 16)]
        return Image.fromarray(np.stack(parts, axis=-1).astype(np.uint8))


def segments_of(sample: Any, num_classes: int) -> Segments | None:
    """Return the segments of a data sample of MMDetection; ``None`` of other models than panoptic.

    Args:
        sample: On the CPU.
        num_classes: Of the model, things and stuff. MMDetection gives this number to pixels of no
            segment.
    """
    if 'pred_panoptic_seg' not in sample:
        return None
    from mmdet.evaluation.functional import INSTANCE_OFFSET

    theirs = sample.pred_panoptic_seg.sem_seg[0].numpy().astype(np.int64)
    found, ids = np.unique(theirs, return_inverse=True)
    ids = ids.reshape(theirs.shape)
    is_segment = found % INSTANCE_OFFSET < num_classes
    numbers = np.where(is_segment, np.cumsum(is_segment), 0)
    found = found[is_segment]
    return Segments(
        ids=numbers[ids], labels=found % INSTANCE_OFFSET, is_thing=found >= INSTANCE_OFFSET
    )


def keep_objects(model: Any) -> None:
    """Let a panoptic segmentor return its objects, too, with their scores.

    Panoptic FPN finds objects with scores and masks, and merges them with the stuff. MMDetection
    returns only what is merged, without scores. MaskFormer returns its objects on request.

    Args:
        model: Any detector of MMDetection, changed in place.
    """
    fusion = getattr(model, 'panoptic_fusion_head', None)
    if fusion is None:
        return
    if not hasattr(model, 'roi_head'):
        scores = model.panoptic_head.num_queries * fusion.num_classes
        most = min(fusion.test_cfg.get('max_per_image', 100), scores)  # MMDetection's default
        fusion.test_cfg.update(instance_on=True, max_per_image=most)
        return
    fuse, add = fusion.predict, model.add_pred_to_datasample

    def fuse_and_return(objects: list, segments: list, **options: Any) -> list:
        return list(zip(fuse(objects, segments, **options), objects, strict=True))

    def add_both(samples: list, pairs: list) -> list:
        for sample, (_, objects) in zip(samples, pairs, strict=True):
            sample.pred_instances = objects
        return add(samples, [merged for merged, _ in pairs])

    fusion.predict, model.add_pred_to_datasample = fuse_and_return, add_both

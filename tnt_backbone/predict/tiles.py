"""Detection on large pictures, tile by tile: sahi cuts the picture, and what was found is merged.

The merging is sahi's greedy one, but for pixels: sahi keeps masks as polygons, which lose holes and
thin parts, and takes boxes from them.

sahi: https://github.com/obss/sahi (MIT), Akyol et al., "Slicing Aided Hyper Inference", ICIP 2022.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import torch
from mmengine.structures import InstanceData
from torchvision.ops import batched_nms

from ..errors import MissingPackageError

if TYPE_CHECKING:
    from .results import Detection

OVERLAP = 0.2  # of neighbouring tiles, as a share of their side; sahi's default
MATCH = 0.5  # least share of the smaller box in which two boxes are of one object; sahi's default
PART = 0.9  # least share of a box within a merged one, from which on it is a part of that object
LOW_SCORE = 0.1  # below it merged boxes would grow; sahi's limit


@dataclass(frozen=True)
class Found:
    """What was found in all tiles and in the whole picture.

    Attributes:
        boxes: ``(N, 4)``: x1, y1, x2, y2 in pixels of the picture.
        scores: ``(N,)``.
        labels: ``(N,)``.
        masks: Of each object the corner ``(x, y)`` of its tile, and its pixels there; or none.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    masks: list[tuple[int, int, np.ndarray]]


def require_sahi() -> None:
    """Check that sahi is there.

    Raises:
        ImportError: If it is not installed.
    """
    if find_spec('sahi') is None:
        raise MissingPackageError("Tiles need sahi. Run: pip install 'tnt-backbone[tiles]'")


def detect_in_tiles(
    detect: Callable[[np.ndarray], 'Detection'], pixels: np.ndarray, tile: int, score: float
) -> InstanceData:
    """Return the objects of a picture, found in tiles and in the whole picture.

    Args:
        detect: Returns the objects of an array ``(H, W, 3)``, BGR, uint8.
        pixels: The picture, in the same form.
        tile: Side of the tiles in pixels. Each goes through the test pipeline like a picture.
        score: The least of the objects. Among many uncertain boxes, merged ones would grow, so
            below 0.1 the best of several is kept instead.

    Returns:
        ``bboxes (N, 4)``, ``scores (N,)``, ``labels (N,)``, and ``masks (N, H, W)`` if the model
        predicts masks. Of one class, boxes that lie half in another are merged with it; with a low
        score, boxes whose IoU with a better one is above a half are left out.
    """
    found = _collect(detect, pixels, tile)
    groups = list(_best_of(found) if score < LOW_SCORE else _merged(found))
    boxes = [_union(found.boxes[group]) for group in groups]
    firsts = [group[0] for group in groups]
    objects = InstanceData(
        bboxes=torch.from_numpy(np.array(boxes, np.float32).reshape(-1, 4)),
        scores=torch.from_numpy(found.scores[firsts]),
        labels=torch.from_numpy(found.labels[firsts]),
    )
    if found.masks:
        masks = np.zeros((len(groups), *pixels.shape[:2]), bool)
        for whole, group in zip(masks, groups, strict=True):
            for left, top, part in (found.masks[i] for i in group):
                whole[top : top + part.shape[0], left : left + part.shape[1]] |= part
        objects.masks = torch.from_numpy(masks)
    return objects


def _collect(detect: Callable[[np.ndarray], 'Detection'], pixels: np.ndarray, tile: int) -> Found:
    from sahi.slicing import get_slice_bboxes

    height, width = pixels.shape[:2]
    places = get_slice_bboxes(
        image_height=height,
        image_width=width,
        slice_height=tile,
        slice_width=tile,
        auto_slice_resolution=False,
        overlap_height_ratio=OVERLAP,
        overlap_width_ratio=OVERLAP,
    )
    places += [[0, 0, width, height]] if len(places) > 1 else []
    parts = []
    for left, top, right, bottom in places:
        part = detect(np.ascontiguousarray(pixels[top:bottom, left:right]))
        boxes = part.boxes + np.array([left, top, left, top], np.float32)
        parts.append((left, top, boxes.clip(0, [width, height, width, height]), part))
    return Found(
        np.concatenate([boxes for _, _, boxes, _ in parts]).astype(np.float32),
        np.concatenate([part.scores for *_, part in parts]).astype(np.float32),
        np.concatenate([part.labels for *_, part in parts]).astype(np.int64),
        [(x, y, mask) for x, y, _, part in parts if part.masks is not None for mask in part.masks],
    )


def _best_of(found: Found) -> Iterator[list[int]]:
    """Yield the objects that no better one of their class overlaps."""
    boxes, scores, labels = map(torch.from_numpy, (found.boxes, found.scores, found.labels))
    yield from ([i] for i in batched_nms(boxes, scores, labels, MATCH).tolist())


def _merged(found: Found) -> Iterator[list[int]]:
    """Yield groups of objects that are one, the most certain first."""
    order = np.lexsort((-_areas(found.boxes), -found.scores))  # of equal scores the largest first
    for label in np.unique(found.labels):
        groups: list[list[int]] = []
        left = order[found.labels[order] == label]
        while len(left):
            best, left = left[0], left[1:]
            matches = _lies_in(found.boxes[best], found.boxes[left]) >= MATCH
            group, whole = [int(best)], found.boxes[best]
            is_taken = np.zeros(len(left), bool)
            for place in np.flatnonzero(matches):  # the box has grown: those that still match
                box = found.boxes[left[place]]
                if _lies_in(whole, box[None])[0] >= MATCH:
                    group.append(int(left[place]))
                    whole = _union(np.stack([whole, box]))
                    is_taken[place] = True
            left = left[~is_taken]
            groups.append(group)
        yield from _without_parts(groups, found)


def _without_parts(groups: list[list[int]], found: Found) -> list[list[int]]:
    """Leave out what lies in a larger merged object: a tile cut it off from the object.

    It is left over if another part was more certain and took the whole object.
    """
    boxes = np.array([_union(found.boxes[group]) for group in groups])
    kept = []
    for i, group in enumerate(groups):
        others = [j for j, other in enumerate(groups) if j != i and len(other) > 1]
        shared = _shared(boxes[i], boxes[others])
        is_part = (shared >= PART * _areas(boxes[[i]])) & (
            _areas(boxes[others]) > _areas(boxes[[i]])
        )
        if not is_part.any():
            kept.append(group)
    return kept


def _lies_in(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the share of the smaller of two boxes that lies in the other, ``(N,)``."""
    smaller = np.minimum(_areas(box[None]), _areas(boxes))
    return _shared(box, boxes) / np.maximum(smaller, 1e-9)


def _shared(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the area that each of ``boxes (N, 4)`` shares with ``box (4,)``."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    return sides.clip(0).prod(axis=1)


def _areas(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2:] - boxes[:, :2]).clip(0).prod(axis=1)


def _union(boxes: np.ndarray) -> np.ndarray:
    """Return the box around ``boxes (N, 4)``."""
    return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])

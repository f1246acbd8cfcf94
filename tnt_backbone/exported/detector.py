"""Objects from the networks of a detector: one of them, or two or three with regions between."""

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from .detect import Objects, Place, dense_objects, levels_of, propose, query_objects, region_objects
from .inputs import Input, stack
from .masks import paste
from .session import Session

Found = tuple[Objects, np.ndarray | None]


def detect(
    networks: dict[str, Session],
    about: dict[str, Any],
    inputs: list[Input],
    *,
    score: float,
    labels: Collection[int] | None,
) -> Iterator[Found]:
    """Yield the objects of each picture, in its own pixels, and their masks ``(N, H, W)`` or None.

    Args:
        networks: By their part.
        about: The file's metadata.
        inputs: Of equal size.
        score: Objects of a lower score are left out.
        labels: Objects of other classes are left out.
    """
    settings = about['detector']
    outputs = networks[''].run([stack(inputs, about)])
    if 'queries' in settings:
        certainties, boxes = outputs
        for i, one in enumerate(inputs):
            objects = query_objects(certainties[i], boxes[i], settings['queries'], _place(one))
            yield _chosen(objects, score, labels), None
        return
    dense = settings['dense' if 'dense' in settings else 'proposals']
    num_levels = len(dense['anchors'])
    scores, deltas = outputs[:num_levels], outputs[num_levels : 2 * num_levels]
    others = outputs[2 * num_levels :]
    places = [_place(one) for one in inputs]
    if 'dense' in settings:
        for i, place in enumerate(places):
            maps = [[level[i] for level in part] for part in (scores, deltas, others)]
            objects = dense_objects(maps[0], maps[1], maps[2], dense, place)
            yield _chosen(objects, score, labels), None
        return
    regions = [
        propose([level[i] for level in scores], [level[i] for level in deltas], dense, place)
        for i, place in enumerate(places)
    ]
    found = _boxes(networks['boxes'], settings, others, regions, places)
    found = [_chosen(objects, score, labels) for objects in found]
    if 'masks' not in settings:
        yield from ((objects, None) for objects in found)
        return
    masks = _read(networks['masks'], settings['masks'], others, [one.boxes for one in found])
    for one, place, objects, (rows, *_) in zip(inputs, places, found, masks, strict=True):
        labels_of = np.zeros_like(objects.labels)
        if not settings['masks']['class_agnostic']:
            labels_of = objects.labels
        boxes = objects.boxes / np.array(place.scale * 2, np.float32)
        own = rows[np.arange(len(rows)), labels_of] if len(rows) else np.zeros((0, 1, 1))
        pasted = paste(own, boxes, one.own_shape, settings['masks']['threshold'])
        yield Objects(boxes, objects.scores, objects.labels), pasted


def _place(one: Input) -> Place:
    scale = (one.shape[1] / one.own_shape[1], one.shape[0] / one.own_shape[0])
    return Place(one.shape, scale)


def _chosen(objects: Objects, score: float, labels: Collection[int] | None) -> Objects:
    chosen = objects.scores >= np.float32(score)
    if labels is not None:
        chosen &= np.isin(objects.labels, list(labels))
    order = np.flatnonzero(chosen)
    order = order[np.argsort(-objects.scores[order], kind='stable')]
    return Objects(objects.boxes[order], objects.scores[order], objects.labels[order])


def _boxes(
    network: Session,
    settings: dict[str, Any],
    features: list[np.ndarray],
    regions: list[np.ndarray],
    places: list[Place],
) -> list[Objects]:
    to_picture = 'masks' not in settings  # else the mask head still needs them
    outputs = _read(network, settings['boxes'], features, regions)
    empty = Objects(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    return [
        region_objects(inside, rows[0], rows[1], settings['boxes'], place, to_picture=to_picture)
        if len(inside)
        else empty
        for inside, rows, place in zip(regions, outputs, places, strict=True)
    ]


def _read(
    network: Session,
    settings: dict[str, Any],
    features: list[np.ndarray],
    regions: list[np.ndarray],
) -> list[list[np.ndarray]]:
    """Return a network's outputs for the regions of each picture.

    Each region is read from the map of its level. The network takes and returns them by level.
    """
    counts = [len(part) for part in regions]
    if not sum(counts):
        return [[np.zeros((0, 1, 1, 1), np.float32)] * 2 for _ in regions]
    boxes = np.concatenate(regions)
    rows = np.column_stack([np.repeat(np.arange(len(regions)), counts), boxes]).astype(np.float32)
    levels = levels_of(boxes, settings['finest_scale'], settings['levels'])
    order = np.argsort(levels, kind='stable')
    by_level = [rows[levels == level] for level in range(settings['levels'])]
    outputs = []
    for sorted_rows in network.run([*features[: settings['levels']], *by_level]):
        output = np.empty_like(sorted_rows)
        output[order] = sorted_rows
        outputs.append(output)
    ends = np.cumsum(counts)[:-1]
    return [list(parts) for parts in zip(*(np.split(out, ends) for out in outputs), strict=True)]

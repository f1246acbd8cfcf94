"""Random boxes with truth, as the recorder of a test leaves them."""

import numpy as np

from tnt_backbone.report.results import Results, numbers

CLASSES = ['cat', 'dog', 'bird']


def records(seed=0, count=30, crowds=True, num_classes=3):
    """Boxes that are right, shifted, doubled, of a wrong class, or on nothing."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(count):
        objects = int(random.integers(0, 6))
        corners = random.uniform(0, 300, (objects, 2))
        sizes = np.exp(random.uniform(np.log(5), np.log(200), (objects, 2)))
        truth = np.concatenate([corners, sizes], 1).round(2)
        labels = random.integers(0, num_classes, objects)
        boxes, given = [random.uniform(0, 400, (3, 2)).repeat(2, 0).reshape(3, 4)], []
        boxes[0][:, 2:] += random.uniform(5, 90, (3, 2))
        given.append(random.integers(0, num_classes, 3))
        for (x, y, w, h), label in zip(truth, labels, strict=True):
            for _ in range(int(random.integers(0, 4))):
                dx, dy, dw, dh = random.normal(0, random.choice([0.02, 0.1, 0.3]), 4) * [w, h, w, h]
                box = [x + dx, y + dy, x + dx + max(w + dw, 1), y + dy + max(h + dh, 1)]
                boxes.append(np.array([box]))
                is_wrong = random.random() < 0.25
                given.append([random.integers(0, num_classes) if is_wrong else label])
        boxes, given = np.concatenate(boxes), np.concatenate(given)
        crowd = (random.random(objects) < 0.15) * crowds
        found.append(
            {
                'path': f'images/{number}.jpg',
                'size': [480, 640],
                'boxes': numbers(boxes),
                'scores': numbers(random.random(len(boxes))),
                'labels': given.astype(int).tolist(),
                'truth_boxes': truth.tolist(),
                'truth_labels': labels.tolist(),
                'truth_areas': (truth[:, 2] * truth[:, 3] * 0.8).tolist(),
                'truth_crowd': crowd.astype(int).tolist(),
            }
        )
    return found


def results(**changes):
    given = dict(task='detection', classes=CLASSES, metrics={'coco/bbox_mAP': 0.3})
    return Results(**(given | {'pictures': records()} | changes))

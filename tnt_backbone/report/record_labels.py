"""What is kept of each picture that a classifier was tested on."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .results import about, as_array, numbers


class ClassificationRecorder:
    """Label and score of each picture.

    The dict has ``label``, ``predicted``, its ``score``, ``true_score``, and ``rank``: how many
    classes have a higher score than the true one.

    Args:
        classes: Names of the classes.
        metrics: Of the evaluator; they are not needed.
    """

    task = 'classification'

    def __init__(self, classes: Sequence[str], metrics: Sequence[Any]) -> None:
        self.classes = list(classes)
        self.notes: list[str] = []

    def record(self, outputs: Sequence[Any]) -> list[dict[str, Any]]:
        """Return the dicts of a batch of MMPretrain's ``DataSample``."""
        records = []
        for sample in outputs:
            scores, label = as_array(sample.pred_score), int(sample.gt_label)
            predicted = int(scores.argmax())
            records.append(
                {
                    **about(sample),
                    'label': label,
                    'predicted': predicted,
                    'score': numbers(scores[predicted]),
                    'true_score': numbers(scores[label]),
                    'rank': int((scores > scores[label]).sum()),
                }
            )
        return records


class MultiLabelRecorder(ClassificationRecorder):
    """All scores of each picture that has several labels: ``labels``, ``scores``."""

    task = 'multi-label'

    def record(self, outputs: Sequence[Any]) -> list[dict[str, Any]]:
        """Return the dicts of a batch of MMPretrain's ``DataSample``."""
        return [
            {
                **about(sample),
                'labels': as_array(sample.gt_label).astype(int).tolist(),
                'scores': as_array(sample.pred_score).astype(np.float32),
            }
            for sample in outputs
        ]

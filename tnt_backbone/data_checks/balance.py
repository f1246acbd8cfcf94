"""How often classes occur in training, and how large objects are there."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.config import Config

from ..errors import InputError
from .findings import Finding, shorten
from .training_samples import SENTENCE, WORD, build_training_data, count_classes, draw_samples

RATIO = 20  # between the most frequent class and another, from which on that is worth a note
SHARE = 0.05  # of small objects


def find_in_training_samples(cfg: Config, samples: int) -> list[Finding]:
    """Return notes on small objects and rare classes, as training sees them.

    Args:
        cfg: The config; its training data have no other fault.
        samples: How many pictures are put through the pipeline.
    """
    dataset = build_training_data(cfg)
    classes = [
        str(name) for name in (getattr(dataset, 'metainfo', None) or {}).get('classes') or ()
    ]
    sides, pixels, count = [np.zeros(0)], np.zeros(len(classes), int), 0
    try:
        for sample in draw_samples(dataset, samples):
            count += 1
            sides.append(sample.sides)
            if sample.label_map is not None:
                labels = sample.label_map[
                    (sample.label_map >= 0) & (sample.label_map < len(classes))
                ]
                pixels += np.bincount(labels.ravel(), minlength=len(classes))
    except InputError:  # no pictures of which something is known; they are not counted
        pass
    except Exception as error:  # any transform, of any library
        text = (
            f'it fails on a picture of the training data ({type(error).__name__}: {error}). '
            'tnt browse shows where'
        )
        return [Finding('training pipeline that fails', 'train_dataloader', text)]
    unit, counts = 'objects or pictures', _counts(dataset, len(classes))
    if counts is None:
        unit, counts = f'pixels in {count} pictures', pixels
    return find_small(np.concatenate(sides), count) + find_rare(classes, counts, unit)


def _counts(dataset: Any, num_classes: int) -> np.ndarray | None:
    return count_classes(dataset, num_classes) if hasattr(dataset, 'get_data_info') else None


def find_small(sides: np.ndarray, pictures: int) -> list[Finding]:
    """Return notes on objects that are smaller than a word and a sentence of TNT.

    Args:
        sides: Square roots of the areas of boxes, in pixels at the training size.
        pictures: From which they are.
    """
    findings = []
    for limit, kind, advice in (
        (WORD, 'object smaller than a word', 'Hardly anything of them is left. '),
        (SENTENCE, 'object smaller than a sentence', ''),
    ):
        small = int((sides < limit).sum())
        if small and small >= SHARE * len(sides):
            text = (
                f'{small} of {len(sides)} boxes ({100 * small / len(sides):.0f} %) in {pictures} '
                f'pictures are smaller than {limit} pixels at the training size. {advice}Train on '
                'larger pictures (scale of Resize), or on tiles of them'
            )
            findings.append(Finding(kind, 'train_dataloader', text))
    return findings


def find_rare(classes: Sequence[str], counts: np.ndarray, unit: str) -> list[Finding]:
    """Return a note on classes that are far rarer than the most frequent one.

    Args:
        classes: Names.
        counts: How often each occurs; a class that does not occur is reported elsewhere.
        unit: What is counted.
    """
    if not len(counts):
        return []
    most = int(counts.argmax())
    rare = [i for i in np.argsort(counts, kind='stable') if 0 < counts[i] * RATIO <= counts[most]]
    if not rare:
        return []
    listed = shorten([f'{classes[i]} {counts[i]:,}' for i in rare], 8)
    text = (
        f'{len(rare)} of {len(classes)} classes are at least {RATIO} times rarer than '
        f'{classes[most]} ({counts[most]:,} {unit}): {listed}. tnt new --balance shows pictures of '
        'rare classes several times'
    )
    return [Finding('classes of unequal frequency', 'train_dataloader', text)]

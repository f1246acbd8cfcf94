"""Other numbers for the labels of a label map."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS

from ..errors import InputError

IGNORED = 255


@TRANSFORMS.register_module()
class RelabelPixels(BaseTransform):
    """Give other numbers to the labels of a label map, behind ``LoadAnnotations``.

    Args:
        new_labels: Label in the file to label of the class, 0 to 255; 255 is ignored. Labels that
            are not named stay. A list of pairs is accepted, too.

    Raises:
        ValueError: If a label is out of its range.
    """

    def __init__(self, new_labels: Mapping[int, int] | list[tuple[int, int]]) -> None:
        self.new_labels = dict(new_labels)
        if any(not 0 <= label <= IGNORED for pair in self.new_labels.items() for label in pair):
            raise InputError(f'new_labels={self.new_labels}: labels are 0 to {IGNORED}')
        self.table = np.arange(IGNORED + 1, dtype=np.uint8)
        for old, new in self.new_labels.items():
            self.table[old] = new

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``gt_seg_map``, ``(H, W)``, in the results.

        Raises:
            ValueError: If a label is out of its range.
        """
        labels = results['gt_seg_map']
        if labels.dtype != np.uint8 and labels.size:
            least, largest = labels.min(), labels.max()
            if least < 0 or largest > IGNORED:
                raise InputError(
                    f'{results.get("seg_map_path", "gt_seg_map")} has labels from {least} to '
                    f'{largest}, and RelabelPixels knows 0 to {IGNORED}. Write label maps of 8 bits'
                )
        results['gt_seg_map'] = self.table[labels.astype(np.uint8)]
        return results

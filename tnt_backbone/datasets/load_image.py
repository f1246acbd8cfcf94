"""Image loading in which a damaged file does not end a training run."""

import logging
from typing import Any

import cv2
import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine.logging import print_log
from mmengine.registry import TRANSFORMS

from ..errors import InputError
from .decodable import fault_of, read_bytes


@TRANSFORMS.register_module()
class LoadImageOrSkip(LoadImageFromFile):
    """mmcv's ``LoadImageFromFile`` for training: a damaged file is named in the log and skipped.

    mmcv's stops the run at a file that cannot be decoded, and accepts a JPEG that was cut off:
    OpenCV fills the rest with grey. This one returns ``None`` for both, and the data set draws
    another image (mmengine's ``BaseDataset`` does so at most 1000 times in a row, then it raises).
    For training only: an evaluation without some of its images would be wrong.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Add ``img``, ``img_shape`` and ``ori_shape`` to the results, or return ``None``."""
        path = results['img_path']
        try:
            image = self.read(path)
        except (OSError, ValueError) as error:
            print_log(
                f'{path} is skipped, another image takes its place: {error}. Replace the file, or '
                'take it out of the annotations',
                logger='current',
                level=logging.ERROR,  # mmengine shows no warnings of the other processes
            )
            return None
        results['img'] = image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def read(self, path: str) -> np.ndarray:
        """Read an image ``(H, W, 3)``, BGR, 0 to 255.

        Raises:
            OSError: If there is no such file.
            ValueError: If it is damaged.
        """
        try:
            data = read_bytes(path, self)
        except KeyError as error:
            raise InputError(f'nobody reads addresses of {error}') from error
        if fault := fault_of(data):
            raise InputError(fault)
        try:
            image = mmcv.imfrombytes(data, flag=self.color_type, backend=self.imdecode_backend)
        except cv2.error as error:  # a picture with too many pixels, for one
            raise InputError(f'OpenCV cannot decode it ({str(error).strip()})') from error
        if image is None:
            raise InputError(f'its {len(data)} bytes cannot be decoded as an image')
        return image.astype(np.float32) if self.to_float32 else image

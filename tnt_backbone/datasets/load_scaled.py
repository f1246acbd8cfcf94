"""Images of more than 8 bits, scaled to what the networks were trained on."""

from typing import Any

import mmengine.fileio
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine.registry import TRANSFORMS

from ..errors import InputError
from .decodable import fault_of, require_file

LARGEST = {'uint8': 255.0, 'uint16': 65535.0}  # floats: 1


@TRANSFORMS.register_module()
class LoadImageScaled(LoadImageFromFile):
    """Load an image and scale its values from ``0..max_value`` to ``0..255``.

    ``LoadImageFromFile`` keeps the upper 8 of 16 bits: of a sensor with 12 bits, 16 grey levels.

    Args:
        max_value: The largest value of the sensor, such as 4095 for 12 bits. Larger ones become
            255. By default that of the file's type: 65535 for 16 bits, 255 for 8, 1 for floats.
        **kwargs: Of ``LoadImageFromFile``.

    Raises:
        ValueError: If ``max_value`` is not above 0.
    """

    def __init__(self, *args: Any, max_value: float | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if max_value is not None and not max_value > 0:
            raise InputError(f'max_value={max_value!r} must be above 0, such as 4095 for 12 bits')
        self.max_value = max_value

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``img`` ``(H, W, 3)``, BGR, and its shapes to the results."""
        import cv2

        if not self.backend_args:
            require_file(results['img_path'])
        data = mmengine.fileio.get(results['img_path'], backend_args=self.backend_args)
        if fault := fault_of(data):
            raise InputError(f'{results["img_path"]}: {fault}')
        flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        if pixels is None:
            raise InputError(f'{results["img_path"]} cannot be decoded as an image')
        largest = self.max_value or LARGEST.get(pixels.dtype.name, 1.0)
        scaled = np.clip(pixels.astype(np.float32) * (255 / largest), 0, 255)
        image = scaled if self.to_float32 else np.rint(scaled).astype(np.uint8)
        results['img'] = image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

"""Images of more than 8 bits, scaled to what the networks were trained on."""

from typing import Any

import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine.registry import TRANSFORMS

from ..errors import InputError
from .decodable import fault_of, read_bytes

COLOR_TYPES = {  # mmcv's names to those of OpenCV
    'color': ('ANYDEPTH', 'COLOR'),
    'color_ignore_orientation': ('ANYDEPTH', 'COLOR', 'IGNORE_ORIENTATION'),
    'grayscale': ('ANYDEPTH', 'GRAYSCALE'),
    'grayscale_ignore_orientation': ('ANYDEPTH', 'GRAYSCALE', 'IGNORE_ORIENTATION'),
    'unchanged': ('UNCHANGED',),
}
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
        ValueError: If ``max_value`` is not above 0, or OpenCV cannot read what is asked for.
    """

    def __init__(self, *args: Any, max_value: float | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if max_value is not None and not max_value > 0:
            raise InputError(f'max_value={max_value!r} must be above 0, such as 4095 for 12 bits')
        if self.color_type not in COLOR_TYPES:
            raise InputError(
                f'color_type={self.color_type!r} must be one of {", ".join(COLOR_TYPES)}'
            )
        if self.imdecode_backend not in (None, 'cv2'):
            raise InputError(
                f'imdecode_backend={self.imdecode_backend!r} has no effect here, because OpenCV '
                'decodes the image. Leave it out'
            )
        self.max_value = max_value

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Add ``img`` ``(H, W, 3)``, BGR, and its shapes to the results."""
        try:
            image = self._read(results['img_path'])
        except (OSError, ValueError):
            if self.ignore_empty:
                return None
            raise
        results['img'] = image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def _read(self, path: str) -> np.ndarray:
        import cv2

        data = read_bytes(path, self)
        if fault := fault_of(data):
            raise InputError(f'{path}: {fault}')
        flags = 0
        for name in COLOR_TYPES[self.color_type]:
            flags |= getattr(cv2, f'IMREAD_{name}')
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        if pixels is None:
            raise InputError(f'{path} cannot be decoded as an image')
        largest = self.max_value or LARGEST.get(pixels.dtype.name, 1.0)
        scaled = np.clip(pixels.astype(np.float32) * (255 / largest), 0, 255)
        return scaled if self.to_float32 else np.rint(scaled).astype(np.uint8)

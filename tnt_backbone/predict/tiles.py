"""Detection on large pictures, tile by tile: sahi cuts the picture and merges what was found.

sahi: https://github.com/obss/sahi (MIT), Akyol et al., "Slicing Aided Hyper Inference", ICIP 2022.
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mmengine.structures import InstanceData

from ..errors import MissingPackageError

if TYPE_CHECKING:
    from .results import Detection

OVERLAP = 0.2  # of neighbouring tiles, as a share of their side; sahi's default


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
            below sahi's limit of 0.1 the best of several is kept instead.

    Returns:
        ``bboxes (N, 4)``, ``scores (N,)``, ``labels (N,)``, and ``masks (N, H, W)`` if the model
        predicts masks. Of one class, boxes that lie half in another are merged with it; with a low
        score, boxes whose IoU with a better one is above a half are left out.
    """
    from sahi.models.base import DetectionModel
    from sahi.predict import LOW_MODEL_CONFIDENCE, get_sliced_prediction
    from sahi.prediction import ObjectPrediction
    from sahi.utils.compatibility import fix_full_shape_list, fix_shift_amount_list
    from sahi.utils.cv import get_coco_segmentation_from_bool_mask

    class Tiled(DetectionModel):
        def set_device(self, device: str | None = None) -> None:
            # sahi's own hides the GPUs from the whole process; the model is where it is
            self.device = device

        def load_model(self) -> None:
            pass

        def perform_inference(self, image: np.ndarray) -> None:
            self._original_predictions = detect(image)

        def _create_object_prediction_list_from_original_predictions(
            self,
            shift_amount_list: Any = None,
            full_shape_list: Any = None,
        ) -> None:
            found: Detection = self._original_predictions
            (shift,) = fix_shift_amount_list(shift_amount_list or [0, 0])
            (shape,) = fix_full_shape_list(full_shape_list or list(pixels.shape[:2]))
            objects = []
            for i, box in enumerate(found.boxes.tolist()):
                polygons = None
                if found.masks is not None:
                    polygons = get_coco_segmentation_from_bool_mask(found.masks[i])
                    if not polygons:
                        continue
                objects.append(
                    ObjectPrediction(
                        bbox=box,
                        segmentation=polygons,
                        category_id=int(found.labels[i]),
                        category_name=found.names[i],
                        score=float(found.scores[i]),
                        shift_amount=shift,
                        full_shape=shape,
                    )
                )
            self._object_prediction_list_per_image = [objects]

    is_low = score < LOW_MODEL_CONFIDENCE  # sahi warns of each picture if it has to see this
    best = {'postprocess_type': 'NMS', 'postprocess_match_metric': 'IOU'} if is_low else {}
    merged = get_sliced_prediction(
        pixels,
        Tiled(confidence_threshold=score),
        slice_height=tile,
        slice_width=tile,
        overlap_height_ratio=OVERLAP,
        overlap_width_ratio=OVERLAP,
        verbose=0,
        **best,
    ).object_prediction_list
    objects = InstanceData(
        bboxes=torch.tensor([entry.bbox.to_xyxy() for entry in merged]).reshape(-1, 4).float(),
        scores=torch.tensor([float(entry.score.value) for entry in merged]),
        labels=torch.tensor([int(entry.category.id) for entry in merged], dtype=torch.long),
    )
    if any(entry.mask is not None for entry in merged):
        objects.masks = torch.from_numpy(np.stack([entry.mask.bool_mask for entry in merged]))
    return objects

"""Drawn detections in the folders of their images: two images of one name stay two pictures."""

import os
from collections.abc import Sequence
from typing import Any

from mmdet.engine.hooks import DetVisualizationHook
from mmengine.registry import HOOKS

from .mirrored_place import place_below


@HOOKS.register_module()
class MirroredDetVisualizationHook(DetVisualizationHook):
    """MMDetection's hook, which would write images of one name into one file.

    Args:
        image_root: Folder of the images; the folders below it are made below ``test_out_dir``.
        **kwargs: Of ``DetVisualizationHook``.
    """

    test_out_dir: str | None

    def __init__(self, *args: Any, image_root: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.image_root = image_root

    def after_test_iter(
        self, runner: Any, batch_idx: int, data_batch: dict[str, Any], outputs: Sequence[Any]
    ) -> None:
        """Draw each image into its own folder."""
        folder = self.test_out_dir
        for sample in outputs:
            if folder is not None:
                self.test_out_dir = os.path.join(
                    folder, place_below(self.image_root, sample.img_path)
                )
            super().after_test_iter(runner, batch_idx, data_batch, [sample])
            self.test_out_dir = folder  # the hook has put the work folder before it

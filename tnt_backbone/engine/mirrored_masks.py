"""Label maps and drawn segmentations in the folders of their images."""

import os
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from mmengine.registry import HOOKS
from mmengine.visualization import LocalVisBackend
from mmseg.engine.hooks import SegVisualizationHook
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS

from .mirrored_place import place_below


@METRICS.register_module()
class MirroredIoUMetric(IoUMetric):
    """MMSegmentation's metric, which would write label maps of one name into one file.

    Args:
        image_root: Folder of the images; the folders below it are made below ``output_dir``.
        **kwargs: Of ``IoUMetric``.
    """

    output_dir: str | None

    def __init__(self, *args: Any, image_root: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.image_root = image_root

    def process(self, data_batch: dict[str, Any], data_samples: Sequence[dict[str, Any]]) -> None:
        """Measure and write each image."""
        folder = self.output_dir
        for sample in data_samples:
            if folder:
                self.output_dir = os.path.join(
                    folder, place_below(self.image_root, sample['img_path'])
                )
                os.makedirs(self.output_dir, exist_ok=True)
            super().process(data_batch, [sample])
        self.output_dir = folder


@HOOKS.register_module()
class MirroredSegVisualizationHook(SegVisualizationHook):
    """MMSegmentation's hook, which would write images of one name into one file.

    Args:
        image_root: Folder of the images; the folders below it are made in the visualizer's.
        **kwargs: Of ``SegVisualizationHook``.
    """

    def __init__(self, *args: Any, image_root: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.image_root = image_root
        self._drawn = 0

    def after_val_iter(self, *args: Any, **kwargs: Any) -> None:
        """Draw the images of a batch."""
        self._draw_each(super().after_val_iter, *args, **kwargs)

    def after_test_iter(self, *args: Any, **kwargs: Any) -> None:
        """Draw the images of a batch."""
        self._draw_each(super().after_test_iter, *args, **kwargs)

    def _draw_each(
        self,
        draw: Callable[..., None],
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        backends = [
            backend
            for backend in self._visualizer._vis_backends.values()
            if isinstance(backend, LocalVisBackend)
        ]
        for sample in outputs or ():
            place = place_below(self.image_root, sample.img_path)
            folders = []
            for backend in backends:
                _ = backend.experiment  # makes its folders, once
                folders.append(backend._img_save_dir)
                backend._img_save_dir = os.path.join(folders[-1], place)
            # It only asks for runner.iter, which would build the training data in a test.
            self._drawn += 1
            draw(SimpleNamespace(iter=self._drawn), batch_idx, data_batch, [sample])
            for backend, folder in zip(backends, folders, strict=True):
                backend._img_save_dir = folder

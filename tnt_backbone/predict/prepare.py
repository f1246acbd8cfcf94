"""From a picture file to what the model takes: the config's own test pipeline."""

from typing import Any

import numpy as np
from mmcv.transforms import Compose
from mmengine.registry import TRANSFORMS
from torch.utils.data import Dataset

from ..datasets.arrays import loads_files
from ..datasets.load_image import LoadImageOrSkip
from ..errors import InputError
from ..type_names import type_name
from .large_pictures import resized_to
from .pictures import Picture, UnreadablePictureError, named_if_too_narrow

# Transforms of a test pipeline that read the truth, which a prediction does not have.
TRUTH = ('LoadAnnotations', 'LoadPanopticAnnotations', 'LoadProposals')


class Preparation:
    """The config's test pipeline for pictures without annotations.

    Args:
        pipeline: That of the config.

    Transforms are built in mmengine's default scope.
    """

    def __init__(self, pipeline: list[dict[str, Any]]) -> None:
        first, *others = pipeline
        if not loads_files({'pipeline': [first]}):
            raise InputError(
                f'the test pipeline begins with {first["type"]}, so its data set holds no files. '
                'Pass a config whose test pipeline begins with LoadImageFromFile, which reads BGR '
                '(to_rgb of the data_preprocessor must fit): --config FILE'
            )
        # Like LoadImageFromFile, but a JPEG that was cut off is an error, not half grey.
        self.reader = LoadImageOrSkip(**{k: v for k, v in first.items() if k != 'type'})
        self.parts = [part for part in others if type_name(part) not in TRUTH]
        self.transform = _compose(self.parts)
        self.largest: int | None = None
        self.shrink = self.transform

    def limit(self, largest: int | None) -> None:
        """Let the model see pictures with a longer side of at most so many pixels, or of any."""
        self.largest = largest
        if largest is not None:
            self.shrink = _compose(resized_to(self.parts, largest))

    def read(self, picture: Picture) -> np.ndarray:
        """Return the pixels of a picture ``(H, W, 3)``, BGR.

        Raises:
            UnreadablePictureError: If it is damaged.
        """
        if picture.pixels is not None:
            to_float = self.reader.to_float32
            return picture.pixels.astype(np.float32) if to_float else picture.pixels
        try:
            return self.reader.read(picture.path)
        except (OSError, ValueError) as error:
            raise UnreadablePictureError(f'{picture.path}: {error}') from error

    def __call__(self, picture: Picture) -> dict[str, Any]:
        """Return what the model's ``test_step`` takes for one picture.

        Raises:
            UnreadablePictureError: If it is damaged, or too narrow.
        """
        image = self.read(picture)
        shape = image.shape[:2]
        results = {'img_path': picture.path, 'img_id': 0, 'img': image}
        results |= {'img_shape': shape, 'ori_shape': shape}
        with named_if_too_narrow(picture, shape):
            prepared = self.transform(dict(results))
            if self.largest is None or max(prepared['inputs'].shape[-2:]) <= self.largest:
                return prepared
            return self.shrink(results)


def _compose(parts: list[dict[str, Any]]) -> Compose:
    return Compose([TRANSFORMS.build(part) for part in parts])


class PreparedPictures(Dataset):
    """Pictures made ready for the model; instead of a damaged one, the reason as a text."""

    def __init__(self, pictures: list[Picture], prepare: Preparation) -> None:
        self.pictures = pictures
        self.prepare = prepare

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, number: int) -> tuple[Picture, dict[str, Any] | str]:
        picture = self.pictures[number]
        try:
            return picture, self.prepare(picture)
        except UnreadablePictureError as error:
            return picture, str(error)

"""Check the class folders of an image classification data set before a run starts."""

from pathlib import Path

from mmengine.dataset import BaseDataset

from ..errors import InputError
from .findings import shorten


def check_class_folders(dataset: BaseDataset) -> None:
    """Compare the folders of a data set of MMPretrain with the classes that its config names.

    MMPretrain numbers the sorted folders, so with one too few all later labels would be others.

    Args:
        dataset: A data set that was built with ``lazy_init``. One that has no class folders (an
            annotation file, no labels, another format) is passed over.

    Raises:
        ValueError: If there are more or fewer folders than classes.
    """
    from mmpretrain.datasets import CustomDataset

    if not isinstance(dataset, CustomDataset) or dataset.ann_file or not dataset.with_label:
        return
    classes, root = dataset.CLASSES, Path(dataset.img_prefix)
    if not root.is_dir() or classes is None:
        return
    folders = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
    if len(folders) != len(classes):
        raise InputError(
            f'{root} has {len(folders)} class folders ({shorten(folders)}), but the data set of '
            f'type {type(dataset).__name__} has {len(classes)} classes ({shorten(classes)}). Give '
            'all class folders; or, for other classes, metainfo=dict(classes=(...)) in each data '
            'set, and their number as num_classes of head and data_preprocessor '
            '(docs/classification.md, "Your own images")'
        )

"""iNaturalist 2018 and 2019, as the organisers of the challenges give them out.

Format: https://github.com/visipedia/inat_comp, "Annotation Format".
"""

from typing import Any

import mmengine
from mmengine.fileio import join_path
from mmpretrain.datasets import BaseDataset
from mmpretrain.registry import DATASETS

from ..errors import InputError

YEARS = (2018, 2019)  # 8142 and 1010 classes
SPLITS = ('train', 'val')


@DATASETS.register_module()
class INaturalist(BaseDataset):
    """Images with one label each: ``train2018.json`` or another beside ``train_val2018/``.

    Labels count the file's categories in the order of their ids, from 0.

    Args:
        data_root: Folder with the annotation files and the folder of images, unpacked.
        year: 2018 or 2019.
        split: ``'train'`` or ``'val'``; labels of the test images were not published.
        **kwargs: As of mmpretrain's ``BaseDataset``.

    Raises:
        ValueError: If there is no such year or split.
    """

    def __init__(self, data_root: str, *, year: int, split: str = 'train', **kwargs: Any):
        if year not in YEARS or split not in SPLITS:
            raise InputError(
                f'year={year!r}, split={split!r}: year is one of {YEARS} and split one of {SPLITS}'
            )
        self.image_folder = join_path(data_root, f'train_val{year}')
        super().__init__(
            ann_file=f'{split}{year}.json',
            data_root=data_root,
            test_mode=split == 'val',
            **kwargs,
        )

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the annotation file; each entry has ``img_path`` and ``gt_label``."""
        content = mmengine.load(self.ann_file)
        categories = sorted(content['categories'], key=lambda category: category['id'])
        self._metainfo.setdefault('classes', tuple(category['name'] for category in categories))
        labels = {category['id']: label for label, category in enumerate(categories)}
        # train_val2018/Aves/2820/<name>.jpg
        paths = {image['id']: image['file_name'] for image in content['images']}
        return [
            {
                'img_path': join_path(self.img_prefix, paths[annotation['image_id']]),
                'gt_label': labels[annotation['category_id']],
            }
            for annotation in content['annotations']
        ]

"""Images and label maps whose names have several endings, for MMSegmentation."""

from typing import Any

from mmengine.fileio import join_path, list_from_file
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from ..errors import InputError


@DATASETS.register_module()
class PairedSegDataset(BaseSegDataset):
    """Pairs of images and label maps that a file lists.

    ``BaseSegDataset`` reads images of one ending. Here, each line of ``ann_file`` names an image
    and its label map, parted by a tab, in the folders of ``data_prefix``:
    ``0001.JPG<TAB>0001.png``. ``tnt new`` writes such files.

    Arguments are those of ``BaseSegDataset``. ``img_suffix`` and ``seg_map_suffix`` are not used.
    """

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the file; each entry has ``img_path`` and ``seg_map_path``.

        Raises:
            ValueError: If a line does not name two files.
        """
        images, label_maps = (self.data_prefix[key] for key in ('img_path', 'seg_map_path'))
        data_list = []
        lines = list_from_file(self.ann_file, backend_args=self.backend_args)
        for number, line in enumerate(lines, 1):
            names = line.split('\t')
            if len(names) != 2:
                raise InputError(
                    f'Line {number} of {self.ann_file} is {line!r}. It must name an image and its '
                    'label map, with a tab between them'
                )
            data_list.append(
                {
                    'img_path': join_path(images, names[0]),
                    'seg_map_path': join_path(label_maps, names[1]),
                    'label_map': self.label_map,
                    'reduce_zero_label': self.reduce_zero_label,
                    'seg_fields': [],
                }
            )
        return data_list

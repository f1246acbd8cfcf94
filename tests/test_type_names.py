"""The last name of a type, however a config writes it."""

import pytest
from mmengine.config import ConfigDict

from tnt_backbone.type_names import type_name


@pytest.mark.parametrize(
    ('part', 'name'),
    [
        ({'type': 'Resize'}, 'Resize'),
        (ConfigDict(type='mmdet.Resize'), 'Resize'),
        ({'type': ConfigDict}, 'ConfigDict'),
        ('mmcv.transforms.LoadImageFromFile', 'LoadImageFromFile'),
        (ConfigDict, 'ConfigDict'),
        ({'scale': 2}, ''),
        (None, ''),
    ],
)
def test_every_way_to_write_a_type(part, name):
    assert type_name(part) == name

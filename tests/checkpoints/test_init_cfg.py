"""``init_cfg``: what it may be."""

import re

import pytest

from tnt_backbone import TNT
from tnt_backbone.checkpoints.init_cfg import split_init_cfg
from tnt_backbone.errors import UserError

PRETRAINED = {'type': 'Pretrained', 'checkpoint': 'a.pth'}
NORMAL = {'type': 'Normal', 'layer': 'Linear'}


def test_weights_come_apart_from_other_initialisations():
    assert split_init_cfg([NORMAL, PRETRAINED]) == ([PRETRAINED], [NORMAL])
    assert split_init_cfg(PRETRAINED) == ([PRETRAINED], [])
    assert split_init_cfg(None) == split_init_cfg({}) == split_init_cfg([]) == ([], [])


@pytest.mark.parametrize('init_cfg', [123, 'a.pth', [123], ['a.pth']], ids=str)
def test_other_types_are_refused_with_the_way_out(init_cfg):
    """MMDetection's and MMSegmentation's tests expect a TypeError."""
    named = rf'^{re.escape(f"init_cfg={init_cfg!r}")} .*Pretrained'
    with pytest.raises(TypeError, match=named) as caught:
        TNT('ti', init_cfg=init_cfg)
    assert isinstance(caught.value, UserError)


def test_an_entry_without_a_type_is_refused():
    with pytest.raises(ValueError, match=r"init_cfg=.*'a\.pth'.*type='Pretrained'"):
        split_init_cfg([PRETRAINED, {'checkpoint': 'a.pth'}])

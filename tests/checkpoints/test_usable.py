"""Weights that no model shall get: NaN, and numbers that are no floats."""

import pytest
import torch

from tests.faults.hostile import ARCH
from tnt_backbone import TNT
from tnt_backbone.checkpoints import load_pretrained, usable
from tnt_backbone.checkpoints.usable import require_finite
from tnt_backbone.cli import convert_checkpoint
from tnt_backbone.errors import InputError


@pytest.fixture
def tensors():
    torch.manual_seed(0)
    return dict(TNT(ARCH).state_dict())


def a_weight(tensors):
    return next(key for key in tensors if key.startswith('blocks.0.') and key.endswith('weight'))


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_weights_of_a_training_that_diverged_are_refused(tmp_path, tensors, value):
    key, path = a_weight(tensors), tmp_path / 'w.pth'
    tensors[key] = tensors[key].clone().index_fill_(0, torch.tensor([0]), value)
    torch.save(tensors, path)
    with pytest.raises(InputError, match=rf'w\.pth holds NaN or infinity in 1 .*{key}'):
        load_pretrained(TNT(ARCH), path)
    with pytest.raises(SystemExit) as ended:
        convert_checkpoint.main([str(path), str(tmp_path / 'out.pth'), '--to', 'official'])
    assert ended.value.code == 2
    assert not (tmp_path / 'out.pth').exists()


def test_a_file_of_a_million_names_is_refused_before_they_are_compared(tmp_path, monkeypatch):
    monkeypatch.setattr(usable, 'MOST_TENSORS', 99)
    weight = torch.ones(1)
    torch.save({f'layer{i}': weight for i in range(100)}, tmp_path / 'w.pth')
    with pytest.raises(InputError, match='has 100 tensors'):
        load_pretrained(TNT(ARCH), tmp_path / 'w.pth')


@pytest.mark.parametrize('dtype', [torch.int64, torch.complex64, torch.bool])
def test_weights_that_are_no_floats_are_refused(tmp_path, tensors, dtype):
    key = a_weight(tensors)
    tensors[key] = tensors[key].to(dtype)
    torch.save(tensors, tmp_path / 'w.pth')
    with pytest.raises(InputError, match=rf'{key} of {dtype}'):
        load_pretrained(TNT(ARCH), tmp_path / 'w.pth')


@pytest.mark.parametrize('dtype', [torch.float16, torch.float64])
def test_floats_of_any_size_are_loaded(tmp_path, tensors, dtype):
    torch.save({key: value.to(dtype) for key, value in tensors.items()}, tmp_path / 'w.pth')
    backbone = TNT(ARCH)
    load_pretrained(backbone, tmp_path / 'w.pth')
    for key, value in backbone.state_dict().items():
        torch.testing.assert_close(value, tensors[key].to(dtype).to(value.dtype))


def test_masks_may_hold_infinity_but_not_nan():
    mask = torch.tensor([0.0, float('-inf')])
    require_finite({'mask': mask, 'steps': torch.ones(1, dtype=torch.int64)}, 'f', infinite=True)
    small = torch.tensor([1.0, float('nan')]).to(torch.float8_e4m3fn)
    for broken in (small, torch.tensor([float('nan')])):
        with pytest.raises(InputError, match='f holds NaN in 1 of 1'):
            require_finite({'mask': broken}, 'f', infinite=True)


@pytest.mark.parametrize(('times', 'is_refused'), [(10, False), (40, True)])
def test_views_may_be_some_times_as_large_as_their_file(tmp_path, monkeypatch, times, is_refused):
    """A view with a stride of 0 is stored once, and copied in full."""
    monkeypatch.setattr(usable, 'ALWAYS_ALLOWED', 0)
    path = tmp_path / 'w.pth'
    torch.save({'weight': torch.ones(1, 50_000).expand(times, -1)}, path)
    tensors = torch.load(path)
    assert tensors['weight'].untyped_storage().nbytes() == 200_000
    if is_refused:
        with pytest.raises(InputError, match=r'w\.pth.*weight.*\(40, 50000\)'):
            usable.require_moderate(tensors, str(path))
    else:
        usable.require_moderate(tensors, str(path))

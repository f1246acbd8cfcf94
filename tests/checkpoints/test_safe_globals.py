"""mmengine's checkpoints under torch's safe reading."""

import importlib.metadata
from argparse import Namespace

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from tnt_backbone.checkpoints.read import read_tensors
from tnt_backbone.checkpoints.safe_globals import training_checkpoints_are_safe


class Code:
    """Runs code when it is unpickled."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def test_history_and_arrays_are_read(checkpoint):
    with training_checkpoints_are_safe():
        content = torch.load(checkpoint, weights_only=True)
    assert content['message_hub']['log_scalars']['loss'].mean() == 3.0
    assert content['message_hub']['runtime_info']['numbers'].tolist() == [0, 1, 2]
    assert content['message_hub']['runtime_info']['names'].tolist() == ['a', 'b']
    assert content['meta']['best'] == 0.5


def test_timms_training_files_hold_a_command_line(tmp_path):
    content = {'state_dict': {'weight': torch.ones(1)}, 'args': Namespace(lr=0.1, data='x')}
    torch.save(content, tmp_path / 'last.pth.tar')
    assert list(read_tensors(str(tmp_path / 'last.pth.tar'))) == ['weight']


def test_the_allow_list_is_still_needed(run_in_a_fork, checkpoint):
    """Fails when mmengine reads its own checkpoints: then safe_globals.py can go."""
    try:
        importlib.metadata.version('mmengine')
    except importlib.metadata.PackageNotFoundError:
        pytest.skip('a fork of mmengine, which has its own remedy')
    code = (
        'import sys, torch; from mmengine.runner import load_checkpoint; '
        'load_checkpoint(torch.nn.Linear(1, 2), sys.argv[1])'
    )
    result = run_in_a_fork(code, checkpoint)
    assert result.returncode == 1
    assert 'UnpicklingError' in result.stderr


def test_importing_us_lets_mmengine_open_its_checkpoints(run_in_a_fork, checkpoint):
    """As OpenMMLab's inference APIs do; torch's list is global, so in another process."""
    code = (
        'import sys, torch, tnt_backbone; from mmengine.runner import load_checkpoint; '
        'model = torch.nn.Module(); model.weight = torch.nn.Parameter(torch.zeros(2)); '
        'load_checkpoint(model, sys.argv[1], strict=True); assert model.weight.sum() == 2'
    )
    result = run_in_a_fork(code, checkpoint)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    'code',
    [
        Code(eval, '1 + 1'),
        Code(getattr, HistoryBuffer, '__init__'),
        Code(getattr, np.ndarray, 'tofile'),
    ],
    ids=['eval', 'getattr of a history', 'getattr of an array'],
)
def test_code_is_refused(tmp_path, code):
    path = tmp_path / 'bad.pth'
    torch.save({'meta': {}, 'state_dict': {'weight': torch.ones(1), 'code': code}}, path)
    with pytest.raises(ValueError, match=str(path)):
        read_tensors(str(path))


def test_weights_are_read_out_of_a_training_checkpoint(checkpoint):
    assert torch.equal(read_tensors(str(checkpoint))['weight'], torch.ones(2))


def test_torch_is_left_as_it_was(run_in_a_fork, checkpoint):
    """What a user's own ``torch.load`` accepts does not change."""
    code = (
        'import sys, torch, mmengine.runner; before = set(torch.serialization.get_safe_globals()); '
        'import tnt_backbone.registry; '
        'from tnt_backbone.checkpoints.read import read_tensors; '
        'mmengine.runner.load_checkpoint(torch.nn.Linear(1, 2), sys.argv[1]); '
        'read_tensors(sys.argv[1]); '
        'assert set(torch.serialization.get_safe_globals()) == before'
    )
    result = run_in_a_fork(code, checkpoint)
    assert result.returncode == 0, result.stderr


def test_what_the_user_allowed_stays_allowed(checkpoint):
    with torch.serialization.safe_globals([Code, np.ndarray]):
        read_tensors(str(checkpoint))
        assert {Code, np.ndarray} <= set(torch.serialization.get_safe_globals())

"""tools/convert_checkpoint.py as a user calls it."""

import functools
import re

import pytest
import torch

from tnt_backbone import T2TViT
from tnt_backbone.checkpoints.read import read_tensors

ARCH = {'depth': 1, 'embed_dims': 8, 'num_heads': 1, 'token_dims': 4}


@pytest.fixture
def convert(run_tool):
    return functools.partial(run_tool, 'convert_checkpoint.py')


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    state = T2TViT(ARCH, img_size=32, out_type='cls_token').state_dict()
    torch.save(
        {'state_dict': {f'backbone.{key}': v for key, v in state.items()}, 'meta': {}},
        tmp_path / 'ours.pth',
    )
    return tmp_path / 'ours.pth'


def test_to_the_authors_form_and_back(convert, weights, tmp_path):
    result = convert(weights, tmp_path / 'theirs.safetensors', '--to', 'official')
    assert result.returncode == 0, result.stderr
    assert re.search(r'\bT2TViT\b.*\bofficial\b', result.stdout)
    assert 'tokens_to_token.attention1.kqv.weight' in read_tensors(
        str(tmp_path / 'theirs.safetensors')
    )
    result = convert(tmp_path / 'theirs.safetensors', tmp_path / 'back.pth')
    assert result.returncode == 0, result.stderr
    before, after = read_tensors(str(weights)), read_tensors(str(tmp_path / 'back.pth'))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_mistakes_are_explained(convert, weights, tmp_path):
    result = convert(weights, tmp_path / 'out.pth', '--to', 'timm')
    assert result.returncode == 2
    assert re.search(r"'timm'.*\bT2TViT\b.*\bofficial\b", result.stderr)
    assert 'Traceback' not in result.stderr
    assert not (tmp_path / 'out.pth').exists()
    result = convert(weights, weights)
    assert re.search(rf'{weights}\b.*--force', result.stderr)

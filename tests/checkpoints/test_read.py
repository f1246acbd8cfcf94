"""Files of weights, whatever training tool wrapped them."""

import pytest
import torch

from tnt_backbone.checkpoints.read import read_tensors

AVERAGES = ('state_dict_ema', 'model_ema')  # of the weights; what was evaluated


@pytest.mark.parametrize('average', AVERAGES)
@pytest.mark.parametrize('latest', ['state_dict', 'model'])
@pytest.mark.parametrize('first', ['average', 'latest'])
def test_an_average_of_the_weights_is_preferred(tmp_path, average, latest, first):
    content = {average: {'weight': torch.ones(2)}, latest: {'weight': torch.zeros(2)}}
    if first == 'latest':
        content = dict(reversed(content.items()))
    torch.save({**content, 'epoch': 3}, tmp_path / 'w.pth')
    assert read_tensors(str(tmp_path / 'w.pth'))['weight'].tolist() == [1, 1]


@pytest.mark.parametrize('wrapper', [*AVERAGES, 'state_dict', 'model', None])
@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_wrappers_are_removed(tmp_path, wrapper, prefix):
    tensors = {f'{prefix}weight': torch.ones(2), f'{prefix}bias': torch.zeros(2)}
    torch.save({wrapper: tensors} if wrapper else tensors, tmp_path / 'w.pth')
    found = read_tensors(str(tmp_path / 'w.pth'))
    assert {name: tensor.tolist() for name, tensor in found.items()} == {
        'weight': [1, 1],
        'bias': [0, 0],
    }

"""Files of weights, whatever training tool wrapped them."""

import pytest
import torch

from tnt_backbone.checkpoints.read import read_meta, read_tensors

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


@pytest.mark.parametrize('new_format', [True, False])
def test_both_of_torchs_formats_are_read(tmp_path, new_format):
    path = tmp_path / 'w.pth'
    weight = torch.arange(6.0).reshape(2, 3)
    content = {'state_dict': {'weight': weight}, 'meta': {'epoch': 3}}
    torch.save(content, path, _use_new_zipfile_serialization=new_format)
    assert torch.equal(read_tensors(str(path))['weight'], weight)
    assert read_meta(str(path)) == {'epoch': 3}


@pytest.mark.parametrize(
    'content', [{}, {'epoch': 3}, [1], {'state_dict': {'weight': 'no tensor'}}]
)
def test_a_file_without_tensors_is_named(tmp_path, content):
    torch.save(content, tmp_path / 'w.pth')
    with pytest.raises(ValueError, match=r'w\.pth holds no weights'):
        read_tensors(str(tmp_path / 'w.pth'))

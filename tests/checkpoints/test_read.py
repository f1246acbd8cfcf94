"""Files of weights, whatever training tool wrapped them."""

import zipfile
from collections import OrderedDict

import pytest
import torch

from tnt_backbone.checkpoints import archive as archive_checks
from tnt_backbone.checkpoints.read import read_meta, read_tensors
from tnt_backbone.errors import InputError

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


def saved(tmp_path, content, name='w.pth', **options):
    torch.save(content, tmp_path / name, **options)
    return tmp_path / name


def rewritten(path, compression, change=lambda name, data: data):
    """Write the entries of an archive again, as a program for archives does."""
    with zipfile.ZipFile(path) as archive:
        entries = [(name, change(name, archive.read(name))) for name in archive.namelist()]
    with zipfile.ZipFile(path, 'w', compression) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return path


def test_a_compressed_archive_has_the_weights_that_were_written(tmp_path):
    """Mapped into memory, its compressed bytes would be taken for weights."""
    weight = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    path = rewritten(saved(tmp_path, {'weight': weight}), zipfile.ZIP_DEFLATED)
    assert torch.equal(read_tensors(str(path))['weight'], weight)


@pytest.mark.parametrize('has_checksums', [True, False])
def test_a_flipped_bit_is_noticed_where_there_are_checksums(tmp_path, has_checksums):
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(has_checksums)
    try:
        path = saved(tmp_path, {'weight': torch.ones(1000)})
    finally:
        torch.serialization.set_crc32_options(before)
    data = bytearray(path.read_bytes())
    place = data.index(torch.ones(8).numpy().tobytes())
    data[place] ^= 1
    path.write_bytes(data)
    if not has_checksums:
        assert read_tensors(str(path))['weight'].shape == (1000,)
        return
    with pytest.raises(InputError, match=r'w\.pth is damaged.*data/0'):
        read_tensors(str(path))


def test_an_archive_that_fills_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive_checks, 'ALWAYS_ALLOWED', 2**20)
    path = saved(tmp_path, {'weight': torch.ones(1)})
    with (
        zipfile.ZipFile(path, 'a', zipfile.ZIP_DEFLATED) as archive,
        archive.open('w/data/1', 'w', force_zip64=True) as entry,
    ):
        entry.write(bytes(2**21))
    with pytest.raises(InputError, match=r'w\.pth claims to hold 2\d{6} bytes'):
        read_tensors(str(path))


@pytest.mark.parametrize(
    ('tensor', 'named'),
    [
        (torch.ones(1).expand(10**6, 10**6), r'\(1000000, 1000000\)'),
        (torch.eye(3).to_sparse(), 'sparse'),
        (torch.empty(3, device='meta'), 'meta device'),
    ],
    ids=['one number for all', 'sparse', 'meta'],
)
@pytest.mark.filterwarnings('ignore:Sparse invariant')
def test_tensors_without_plain_values_are_refused(tmp_path, tensor, named):
    with pytest.raises(InputError, match=f'odd.*{named}'):
        read_tensors(str(saved(tmp_path, {'weight': torch.ones(2), 'odd': tensor})))


def test_two_tensors_for_one_name_are_refused(tmp_path):
    content = {'weight': torch.ones(2), '_orig_mod.weight': torch.zeros(2)}
    with pytest.raises(InputError, match=r'weight, _orig_mod\.weight'):
        read_tensors(str(saved(tmp_path, content)))


@pytest.mark.parametrize('name', ['steps', 'module.steps', 'n_averaged'])
def test_a_file_of_counters_has_an_end(tmp_path, name):
    found = read_tensors(str(saved(tmp_path, {name: torch.ones(1)})))
    assert [value.item() for value in found.values()] in ([1.0], [])


@pytest.mark.parametrize(
    'content', [{1: torch.ones(1)}, {}, [], None, 'text', {'state_dict': {2: torch.ones(1)}}]
)
def test_what_holds_no_named_tensor_is_described(tmp_path, content):
    with pytest.raises(InputError, match=r'w\.pth holds no weights'):
        read_tensors(str(saved(tmp_path, content)))


def test_metadata_may_be_anything(tmp_path):
    content = OrderedDict(weight=torch.ones(1))
    content._metadata = 5
    assert list(read_tensors(str(saved(tmp_path, content)))) == ['weight']


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

"""Two processes that shard the parameters (FSDP), equal to one process."""

import sys

import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.fsdp.wrap import ModuleWrapPolicy

from tnt_backbone import TNT
from tnt_backbone.pyramid import PyramidLevel

MODES = ('levels', 'convolutions', 'FSDP1', 'FSDP1, own parameters')


def build():
    torch.manual_seed(0)
    return TNT('ti', img_size=32, taps=(0, 0, 1, 1), out_channels=None)


def images():
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def shard(model, mode):
    """Wrap the model; ``levels`` and ``convolutions`` are parts of the pyramid."""
    if mode.startswith('FSDP1'):
        return FullyShardedDataParallel(
            model,
            auto_wrap_policy=ModuleWrapPolicy({PyramidLevel}),
            device_id=torch.device('cpu'),
            use_orig_params=mode != 'FSDP1',
        )
    mesh = init_device_mesh('cpu', (2,))
    levels = list(model.pyramid.levels.values())
    layers = [part for level in levels for part in level.resample if list(part.parameters())]
    for part in levels if mode == 'levels' else layers:
        fully_shard(part, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def train(model, image):
    """Two steps with a loss on one level; return its map before and after."""
    optimizer = torch.optim.SGD(model.parameters(), 1.0)
    seen = [model(image)[2].detach()]
    for _ in range(2):
        optimizer.zero_grad()
        model(image)[2].square().mean().backward()
        optimizer.step()
    return [*seen, model(image)[2].detach()]


def work(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2)
    found = {mode: train(shard(build(), mode), images()[rank : rank + 1]) for mode in MODES}
    torch.save(found, f'{folder}/{rank}.pth')
    dist.destroy_process_group()


@pytest.fixture(scope='module')
def found(tmp_path_factory):
    from tests.conftest import run_two_processes  # the processes have no tests package

    return run_two_processes(__file__, tmp_path_factory.mktemp('fsdp'))


@pytest.mark.parametrize('mode', MODES)
def test_a_loss_on_one_level_trains_as_in_one_process(found, mode):
    before, after = train(build(), images())
    assert (after - before).abs().max() > 1e-2
    for i, one in enumerate((before, after)):
        two = torch.cat([rank[mode][i] for rank in found])
        torch.testing.assert_close(two, one, rtol=1e-3, atol=1e-3)


if __name__ == '__main__':
    work(int(sys.argv[1]), sys.argv[2])

"""Two processes, as OpenMMLab sets them up: DDP with ``find_unused_parameters=False``."""

import dataclasses
import inspect
import sys

import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from tnt_backbone.backbones import BACKBONES

MODES = {
    'pyramid, all levels': ({}, None),
    'pyramid, one level read': ({}, 3),
    'pyramid, checkpointed': ({'with_cp': True}, None),
    'pyramid, frozen': ({'frozen_stages': 1}, 3),
    'mean': ({'out_type': 'avg_featmap'}, None),
}


def train_two_steps(rank, folder):
    """DDP complains about an unreached parameter in the step after the one that missed it."""
    torch.set_num_threads(1)
    dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2)
    gradients = {}
    for backbone_class in BACKBONES:
        for mode, (arguments, level) in MODES.items():
            torch.manual_seed(0)
            # level 3 of a family without taps passes through all stages
            has_taps = 'taps' in inspect.signature(backbone_class).parameters
            taps = {'taps': (3,) * 4} if has_taps and level is not None else {}
            arch = dataclasses.asdict(next(iter(backbone_class.VARIANTS.values())))
            arch.update({'depths': (1, 1, 1, 1)} if 'depths' in arch else {'depth': 4})
            model = backbone_class(arch, img_size=32, out_channels=None, **arguments, **taps)
            parallel = DistributedDataParallel(model)
            for step in range(2):
                image = torch.randn(
                    1, 3, 32, 32, generator=torch.Generator().manual_seed(10 * step + rank)
                )
                outputs = parallel(image)
                chosen = outputs if level is None else outputs[level : level + 1]
                sum(output.square().mean() for output in chosen).backward()
            gradients[f'{backbone_class.__name__}, {mode}'] = torch.cat(
                [p.grad.flatten() for p in model.parameters() if p.requires_grad]
            )
    torch.save(gradients, f'{folder}/{rank}.pth')
    dist.destroy_process_group()


@pytest.fixture(scope='module')
def gradients(tmp_path_factory):
    from tests.conftest import run_two_processes  # the processes have no tests package

    return run_two_processes(__file__, tmp_path_factory.mktemp('ddp'))


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('backbone', [backbone.__name__ for backbone in BACKBONES])
def test_ddp_reduces_every_gradient(gradients, backbone, mode):
    ours, theirs = (rank[f'{backbone}, {mode}'] for rank in gradients)
    assert ours.abs().max() > 0
    assert torch.equal(ours, theirs), 'all processes must hold the same gradient'


if __name__ == '__main__':
    train_two_steps(int(sys.argv[1]), sys.argv[2])

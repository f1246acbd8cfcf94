"""FSDP2 in processes without a GPU, against plain PyTorch in one process."""

import pytest
import torch
from mmengine.hooks import EMAHook
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from torch import nn
from torch.distributed.tensor import DTensor

from tests.parallel import tiny_models, training
from tnt_backbone.checkpoints.read import read_tensors
from tnt_backbone.engine import FSDP2
from tnt_backbone.errors import InputError

SAVE = dict(type='CheckpointHook', interval=2, by_epoch=False, max_keep_ckpts=3)
JOB = {
    'family': 'PyramidTNT',
    'library': 'mmpretrain',
    'steps': 2,
    'accumulate': 2,
    'with_cp': True,
    'ema': True,
    'wrapper': {'type': 'FSDP2'},
    'checkpoint': SAVE,
}
STATES = ('weights', 'average', 'optimizer')
BF16 = {
    **JOB,
    'look': True,
    'wrapper': {'type': 'FSDP2', 'mixed_precision': {'param_dtype': 'bfloat16'}},
}


def in_order(optimizer):
    """Return the optimizer's state as a row of numbers, in the order of its parameters."""
    groups = [p for group in optimizer.param_groups for p in group['params']]
    return training.flat(
        optimizer.state[p][name] for p in groups for name in ('exp_avg', 'exp_avg_sq')
    )


def act(job, world, folder):
    """Train or resume; return what the process has then."""
    options = {'load_from': job['resume'], 'resume': True} if 'resume' in job else {}
    runner, found = training.make_runner(job, world, folder, **options)
    kinds = set()
    if job.get('look'):
        block = next(m for m in runner.model.modules() if type(m).__name__.endswith('TNTBlock'))
        block.register_forward_pre_hook(
            lambda block, inputs: kinds.add(('weights', block.sentence_block.norm1.weight.dtype))
        )
        block.register_forward_hook(
            lambda block, inputs, outputs: kinds.add(('outputs', outputs[1].dtype))
        )
    runner.train()
    result = training.results(runner, found, job)
    result['kinds'] = kinds
    result['folder'] = runner.work_dir
    result['optimizer'] = in_order(runner.optim_wrapper.optimizer)
    result['sharded'] = all(isinstance(p, DTensor) for p in runner.model.parameters())
    result['scores'] = scores(runner)
    return result


def scores(runner):
    """Return predictions with the weights, with their averages, and with the weights again."""
    data = tiny_models.Samples('mmpretrain', 2)
    batch = {key: [data[i][key] for i in range(2)] for key in data[0]}
    (hook,) = (hook for hook in runner.hooks if isinstance(hook, EMAHook))
    found = []
    for _ in range(3):
        runner.model.eval()
        with torch.no_grad():
            found.append(torch.stack([s.pred_score for s in runner.model.val_step(batch)]))
        hook._swap_ema_parameters()
    hook._swap_ema_parameters()
    return found


def close(one, other, tolerance=1e-4):
    scale = float(other.abs().max())
    assert float((one - other).abs().max()) <= tolerance * scale


@pytest.fixture(scope='module')
def two(tmp_path_factory):
    """What each of two processes has after the job, which is four iterations and two steps."""
    return [rank[0] for rank in training.run(2, tmp_path_factory.mktemp('two'), [JOB], act)]


def test_losses_gradients_weights_and_averages_are_those_of_one_process(two):
    """With two blocks of one iteration each, clipped gradients, and activations computed again."""
    assert two[0]['sharded']
    assert max(training.largest_differences(JOB, 2, two).values()) < 1e-4
    assert torch.equal(two[0]['weights'], two[1]['weights'])


def test_predictions_follow_the_weights(two):
    """What was gathered for one evaluation must not stay for the next."""
    now, averaged, again = two[0]['scores']
    assert torch.equal(now, again)
    assert (now - averaged).abs().max() > 1e-4
    model = training.build(JOB)
    data = tiny_models.Samples('mmpretrain', 2)
    batch = {key: [data[i][key] for i in range(2)] for key in data[0]}
    # mmengine keeps the averages as the weights of the file
    state = read_tensors(f'{two[0]["folder"]}/iter_4.pth')
    model.load_state_dict(state)
    model.eval()
    with torch.no_grad():
        close(torch.stack([s.pred_score for s in model.val_step(batch)]), averaged)


def test_a_checkpoint_is_one_file_of_whole_tensors(two):
    run = two[0]
    content = torch.load(f'{run["folder"]}/iter_4.pth', weights_only=False)
    model = training.build(JOB)
    names = [name for name, _ in model.named_parameters()]
    close(training.flat(content['ema_state_dict'][f'module.{n}'] for n in names), run['weights'], 0)
    close(training.flat(content['state_dict'][name] for name in names), run['average'], 0)
    optimizer = torch.optim.AdamW(model.parameters())
    optimizer.load_state_dict(content['optimizer'])
    close(in_order(optimizer), run['optimizer'], 0)


@pytest.mark.slow
def test_it_is_resumed_without_shards_and_with_as_many(two, tmp_path):
    path = f'{two[0]["folder"]}/iter_4.pth'
    alone = act({**JOB, 'resume': path, 'wrapper': None}, 1, tmp_path)
    assert not alone['sharded']
    jobs = [{**JOB, 'resume': path}, {**JOB, 'resume': path.replace('iter_4', 'iter_2')}]
    again, half = training.run(2, tmp_path, jobs, act)[0]
    assert len(half['losses']) == 2
    for run in (alone, again, half):
        for name in STATES:
            close(run[name], two[0][name], 0)


@pytest.mark.slow
def test_from_two_to_four_to_one_process(two, tmp_path):
    path = f'{two[0]["folder"]}/iter_4.pth'
    jobs = [{**JOB, 'resume': path, 'steps': steps} for steps in (2, 3)]
    four = training.run(4, tmp_path, jobs, act)
    path = f'{four[0][1]["folder"]}/iter_6.pth'
    alone = act({**JOB, 'resume': path, 'steps': 3, 'wrapper': None}, 1, tmp_path)
    assert len(four[0][1]['losses']) == 2
    for name in STATES:
        close(four[3][0][name], two[0][name], 0)
        close(alone[name], four[0][1][name], 0)


@pytest.mark.slow
def test_blocks_in_bfloat16_and_the_rest_in_float32(two, tmp_path):
    run = training.run(2, tmp_path, [BF16], act)[0][0]
    assert run['kinds'] == {('weights', torch.bfloat16), ('outputs', torch.float32)}
    assert not torch.equal(run['weights'], two[0]['weights'])
    close(run['weights'], two[0]['weights'], 1e-2)


class Scaled(BaseModel):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(2))

    def forward(self, inputs):
        return inputs


@pytest.mark.parametrize(
    ('options', 'named'),
    [
        ({}, r"blocks=\['TNTBlock'.*Scaled has no .*Linear"),
        ({'blocks': ['Linear', 'Missing']}, r'blocks=.*Missing'),
        ({'blocks': ['Linear']}, r'FSDP2.*Scaled.*\bscale\b'),
    ],
)
def test_models_that_cannot_be_sharded(options, named):
    with pytest.raises(InputError, match=named):
        FSDP2(Scaled(), **options)


@pytest.mark.parametrize('dtype', ['float16', 'half16'])
def test_number_formats_that_do_not_work(dtype):
    model = MODELS.build(tiny_models.backbone('TNT', 'mmpretrain'))
    with pytest.raises(InputError, match=rf'mixed_precision\.param_dtype.*{dtype}.*bfloat16'):
        FSDP2(model, mixed_precision={'param_dtype': dtype})

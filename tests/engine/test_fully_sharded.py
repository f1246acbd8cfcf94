"""FSDP2 in processes without a GPU, against plain PyTorch in one process."""

import json
import subprocess
import sys

import pytest
import torch
from mmengine import dist
from mmengine.hooks import EMAHook, Hook
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from torch import nn
from torch.distributed.tensor import DTensor

from tests.faults.launched import ROOT, Launched
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


def pretrain(job, world, folder):
    """Return the weights of a backbone that the Runner has built from a file, before training."""
    model = tiny_models.model(job['family'], job['library'])
    model['backbone']['init_cfg'] = dict(type='Pretrained', checkpoint=job['file'])
    runner, _ = training.make_runner(job, world, folder, model=model, load_from=None)
    runner._init_model_weights()  # mmengine calls it when the training begins
    backbone = runner.model.module.backbone
    return training.flat(value for _, value in sorted(backbone.named_parameters()))


@pytest.mark.slow
def test_pretrained_weights_are_loaded_before_they_are_spread(tmp_path):
    backbone = training.build(JOB).backbone
    torch.save(backbone.state_dict(), tmp_path / 'backbone.pth')
    job = {**JOB, 'file': str(tmp_path / 'backbone.pth')}
    for (loaded,) in training.run(2, tmp_path, [job], pretrain):
        close(loaded, training.flat(value for _, value in sorted(backbone.named_parameters())), 0)


class Poison(Hook):
    """Makes the second batch of process 1 not a number."""

    priority = 'LOWEST'

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        mean = runner.model.module.data_preprocessor.mean
        is_now = runner.iter == 1 and dist.get_rank() == 1
        mean.fill_(float('nan') if is_now else 128.0)


def poison(job, world, folder):
    runner, found = training.make_runner(job, world, folder)
    runner.register_hook(Poison())
    runner.train()
    return {**training.results(runner, found, job), 'folder': runner.work_dir}


@pytest.mark.slow
def test_a_batch_that_is_not_finite_is_left_out_by_all_processes(tmp_path):
    job = {**JOB, 'accumulate': 1, 'steps': 3, 'ema': False, 'not_finite': 'skip'}
    one, other = (rank[0] for rank in training.run(2, tmp_path, [job], poison))
    assert torch.isfinite(one['weights']).all()
    assert torch.equal(one['weights'], other['weights'])
    for rank, run in enumerate((one, other)):
        path = f'{run["folder"]}/not_finite/iter_2_process_{rank}.pth'
        kept = torch.load(path, weights_only=False)
        training.build(JOB).load_state_dict(kept['state_dict'])
        assert not any(isinstance(value, DTensor) for value in kept['state_dict'].values())


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='for machines without a GPU')
def test_commands_train_sharded_and_test_and_convert_whole(tiny_config, tmp_path):
    """The evaluation in two processes has the numbers of ``tools/test.py`` in one."""
    run = Launched(
        *(tiny_config, tmp_path, '--work-dir', 'run'),
        *('--cfg-options', 'model_wrapper_cfg.type=FSDP2', 'optim_wrapper.optimizer.lr=1e-3'),
    )
    assert run.launcher.wait() == 0, run.output()
    checkpoint = tmp_path / 'run' / 'epoch_1.pth'
    for command in (
        ('test.py', str(tiny_config), str(checkpoint), '--work-dir', 'test'),
        ('convert_checkpoint.py', str(checkpoint), 'backbone.pth'),
    ):
        arguments = [sys.executable, ROOT / 'tools' / command[0], *command[1:]]
        subprocess.run(arguments, check=True, cwd=tmp_path, capture_output=True)
    in_training, alone = (
        json.loads(next((tmp_path / folder).glob(f'*/{kind}')).read_text().splitlines()[-1])
        for folder, kind in (('run', 'vis_data/scalars.json'), ('test', '*.json'))
    )
    assert in_training['coco/bbox_mAP_50'] == alone['coco/bbox_mAP_50']
    weights, backbone = read_tensors(str(checkpoint)), read_tensors(str(tmp_path / 'backbone.pth'))
    assert backbone
    for name, value in backbone.items():
        assert torch.equal(value, weights[f'backbone.{name.removeprefix("backbone.")}'])


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

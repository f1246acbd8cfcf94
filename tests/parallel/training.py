"""Trainings in several processes with mmengine's Runner, and the same steps in plain PyTorch."""

import copy
import importlib
import itertools
import logging
import multiprocessing
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from tests.parallel import tiny_models

IMAGES = 2  # of a process in an iteration
OPTIMIZER = dict(lr=1e-3, weight_decay=0.05, eps=1e-4)  # of AdamW; eps: rounding is no gradient
CLIP = 0.5
MOMENTUM = 0.1  # of the average
NUMBERS = itertools.count()


def batches(world, steps, accumulate=1):
    """Return the indices of the images by optimizer step, process and iteration."""
    number = itertools.count()
    return [
        [[[next(number) for _ in range(IMAGES)] for _ in range(world)] for _ in range(accumulate)]
        for _ in range(steps)
    ]


def order(world, steps, accumulate):
    """Return the same indices in the order in which a sampler hands them to its processes."""
    found = []
    for step in batches(world, steps, accumulate):
        for ranks in step:
            found += [ranks[rank][i] for i in range(IMAGES) for rank in range(world)]
    return found


def _model(job):
    random = {'drop_rate': 0.1, 'drop_path_rate': 0.2} if job.get('seed') else {}
    options = {'with_cp': job.get('with_cp', False), **random}
    return tiny_models.model(job['family'], job['library'], **options)


def build(job):
    """Return a model with weights that depend on the job's family and library only."""
    from mmengine.registry import MODELS, init_default_scope

    importlib.import_module(f'{job["library"]}.models')
    init_default_scope(job['library'])
    torch.manual_seed(0)
    model = MODELS.build(_model(job))
    logging.disable(logging.INFO)  # a line for each tensor
    model.init_weights()
    logging.disable(logging.NOTSET)
    with torch.no_grad():  # no tensor is all zeros: its gradient would be, or rounding
        for parameter in model.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    return model


def data_of(job, world):
    accumulate = job.get('accumulate', 1)
    return tiny_models.Samples(job['library'], world * IMAGES * job['steps'] * accumulate)


def flat(tensors):
    """Return whole tensors as one row of numbers."""
    whole = [t.full_tensor() if hasattr(t, 'full_tensor') else t for t in tensors]
    return torch.cat([t.detach().double().flatten() for t in whole])


def reference(job, world):
    """Train in one process that averages the gradients of all shards, without mmengine's Runner."""
    model, data = build(job), data_of(job, world)
    average = copy.deepcopy(model)
    model.train()
    parameters = [*model.parameters()]
    optimizer = torch.optim.AdamW(parameters, **OPTIMIZER)
    accumulate, losses, iterations = job.get('accumulate', 1), [], 0
    for step in batches(world, job['steps'], accumulate):
        optimizer.zero_grad()
        for ranks in step:
            of_ranks = []
            for indices in reversed(ranks):  # gloo adds four in this order; two have only one
                _fix_statistics(model)
                batch = [data[i] for i in indices]
                batch = {key: [sample[key] for sample in batch] for key in batch[0]}
                with torch.autocast('cpu', dtype=torch.bfloat16, enabled=job.get('bf16', False)):
                    batch = model.data_preprocessor(batch, True)
                    found = model(**batch, mode='loss')
                loss, _ = model.parse_losses(found)
                (loss / world / accumulate).backward()
                of_ranks.append(float(loss.detach()))
            losses.append(sum(of_ranks) / world)
            iterations += 1
            if iterations % accumulate == 0:
                torch.nn.utils.clip_grad_norm_(parameters, CLIP)
                gradients = flat(p.grad for p in parameters)
                optimizer.step()
            # mmengine's average follows each iteration, and begins as a copy
            for mean, now in zip(average.parameters(), parameters, strict=True):
                is_first = iterations == 1
                mean.data.copy_(now.data if is_first else mean.data.lerp(now.data, MOMENTUM))
    return {
        'losses': losses,
        'gradients': gradients,
        'weights': flat(parameters),
        'average': flat(average.parameters()) if job.get('ema') else None,
    }


def _fix_statistics(model):
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.eval()


def make_runner(job, world, folder, **options):
    """Return the Runner of a job, as ``tnt train`` builds it in each process."""
    from mmengine.config import Config
    from mmengine.hooks import Hook
    from mmengine.runner import Runner

    from tnt_backbone.run.reliability import make_reliable

    accumulate = job.get('accumulate', 1)
    found = {'losses': []}

    class Note(Hook):
        """Keep the losses, and the last gradients."""

        priority = 'VERY_LOW'

        def before_train(self, runner):
            runner.optim_wrapper.optimizer.register_step_pre_hook(self.keep)

        def keep(self, optimizer, *args):
            model = runner.model.module if world > 1 else runner.model
            gradients = [p.grad for p in model.parameters()]
            if all(gradient is not None for gradient in gradients):  # else the step is left out
                found['gradients'] = flat(gradients)

        def before_train_iter(self, runner, *args, **kwargs):
            _fix_statistics(runner.model)

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            found['losses'].append(outputs['loss'].item())

    state = Path(folder) / f'start_{job["family"]}_{job["library"]}_{os.environ.get("RANK", 0)}.pth'
    if not state.exists():
        torch.save({'state_dict': build(job).state_dict()}, state)
    wrapper = {
        'type': 'MMDistributedDataParallel',
        'device_ids': None,
        'broadcast_buffers': False,
        'find_unused_parameters': False,
    }
    name = f'job{next(NUMBERS)}_{os.getpid()}'
    hooks = [dict(type='EMAHook', momentum=MOMENTUM)] if job.get('ema') else []
    optim = 'CpuAmpOptimWrapper' if job.get('bf16') else 'OptimWrapper'
    settings = dict(
        model=_model(job),
        work_dir=str(folder / name),
        load_from=str(state),
        randomness=dict(seed=job.get('seed', 0)),
        train_dataloader=dict(
            batch_size=IMAGES,
            num_workers=0,
            dataset=data_of(job, world),
            sampler=dict(type=Listed, indices=order(world, job['steps'], accumulate)),
            collate_fn=dict(type='pseudo_collate'),
        ),
        train_cfg=dict(by_epoch=False, max_iters=job['steps'] * accumulate, val_interval=10**6),
        optim_wrapper=dict(
            type=optim,
            optimizer=dict(type='AdamW', **OPTIMIZER),
            clip_grad=dict(max_norm=CLIP),
            accumulative_counts=accumulate,
        ),
        cfg=Config(
            dict(
                model_wrapper_cfg=job.get('wrapper') or wrapper,
                not_finite=job.get('not_finite', 'stop'),
            )
        ),
        custom_hooks=hooks,
        default_hooks=dict(checkpoint=job.get('checkpoint'), logger=None),
        launcher='pytorch' if world > 1 else 'none',
        visualizer=dict(type='Visualizer', name=name),
        experiment_name=name,
        default_scope=job['library'],
        log_level='ERROR',
    )
    runner = Runner(**{**settings, **options})
    make_reliable(runner)
    runner.register_hook(Note())
    return runner, found


class Listed(torch.utils.data.Sampler):
    """Hand out a list of indices, as mmengine's samplers do."""

    def __init__(self, dataset, indices, seed=None):
        from mmengine.dist import get_dist_info

        rank, world = get_dist_info()
        self.own = indices[rank::world]

    def __iter__(self):
        return iter(self.own)

    def __len__(self):
        return len(self.own)


def results(runner, found, job):
    """Return what :func:`reference` does, for this process."""
    from mmengine.hooks import EMAHook
    from mmengine.model import is_model_wrapper

    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    average = [hook.ema_model.module for hook in runner.hooks if isinstance(hook, EMAHook)]
    return {
        **found,
        'weights': flat(model.parameters()),
        'average': flat(average[0].parameters()) if average else None,
    }


def train(job, world, folder):
    """Train one job in this process."""
    runner, found = make_runner(job, world, folder)
    runner.train()
    return results(runner, found, job)


def _can_fork():
    """Return whether a fork of this process can compute gradients.

    It cannot after torch.onnx.export: the next backward pass starts threads of its own, which a
    fork does not have.
    """
    process = os.fork()
    if process == 0:
        try:
            torch.ones(1, requires_grad=True).sum().backward()
        except RuntimeError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(process, 0)[1] == 0


# A package of the environment may be called tests, too.
NEW_PROCESS = """
import pickle, sys, types
tests = sys.modules['tests'] = types.ModuleType('tests')
tests.__path__ = [sys.argv[1]]
from tests.parallel import training
import importlib
world, folder, jobs, (module, action), seconds = pickle.load(sys.stdin.buffer)
training.run(world, folder, jobs, getattr(importlib.import_module(module), action), seconds)
"""


def _run_from_new_process(world, folder, jobs, action, seconds):
    given = pickle.dumps((world, str(folder), jobs, (action.__module__, action.__name__), seconds))
    command = [sys.executable, '-W', 'ignore', '-c', NEW_PROCESS, str(Path(__file__).parents[1])]
    subprocess.run(command, input=given, check=True)
    return _load(world, Path(folder))


def run(world, folder, jobs, action=train, seconds=3000):
    """Run jobs one after the other in new processes; return the results by process and job.

    The processes are forks of this one, which has imported what they need, where that is possible.
    """
    if not _can_fork():
        return _run_from_new_process(world, folder, jobs, action, seconds)
    for library in {job['library'] for job in jobs}:
        importlib.import_module(f'{library}.models')
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    processes = [
        multiprocessing.get_context('fork').Process(
            target=_work, args=(rank, world, folder, jobs, action), daemon=True
        )
        for rank in range(world)
    ]
    for process in processes:
        process.start()
    end = time.monotonic() + seconds
    while any(process.is_alive() for process in processes) and time.monotonic() < end:
        time.sleep(0.05)
        if any(process.exitcode for process in processes):
            break
    for process in processes:
        process.kill() if time.monotonic() > end else process.join(10)
        process.kill()
    logs = [(folder / f'{rank}.log').read_text()[-3000:] for rank in range(world)]
    assert [process.exitcode for process in processes] == [0] * world, '\n'.join(logs)
    return _load(world, folder)


def _load(world, folder):
    return [torch.load(folder / f'{rank}.pth', weights_only=False) for rank in range(world)]


def _work(rank, world, folder, jobs, action):
    """Be one of the processes."""
    with (folder / f'{rank}.log').open('w') as log:
        for number in (1, 2):
            os.dup2(log.fileno(), number)
    variables = {'RANK': rank, 'LOCAL_RANK': rank, 'WORLD_SIZE': world}
    os.environ.update({name: str(value) for name, value in variables.items()})
    torch.set_num_threads(1)  # the threads of the forked process are not here
    if world > 1:
        torch.distributed.init_process_group(
            'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=world
        )
    torch.save([action(job, world, folder) for job in jobs], folder / f'{rank}.pth')
    sys.stdout.flush()
    os._exit(0)  # as tnt_backbone.run.processes.end_cpu_processes


def largest_differences(job, world, found):
    """Return the largest differences from the reference, each relative to its largest number."""
    expected = reference(job, world)
    first = found[0]
    losses = torch.tensor([rank['losses'] for rank in found]).double().mean(0)
    pairs = {'loss': (losses, torch.tensor(expected['losses']).double())}
    for name in ('gradients', 'weights', 'average'):
        if expected[name] is not None:
            pairs[name] = (first[name], expected[name])
    return {
        name: float((one - other).abs().max() / other.abs().max())
        for name, (one, other) in pairs.items()
    }

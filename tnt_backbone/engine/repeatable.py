"""Random numbers that depend on the seed and the place in the training, and on nothing else.

mmengine seeds each process once, and each data worker when it starts. So a resumed run draws other
numbers than one that was never stopped. Here, the generators of Python, NumPy and PyTorch are
seeded again before each iteration, and in the data workers before each batch. Then it does not
matter where a run was resumed, nor how many data workers it has.
"""

import random
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch.utils.data import get_worker_info

from ..errors import InputError
from .stop_on_signal import leave_requests_to_the_process

STEP, BATCH = 0, 1  # what random numbers are for: an iteration of the network, a batch of data


def seed_all(*place: int) -> None:
    """Seed Python, NumPy and PyTorch from some numbers, none of them negative."""
    state = [int(word) for word in np.random.SeedSequence(place).generate_state(3)]
    random.seed(state[0])
    np.random.seed(state[1])
    torch.manual_seed(state[2])


class SharedEpoch:
    """What a process tells its data workers.

    Attributes:
        number: The epoch.
        skipped: The batches before the first one that is read: ``(epoch, number)``.
    """

    def __init__(self) -> None:
        self.number = torch.zeros((), dtype=torch.int64).share_memory_()
        self.skipped = torch.zeros(2, dtype=torch.int64).share_memory_()

    def __deepcopy__(self, memo: dict[int, Any]) -> 'SharedEpoch':
        return self  # mmengine copies the config of a loader


class SeededFetch:
    """Fetches the samples of a batch from a data set, after seeding for that batch.

    PyTorch's loader calls ``__getitems__`` of a data set if there is one.

    Args:
        dataset: The data set.
        seed: Of the run.
        rank: Of the process.
        epoch: Of the training.
    """

    def __init__(self, dataset: Any, *, seed: int, rank: int, epoch: SharedEpoch) -> None:
        self._dataset, self._seed, self._rank, self._epoch = dataset, seed, rank, epoch
        self._of_class = getattr(type(dataset), '__getitems__', None)
        self._seen = (-1, 0)  # epoch, and batches fetched in it

    def __call__(self, indices: list[Any]) -> list[Any]:
        """Return the samples."""
        epoch = int(self._epoch.number)
        number = self._seen[1] if self._seen[0] == epoch else 0
        self._seen = (epoch, number + 1)
        worker = get_worker_info()
        if worker is not None:  # PyTorch gives the batches to the workers in turn
            number = number * worker.num_workers + worker.id
        of_epoch, skipped = self._epoch.skipped.tolist()
        if of_epoch == epoch:
            number += skipped
        # the first index: a loader that a loop starts again begins to count anew
        first = indices[0] if isinstance(indices[0], int) and indices[0] >= 0 else 0
        seed_all(self._seed, self._rank, BATCH, epoch, number, first)
        if self._of_class is not None:
            return self._of_class(self._dataset, indices)
        return [self._dataset[index] for index in indices]


def seed_worker(
    worker_id: int, *, seed: int, rank: int, epoch: SharedEpoch, is_quiet: bool
) -> None:
    """Let a data worker seed before each batch; see :class:`SeededFetch`.

    Args:
        worker_id: Number of the worker.
        seed: Of the run.
        rank: Of the process.
        epoch: Of the training.
        is_quiet: Show the warnings of the first worker only, as mmengine's function does for
            ``disable_subprocess_warning``.
    """
    if is_quiet and worker_id != 0:
        warnings.simplefilter('ignore')
    leave_requests_to_the_process()
    worker = get_worker_info()
    if worker is not None:
        _attach(worker.dataset, seed=seed, rank=rank, epoch=epoch)


def _attach(dataset: Any, **place: Any) -> None:
    if hasattr(dataset, '__getitem__'):
        dataset.__getitems__ = SeededFetch(dataset, **place)


@HOOKS.register_module()
class RepeatableHook(Hook):
    """Seed before each iteration, and check that all processes are at the same place.

    :func:`make_repeatable` does the same for the data workers, which may start before any hook is
    called.
    """

    priority = 'VERY_HIGH'  # before hooks that draw random numbers

    def __init__(self) -> None:
        self.epoch = SharedEpoch()

    def before_train(self, runner: Runner) -> None:
        """Compare the processes, and let a loader without workers seed before each batch.

        Raises:
            ValueError: If the processes would train from different places.
        """
        _compare_processes(runner)
        loader = runner.train_dataloader
        if loader.num_workers == 0:
            _attach(loader.dataset, seed=runner.seed, rank=get_rank(), epoch=self.epoch)
        iterator: Any = getattr(runner.train_loop, 'dataloader_iterator', None)
        if hasattr(iterator, 'skip_iter'):
            iterator.skip_iter = partial(self._skip, runner, iterator, iterator.skip_iter)

    def _skip(
        self, runner: Runner, iterator: Any, skip: Callable[[int], None], number: int
    ) -> None:
        """Go to a place in the data, as the loop of onedl-mmengine asks when it resumes.

        It reads no batch if the sampler can skip. Then the batches are counted from there. In all
        other cases it reads some or all of them, so they are read here.
        """
        loader = runner.train_dataloader
        if loader.batch_size and hasattr(loader.sampler, 'skip'):
            self.epoch.skipped.copy_(torch.tensor([runner.epoch, number]))
            skip(number)
            return
        for _ in range(number):
            next(iterator)

    def before_train_epoch(self, runner: Runner) -> None:
        """Tell the data workers the epoch."""
        self.epoch.number.fill_(runner.epoch)

    def before_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Seed for the iteration."""
        # by default mmengine gives all processes the same numbers, and some networks rely on it
        differs = runner._randomness_cfg.get('diff_rank_seed', False)
        seed_all(runner.seed, get_rank() if differs else 0, STEP, runner.iter)


def make_repeatable(runner: Runner) -> None:
    """Add the hook, and let the data workers of the training seed before each batch.

    A ``worker_init_fn`` of the config is left as it is.

    Args:
        runner: Before its training.
    """
    hook = RepeatableHook()
    runner.register_hook(hook)
    loader = runner._train_dataloader
    if isinstance(loader, dict) and 'worker_init_fn' not in loader:
        function: Callable = seed_worker
        loader['worker_init_fn'] = {
            'type': function,
            'seed': runner.seed,
            'rank': get_rank(),
            'epoch': hook.epoch,
            'is_quiet': loader.pop('disable_subprocess_warning', False),
        }


def _compare_processes(runner: Runner) -> None:
    places = all_gather_object((runner.epoch, runner.iter, runner.seed))
    if len(set(places)) == 1:
        return
    rows = [
        f'process {rank}: epoch {epoch}, iteration {iteration}, seed {seed}'
        for rank, (epoch, iteration, seed) in enumerate(places)
    ]
    raise InputError(
        'the processes would not train the same run:\n  ' + '\n  '.join(rows) + '\nGive all of '
        'them the same command, and a --work-dir that all machines share, or --resume PATH with a '
        'file that all have'
    )

"""Describe the machine, and time work in turns or in a process of its own."""

import multiprocessing
import platform
import resource
import time
from collections.abc import Callable, Mapping
from datetime import date
from typing import TypeVar

import torch

GIB = 2**30
Result = TypeVar('Result')
Name = TypeVar('Name')


def describe(device: str) -> str:
    """Return a line that names the machine, torch and the day."""
    name = torch.cuda.get_device_name() if device == 'cuda' else processor()
    return f'{name}, {torch.get_num_threads()} threads, torch {torch.__version__}, {date.today()}'


def processor() -> str:
    """Return the CPU's name if Linux knows it, else its architecture."""
    try:
        with open('/proc/cpuinfo') as file:
            return next(line for line in file if line.startswith('model name')).split(': ')[1][:-1]
    except (OSError, StopIteration):
        return platform.machine()


def peak_memory(device: str) -> float:
    """Return the peak of the process in bytes: its resident set, or on a GPU the allocator's."""
    if device == 'cuda':
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # kibibytes on Linux


def in_fresh_process(function: Callable[..., Result], *arguments: object) -> Result:
    """Call a function in a fresh process, whose peak of memory is its own."""
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        return pool.apply(function, arguments)


def in_turns(work: Mapping[Name, Callable[[], object]], rounds: int) -> dict[Name, float]:
    """Time each piece of work once a round; return the seconds of its quickest, by name.

    A disturbance of the machine affects all of them. A first round warms up and does not count.
    """
    seconds: dict[Name, list[float]] = {name: [] for name in work}
    for _ in range(rounds + 1):
        for name, run in work.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: min(taken[1:]) for name, taken in seconds.items()}

"""What ``tnt train CONFIG --dry-run --gpus N`` prints."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..doctor.finding import NOTE, OK, PROBLEM, Finding

if TYPE_CHECKING:
    from mmengine.config import Config

    from ..run.dry_run import DryRun

MB, GIB = 10**6, 2**30
LONG = 0.25  # share of a run that a warm-up seldom exceeds


def report(cfg: 'Config', path: str, processes: int) -> int:
    """Check a run, print its numbers, and return the exit status: 1 if there is a problem.

    Args:
        cfg: The config, with the options of the command line.
        path: Its name.
        processes: Number of processes.
    """
    from ..doctor.of_config import check_parts
    from ..run.dry_run import dry_run
    from ..run.runner import suit_to_machine
    from .doctor import show

    found = check_parts(cfg, path)
    has_data = next(finding.status == OK for finding in found if finding.name == 'data')
    suit_to_machine(cfg)

    def numbers() -> Iterator[Finding]:
        yield from found  # seen before anything slow, or a crash
        yield from describe(dry_run(cfg, processes, has_data=has_data))

    shown = show(numbers())
    return int(any(finding.status == PROBLEM for finding in shown))


def describe(run: 'DryRun') -> Iterator[Finding]:
    """Yield what the numbers of a run mean."""
    text = f'{run.processes}, one per GPU; {run.wrapper} around the model'
    yield Finding('processes', OK, text)
    factors = f'{run.processes} processes x {run.images} images'
    if run.accumulation > 1:
        factors += f' x {run.accumulation} iterations'
    yield Finding('batch', OK, f'{run.global_batch} images per step: {factors}')
    yield _learning_rate(run)
    yield from _steps(run)
    parts = ', '.join(f'{name} {size / MB:.1f} MB' for name, size in run.memory.items())
    total = sum(run.memory.values()) / GIB
    text = f'{total:.2f} GiB in each process, without activations: {parts}'
    yield Finding('memory', OK, text)
    yield Finding('all-reduce', OK, _all_reduce(run))
    text = 'nothing was trained; all processes are like the first; GPUs hold what this CPU holds'
    yield Finding('assumed', OK, text)


def _learning_rate(run: 'DryRun') -> Finding:
    low, high = run.learning_rates
    text = f'{high:.4g}' if low == high else f'{low:.4g} to {high:.4g} in the groups of parameters'
    base = run.base_batch_size
    if run.scaled:
        text += f', scaled from {base} images per step to {run.global_batch}'
    elif base is None:
        text += '. The config does not say for how many images per step'
    elif base != run.global_batch:
        text += f'. It is for {base} images per step, and this run has {run.global_batch}'
        return Finding('learning rate', NOTE, text, '--auto-scale-lr')
    return Finding('learning rate', OK, text)


def _steps(run: 'DryRun') -> Iterator[Finding]:
    """Yield how long the run is, and whether data and schedule fit that."""
    if run.iterations_per_epoch is None:
        text = 'not known, because the data is not here'
        if run.iterations is not None:
            text = f'{run.iterations} iterations; how many epochs that is, only the data can say'
        yield Finding('steps', NOTE, text)
    else:
        epochs = (run.iterations or 0) / run.iterations_per_epoch
        steps = (run.iterations or 0) // run.accumulation
        text = (
            f'{steps} in all; {run.iterations_per_epoch} iterations per epoch of {run.data} '
            f'images, {epochs:.4g} epochs'
        )
        yield Finding('steps', OK, text)
        if run.data is not None and run.data < run.processes * run.images:
            text = (
                f'{run.data} are fewer than the {run.processes * run.images} of one iteration: '
                'images are repeated in it, or there is no iteration'
            )
            fewer = max(1, run.data // run.images)
            yield Finding('training images', PROBLEM, text, f'--gpus {fewer}')
    key, end = run.warm_up
    if run.iterations and end > LONG * run.iterations:
        text = f'{end} of {run.iterations} iterations'
        status = PROBLEM if end >= run.iterations else NOTE
        fix = f'--cfg-options {key}={max(1, run.iterations // 20)}'
        yield Finding('warm-up', status, text, fix)


def _all_reduce(run: 'DryRun') -> str:
    if run.processes == 1:
        return 'none in one process'
    if run.all_reduce is None:
        return f'not counted for {run.wrapper}, which shards the model'
    size = run.all_reduce / MB
    sent = 2 * (run.processes - 1) / run.processes * size
    return f'{size:.1f} MB of gradients per step; in a ring each process sends {sent:.1f} MB'

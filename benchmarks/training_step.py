r"""Where the time of a training step goes: data, backbone, neck and head, optimizer, hooks.

    TNT_DEMO_DATA=work_dirs/demo/data/ python benchmarks/training_step.py \
        configs/retinanet_tnt_digits.py --iterations 40
    python benchmarks/training_step.py configs/retinanet_tnt_s_coco.py --iterations 6 \
        --cfg-options train_dataloader.batch_size=1 optim_wrapper.optimizer.fused=False

One process trains with the config, from random numbers and without validation. The time of a part
is its median over the iterations after the warm-up.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import machine
import torch
from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.autograd.graph import register_multi_grad_hook

from tnt_backbone.run.config import read_config
from tnt_backbone.run.libraries import set_dataloader_defaults, skip_validation
from tnt_backbone.run.pretrained import drop_pretrained
from tnt_backbone.run.runner import build_runner, suit_to_machine

BATCHES = 64  # only loaded; a few are ready before they are asked for
Step = dict[str, float]


class StepTimes(Hook):
    """Takes the time at the start and the end of each part of a training step.

    Attributes:
        steps: Seconds of each part, one dict per step. The time of a part starts where the part
            before it ended, so all parts together are the step.
    """

    priority = 'LOWEST'  # the other hooks are a part, too

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._parts: Step = defaultdict(float)
        self._last = time.perf_counter()

    def _end(self, part: str) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter()
        self._parts[part] += now - self._last
        self._last = now

    def _after_backbone(
        self, _: nn.Module, images: Any, maps: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        self._end('backbone, forward')
        # views have gradients of their own: a map that leads to the next one waits for its, too
        maps = tuple(level.view_as(level) for level in maps)
        if torch.is_grad_enabled():
            register_multi_grad_hook(maps, lambda _: self._end('neck, head, losses: backward'))
        return maps

    def _timed(self, function: Callable[..., Any], before: str, part: str) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            self._end(before)
            result = function(*args, **kwargs)
            self._end(part)
            return result

        return timed

    def before_train(self, runner: Runner) -> None:
        """Put marks around the backbone, the backward pass and the optimizer."""
        backbone, wrapper = runner.model.backbone, runner.optim_wrapper
        backbone.register_forward_pre_hook(lambda *_: self._end('images to the model'))
        backbone.register_forward_hook(self._after_backbone)
        wrapper.backward = self._timed(
            wrapper.backward, 'neck, head, losses: forward', 'backbone, backward'
        )
        wrapper.step = self._timed(wrapper.step, 'optimizer', 'optimizer')

    def before_train_iter(self, *_: Any, **__: Any) -> None:
        """End the wait for data."""
        self._end('waiting for data')

    def after_train_iter(self, *_: Any, **__: Any) -> None:
        """End the step."""
        self._end('hooks')
        self.steps.append(dict(self._parts))
        self._parts.clear()


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config')
    parser.add_argument('--iterations', type=int, default=20)
    parser.add_argument('--warm-up', type=int, default=2, help='iterations before those')
    parser.add_argument('--channels-last', action='store_true')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE')
    return parser.parse_args()


def prepare(cfg: Config, iterations: int) -> None:
    """Let a config train for some iterations, and do nothing else."""
    set_dataloader_defaults(cfg)
    drop_pretrained(cfg)
    cfg.load_from = None
    skip_validation(cfg)
    cfg.test_cfg = cfg.test_dataloader = cfg.test_evaluator = None
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations)
    cfg.log_processor = dict(cfg.log_processor, by_epoch=False)
    cfg.default_hooks.checkpoint = None
    suit_to_machine(cfg)


def milliseconds_of_a_batch(runner: Runner, batches: int) -> float:
    """Return the time of a batch while only the workers run."""
    loader = iter(runner.train_dataloader)
    next(loader)
    start = time.perf_counter()
    read = sum(1 for _ in itertools.islice(loader, batches))
    return (time.perf_counter() - start) / read * 1e3


def main() -> None:
    """Train, and print a row a part."""
    args = parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cfg = read_config(args.config, options=args.cfg_options, work_dir=folder, launcher='none')
        prepare(cfg, args.warm_up + args.iterations)
        runner = build_runner(cfg, [])
        if args.channels_last:
            runner.model.to(memory_format=torch.channels_last)
        times = StepTimes()
        runner.register_hook(times)
        before = machine.peak_memory(get_device())
        runner.train()
        gib = (machine.peak_memory(get_device()) - before) / machine.GIB
        loading = milliseconds_of_a_batch(runner, BATCHES)
    steps = times.steps[args.warm_up :]
    parts = {part: statistics.median(step[part] for step in steps) * 1e3 for part in steps[0]}
    total = sum(parts.values())
    print(f'\n{args.config}, batches of {cfg.train_dataloader.batch_size}')
    print(machine.describe(get_device()))
    print('| part | ms | share |\n| --- | --- | --- |')
    for part, milliseconds in {**parts, 'step': total}.items():
        print(f'| {part} | {milliseconds:.1f} | {milliseconds / total:.1%} |')
    workers = cfg.train_dataloader.num_workers
    print(f'A batch, only loaded, {workers} workers: {loading:.1f} ms')
    print(f'Peak of memory beside the model: {gib:.2f} GiB')


if __name__ == '__main__':
    main()

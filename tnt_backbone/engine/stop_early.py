"""The end of a training whose best checkpoint does not get better."""

from typing import Any

from mmengine.config import Config
from mmengine.hooks import CheckpointHook, EarlyStoppingHook
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, Runner

from ..backbones.arguments import check_sizes
from ..errors import InputError
from ..type_names import type_name

KEY = 'stop_early'  # in the message hub, which is part of a checkpoint
# mmengine takes an equal value for a better one, so a metric that stays at 0 would never stop
LEAST = 1e-9


@HOOKS.register_module()
class StopEarlyHook(EarlyStoppingHook):
    """mmengine's ``EarlyStoppingHook`` for the metric of the best checkpoint, also after a resume.

    mmengine's own forgets after a resume how long it has waited, counts no improvement below 0.1,
    and must be told the name of the metric.

    Args:
        patience: Number of validations without a better value, after which the training ends.

    Raises:
        ValueError: If ``patience`` is below 1, or no hook saves a best checkpoint.
    """

    priority = 'LOW'  # before the best checkpoint is saved, which then holds what is noted here

    def __init__(self, patience: int) -> None:
        check_sizes(patience=patience)
        super().__init__('', rule='greater', min_delta=LEAST, strict=True, patience=patience)
        self.monitor: str = ''  # not known yet

    def before_train(self, runner: Runner) -> None:
        """Check that there is a best checkpoint to follow."""
        if not _savers(runner):
            raise InputError(
                'StopEarlyHook follows the metric of the best checkpoint, and this config saves '
                'none. Set default_hooks.checkpoint.save_best, or use EarlyStoppingHook with '
                'monitor'
            )

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Stop the training if nothing has become better for too long."""
        if not metrics or not hasattr(runner, '_train_loop') or runner._train_loop is None:
            return
        self._follow(runner, metrics)
        step = runner.epoch if isinstance(runner.train_loop, EpochBasedTrainLoop) else runner.iter
        noted = runner.message_hub.runtime_info.get(KEY)
        if noted:
            self.best_score = noted['best']
            since = step - noted['step']
            self.wait_count = max(0, -(-since // runner.val_interval) - 1)
        super().after_val_epoch(runner, metrics)
        if not noted or self.best_score != noted['best']:
            runner.message_hub.update_info(KEY, {'best': self.best_score, 'step': step})

    def _follow(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Take the metric and its direction from the hook that saves the best checkpoint."""
        saver = _savers(runner)[0]
        if 'auto' in saver.key_indicators:
            saver._init_rule(saver.rules, [next(iter(metrics))])
        if not self.monitor:
            self.monitor, self.rule = saver.key_indicators[0], saver.rules[0]
            if self.rule == 'less':
                self.min_delta, self.best_score = -LEAST, float('inf')


def _savers(runner: Runner) -> list[Any]:
    """Return the hooks that save a best checkpoint."""
    hooks = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    return [hook for hook in hooks if hook.save_best]


def stop_early(cfg: Config, patience: int) -> list[str]:
    """End a training when the metric of its best checkpoint does not improve (``--stop-early``).

    Args:
        cfg: Its ``custom_hooks`` are changed in place.
        patience: See :class:`StopEarlyHook`.

    Returns:
        Notes for the log.

    Raises:
        ValueError: If the training has no validation, or saves no best checkpoint.
    """
    if cfg.get('val_cfg') is None or cfg.get('val_dataloader') is None:
        raise InputError(
            f'--stop-early {patience} needs validation, and this run has none. Leave out '
            '--no-validate, or use a config with val_dataloader, val_cfg and val_evaluator'
        )
    saver = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    if not saver.get('save_best'):
        raise InputError(
            f'--stop-early {patience} follows the metric of the best checkpoint, and this config '
            'saves none. Pass --cfg-options default_hooks.checkpoint.save_best=auto'
        )
    hooks = [hook for hook in cfg.get('custom_hooks') or [] if not _stops_early(hook)]
    notes = []
    if len(hooks) < len(cfg.get('custom_hooks') or []):
        notes.append("--stop-early replaces the config's EarlyStoppingHook")
    cfg.custom_hooks = [*hooks, {'type': 'StopEarlyHook', 'patience': patience}]
    loop = cfg.get('train_cfg') or {}
    interval, length = loop.get('val_interval', 1), loop.get('max_epochs') or loop.get('max_iters')
    if length and patience * interval >= length:
        notes.append(
            f'--stop-early {patience} will never end this run, which validates '
            f'{length // interval} times'
        )
    return notes


def _stops_early(hook: Any) -> bool:
    name = type_name(hook if isinstance(hook, dict) else type(hook))
    return name in ('EarlyStoppingHook', 'StopEarlyHook')

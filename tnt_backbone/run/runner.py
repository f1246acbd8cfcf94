"""From a config to a Runner that works on this machine."""

from mmengine.config import Config
from mmengine.dist import master_only
from mmengine.hooks import LoggerHook
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from ..engine.amp import suit_amp_to_device
from .freed_memory import keep_freed_memory
from .processes import init_cpu_processes


def suit_to_machine(cfg: Config) -> None:
    """Change what would not work without a GPU, or slowly.

    Raises:
        ValueError: If that is not possible.
    """
    suit_amp_to_device(cfg)
    init_cpu_processes(cfg)
    keep_freed_memory()


def build_runner(cfg: Config, notes: list[str]) -> Runner:
    """Build the Runner that the config names.

    Args:
        cfg: The config.
        notes: What was found before the start; goes to the log.
    """
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    for hook in runner.hooks:
        # mmengine writes the figures of a test in every process, all into one file
        if isinstance(hook, LoggerHook):
            hook.after_test_epoch = master_only(hook.after_test_epoch)
    for note in notes:
        runner.logger.warning(note)
    return runner

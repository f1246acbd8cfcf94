"""``torch.compile`` for the backbone only.

The heads are not compiled: they make lists whose length depends on the data, which breaks the graph
in many places. mmengine's own ``compile=True`` in a config compiles the whole model.
"""

from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ..errors import InputError


@HOOKS.register_module()
class CompileBackboneHook(Hook):
    """Compile ``model.backbone`` before the first step; weights keep their names.

    Args:
        options: Of ``torch.compile``, for instance ``mode='max-autotune'``.
    """

    priority = 'LOW'

    def __init__(self, **options: Any) -> None:
        self.options = options

    def before_run(self, runner: Runner) -> None:
        """Compile in place."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        model.backbone.compile(**self.options)


def compile_backbone(cfg: Config) -> None:
    """Add the hook to a config (``--compile``).

    Raises:
        ValueError: If ``cfg.model`` has no ``backbone``.
    """
    if 'backbone' not in cfg.model:
        raise InputError(
            f'--compile compiles model.backbone, but {cfg.model.get("type")} of the config has '
            f'only {sorted(cfg.model)}. Leave --compile out'
        )
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), dict(type='CompileBackboneHook')]

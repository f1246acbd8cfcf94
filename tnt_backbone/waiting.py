"""Registers the backbones with mmengine, in whichever order the two are imported.

``import tnt_backbone`` must not import mmengine, which takes seconds and may not be installed. So a
finder stands in front of Python's: when one of the modules below is imported, ours follows.
"""

import importlib
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

# mmengine's module: the one of ours that registers there
FOLLOWERS = {
    'mmengine.registry': 'tnt_backbone.registry',
    'mmengine.runner.checkpoint': 'tnt_backbone.checkpoint_loaders',
    'mmengine.infer.infer': 'tnt_backbone.inferencers',
}


class _Follow(MetaPathFinder):
    """Lets our modules follow mmengine's; leaves when all have."""

    def __init__(self, waiting: dict[str, str]) -> None:
        self.waiting = waiting

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """Return the spec that Python finds, with our module behind its own."""
        ours = self.waiting.pop(fullname, None)
        if not self.waiting and self in sys.meta_path:
            sys.meta_path.remove(self)
        spec = None if ours is None else find_spec(fullname)
        if ours is None or spec is None or spec.loader is None:
            return None
        loader: Any = spec.loader
        execute = loader.exec_module

        def execute_and_follow(module: ModuleType) -> None:
            execute(module)
            importlib.import_module(ours)

        loader.exec_module = execute_and_follow
        return spec


def register_when_possible() -> None:
    """Register now where mmengine is imported, else when it is."""
    waiting = {}
    for theirs, ours in FOLLOWERS.items():
        if theirs in sys.modules:
            importlib.import_module(ours)
        else:
            waiting[theirs] = ours
    if waiting:
        sys.meta_path.insert(0, _Follow(waiting))

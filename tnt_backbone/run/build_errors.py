"""What mmengine says about a part of a config that it cannot build, and what was meant."""

import importlib
import re
import sys

from ..near_names import did_you_mean

UNKNOWN = re.compile(r"^'?([\w.]+) is not in the (?:[\w-]+::)?([\w ]+) registry")
# of parts in parts, the innermost
UNEXPECTED = re.compile(
    r"class `(\w+)` in ([\w/.-]+)\.py: (?!class).*unexpected keyword argument '(\w+)'"
)


def explain(error: Exception) -> str | None:
    """Return a message about a mistake in a config, or ``None`` for a fault of a program.

    Args:
        error: A KeyError or TypeError that ``build_from_cfg`` of mmengine raised.
    """
    text = str(error.args[0]) if error.args else ''
    if isinstance(error, KeyError):
        found = UNKNOWN.match(text)
        question = _meant_type(*found.groups()) if found else ''
        return f'in the config: {text}{question}'
    if found := UNEXPECTED.search(text):
        return f'in the config: {text}.{_meant_argument(*found.groups())}'
    return f'in the config: {text}' if 'missing' in text and 'argument' in text else None


def _meant_type(name: str, registry: str) -> str:
    from .overrides import registries

    known = [
        known
        for root in registries()
        if root.name == registry
        for node in (root, *root.children.values())
        for known in node.module_dict
    ]
    return did_you_mean(name.rpartition('.')[2], known)


def _meant_argument(kind: str, place: str, name: str) -> str:
    from .overrides import arguments_of_class

    module = sys.modules.get(place.replace('/', '.'))
    if module is None:
        try:
            module = importlib.import_module(place.replace('/', '.'))
        except ImportError:
            return ''
    return did_you_mean(name, arguments_of_class(getattr(module, kind, None)))

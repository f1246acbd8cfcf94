"""``--cfg-options``: keys that are nearly those of the config would have no effect."""

import inspect
from collections.abc import Iterator
from typing import Any

from mmengine import registry
from mmengine.config import Config
from mmengine.registry import Registry
from mmengine.runner import Runner

from ..errors import InputError
from ..near_names import did_you_mean

# What configs say beside the arguments of the Runner
FURTHER_KEYS = ('auto_scale_lr', 'custom_imports', 'tta_model', 'tta_pipeline', 'runner_type')


def require_known_keys(cfg: Config, options: dict[str, Any]) -> None:
    """Check the keys of overrides: mmengine adds those that it does not find.

    Keys that are new and like no other are allowed: arguments of a class that the config leaves at
    their defaults, for instance.

    Args:
        cfg: The config before it is changed.
        options: Dotted keys and values.

    Raises:
        ValueError: If a key is spelled nearly as one that is there. The text has it.
    """
    for key in options:
        node: Any = cfg._cfg_dict
        path: list[str] = []
        for part in key.split('.'):
            if not isinstance(node, dict):  # a list, or something that mmengine refuses
                node = node[int(part)] if _has_entry(node, part) else None
                path.append(part)
                continue
            if part not in node:
                known = {*node, *(arguments_of(node) if path else top_level_keys())}
                question = '' if part in known else did_you_mean(part, known)
                if question:
                    place = '.'.join(path) or 'the config'
                    raise InputError(
                        f'--cfg-options {key}: {place} has no {part!r}.{question} A key of this '
                        'name would have no effect. If it is new, write it into the config'
                    )
                break
            node = node[part]
            path.append(part)


def _has_entry(node: Any, part: str) -> bool:
    return isinstance(node, list | tuple) and part.isdecimal() and int(part) < len(node)


def top_level_keys() -> set[str]:
    """Return what a config may say, whatever it says."""
    return {*inspect.signature(Runner.__init__).parameters, *FURTHER_KEYS} - {'self'}


def registries() -> Iterator[Registry]:
    """Yield mmengine's registries."""
    yield from (value for value in vars(registry).values() if isinstance(value, Registry))


def registered() -> Iterator[tuple[str, str, Any]]:
    """Yield the name of the registry, the type and the class of all that is registered."""
    for root in registries():
        for node in (root, *root.children.values()):
            for key, part in node.module_dict.items():
                yield root.name, key, part


def arguments_of(part: dict[str, Any]) -> set[str]:
    """Return the arguments of the class that a part of a config names; none if it is not known."""
    kind = part.get('type')
    for known in registries() if isinstance(kind, str) else ():
        with known.switch_scope_and_registry(None) as own:
            found = own.get(kind)
        if found is not None:
            return arguments_of_class(found)
    return arguments_of_class(kind) if inspect.isclass(kind) else set()


def arguments_of_class(kind: Any) -> set[str]:
    """Return the names of the arguments of a class and of those that it inherits from."""
    makers: list[Any] = [kind]
    if inspect.isclass(kind):
        makers = [vars(base).get('__init__') for base in inspect.getmro(kind)]
    found: set[str] = set()
    for maker in makers:
        try:
            found |= set(inspect.signature(maker).parameters)
        except (TypeError, ValueError):  # written in C
            continue
    return found - {'self', 'args', 'kwargs'}

"""What mmengine says about a part of a config that it cannot build, and what was meant."""

import re

from ..near_names import did_you_mean

UNKNOWN = re.compile(r'^([\w.]+) is not in the (?:[\w-]+::)?([\w ]+) registry')
ARGUMENT = re.compile(
    r"(\w+)(?:\.__init__)?\(\) (?:got an unexpected keyword argument '(\w+)'|missing \d+ required)"
)
ALIKE = 0.6  # of types: their names are short


def explain(error: Exception) -> str | None:
    """Return a message about a mistake in a config, or ``None`` for a fault of a program.

    Args:
        error: What was raised while ``build_from_cfg`` of mmengine built a part.
    """
    text = str(error.args[0]) if error.args else ''
    if isinstance(error, KeyError) and 'must contain the key "type"' in text:
        return f'in the config: {text.splitlines()[0]}'
    if isinstance(error, KeyError) and (unknown := UNKNOWN.match(text)):
        return f'in the config: {text}{_meant_type(*unknown.groups())}'
    if isinstance(error, TypeError) and (wrong := ARGUMENT.search(text)):
        kind, argument = wrong.groups()
        question = _meant_argument(kind, argument) if argument else ''
        return f'in the config: {text}.{question}'
    return None


def _meant_type(name: str, registry: str) -> str:
    from .overrides import registered

    known = [key for root, key, _ in registered() if root == registry]
    return did_you_mean(name.rpartition('.')[2], known, alike=ALIKE)


def _meant_argument(kind: str, name: str) -> str:
    from .overrides import arguments_of_class, registered

    found = {argument for _, key, part in registered() if key == kind
             for argument in arguments_of_class(part)}  # fmt: skip
    return did_you_mean(name, found)

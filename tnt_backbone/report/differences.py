"""What differs between the configs, or the environments, of several runs."""

from collections.abc import Sequence
from typing import Any

from ..run.embedded_config import parse_config

ABSENT = '(not set)'
# Places of a run, which differ between any two
PLACES = ('work_dir', 'load_from', 'resume', 'launcher')


def flatten(node: Any, path: str = '') -> dict[str, str]:
    """Return ``{dotted path: value}`` of nested dicts and lists."""
    if isinstance(node, dict) and node:
        items = [(f'{path}.{key}' if path else str(key), value) for key, value in node.items()]
    elif isinstance(node, list | tuple) and any(isinstance(part, dict) for part in node):
        items = [(f'{path}.{number}', value) for number, value in enumerate(node)]
    else:
        return {path: repr(list(node) if isinstance(node, tuple) else node)}
    found: dict[str, str] = {}
    for key, value in items:
        found |= flatten(value, key)
    return found


def config_values(text: str) -> dict[str, str]:
    """Return the values of a config's text by their dotted paths. Nothing of it is run.

    Raises:
        ValueError: If the text is no list of assignments.
    """
    return {
        key: value
        for key, value in flatten(parse_config(text)).items()
        if key.partition('.')[0] not in PLACES
    }


def differences(runs: Sequence[dict[str, str]]) -> list[tuple[str, list[str]]]:
    """Return the keys whose values are not the same in all runs, with the values of each."""
    keys = dict.fromkeys(key for run in runs for key in run)
    rows = [(key, [run.get(key, ABSENT) for run in runs]) for key in keys]
    return sorted((key, values) for key, values in rows if len(set(values)) > 1)

"""All checks in a row. One that fails itself is reported, and the others go on."""

from collections.abc import Callable, Iterator
from typing import Any

from . import libraries, machine, packages
from .finding import NOTE, Finding
from .probing import run_probes


def examine(config: str | None = None, options: dict[str, Any] | None = None) -> Iterator[Finding]:
    """Yield the findings on this environment and machine.

    Args:
        config: Also look at this config, its data and its weights.
        options: ``--cfg-options``.
    """
    facts: dict[str, dict[str, Any]] = {}
    checks: list[tuple[str, Callable[[], list[Finding]]]] = [
        ('python', packages.check_python),
        ('versions', packages.check_versions),
        ('packages', packages.check_duplicates),
        ('pkg_resources', packages.check_pkg_resources),
        ('libraries', lambda: facts.update(run_probes()) or libraries.check_libraries(facts)),
        ('torch and torchvision', lambda: libraries.check_index(facts)),
        ('disk', lambda: machine.check_disk(facts)),
        ('shared memory', machine.check_shared_memory),
        ('memory', machine.check_memory),
        ('cores', machine.check_cores),
        ('limits', machine.check_limits),
        ('ports', machine.check_network),
    ]
    for name, check in checks:
        yield from _guarded(name, check)
    if config is not None:
        yield from _guarded('config', lambda: _look_at_config(config, options, facts))


def _guarded(name: str, check: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return check()
    except Exception as error:  # the doctor must not fail where the environment does
        return [Finding(name, NOTE, f'could not be looked at: {type(error).__name__}: {error}')]


def _look_at_config(
    config: str, options: dict[str, Any] | None, facts: dict[str, dict[str, Any]]
) -> list[Finding]:
    broken = [name for name in ('torch', 'mmengine', 'mmcv') if 'version' not in facts[name]]
    if broken:
        text = f'not looked at, because {" and ".join(broken)} cannot be imported'
        return [Finding('config', NOTE, text)]
    from .of_config import check_config

    return check_config(config, options)

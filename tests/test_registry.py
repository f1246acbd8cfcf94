"""Who finds which TNT under which name.

Each case has a process of its own, since registries are global.
"""

import subprocess
import sys

import pytest

OURS, THEIRS = 'tnt_backbone', 'mmpretrain'

# What a program does first -> (registry, name, package that the class must come from), in this
# order.
CASES = {
    # An import line (custom_imports in a config): the bare name is ours wherever it is free, ...
    'import tnt_backbone; init_default_scope("mmdet")': [
        ('MODELS', 'TNT', OURS),
        ('mmdet.registry.MODELS', 'TNT', OURS),
        ('MODELS', 'mmpretrain.TNT', THEIRS),
        ('MODELS', 'TNT', OURS),
    ],
    'init_default_scope("mmseg"); import tnt_backbone': [
        ('MODELS', 'TNT', OURS),
        ('mmseg.registry.MODELS', 'TNT', OURS),
    ],
    'import tnt_backbone': [('MODELS', 'TNT', OURS)],
    # ... and mmpretrain's own is not shadowed, whoever comes first.
    'import tnt_backbone; init_default_scope("mmpretrain")': [
        ('MODELS', 'TNT', THEIRS),
        ('MODELS', 'tnt_backbone.TNT', OURS),
    ],
    'init_default_scope("mmpretrain"); import mmpretrain.models, tnt_backbone': [
        ('MODELS', 'TNT', THEIRS),
        ('mmpretrain.registry.MODELS', 'TNT', THEIRS),
    ],
    # No import line: the full name is ours in every scope.
    'init_default_scope("mmdet")': [
        ('MODELS', 'tnt_backbone.TNT', OURS),
        ('mmdet.registry.MODELS', 'tnt_backbone.TNT', OURS),
    ],
    'init_default_scope("mmseg")': [('MODELS', 'tnt_backbone.TNT', OURS)],
    'init_default_scope("mmpretrain")': [
        ('MODELS', 'tnt_backbone.TNT', OURS),
        ('MODELS', 'TNT', THEIRS),
    ],
    'pass': [('MODELS', 'tnt_backbone.TNT', OURS)],
}


@pytest.fixture
def run(run_in_a_fork):
    """Run a program: what it does first, then what it builds and prints."""

    def run_program(prepare, registry_names):
        lines = ['from mmengine.registry import MODELS, init_default_scope', prepare]
        for registry, name in registry_names:
            package = registry.rpartition('.')[0]
            lines += [f'import {package}'] if package else []
            built = f'{registry}.build(dict(type={name!r}, arch="s"))'
            lines += [f'print(type({built}).__module__.split(".")[0])']
        return run_in_a_fork('\n'.join(lines))

    return run_program


@pytest.mark.parametrize('prepare', CASES)
def test_name_resolves(run, prepare):
    done = run(prepare, [case[:2] for case in CASES[prepare]])
    assert done.returncode == 0, done.stderr
    found = [line for line in done.stdout.split() if line in (OURS, THEIRS)]
    assert found == [package for _, _, package in CASES[prepare]]


def test_the_bare_name_without_an_import_line_is_refused(run):
    """Mmengine's own error, which names the registry in which it is missing."""
    done = run('init_default_scope("mmdet")', [('MODELS', 'TNT')])
    assert done.returncode != 0
    assert 'TNT is not in the mmdet::model registry' in done.stderr


OWN = """
@MODELS.register_module()
class TNT:
    def __init__(self, arch): ...
TNT.__module__ = 'their_project.models'
"""


@pytest.mark.parametrize('scope', ['mmengine', 'mmdet'])
def test_a_project_keeps_a_tnt_of_its_own_in_the_root_registry(run, scope):
    prepare = f'{OWN}import tnt_backbone; init_default_scope({scope!r})'
    done = run(
        prepare, [('MODELS', 'TNT'), ('MODELS', 'tnt_backbone.TNT'), ('MODELS', 'PyramidTNT')]
    )
    assert done.returncode == 0, done.stderr
    found = [line for line in done.stdout.split() if line in ('their_project', OURS)]
    assert found == ['their_project', OURS, OURS]
    log = done.stdout + done.stderr
    assert 'their_project.models.TNT' in log
    assert "type='tnt_backbone.TNT'" in log


def test_who_registers_a_tnt_after_us_is_told_who_has_the_name(run):
    done = run(f'import tnt_backbone{OWN}', [])
    assert done.returncode != 0
    assert 'TNT is already registered' in done.stderr
    assert 'tnt_backbone' in done.stderr.splitlines()[-1]
    forced = OWN.replace('register_module()', 'register_module(force=True)')
    assert run(f'import tnt_backbone{forced}', []).returncode == 0


def test_without_mmengine_the_message_names_the_extras(run_in_a_fork):
    """`pip install tnt-backbone` without an extra installs no OpenMMLab library."""
    script = 'import sys; sys.modules["mmengine"] = None; import tnt_backbone; tnt_backbone.MODELS'
    result = run_in_a_fork(script)
    assert result.returncode == 1
    assert "pip install 'tnt-backbone[openmmlab]'" in result.stderr


def test_import_does_not_import_the_libraries_or_the_compiler():
    """Each of them takes longer to import than the package."""
    script = """
import sys, torch, mmengine.model, mmengine.registry
from tnt_backbone import TNT
print(*sorted({'mmdet', 'mmseg', 'mmpretrain', 'torch._dynamo'} & set(sys.modules)))
"""
    result = subprocess.run(
        [sys.executable, '-c', script], capture_output=True, text=True, timeout=300, check=True
    )
    assert result.stdout.split() == []

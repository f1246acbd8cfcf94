"""Who finds which TNT under which name; each case in a fresh interpreter, since registries are global."""

import subprocess
import sys

import pytest

RUN = """
from mmengine.registry import MODELS, DefaultScope, init_default_scope
{prepare}
model = {registry}.build(dict(type={name!r}, arch='s'))
print(type(model).__module__)
"""

CASES = {
    # an import line (or custom_imports) and the bare name: ours, wherever the name is free
    'bare in mmdet': ("init_default_scope('mmdet'); import tnt_backbone", 'MODELS', 'TNT', 'tnt_backbone'),
    'bare in mmseg': ("init_default_scope('mmseg'); import tnt_backbone", 'MODELS', 'TNT', 'tnt_backbone'),
    'bare in mmdet registry': (
        'import tnt_backbone; from mmdet.registry import MODELS as M',
        'M',
        'TNT',
        'tnt_backbone',
    ),
    'bare in mmseg registry': (
        'import tnt_backbone; from mmseg.registry import MODELS as M',
        'M',
        'TNT',
        'tnt_backbone',
    ),
    'bare in no scope': ('import tnt_backbone', 'MODELS', 'TNT', 'tnt_backbone'),
    # the full name: ours in every scope, without an import line
    'full in mmdet': ("init_default_scope('mmdet')", 'MODELS', 'tnt_backbone.TNT', 'tnt_backbone'),
    'full in mmseg': ("init_default_scope('mmseg')", 'MODELS', 'tnt_backbone.TNT', 'tnt_backbone'),
    'full in mmpretrain': ("init_default_scope('mmpretrain')", 'MODELS', 'tnt_backbone.TNT', 'tnt_backbone'),
    'full in mmpretrain registry': (
        'from mmpretrain.registry import MODELS as M',
        'M',
        'tnt_backbone.TNT',
        'tnt_backbone',
    ),
    'full in no scope': ('', 'MODELS', 'tnt_backbone.TNT', 'tnt_backbone'),
    # mmpretrain's own class is not shadowed, whoever comes first
    "mmpretrain's own, ours first": (
        "import tnt_backbone; init_default_scope('mmpretrain'); import mmpretrain.models",
        'MODELS',
        'TNT',
        'mmpretrain',
    ),
    "mmpretrain's own, ours last": (
        "init_default_scope('mmpretrain'); import mmpretrain.models; import tnt_backbone",
        'MODELS',
        'TNT',
        'mmpretrain',
    ),
    "mmpretrain's own from mmdet": (
        "init_default_scope('mmdet'); import tnt_backbone, mmpretrain.models",
        'MODELS',
        'mmpretrain.TNT',
        'mmpretrain',
    ),
}


@pytest.mark.parametrize('case', CASES)
def test_name_resolves(case):
    prepare, registry, name, package = CASES[case]
    script = RUN.format(prepare=prepare, registry=registry, name=name)
    run = subprocess.run([sys.executable, '-W', 'ignore', '-c', script], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip().splitlines()[-1].split('.')[0] == package


def test_a_config_without_the_import_line_is_told_so():
    """Bare ``TNT`` in mmdet without ``custom_imports``: mmengine's own error names the registry."""
    script = RUN.format(prepare="init_default_scope('mmdet')", registry='MODELS', name='TNT')
    run = subprocess.run([sys.executable, '-W', 'ignore', '-c', script], capture_output=True, text=True, timeout=300)
    assert run.returncode != 0
    assert 'TNT is not in the mmdet::model registry' in run.stderr

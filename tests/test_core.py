"""The core needs torch only; importing the package costs nothing and changes nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / 'tnt_backbone'
# The rooms, lowest first: each imports only from those above it in this list.
ROOMS = (
    *(
        'version',
        'errors',
        'near_names',
        'type_names',
        'other_names',
        'whole_file',
        'log',
        'variants',
        'ops',
        'layers',
        'checkpoints',
        'pyramid',
        'backbones',
    ),
    *('registry', 'checkpoint_loaders', 'datasets', 'heads', 'engine', 'data_checks', 'run'),
    *('inferencers', 'predict', 'report', 'look', 'doors', 'exported', 'app', 'new_config'),
    *('demo', 'doctor', 'cli'),
)
CORE = ROOMS[: ROOMS.index('backbones') + 1]
OLD_NAMES = ('classification', 'segmentation', 'engine/model_index')  # of 0.1.0


def imported(file):
    """Names of the modules that a file imports, at its head or later."""
    package = ('tnt_backbone', *file.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            yield '.'.join((*base, *(node.module or '').split('.'))).rstrip('.')


def files_of(room):
    folder = PACKAGE / room
    return sorted(folder.rglob('*.py')) if folder.is_dir() else [folder.with_suffix('.py')]


@pytest.mark.parametrize('room', ROOMS)
def test_imports_go_in_one_direction(room):
    if not files_of(room)[0].exists():
        pytest.fail(f'{room} is no room')
    above = ROOMS[ROOMS.index(room) + 1 :]
    wrong = [
        f'{file.relative_to(PACKAGE)} imports {name}'
        for file in files_of(room)
        if str(file.relative_to(PACKAGE)).removesuffix('.py') not in OLD_NAMES
        for name in imported(file)
        if name.startswith('tnt_backbone.') and name.split('.')[1] in above
    ]
    assert wrong == []


def test_every_room_is_listed():
    found = {path.stem for path in PACKAGE.iterdir() if path.suffix == '.py' or path.is_dir()}
    assert found - {'__init__', '__main__', '__pycache__', 'waiting', *OLD_NAMES} == set(ROOMS)


@pytest.mark.parametrize('room', CORE)
def test_the_core_imports_torch_only(room):
    # torch requires filelock
    allowed = {*sys.stdlib_module_names, 'torch', 'filelock', 'tnt_backbone'}
    # Where they are installed: the kernels' compiler, a file format, arrays in a checkpoint.
    optional = {'ops': {'triton'}, 'checkpoints': {'safetensors', 'numpy'}}
    # mmengine's own initialisations, for those who ask for them in init_cfg
    optional['backbones'] = {'mmengine'}
    names = {name.split('.')[0] for file in files_of(room) for name in imported(file)}
    assert names <= allowed | optional.get(room, set())


def run(script):
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', script], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


BLOCKED = """
import sys
for name in ('mmengine', 'mmcv', 'mmdet', 'mmseg', 'mmpretrain', 'numpy', 'cv2', 'timm'):
    sys.modules[name] = None
"""


def test_backbones_run_without_any_of_the_libraries(tmp_path):
    script = f"""{BLOCKED}
import torch
from tnt_backbone import TNT, PyramidTNT, T2TViT
from tnt_backbone.checkpoints import load_pretrained
for family, arch in ((TNT, 'ti'), (PyramidTNT, 'ti'), (T2TViT, '7')):
    torch.manual_seed(0)
    source, path = family(arch), {str(tmp_path)!r} + '/weights.pth'
    torch.save({{'state_dict': source.state_dict()}}, path)
    model = family(arch, init_cfg=dict(type='Pretrained', checkpoint=path))
    model.init_weights()
    image = torch.randn(1, 3, 70, 90)
    maps, expected = model.eval()(image), source.eval()(image)
    assert all(torch.equal(*pair) for pair in zip(maps, expected))
    print([tuple(level.shape) for level in maps])
"""
    shapes = '[(1, 256, 18, 23), (1, 512, 9, 12), (1, 1024, 5, 6), (1, 2048, 3, 3)]'
    assert run(script).splitlines() == [shapes] * 3


def test_a_training_checkpoint_is_read_without_mmengine(checkpoint):
    script = f"""{BLOCKED.replace("'numpy', ", '')}
from tnt_backbone.checkpoints.read import read_tensors
print(list(read_tensors({str(checkpoint)!r})))
"""
    assert run(script).strip() == "['weight']"


def test_importing_the_package_imports_nothing():
    script = """
import sys
before = set(sys.modules)
import tnt_backbone
print(*sorted({name.split('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names))
"""
    assert run(script).split() == ['tnt_backbone']


def test_importing_the_backbones_leaves_torch_as_it_was():
    script = """
import torch
before = torch.serialization.get_safe_globals()
from tnt_backbone import TNT
TNT('ti')
assert torch.serialization.get_safe_globals() == before
"""
    run(script)


def test_unknown_names_are_refused():
    import tnt_backbone

    with pytest.raises(AttributeError, match="'TTN'"):
        tnt_backbone.TTN  # noqa: B018
    assert set(tnt_backbone.__all__) <= set(dir(tnt_backbone))

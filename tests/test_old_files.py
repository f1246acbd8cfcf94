"""Files of 0.1.0 still run: ``data/run_0_1_0`` was written by its tools (commit 3df6487).

A RetinaNet of two blocks was trained for two epochs on the four images of ``conftest.py``. Kept are
the config that the run wrote and the checkpoint after the first epoch.
"""

import json
from pathlib import Path

import pytest

RUN = Path(__file__).with_name('data') / 'run_0_1_0'
# Mean loss over both epochs that 0.1.0 logged at the end. The order of the images is drawn anew.
LAST_STEP, LAST_LOSS = 8, 1.628483
# What configs of 0.1.0 may import, and what they then name
OLD_IMPORTS = [
    ('mmdet', ['tnt_backbone'], 'MODELS', 'TNT'),
    ('mmdet', ['tnt_backbone.engine'], 'HOOKS', 'CompileBackboneHook'),
    ('mmdet', ['tnt_backbone.engine'], 'OPTIM_WRAPPERS', 'CpuAmpOptimWrapper'),
    ('mmdet', ['tnt_backbone.engine'], 'TRANSFORMS', 'LoadImageOrSkip'),
    ('mmdet', ['tnt_backbone.demo.peak_memory'], 'HOOKS', 'PeakMemoryHook'),
    ('mmpretrain', ['tnt_backbone.demo.max_pooling'], 'MODELS', 'GlobalMaxPooling'),
    ('mmpretrain', ['tnt_backbone.classification'], 'DATASETS', 'INaturalist'),
    ('mmseg', ['tnt_backbone.segmentation'], 'MODELS', 'Trans2SegHead'),
]


def test_a_run_goes_on(run_tool, coco_root, tmp_path):
    config, work_dir = tmp_path / 'old.py', tmp_path / 'run'
    text = (RUN / 'config.py.txt').read_text()
    config.write_text(text.replace('{data}', str(coco_root)).replace('{work_dir}', str(work_dir)))
    options = ('--resume', RUN / 'epoch_1.pth', '--work-dir', work_dir)
    done = run_tool('train.py', config, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (scalars,) = work_dir.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in scalars.read_text().splitlines()]
    losses = {line['step']: line['loss'] for line in lines if 'loss' in line}
    assert sorted(losses) == [5, 6, 7, 8]
    assert losses[LAST_STEP] == pytest.approx(LAST_LOSS, rel=1e-4)
    assert (work_dir / 'epoch_2.pth').is_file()


@pytest.mark.parametrize(('scope', 'imports', 'registry', 'name'), OLD_IMPORTS)
def test_old_names_resolve(run_in_a_fork, scope, imports, registry, name):
    script = f"""
from mmengine import registry
from mmengine.config import Config
from mmengine.utils import import_modules_from_strings
registry.init_default_scope({scope!r})
import_modules_from_strings({imports!r})
with registry.{registry}.switch_scope_and_registry(None) as found:
    assert found.get({name!r}).__module__.startswith('tnt_backbone.'), found.get({name!r})
"""
    done = run_in_a_fork(script)
    assert done.returncode == 0, done.stderr


def test_the_model_index_is_registered_under_its_old_name():
    from tnt_backbone.engine.model_index import register_model_index
    from tnt_backbone.run import model_index

    assert register_model_index is model_index.register_model_index

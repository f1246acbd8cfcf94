"""Damaged data of CreateML, CVAT, VIA, tables, Supervisely, KITTI and DOTA."""

import json
import shutil

import pytest

from tests.faults.fuzzing import damage_bytes, damage_content, fuzz
from tests.new_config.test_listed import WRITERS, make
from tnt_backbone.data_checks.coco_file import forget_coco_files
from tnt_backbone.new_config.formats import recognise
from tnt_backbone.new_config.own_data import READERS
from tnt_backbone.new_config.write_coco import write_coco

pytestmark = pytest.mark.fuzz
ENDINGS = ('.json', '.xml', '.csv', '.txt')


@pytest.mark.parametrize('kind', WRITERS)
def test_damaged_annotations(tmp_path, kind):
    whole = tmp_path / 'whole'
    make(whole, kind)

    def attempt(rng, number):
        root = tmp_path / 'own'
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(whole, root)
        files = [path for path in sorted(root.rglob('*')) if path.suffix in ENDINGS]
        files = [path for path in files if path.stat().st_size]
        path = files[int(rng.integers(len(files)))]
        if path.suffix == '.json' and number % 4:
            content = damage_content(json.loads(path.read_text()), rng)[0]
            path.write_text(json.dumps(content))
        else:
            path.write_bytes(damage_bytes(path.read_bytes(), rng))
        forget_coco_files()
        recognise(root)
        write_coco(READERS[kind.split()[0]](root), root, overwrite=True)
        return 'read'

    fuzz(attempt, f'listed_{kind.replace(" ", "_")}')

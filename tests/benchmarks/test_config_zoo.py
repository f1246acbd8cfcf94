"""docs/zoo.csv: a row per config, with what the rest of the repository says of it."""

import config_facts
import config_zoo
import pytest

from tests.conftest import ROOT
from tests.exported import test_export
from tnt_backbone.backbones import BACKBONES

NAMES = sorted(path.stem for path in ROOT.glob('configs/*.py'))
ROWS = config_zoo.read_table(config_zoo.TABLE)


def test_every_config_has_its_row():
    """If one is missing, run ``python benchmarks/config_zoo.py``."""
    assert sorted(ROWS) == NAMES
    for name, row in ROWS.items():
        assert row['task'] in ('detection', 'segmentation', 'classification')
        assert {column: row[column] for column in config_facts.FACTS} == config_facts.facts(name)
        measured = row['params_m'] and row['seconds'] and row['gmacs'] and row['memory_mib']
        assert measured or row['note'], name


def test_what_is_called_compared_is_what_the_tests_of_exports_compare():
    tested = {name for name, _ in [*test_export.CASES, *test_export.ONE_SIZE]}
    assert tested == config_facts.COMPARED
    exported = {name for name, row in ROWS.items() if row['exports'] == 'yes'}
    assert tested | config_facts.MEASURED.keys() <= exported


def test_sources_are_those_of_the_numbers():
    facts = config_facts.facts
    assert facts('detr_tnt_s_coco')['source'].startswith("TNT's paper, Table 10, https://arxiv.org")
    assert facts('t2t_vit_14_cifar10')['source'] == "README of T2T-ViT's code"
    assert facts('t2t_vit_14_cifar100')['source'].startswith("T2T-ViT's paper, Table 5")
    assert (
        facts('upernet_tnt_s_ade20k')['published'] == facts('upernet_tnt_s_ade20k')['source'] == ''
    )


@pytest.mark.parametrize('backbone', BACKBONES, ids=lambda backbone: backbone.__name__)
def test_classifiers_of_imagenet_have_the_published_size_and_cost(backbone):
    """Published with one digit; the last block of a classifier computes less than was counted."""
    names = {'TNT': 'tnt', 'PyramidTNT': 'pyramid_tnt', 'T2TViT': 't2t_vit'}
    compared = 0
    for arch, variant in backbone.VARIANTS.items():
        row = ROWS.get(f'{names[backbone.__name__]}_{arch.replace("-", "_")}_imagenet')
        if row:
            assert float(row['params_m']) == pytest.approx(variant.params_m, rel=0.01, abs=0.1)
            assert 0.9 < (float(row['gmacs']) + 0.05) / variant.flops_g < 1.12
            compared += 1
    assert compared >= 3


def test_a_table_is_read_as_it_was_written(tmp_path, monkeypatch):
    monkeypatch.setattr(config_zoo, 'measured_apart', lambda *given: pytest.fail(str(given)))
    path = tmp_path / 'zoo.csv'
    given = dict.fromkeys(config_zoo.COLUMNS, 'x, "y"') | {'config': 'tnt_s_pets'}
    config_zoo.write_table(path, {'tnt_s_pets': given})
    row = config_zoo.read_table(path)['tnt_s_pets']
    assert row['params_m'] == 'x, "y"'
    assert row['published'] == 'Top 1 Accuracy 94.7'  # facts are written anew
    assert config_zoo.read_table(tmp_path / 'none.csv') == {}

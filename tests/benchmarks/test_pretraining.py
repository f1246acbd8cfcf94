"""The order of the runs, and that all of them share one backbone."""

import pretraining
import pretraining_configs
import pytest
from study import Rows


def test_the_classifier_comes_first(tmp_path):
    rows = Rows(tmp_path / 'results.csv', pretraining.COLUMNS, len(pretraining.KEYS))
    assert pretraining.missing(rows) == [pretraining.CLASSIFY]
    rows.add(dict(zip(pretraining.KEYS, pretraining.CLASSIFY, strict=True)))
    missing = pretraining.missing(rows)
    assert len(missing) == len(set(missing)) == 3 * 2 * 2
    rows.add(dict(zip(pretraining.KEYS, missing[0], strict=True)))
    assert pretraining.missing(rows) == missing[1:]


def test_data_that_is_missing_is_named_before_the_first_run(tmp_path, capsys):
    for part in pretraining.PARTS[1:]:
        (tmp_path / part).mkdir(parents=True)
    with pytest.raises(SystemExit) as ended:
        pretraining.parse_args(['--data', str(tmp_path)])
    assert ended.value.code == 2
    assert 'cifar10/train.' in capsys.readouterr().err
    (tmp_path / pretraining.PARTS[0]).mkdir()
    assert pretraining.parse_args(['--data', str(tmp_path)]).data == tmp_path


@pytest.mark.parametrize('task', ['detect', 'segment'])
def test_the_backbone_fits_the_classifiers_weights(task, tmp_path):
    from mmengine.registry import MODELS

    import tnt_backbone.registry  # noqa: F401

    def state(name):
        cfg = pretraining_configs.CONFIGS[name](tmp_path, seed=1, steps=40)
        backbone = MODELS.build(cfg.model.backbone)
        return cfg, {key: value.shape for key, value in backbone.state_dict().items()}

    _, source = state('classify')
    cfg, target = state(task)
    assert {
        k: v for k, v in target.items() if not k.startswith('pyramid')
    }.items() <= source.items()
    assert (cfg.train_cfg.max_iters, cfg.randomness.seed) == (40, 1)
    assert cfg.model.backbone.get('frozen_stages', -1) == -1
    train, test = cfg.train_dataloader.dataset, cfg.test_dataloader.dataset
    assert train.data_root == test.data_root
    assert (train.get('ann_file'), train.data_prefix) != (test.get('ann_file'), test.data_prefix)

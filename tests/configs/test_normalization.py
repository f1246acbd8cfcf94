"""configs/*.py: mean and std are those that the published weights were trained with."""

from pathlib import Path

import pytest
from mmengine.config import Config

from tnt_backbone.checkpoints.published import PUBLISHED

PATHS = sorted((Path(__file__).parents[2] / 'configs').glob('*.py'))


def rows_of(name, backbone):
    """Return the published weights that a config makes, starts from, or has the family of."""
    if name in PUBLISHED:  # T2T-ViT on CIFAR: from ImageNet's weights, with CIFAR's mean and std
        return [PUBLISHED[name]]
    if backbone.get('init_cfg'):
        return [PUBLISHED[backbone.init_cfg.checkpoint.removeprefix('tnt://')]]
    family = backbone.type.removeprefix('tnt_backbone.')
    rows = PUBLISHED.values()
    return [row for row in rows if row.family == family and row.data == 'ImageNet-1k']


@pytest.mark.parametrize('path', PATHS, ids=[path.stem for path in PATHS])
def test_mean_and_std_are_those_of_the_weights(path):
    model = Config.fromfile(path).model
    rows = rows_of(path.stem, model.backbone)
    assert rows
    for row in rows:
        assert model.data_preprocessor.mean == list(row.mean)
        assert model.data_preprocessor.std == list(row.std)


@pytest.mark.parametrize('path', [path for path in PATHS if path.stem.endswith('_imagenet')])
def test_filled_and_erased_areas_have_the_mean_and_std_of_the_model(path):
    cfg = Config.fromfile(path)
    mean, std = cfg.model.data_preprocessor.mean, cfg.model.data_preprocessor.std
    steps = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
    assert steps['RandAugment'].hparams.pad_val == [round(value) for value in reversed(mean)]
    assert steps['RandomErasing'].fill_color == list(reversed(mean))  # the images are BGR
    assert steps['RandomErasing'].fill_std == list(reversed(std))

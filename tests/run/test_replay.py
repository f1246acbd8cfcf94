"""An iteration of a detector that diverged, repeated from what the command has kept of it."""

import math
from pathlib import Path

import pytest

from tnt_backbone.cli import train
from tnt_backbone.run.replay import replay


@pytest.mark.slow
def test_a_run_that_diverged(tiny_config, tmp_path, monkeypatch, capsys):
    """The rate is 10^30; dropout makes the random state matter."""
    monkeypatch.chdir(tmp_path)
    options = [
        'optim_wrapper.optimizer.lr=1e30',
        'model.backbone.drop_rate=0.2',
        f'experiment_name={tmp_path.name}',
        f'visualizer.name={tmp_path.name}',
    ]
    with pytest.raises(SystemExit) as ended:
        train.main(
            [str(tiny_config), '--work-dir', 'run', '--no-validate', '--cfg-options', *options]
        )
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert message.count('error:') == 1
    (path,) = Path('run/not_finite').iterdir()
    assert str(path) in message
    result = replay(str(path))
    kept = result['kept']
    assert any(not math.isfinite(value) for part in kept.values() for value in _flat(part))
    assert repr(result['losses']) == repr(kept)  # nan is not equal to itself


def _flat(part):
    return part if isinstance(part, list) else [part]

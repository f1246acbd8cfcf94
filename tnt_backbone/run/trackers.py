"""Trackers of experiments: mmengine's backends for them, so that none calls anybody unasked."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MissingPackageError
from ..type_names import type_name

if TYPE_CHECKING:
    from mmengine.config import Config

TRACKERS = {
    'tensorboard': 'TensorboardVisBackend',
    'wandb': 'WandbVisBackend',
    'mlflow': 'MLflowVisBackend',
}


def require_tracker(name: str) -> None:
    """Check that a tracker is installed; nothing is imported.

    Raises:
        ImportError: If it is not.
    """
    if find_spec(name) is None:
        raise MissingPackageError(
            f'--tracker {name} needs the package {name}. Run: pip install {name}'
        )


def add_tracker(cfg: 'Config', name: str) -> list[str]:
    """Let a run also write its numbers for a tracker (``--tracker``).

    A backend of the same kind in the config stays as it is.

    Args:
        cfg: Its visualizer is changed in place.
        name: A key of :data:`TRACKERS`.

    Returns:
        Notes for the log.

    Raises:
        ImportError: If the tracker is not installed.
    """
    require_tracker(name)
    if not cfg.get('visualizer'):
        cfg.visualizer = {'type': 'Visualizer', 'vis_backends': [{'type': 'LocalVisBackend'}]}
    kind = TRACKERS[name]
    backends = list(cfg.visualizer.get('vis_backends') or [{'type': 'LocalVisBackend'}])
    if any(type_name(backend) == kind for backend in backends):
        return [f'--tracker {name}: the config has one already, which stays as it is']
    options, note = OPTIONS[name](cfg)
    cfg.visualizer.vis_backends = [*backends, {'type': kind, **options}]
    return [note]


def _tensorboard(cfg: 'Config') -> tuple[dict[str, Any], str]:
    return {}, f'TensorBoard: tensorboard --logdir {cfg.work_dir}'


def _wandb(cfg: 'Config') -> tuple[dict[str, Any], str]:
    """Return what ``wandb.init`` gets: offline, unless the user chose otherwise or is logged in."""
    # its reports of errors go to a server even offline
    os.environ.setdefault('WANDB_ERROR_REPORTING', 'false')
    given: dict[str, Any] = {'project': Path(cfg.work_dir).name}
    if 'WANDB_MODE' in os.environ:
        return {'init_kwargs': given}, f'W&B: WANDB_MODE={os.environ["WANDB_MODE"]}'
    import wandb

    if wandb.api.api_key:
        return {'init_kwargs': given}, 'W&B: you are logged in, so the run is sent to its server'
    given['mode'] = 'offline'
    return {'init_kwargs': given}, (
        'W&B: offline, as nobody is logged in. Send a run later with wandb sync FOLDER, or run '
        'wandb login before'
    )


def _mlflow(cfg: 'Config') -> tuple[dict[str, Any], str]:
    """Return what the backend gets: a local file, unless the user named a server."""
    os.environ.setdefault('MLFLOW_DISABLE_TELEMETRY', 'true')
    options = {'exp_name': Path(cfg.work_dir).name}
    if address := os.environ.get('MLFLOW_TRACKING_URI'):
        return {**options, 'tracking_uri': address}, f'MLflow: {address}'
    folder = Path(cfg.work_dir).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    address = f'sqlite:///{folder / "mlflow.db"}'
    options |= {'tracking_uri': address, 'artifact_location': str(folder / 'mlflow_files')}
    return options, f'MLflow: mlflow ui --backend-store-uri {address}'


OPTIONS = {'tensorboard': _tensorboard, 'wandb': _wandb, 'mlflow': _mlflow}

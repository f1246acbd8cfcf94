"""What a run with a config would fail on: the look before a training, one finding per part."""

from collections.abc import Callable
from typing import Any

from ..errors import UserError
from .finding import OK, PROBLEM, Finding
from .known_errors import recognise


def check_config(path: str, options: dict[str, Any] | None) -> list[Finding]:
    """Check config, data, weights, backbone and start of a training.

    Weights that are not in the cache are downloaded, as the training would.

    Args:
        path: A config file, or the name of one of this package.
        options: ``--cfg-options``.
    """
    from ..run import preflight
    from ..run.config import read_config
    from ..run.libraries import library_of

    cfg: Any = None

    def read() -> None:
        nonlocal cfg
        cfg = read_config(path, options=options, work_dir=None, launcher='none')
        library_of(cfg)
        preflight.require_keys(cfg, preflight.TRAIN_KEYS, 'training')

    finding = _try('config', read, path)
    return [finding] if finding.status == PROBLEM else [finding, *check_parts(cfg, path)]


def check_parts(cfg: Any, path: str) -> list[Finding]:
    """Check data, weights, backbone and start of a training, each by itself.

    Args:
        cfg: The config.
        path: Its name, for messages.
    """
    from ..run.checkpoint_file import check_checkpoint, fetch_checkpoint
    from ..run.preflight import check_data
    from ..run.pretrained import check_backbones, check_pretrained

    def start() -> None:
        fetch_checkpoint(cfg)
        if cfg.get('load_from'):
            check_checkpoint(cfg.load_from, resume=bool(cfg.get('resume')))

    steps: dict[str, Callable[[], Any]] = {
        'data': lambda: check_data(cfg, ('train', 'val')),
        'weights': lambda: check_pretrained(cfg),
        'backbone': lambda: check_backbones(cfg),
        'load_from': start,
    }
    return [_try(name, step, path) for name, step in steps.items()]


def _try(name: str, step: Callable[[], Any], path: str) -> Finding:
    """Return what a step found; a mistake of the user says itself how to go on."""
    try:
        notes = step()
    except UserError as error:
        return Finding(name, PROBLEM, str(error))
    except Exception as error:  # of a library: the command shows its traceback
        text = f'{type(error).__name__}: {error}'
        known = recognise(text)
        return Finding(name, PROBLEM, text, known.fix if known else f'tnt train {path}')
    return Finding(name, OK, '\n'.join(['nothing wrong', *(notes or [])]))

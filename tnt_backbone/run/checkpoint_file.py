"""Fetch the checkpoint that a run starts from, and check it before the run."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..checkpoints import resolve_checkpoint
from ..checkpoints.convert import to_ours
from ..checkpoints.published import SCHEME
from ..checkpoints.read import read_meta, read_tensors
from ..checkpoints.usable import require_finite
from ..errors import InputError
from .config import complete_config
from .embedded_config import trusted_test_config
from .missing_checkpoint import missing_checkpoint
from .pretrained import our_backbones
from .resume import why_not_resumable

LOGS = '*/vis_data/config.py'  # what mmengine writes below the work folder of a run


def fetch_checkpoint(cfg: Config) -> None:
    """Make ``load_from`` a local file if it is a URL or a name of timm's hub.

    mmengine would load what it fetches without torch's safe reading, code included.

    Raises:
        FileNotFoundError: If it cannot be fetched.
    """
    path = cfg.get('load_from') or ''
    resumed = path.startswith(SCHEME) and cfg.get('resume')  # that loader returns only weights
    if resumed or path.startswith(('http://', 'https://', 'timm/')):
        cfg.load_from = resolve_checkpoint(path)


def check_checkpoint(path: str, *, resume: bool = False) -> None:
    """Check a checkpoint before the run starts.

    Args:
        path: A local file or ``tnt://...``; other addresses are left to the Runner.
        resume: Whether the state of a training run is needed, too.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, holds code, or what is needed is missing.
    """
    if path.startswith(SCHEME):
        path = resolve_checkpoint(path)
    if '://' in path:
        return
    if not Path(path).is_file():
        raise missing_checkpoint(path)
    if not resume:
        require_finite(read_tensors(path), path, infinite=True)
    elif (reason := why_not_resumable(path)) is not None:
        raise InputError(
            f'{reason}. --resume without a path takes the newest checkpoint of --work-dir that can '
            f'be read. For a new run from the weights of a file: --cfg-options load_from={path}'
        )


def config_of_checkpoint(
    path: str,
    *,
    trust: Collection[str],
    options: dict[str, Any] | None,
    work_dir: str | None,
    launcher: str,
) -> Config:
    """Return the config in a checkpoint, read as data, to test with it.

    Args:
        path: A local file or an address.
        trust: Types and modules that it may name although no library has them.
        options: ``--cfg-options``.
        work_dir: Folder of logs; by default the work folder of the training that wrote the
            checkpoint, if it still lies there, else ``./work_dirs/<name of the checkpoint>``.
        launcher: What started the processes.

    Raises:
        UntrustedConfigError: If it names what it must not.
        ValueError: If the checkpoint has no config.
    """
    text = read_meta(resolve_checkpoint(path)).get('cfg')
    if not isinstance(text, str):
        raise InputError(f'{path} has no config inside. Pass one: CONFIG {path}')
    cfg = trusted_test_config(text, trust=trust)
    folder = Path(path).parent
    if work_dir is None and any(folder.glob(LOGS)):
        work_dir = str(folder)  # epoch_12.pth of another run would share ./work_dirs/epoch_12
    complete_config(cfg, path, options=options, work_dir=work_dir, launcher=launcher)
    return cfg


def choose_loader(cfg: Config) -> None:
    """Put ``tnt://`` before ``load_from`` if the backbone is ours and the file is not."""
    path = cfg.get('load_from')
    if not path or '://' in path or cfg.get('resume') or not our_backbones(cfg):
        return
    try:
        form = to_ours(read_tensors(path)).form
    except ValueError:  # another model's; mmengine says what does not fit
        return
    if form.source != 'tnt_backbone':
        cfg.load_from = SCHEME + path

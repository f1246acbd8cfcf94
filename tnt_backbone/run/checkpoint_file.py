"""Find the checkpoint that a run starts from or resumes, and check it before the run."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import find_latest_checkpoint

from ..checkpoints import resolve_checkpoint
from ..checkpoints.convert import to_ours
from ..checkpoints.published import SCHEME
from ..checkpoints.read import read_meta, read_tensors
from ..checkpoints.safe_globals import training_checkpoints_are_safe
from ..checkpoints.usable import require_finite
from ..errors import InputError, MissingFileError
from .config import complete_config
from .embedded_config import trusted_test_config
from .pretrained import our_backbones


def set_resume(cfg: Config, resume: str | None) -> list[str]:
    """Choose the checkpoint that the run continues from (``--resume [auto|PATH]``).

    ``auto`` takes the last one in the work folder. If there is none yet, the run starts from the
    beginning, with the config's ``load_from`` if it has one. So ``--resume`` may always be passed
    to a job that is started several times.

    Args:
        cfg: The config; afterwards ``load_from`` names the file to start from, and ``resume``
            says whether to go on with its run.
        resume: ``'auto'``, a path, or ``None`` for what the config says.

    Returns:
        Notes for the log.

    Raises:
        FileNotFoundError: If the work folder names a last checkpoint that is not there.
    """
    if resume is None:
        if not cfg.get('resume') or cfg.get('load_from'):
            return []
        resume = 'auto'  # resume = True without load_from, in mmengine's words
    if resume != 'auto':
        cfg.resume, cfg.load_from = True, resume
        return []
    if not (Path(cfg.work_dir) / 'last_checkpoint').is_file():
        cfg.resume = False
        return [
            f'--resume: {cfg.work_dir} has no checkpoint yet. The run starts from the beginning'
        ]
    path = find_latest_checkpoint(cfg.work_dir)
    if not path or not Path(path).is_file():
        raise MissingFileError(
            f'{cfg.work_dir}/last_checkpoint names {path!r}, which does not exist. If the file was '
            'moved, pass its new path: --resume PATH. For a new run, pass another --work-dir'
        )
    cfg.resume, cfg.load_from = True, path
    return []


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
        near = sorted(str(file) for file in Path(path).parent.glob('*.pth'))
        raise MissingFileError(
            f'The checkpoint {path!r} does not exist. Checkpoints in its folder: '
            + (', '.join(near) or 'none')
        )
    require_finite(read_tensors(path), path, infinite=True)
    if not resume:
        return
    with training_checkpoints_are_safe():
        content = torch.load(path, map_location='cpu', weights_only=True)
    missing = [key for key in ('meta', 'message_hub', 'optimizer') if key not in content]
    if missing:
        raise InputError(
            f'{path} cannot be resumed, because these parts are missing: {", ".join(missing)}. For '
            f'a new run that starts from its weights, pass --cfg-options load_from={path}'
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
        work_dir: Folder of logs; by default ``./work_dirs/<name of the checkpoint>``.
        launcher: What started the processes.

    Raises:
        UntrustedConfigError: If it names what it must not.
        ValueError: If the checkpoint has no config.
    """
    text = read_meta(resolve_checkpoint(path)).get('cfg')
    if not isinstance(text, str):
        raise InputError(f'{path} has no config inside. Pass one: CONFIG {path}')
    cfg = trusted_test_config(text, trust=trust)
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

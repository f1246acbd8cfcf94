"""Find the checkpoint that a run goes on from."""

import os
import re
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..checkpoints.read import read_content, read_meta, tensors_in
from ..checkpoints.usable import require_finite
from ..errors import InputError, MissingFileError

RESTARTS = 'TORCHELASTIC_RESTART_COUNT'  # set by torchrun
STARTED = 'TNT_RUN_STARTED'  # set by tools/_torchrun.py, in nanoseconds
NEEDED = ('meta', 'message_hub', 'optimizer')


def why_not_resumable(path: str | Path) -> str | None:
    """Read a checkpoint as a whole, and return what is wrong with it, or ``None``.

    The checksums of all its parts are compared, and its weights must be numbers.

    Args:
        path: A local file.
    """
    path = str(path)
    try:
        content = read_content(path)
        require_finite(tensors_in(content, path), path, infinite=True)
    except (InputError, OSError) as error:
        return str(error)
    if missing := [key for key in NEEDED if key not in content]:
        return f'{path} lacks what a training needs: {", ".join(missing)}'
    return None


def set_resume(cfg: Config, resume: str | None, *, since: int = 0) -> list[str]:
    """Choose the checkpoint that the run continues from (``--resume [auto|PATH]``).

    ``auto`` takes the newest in the work folder that can be read. If there is none yet, the run
    starts from the beginning, with the config's ``load_from`` if it has one. So ``--resume`` may
    always be passed to a job that is started several times.

    Args:
        cfg: The config; afterwards ``load_from`` names the file to start from, and ``resume``
            says whether to go on with its run. Without a seed of its own, the run keeps that of the
            file: the order of the images depends on it.
        resume: ``'auto'``, a path, or ``None`` for what the config says.
        since: Leave out older files, in nanoseconds of the system's clock.

    Returns:
        Notes for the log.

    Raises:
        FileNotFoundError: If the work folder names a last checkpoint that is not there.
        ValueError: If there are checkpoints, and none of them can be read.
    """
    if resume is None:
        if not cfg.get('resume') or cfg.get('load_from'):
            return []
        resume = 'auto'  # resume = True without load_from, in mmengine's words
    notes: list[str] = []
    if resume == 'auto':
        found, notes = find_newest(cfg, since=since)
        if found is None:
            cfg.resume = False
            return [
                *notes,
                f'--resume: {cfg.work_dir} has no checkpoint yet. The run starts at the beginning',
            ]
        resume = found
    cfg.resume, cfg.load_from = True, resume
    _keep_seed(cfg, resume)
    return notes


def set_resume_of_restart(cfg: Config, resume: str | None) -> list[str]:
    """Choose the checkpoint that a run continues from, also when torchrun has restarted it.

    Then it goes on from the newest checkpoint that it has written since it was started, or else
    does what its command line says, as the first time.

    Args:
        cfg: See :func:`set_resume`.
        resume: See :func:`set_resume`.

    Returns:
        Notes for the log.

    Raises:
        FileNotFoundError: See :func:`set_resume`.
        ValueError: See :func:`set_resume`.
    """
    restarts, started = (int(os.environ.get(name, 0)) for name in (RESTARTS, STARTED))
    if not restarts or not started:
        return set_resume(cfg, resume)
    note = f'Restart {restarts} of {os.environ.get("TORCHELASTIC_MAX_RESTARTS")} after a failure'
    if resume != 'auto':
        found, notes = find_newest(cfg, since=started)
        if found is not None:
            return [note, *notes, *set_resume(cfg, found)]
    return [note, *set_resume(cfg, resume)]


def find_newest(cfg: Config, *, since: int = 0) -> tuple[str | None, list[str]]:
    """Return the newest checkpoint of a run that can be read, and what was passed over.

    Args:
        cfg: The config, with ``work_dir``.
        since: See :func:`set_resume`.

    Raises:
        FileNotFoundError: See :func:`set_resume`.
        ValueError: See :func:`set_resume`.
    """
    last = _last_checkpoint(cfg)
    if last and '://' in last:  # in an object store
        return last, []
    files = [path for path in _newest_first(cfg, last) if path.stat().st_mtime_ns >= since]
    skipped: list[str] = []
    for path in files:
        if (reason := why_not_resumable(path)) is None:
            return str(path), [f'--resume: skipped {text}' for text in skipped]
        skipped.append(reason)
    if skipped:
        raise InputError(
            f'no checkpoint in {cfg.work_dir} can be resumed from:\n  '
            + '\n  '.join(skipped)
            + '\nFor a new run, pass another --work-dir or leave --resume out'
        )
    if last and not since and not Path(last).is_file():
        raise MissingFileError(
            f'{cfg.work_dir}/last_checkpoint names {last!r}, which does not exist. If the file was '
            'moved, pass its new path: --resume PATH. For a new run, pass another --work-dir'
        )
    return None, []


def _last_checkpoint(cfg: Config) -> str | None:
    """Return what mmengine noted as the last one; a killed process may have left that empty."""
    note = Path(cfg.work_dir) / 'last_checkpoint'
    return note.read_text(errors='replace').strip() or None if note.is_file() else None


def _newest_first(cfg: Config, last: str | None) -> list[Path]:
    """Return the checkpoints of a run.

    The times of the files decide: a folder may also hold later epochs of an older run. In a folder
    that was copied, the times are those of the copying, so the one that mmengine noted as the last
    is only passed over for one that is later by its number, too.
    """
    hook: dict[str, Any] = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    folder = Path(cfg.work_dir)
    if hook.get('out_dir'):
        folder = Path(hook['out_dir']) / folder.absolute().name
    template = hook.get('filename_tmpl')
    pattern = re.escape(template).replace(r'\{\}', r'\d+') if template else r'(epoch|iter)_\d+\.pth'
    files = [path for path in folder.glob('*') if re.fullmatch(pattern, path.name)]
    files.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    if not last:
        return files
    noted = folder / Path(last).name
    if not files and Path(last).is_file():  # where the config that has been changed wrote it
        files.append(Path(last))
    elif noted in files and _number(files[0]) <= _number(noted):
        files.remove(noted)
        files.insert(0, noted)
    return files


def _number(path: Path) -> int:
    numbers = re.findall(r'\d+', path.stem)
    return int(numbers[-1]) if numbers else 0


def _keep_seed(cfg: Config, path: str) -> None:
    """Give the samplers the seed of the run; mmengine would, but after it has built them."""
    randomness = cfg.get('randomness') or {}
    if randomness.get('seed') is not None or not Path(path).is_file():
        return
    try:
        seed = read_meta(path).get('seed')
    except InputError:  # said by check_checkpoint
        return
    if seed is not None:
        cfg.randomness = {**randomness, 'seed': seed}

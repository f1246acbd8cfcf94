"""Find what a run has left: the numbers of its test, the logs of its training, its config."""

from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError, MissingFileError
from .results import FILE, Results, read_results
from .training import LOG, Training, read_training

CONFIG = Path('vis_data', 'config.py')


@dataclass
class Run:
    """One run.

    Attributes:
        name: What it is called on the page.
        folder: Where its page belongs.
        results: Of its last test, or ``None``.
        training: Or ``None``.
        config: Text of the config, or ``''``.
        notes: What the reader should know.
    """

    name: str
    folder: Path
    results: Results | None
    training: Training | None
    config: str
    notes: list[str] = field(default_factory=list)


def find_run(path: str | Path) -> Run:
    """Return what a run has left.

    Args:
        path: A work folder, the folder of one log in it, or a ``report.json``.

    Raises:
        FileNotFoundError: If there is no such folder, or it is no run's.
        ValueError: If what is there is damaged.
    """
    path = Path(path)
    if path.is_file() and path.name == FILE.name:
        path = path.parent.parent
    elif path.is_file():
        raise InputError(
            f'{path} is no run. Pass the work folder of a training or a test, such as {path.parent}'
        )
    if not path.is_dir():
        raise MissingFileError(
            f'the run {str(path)!r} does not exist. Pass the work folder of a training or a test'
        )
    files = [path / FILE] if (path / FILE).is_file() else sorted(path.glob(f'*/{FILE}'))
    results = read_results(files[-1]) if files else None
    log = files[-1].parent.parent if files else path
    work_dir = log.parent if files or (path / LOG).is_file() else path
    until = log.name if log != work_dir else None  # a test measures what was trained before
    training = _training(work_dir, results, until)
    if results is None and training is None:
        raise MissingFileError(
            f'{path} has no {FILE} of a test and no {LOG} of a training, neither itself nor in '
            'the folders in it. Run: tnt test CHECKPOINT'
        )
    config = results.config if results else ''
    if not config and training and (training.folder / CONFIG).is_file():
        config = (training.folder / CONFIG).read_text(encoding='utf-8', errors='replace')
    name = f'{work_dir.absolute().name}/{log.name}' if results else path.absolute().name
    return Run(name, log, results, training, config, _notes(results, training))


def _training(work_dir: Path, results: Results | None, until: str | None) -> Training | None:
    """Return the training of a tested checkpoint, else the one in the work folder."""
    if results and results.checkpoint and Path(results.checkpoint).is_file():
        training = read_training(Path(results.checkpoint).parent, until)
        if training:
            return training
    return read_training(work_dir, until)


def _notes(results: Results | None, training: Training | None) -> list[str]:
    notes = [*(results.notes if results else ()), *(training.notes if training else ())]
    if results is None:
        notes.append('No test has been run with this version. Run: tnt test CHECKPOINT')
    if training is None:
        notes.append('No log of a training was found beside the checkpoint or in the run')
    return notes

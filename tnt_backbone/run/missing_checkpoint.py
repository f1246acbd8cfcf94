"""The error of a checkpoint that is not there; imported by commands before PyTorch."""

from pathlib import Path

from ..errors import MissingFileError


def missing_checkpoint(path: str) -> MissingFileError:
    """Return the error of a checkpoint that is not there, which lists those in its folder."""
    near = sorted(str(file) for file in Path(path).parent.glob('*.pth') if file.is_file())
    return MissingFileError(
        f'The checkpoint {path!r} was not found. Checkpoints in its folder: '
        + (', '.join(near) or 'none')
    )

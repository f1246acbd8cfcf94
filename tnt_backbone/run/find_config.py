"""Where a config lies, and which one was probably meant."""

import difflib
from pathlib import Path

CONFIGS = Path(__file__).parents[2] / 'configs'  # of a checkout; an installed package has none


def require_config(path: str) -> None:
    """Check that a config is there.

    Raises:
        FileNotFoundError: If there is no such file; the text has names that are near.
    """
    if not Path(path).is_file():
        wrong = 'is a folder' if Path(path).is_dir() else 'does not exist'
        raise FileNotFoundError(f'the config {path!r} {wrong}. {_near_names(Path(path))}')


def _near_names(path: Path) -> str:
    folders = [folder for folder in (path.parent, CONFIGS) if folder.is_dir()]
    files = {str(file) for folder in folders for file in folder.glob('*.py')}
    by_name = {Path(file).name: file for file in sorted(files)}
    near = difflib.get_close_matches(path.name, by_name, n=3, cutoff=0.5)
    if near:
        return 'Did you mean ' + ' or '.join(by_name[name] for name in near) + '?'
    return f'Configs that exist: {", ".join(sorted(by_name.values()))}' if by_name else ''

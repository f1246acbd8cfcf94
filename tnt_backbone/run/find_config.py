"""Find a config by its path or name, and suggest similar ones."""

import difflib
from importlib.util import find_spec
from pathlib import Path

from ..errors import MissingFileError

PACKAGE = Path(__file__).parents[1]


def home() -> Path:
    """Return the folder with ``configs/``, ``tools/`` and ``model-index.yml``.

    A checkout has them beside the package. A wheel has them in ``tnt_backbone/.mim``, where
    OpenMMLab's tools look for them.
    """
    checkout = PACKAGE.parent
    return checkout if (checkout / 'model-index.yml').is_file() else PACKAGE / '.mim'


CONFIGS = home() / 'configs'


def find_config(path: str) -> str:
    """Return the path of a config file.

    Args:
        path: A path, the name of a config of this package, such as ``retinanet_tnt_s_coco``, or
            ``mmdet::retinanet/retinanet_r50_fpn_1x_coco.py`` for a config of an installed library.

    Raises:
        FileNotFoundError: If there is no such file. The text has names that are near.
    """
    library, separator, name = path.rpartition('::')
    if separator:
        return _find_in_library(library, name)
    if Path(path).is_file():
        return path
    of_package = CONFIGS / f'{path.removesuffix(".py")}.py'
    if Path(path).name == path and of_package.is_file():
        return str(of_package)
    if Path(path).is_dir():
        raise MissingFileError(
            f'The config {path!r} is a folder. Pass a config file. If the folder holds your data, '
            f'tnt new OUT.py --from CONFIG --backbone NAME --data {path} makes one'
        )
    raise MissingFileError(f'The config {path!r} does not exist. {_near_names(Path(path))}')


def _find_in_library(library: str, name: str) -> str:
    spec = find_spec(library)
    if spec is None or spec.origin is None:
        raise MissingFileError(
            f'The config {library}::{name} was not found, because {library} is not installed. '
            'Libraries with configs: mmdet, mmseg, mmpretrain. Or pass a path'
        )
    configs = Path(spec.origin).parent / '.mim' / 'configs'
    path = configs / name
    if not path.is_file():
        near = _did_you_mean(
            path,
            {file: f'{library}::{file.relative_to(configs)}' for file in configs.rglob('*.py')},
        )
        beside = ', '.join(sorted(file.name for file in path.parent.glob('*.py'))[:8])
        raise MissingFileError(
            f'The config {library}::{name} was not found. '
            + (near or f'Configs in its folder: {beside or "none"}')
        )
    return str(path)


def _near_names(path: Path) -> str:
    folders = (CONFIGS, path.parent, path.parent / 'configs')
    found = {file: str(file) for folder in folders for file in folder.glob('*.py')}
    return _did_you_mean(path, found) or 'Pass a path, or a name that `tnt configs` lists'


def _did_you_mean(path: Path, files: dict[Path, str]) -> str:
    """Return a question with the files whose names are near, without their endings."""
    by_stem = {file.stem: shown for file, shown in files.items()}
    near = difflib.get_close_matches(path.name.removesuffix('.py'), by_stem, n=3, cutoff=0.6)
    return f'Did you mean {" or ".join(by_stem[stem] for stem in near)}?' if near else ''

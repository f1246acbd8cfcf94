"""Our models under their names in MMPretrain: ``get_model`` and ``inference_model`` find them."""

from pathlib import Path

import mmengine

from ..errors import MissingFileError
from .find_config import home

INDEX = 'model-index.yml'
TASK = 'Image Classification'  # of all models of a file of the index, or of none


def register_model_index(root: Path | str | None = None) -> None:
    """Tell MMPretrain the classifiers of ``model-index.yml``; a second call does nothing.

    Then ``mmpretrain.get_model('tnt_s_imagenet')`` works as for MMPretrain's own models. It cannot
    build detectors and segmentation models, so their files of the index are passed over.

    Args:
        root: Folder with ``model-index.yml`` and ``configs/``; by default those of this
            package.

    Raises:
        FileNotFoundError: If the index is not there.
        ValueError: If another index has a model with one of the names.
    """
    folder = home() if root is None else Path(root)
    index = folder / INDEX
    if not index.is_file():
        raise MissingFileError(
            f'{INDEX} is not in {folder}. Pass the folder of a checkout: '
            "register_model_index('/path/to/the/clone')"
        )
    from mmpretrain.apis.model import ModelHub  # takes seconds; only who calls this needs it
    from modelindex.load_model_index import load

    for file in mmengine.load(index)['Import']:
        models = load(str(folder / file)).models
        tasks = {result.task for model in models for result in model.results}
        if tasks == {TASK} and not all(ModelHub.has(model.name) for model in models):
            ModelHub.register_model_index(folder / file, config_prefix=folder)

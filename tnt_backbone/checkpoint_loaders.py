"""How mmengine reads checkpoints: its own safely, and those of other sources after ``tnt://``.

mmengine loads the tensors whose names it knows, which are none in a file of the authors or of timm.
It chooses a loader from the prefix of a file name. After our prefix ``tnt://`` stands a published
name, a URL or a path, and our loader returns the names of OpenMMLab's models.

The package imports this file when mmengine's loaders exist (``waiting.py``).
"""

import logging
from typing import Any

from mmengine.runner import checkpoint as mmengine_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader

from .checkpoints import resolve_checkpoint
from .checkpoints.convert import from_ours, to_ours
from .checkpoints.published import SCHEME
from .checkpoints.read import read_tensors
from .checkpoints.safe_globals import training_checkpoints_are_safe

_load_from_local = mmengine_checkpoint.load_from_local


@CheckpointLoader.register_scheme(prefixes='', force=True)
def load_from_local(filename: str, map_location: Any = None) -> Any:
    """Read a local checkpoint with mmengine's loader, after allowing what its checkpoints hold.

    Without that, mmengine cannot read the checkpoints that it wrote. OpenMMLab's inference APIs
    also open checkpoints with this loader.

    Args:
        filename: The file.
        map_location: Of ``torch.load``.
    """
    with training_checkpoints_are_safe():
        return _load_from_local(filename, map_location)


@CheckpointLoader.register_scheme(prefixes=SCHEME, force=True)
def load_from_published(
    filename: str,
    map_location: Any = None,
    logger: logging.Logger | str | None = None,
) -> dict[str, Any]:
    """Load weights of any source as those of a full model: ``backbone.*`` and ``head.fc.*``.

    Args:
        filename: What :func:`tnt_backbone.checkpoints.resolve_checkpoint` takes.
        map_location: Not used: the tensors are on the CPU, and are copied from there.
        logger: Not used.

    Raises:
        FileNotFoundError: If the file is not there and cannot be fetched.
        ValueError: If it holds no weights in a form that is known.
    """
    tensors = read_tensors(resolve_checkpoint(filename))
    return {'state_dict': from_ours(to_ours(tensors), 'tnt_backbone')}

"""Checkpoints of others in ``load_from``, ``tools/test.py`` and mmpretrain's ``get_model``.

mmengine loads a checkpoint by its keys, and would take none from a file of the authors or of timm.
It lets a prefix choose the loader: behind ``tnt://`` stands a published name, a URL or a path, and
what comes out has the names of a model of OpenMMLab.
"""

import logging
from typing import Any

from mmengine.config import Config
from mmengine.runner.checkpoint import CheckpointLoader

from ..checkpoints import resolve_checkpoint
from ..checkpoints.convert import from_ours, to_ours
from ..checkpoints.published import SCHEME
from ..checkpoints.read import read_tensors
from .pretrained import our_backbones


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


def choose_loader(cfg: Config) -> None:
    """Put ``tnt://`` before ``load_from`` where the backbone is ours and the file is not."""
    path = cfg.get('load_from')
    if not path or '://' in path or cfg.get('resume') or not our_backbones(cfg):
        return
    try:
        form = to_ours(read_tensors(path)).form
    except ValueError:  # another model's; mmengine says what does not fit
        return
    if form.source != 'tnt_backbone':
        cfg.load_from = SCHEME + path

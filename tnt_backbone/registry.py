"""Makes the backbones' names known to mmengine.

mmengine imports this module by itself when a config says ``type='tnt_backbone.TNT'``, in any
library. The bare ``type='TNT'`` needs ``import tnt_backbone`` (``custom_imports`` in a config) and
resolves wherever no nearer registry has the name: in MMDetection and MMSegmentation, not in
MMPretrain, whose own ``TNT`` stays.

A program that has registered a ``TNT`` of its own in mmengine's root registry keeps it, with a
warning. If it registers one afterwards, mmengine refuses the name: import ``tnt_backbone`` after it
(in ``custom_imports``, name it last), or register with ``force=True``. ``tnt_backbone.TNT`` is ours
in any case.
"""

import logging
from importlib.util import find_spec

from .errors import MissingPackageError

if find_spec('mmengine') is None:  # it has two names on PyPI, so that setup.py requires neither
    raise MissingPackageError(
        "tnt_backbone.registry needs mmengine: pip install 'tnt-backbone[openmmlab]', or "
        "'tnt-backbone[onedl]' for the maintained forks. The backbones need torch only: "
        'from tnt_backbone import TNT'
    )

from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import Registry

from .backbones import BACKBONES
from .log import log

MODELS = Registry('model', parent=ROOT_MODELS, scope='tnt_backbone')

for _backbone in BACKBONES:
    MODELS.register_module(module=_backbone)
    _name = _backbone.__name__
    _theirs = ROOT_MODELS.module_dict.get(_name)
    if _theirs is None:
        ROOT_MODELS.register_module(module=_backbone)
    elif _theirs is not _backbone:
        log(
            f'type={_name!r} in a config means {_theirs.__module__}.{_theirs.__qualname__}, which '
            f"was registered before. For our backbone, write type='tnt_backbone.{_name}'",
            level=logging.WARNING,
        )

"""Makes the backbones' names known to mmengine.

mmengine imports this module by itself when a config says ``type='tnt_backbone.TNT'``, in any
library. The bare ``type='TNT'`` needs ``import tnt_backbone`` (``custom_imports`` in a config) and
resolves wherever no nearer registry has the name: in MMDetection and MMSegmentation, not in
MMPretrain, whose own ``TNT`` stays.
"""

from importlib.util import find_spec

if find_spec('mmengine') is None:  # it has two names on PyPI, so that setup.py requires neither
    raise ImportError(
        "tnt_backbone.registry needs mmengine: pip install 'tnt-backbone[openmmlab]', or "
        "'tnt-backbone[onedl]' for the maintained forks. The backbones need torch only: "
        'from tnt_backbone import TNT'
    )

from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import Registry

from .backbones import BACKBONES

MODELS = Registry('model', parent=ROOT_MODELS, scope='tnt_backbone')

for _backbone in BACKBONES:
    MODELS.register_module(module=_backbone)
    ROOT_MODELS.register_module(module=_backbone)

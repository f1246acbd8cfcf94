"""Makes the backbones' names known.

mmengine imports this module by itself when a config says ``type='tnt_backbone.TNT'``, in any
library. The bare ``type='TNT'`` needs ``import tnt_backbone`` (``custom_imports`` in a config) and
resolves wherever no nearer registry has the name: in MMDetection and MMSegmentation, not in
MMPretrain, whose own ``TNT`` stays.
"""

from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import Registry

from .backbones import TNT, PyramidTNT, T2TViT
from .checkpoints.mmengine_state import allow_mmengine_checkpoints

MODELS = Registry('model', parent=ROOT_MODELS, scope='tnt_backbone')

BACKBONES = (TNT, PyramidTNT, T2TViT)  # the contract tests run over these

for _backbone in BACKBONES:
    MODELS.register_module(module=_backbone)
    ROOT_MODELS.register_module(module=_backbone)

# OpenMMLab's inference APIs open checkpoints without any tool of ours.
allow_mmengine_checkpoints()

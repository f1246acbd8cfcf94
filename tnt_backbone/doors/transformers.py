"""The backbones in Hugging Face's transformers: ``AutoBackbone.from_config(config)``.

Importing this file registers ``model_type='tnt_backbone'``, so that models of transformers that
take a backbone's config can use ours. ``TokenBackboneModel.save_pretrained`` and
``from_pretrained`` write and read local folders. ``AutoBackbone.from_pretrained`` of transformers
5.24 is not for local folders: it asks the Hub first.
"""

from typing import Any

from torch import Tensor, nn
from transformers import AutoBackbone, AutoConfig, PreTrainedConfig, PreTrainedModel
from transformers.backbone_utils import BackboneConfigMixin, BackboneMixin
from transformers.modeling_outputs import BackboneOutput

from ..backbones import BACKBONES
from ..errors import InputError

FAMILIES = {family.__name__: family for family in BACKBONES}
STAGES = ('stem', 'level1', 'level2', 'level3', 'level4')  # the first is never returned


class TokenBackboneConfig(BackboneConfigMixin, PreTrainedConfig):
    """Says which backbone is meant.

    Args:
        family: ``'TNT'``, ``'PyramidTNT'`` or ``'T2TViT'``.
        arch: Name of a variant.
        options: Other arguments of the backbone, such as ``img_size``.
        out_indices: Levels of the pyramid, from 1 (stride 4) to 4 (stride 32); transformers counts
            the stem as 0.
        out_features: The same by name: ``'level1'`` to ``'level4'``.
    """

    model_type = 'tnt_backbone'

    def __init__(
        self,
        family: str = 'TNT',
        arch: str = 's',
        options: dict[str, Any] | None = None,
        out_indices: list[int] | None = None,
        out_features: list[str] | None = None,
        **others: Any,
    ) -> None:
        super().__init__(**others)
        if family not in FAMILIES:
            raise InputError(f'family={family!r} must be one of {", ".join(FAMILIES)}')
        self.family = family
        self.arch = arch
        self.options = dict(options or {})
        self.stage_names = list(STAGES)
        if out_indices is None and out_features is None:
            out_features = list(STAGES[1:])
        self.set_output_features_output_indices(out_features=out_features, out_indices=out_indices)


class TokenBackboneModel(BackboneMixin, PreTrainedModel):
    """A backbone as transformers uses it.

    Args:
        config: Says which one.
    """

    config_class = TokenBackboneConfig
    base_model_prefix = 'backbone'
    main_input_name = 'pixel_values'
    has_attentions = False

    def __init__(self, config: TokenBackboneConfig) -> None:
        super().__init__(config)
        levels = [index % len(STAGES) - 1 for index in config.out_indices]
        if min(levels) < 0:
            raise InputError('the stem is not a map: out_indices are 1 to 4')
        family = FAMILIES[config.family]
        self.backbone = family(config.arch, out_indices=tuple(levels), **config.options)
        widths = dict(zip(levels, self.backbone.out_channels, strict=True))
        self.num_features = [widths.get(i - 1, 0) for i in range(len(STAGES))]
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Initialise a module that a file has not, or not in whole.

        transformers built it without memory. It calls this for each such module, inner ones first.
        """
        reset = getattr(module, 'reset_parameters', None)
        if callable(reset) and module is not self.backbone:
            reset()
        self.backbone._init_module(module)

    def forward(self, pixel_values: Tensor, **_: Any) -> BackboneOutput:
        """Map images ``(B, C, H, W)`` to feature maps, the finest first."""
        return BackboneOutput(feature_maps=tuple(self.backbone(pixel_values)))


AutoConfig.register(TokenBackboneConfig.model_type, TokenBackboneConfig)
AutoBackbone.register(TokenBackboneConfig, TokenBackboneModel)

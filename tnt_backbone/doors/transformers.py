"""The backbones in Hugging Face's transformers: ``AutoBackbone.from_config(config)``.

Importing this file registers ``model_type='tnt_backbone'``, so that models of transformers that
take a backbone's config can use ours. ``TokenBackboneModel.save_pretrained`` and
``from_pretrained`` write and read local folders. ``AutoBackbone.from_pretrained`` of transformers
5.24 is not for local folders: it asks the Hub first.
"""

import inspect
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoBackbone, AutoConfig, PreTrainedConfig, PreTrainedModel
from transformers.backbone_utils import BackboneConfigMixin, BackboneMixin
from transformers.modeling_outputs import BackboneOutput

from ..backbones import BACKBONES, PyramidTNT
from ..errors import InputError
from .stages import record_stages

FAMILIES = {family.__name__: family for family in BACKBONES}
STAGES = ('stem', 'stage1', 'stage2', 'stage3', 'stage4')  # the first is never returned
# What the door itself sets: the outputs, and where weights come from
NO_OPTIONS = ('self', 'arch', 'out_type', 'out_indices', 'pretrained', 'init_cfg')


class TokenBackboneConfig(BackboneConfigMixin, PreTrainedConfig):
    """Says which backbone is meant.

    Args:
        family: ``'TNT'``, ``'PyramidTNT'`` or ``'T2TViT'``.
        arch: Name of a variant.
        options: Other arguments of the backbone, such as ``img_size``.
        out_indices: Levels of the pyramid, from 1 (stride 4) to 4 (stride 32); transformers counts
            the stem as 0. Default: the last, as in all of transformers' backbones.
        out_features: The same by name: ``'stage1'`` to ``'stage4'``.

    Raises:
        ValueError: If the family is unknown, or has no such option.
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
        if family not in FAMILIES:
            raise InputError(f'family={family!r} must be one of {", ".join(FAMILIES)}')
        allowed = [
            name
            for name in inspect.signature(FAMILIES[family]).parameters
            if name not in NO_OPTIONS
        ]
        if unknown := sorted(set(options or {}) - set(allowed)):
            raise InputError(
                f'options has {", ".join(unknown)}: allowed are {", ".join(allowed)}. '
                'out_indices and out_features are arguments of the config itself'
            )
        if astray := sorted(set(others) & set(allowed)):
            given = ', '.join(f'{name}={others[name]!r}' for name in astray)
            raise InputError(f'{given} would have no effect here. Pass options=dict({given})')
        super().__init__(**others)
        self.family = family
        self.arch = arch
        self.options = dict(options or {})
        self.stage_names = list(STAGES)
        self.set_output_features_output_indices(out_features=out_features, out_indices=out_indices)

    @property
    def depths(self) -> list[int]:
        """The number of blocks that run between the maps of one stage and the next."""
        family = FAMILIES[self.family]
        with torch.device('meta'):  # without memory
            backbone = family(self.arch, **self.options)
        if isinstance(backbone, PyramidTNT):
            return list(backbone.depths)
        ends = [0, *(max(tap + 1, 0) for tap in backbone.taps)]  # T2T-ViT's first have no block
        return [end - start for start, end in pairwise(ends)]


class TokenBackboneModel(BackboneMixin, PreTrainedModel):
    """A backbone as transformers uses it.

    Args:
        config: Says which one.
    """

    config_class = TokenBackboneConfig
    base_model_prefix = 'backbone'
    main_input_name = 'pixel_values'
    has_attentions = False
    supports_gradient_checkpointing = True
    _supports_sdpa = True  # what the backbones use, and all that they have
    # what device_map must keep on one device
    _no_split_modules = ('TNTBlock', 'PyramidTNTStage', 'TransformerBlock', 'TokensToToken')

    def __init__(self, config: TokenBackboneConfig) -> None:
        super().__init__(config)
        levels = [index % len(STAGES) - 1 for index in config.out_indices]
        if min(levels) < 0:
            raise InputError('the stem is not a map: out_indices are 1 to 4')
        family = FAMILIES[config.family]
        self.backbone = family(config.arch, out_indices=tuple(levels), **config.options)
        self.num_features = [0, *self.backbone.level_channels]  # none of the stem
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Initialise a module that a file has not, or not in whole.

        transformers built it without memory. It calls this for each such module, inner ones first.
        """
        reset = getattr(module, 'reset_parameters', None)
        if callable(reset) and module is not self.backbone:
            reset()
        self.backbone._init_module(module)

    @property
    def gradient_checkpointing(self) -> bool:
        """Whether the backward pass computes each block again: the backbone's ``with_cp``."""
        return self.backbone.with_cp

    @gradient_checkpointing.setter
    def gradient_checkpointing(self, enable: bool) -> None:
        self.backbone.with_cp = enable

    def get_input_embeddings(self) -> nn.Module:
        """Return the first module that the image passes."""
        return next(part for part in self.backbone._embedding() if isinstance(part, nn.Module))

    def forward(
        self,
        pixel_values: Tensor,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        return_dict: bool | None = None,
        **_: Any,
    ) -> BackboneOutput | tuple[Any, ...]:
        """Map images ``(B, C, H, W)`` to feature maps, the finest first.

        Args:
            pixel_values: The images, normalised.
            output_hidden_states: Also return the tokens ``(B, P+N, C)`` of the embedding and
                behind each block (PyramidTNT: stage) that was built.
            output_attentions: Must not be true: attention is never held as a matrix.
            return_dict: ``False`` returns a tuple.

        Raises:
            ValueError: If attentions are asked for.
        """

        def asked(value: bool | None, name: str, default: bool) -> bool:
            return getattr(self.config, name, default) if value is None else value

        if output_attentions:
            raise InputError(
                f'output_attentions={output_attentions!r}: attention is never held as a matrix. '
                'Leave it out. "tnt look" shows the attention of a model of this project'
            )
        stages = list(self.backbone._stages())
        with_hidden = asked(output_hidden_states, 'output_hidden_states', False)
        wanted = range(-1, len(stages)) if with_hidden and stages else ()
        with record_stages(stages, wanted) as found:
            maps = tuple(self.backbone(pixel_values))
        output = BackboneOutput(
            feature_maps=maps, hidden_states=tuple(found.values()) if with_hidden else None
        )
        return output if asked(return_dict, 'return_dict', True) else output.to_tuple()


AutoConfig.register(TokenBackboneConfig.model_type, TokenBackboneConfig)
AutoBackbone.register(TokenBackboneConfig, TokenBackboneModel)

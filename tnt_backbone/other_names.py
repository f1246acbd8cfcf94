"""What other libraries call the arguments of a backbone, and what this package calls them.

The table holds names of mmpretrain, mmdet, mmseg, timm, detectron2, transformers and the authors.
"""

import dataclasses
import inspect
from typing import Any

from .near_names import did_you_mean

# their name: ours, in the order of preference; 'arch.X' is a field of the dict that arch may be
RENAMED: dict[str, tuple[str, ...]] = {
    # which variant
    **dict.fromkeys(('model_name', 'model_type', 'variant'), ('arch',)),
    # images
    **dict.fromkeys(('in_chans', 'in_ch', 'num_channels'), ('in_channels',)),
    **dict.fromkeys(('image_size', 'input_size', 'pretrain_img_size'), ('img_size',)),
    **dict.fromkeys(('first_stride', 'in_stride', 'inner_stride'), ('word_stride',)),
    'patch_sizes': ('patch_size',),
    # dimensions
    **dict.fromkeys(
        ('embed_dim', 'embed_dims', 'embed_dims_outer', 'hidden_size', 'outer_dim'),
        ('arch.embed_dims', 'arch.sentence_dims'),
    ),
    **dict.fromkeys(('inner_dim', 'in_dim', 'embed_dims_inner'), ('arch.word_dims',)),
    **dict.fromkeys(
        ('depth', 'depths', 'num_layers', 'num_hidden_layers', 'n_layer'),
        ('arch.depth', 'arch.depths'),
    ),
    **dict.fromkeys(
        ('num_heads', 'num_heads_outer', 'num_attention_heads', 'outer_num_heads', 'outer_head'),
        ('arch.num_heads', 'arch.sentence_heads'),
    ),
    **dict.fromkeys(
        ('num_heads_inner', 'in_num_head', 'inner_num_heads', 'inner_head'), ('arch.word_heads',)
    ),
    **dict.fromkeys(
        ('mlp_ratio', 'mlp_ratios', 'ffn_ratio', 'feedforward_channels', 'intermediate_size'),
        ('arch.mlp_ratio',),
    ),
    **dict.fromkeys(('qkv_bias', 'sr_ratios'), ()),  # of arch, under the same name
    **dict.fromkeys(('t2t_cfg', 'tokens_type'), ('arch.token_attention', 'arch.token_dims')),
    'token_dim': ('arch.token_dims',),
    'layer_cfgs': ('arch.num_heads', 'arch.sentence_heads', 'arch.mlp_ratio'),
    # outputs
    **dict.fromkeys(
        ('global_pool', 'final_norm', 'with_cls_token', 'class_token', 'features_only'),
        ('out_type',),
    ),
    **dict.fromkeys(('out_features', 'out_layers', 'return_layers'), ('out_indices',)),
    **dict.fromkeys(('strides', 'output_stride', 'out_stride'), ('out_strides',)),
    # regularisation
    **dict.fromkeys(('dropout', 'drop', 'pos_drop_rate', 'proj_drop_rate'), ('drop_rate',)),
    **dict.fromkeys(('attn_drop', 'attention_dropout'), ('attn_drop_rate',)),
    **dict.fromkeys(('drop_path', 'stochastic_depth_prob', 'path_drop_rate'), ('drop_path_rate',)),
    # training
    **dict.fromkeys(('freeze_at', 'freeze_stages', 'frozen_layers'), ('frozen_stages',)),
    **dict.fromkeys(
        ('use_checkpoint', 'use_act_checkpoint', 'grad_checkpointing', 'gradient_checkpointing'),
        ('with_cp',),
    ),
    **dict.fromkeys(('weights', 'checkpoint', 'checkpoint_path', 'init_weights'), ('init_cfg',)),
    'legacy': ('formulation',),
    'window_block_indexes': ('window_size', 'global_blocks'),
}
FIXED = 'it is as in the paper. Leave it out.'
# names that stand for nothing of ours, and why
ABSENT = {
    'num_classes': 'a head on top of the backbone has them.',
    'num_extra_tokens': 'the class token is the only one. Leave it out.',
    'interpolate_mode': 'position tables are resized bicubically. Leave it out.',
    'norm_eval': 'there is no BatchNorm. Leave it out.',
    'window_size': 'the attention is as in the paper. Leave it out.',
    'convert_weights': 'weights of all sources are converted. Leave it out.',
    **dict.fromkeys(
        ('act_cfg', 'act_layer', 'norm_cfg', 'norm_layer', 'num_fcs', 'patch_cfg', 'patch_norm',
         'patch_size', 'pre_norm', 'qk_scale', 'use_abs_pos_embed', 'word_stride'),
        FIXED,
    ),
}  # fmt: skip
# which a stock config leaves behind, if its backbone is not replaced as a whole
INHERITED = {
    'act_cfg', 'avg_down', 'base_channels', 'contract_dilation', 'convert_weights', 'deep_stem',
    'depth', 'depths', 'dilations', 'embed_dims', 'mlp_ratio', 'norm_cfg', 'norm_eval', 'num_heads',
    'num_layers', 'num_stages', 'patch_norm', 'patch_sizes', 'pretrain_img_size', 'qk_scale',
    'qkv_bias', 'sr_ratios', 'stem_channels', 'strides', 'style', 'use_abs_pos_embed',
}  # fmt: skip


def explain_unknown(family: Any, given: dict[str, Any]) -> str | None:
    """Return what is wrong with the arguments of a backbone, or ``None``.

    Args:
        family: The class of the backbone.
        given: Its keyword arguments.
    """
    parameters = inspect.signature(family.__init__).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return None  # a subclass passes them on, and is asked again
    known = [name for name in parameters if name != 'self']
    unknown = [name for name in given if name not in known]
    if not unknown:
        return None
    fields = field_names(family.VARIANTS) if hasattr(family, 'VARIANTS') else ()
    text = f'{family.__name__}() got an unexpected keyword argument {unknown[0]!r}.'
    for name in unknown:
        text += f' {name}: {_advice(name, known, fields)}'
    if INHERITED.intersection(unknown):
        text += ' Where a config inherits another backbone, add _delete_=True to replace it.'
    return f'{text} {family.__name__} takes {", ".join(known)}'


def field_names(variants: dict[str, Any]) -> tuple[str, ...]:
    """Return the fields that a dict for ``arch`` may have."""
    return tuple(field.name for field in dataclasses.fields(next(iter(variants.values()))))


def fields_meant(name: str, fields: tuple[str, ...]) -> list[str]:
    """Return the fields of ``arch`` that another library's name stands for."""
    meant = [ours.removeprefix('arch.') for ours in RENAMED.get(name, ()) if ours[:5] == 'arch.']
    return [field for field in dict.fromkeys((name, *meant)) if field in fields]


def _advice(name: str, known: list[str], fields: tuple[str, ...]) -> str:
    arguments = [ours for ours in RENAMED.get(name, ()) if ours in known]
    if arguments:
        return f'use {" and ".join(arguments)}.'
    if meant := fields_meant(name, fields):
        return f'use the name of a variant, or arch=dict({"=..., ".join(meant)}=..., ...).'
    if name in ABSENT or name in RENAMED:
        return ABSENT.get(name, FIXED)
    return did_you_mean(name, known).strip() or 'there is nothing like it here.'

"""Building blocks shared by the three families, one idea per file."""

from .aggregation import SentenceAggregation, WordAggregation
from .attention import Attention
from .conv_stem import ConvStem
from .drop_path import DropPath
from .fusable import keep_paths
from .mlp import Mlp
from .norm import LayerNorm2d
from .position import resize_position_table
from .relative_position import factor_relative_position
from .sinusoid import sinusoid_table
from .soft_split import SoftSplit
from .spatial_reduction_attention import SpatialReductionAttention
from .squeeze_excitation import SqueezeExcitation
from .tiles import cut_into_tiles, to_word_map
from .token_attention import TokenPerformer, TokenTransformer
from .transformer_block import TransformerBlock
from .window import attend_in_windows
from .word_block import WordBlock
from .word_embed import WordEmbed
from .word_to_sentence import WordToSentence

__all__ = [
    'Attention',
    'ConvStem',
    'DropPath',
    'LayerNorm2d',
    'Mlp',
    'SentenceAggregation',
    'SoftSplit',
    'SpatialReductionAttention',
    'SqueezeExcitation',
    'TokenPerformer',
    'TokenTransformer',
    'TransformerBlock',
    'WordAggregation',
    'WordBlock',
    'WordEmbed',
    'WordToSentence',
    'attend_in_windows',
    'cut_into_tiles',
    'factor_relative_position',
    'keep_paths',
    'resize_position_table',
    'sinusoid_table',
    'to_word_map',
]

"""Building blocks shared by the three families; one idea a file."""

from .attention import Attention
from .drop_path import DropPath
from .mlp import Mlp
from .norm import LayerNorm2d
from .position import resize_position_table
from .squeeze_excitation import SqueezeExcitation
from .transformer_block import TransformerBlock
from .word_embed import WordEmbed
from .word_to_sentence import WordToSentence

__all__ = [
    'Attention',
    'DropPath',
    'LayerNorm2d',
    'Mlp',
    'SqueezeExcitation',
    'TransformerBlock',
    'WordEmbed',
    'WordToSentence',
    'resize_position_table',
]

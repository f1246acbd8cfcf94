"""The form of timm's TNT: official (``tnt_*_patch16_224``) and legacy (``tnt_s_legacy_*``).

Source: timm 1.0, ``models/tnt.py``.
"""

import math

from torch import Tensor

from .form import Form, Join, Reshape


def _to_square(word_pos: Tensor) -> Tensor:
    """Return the table of words as a square: ``(1, M, c) -> (1, c, k, k)``."""
    side = math.isqrt(word_pos.shape[1])
    return word_pos.transpose(1, 2).unflatten(2, (side, side)).contiguous()


WORD_POS = Reshape(
    'word_pos', to_ours=lambda square: square.flatten(2).transpose(1, 2), to_theirs=_to_square
)

FORMS = (
    Form(
        source='timm',
        family='TNT',
        recognise=r'blocks\.\d+\.norm_out\.weight',
        names=(
            ('cls_token', 'cls_token'),
            ('patch_pos', 'sentence_pos'),
            ('pixel_pos', 'word_pos'),
            ('pixel_embed.proj.', 'word_embed.proj.'),
            ('norm1_proj.', 'word_to_sentence.norm1.'),
            ('proj.', 'word_to_sentence.proj.'),
            ('norm2_proj.', 'word_to_sentence.norm2.'),
            *(
                (f'blocks.{{}}.{theirs}', f'blocks.{{}}.{ours}')
                for theirs, ours in (
                    ('norm_in.', 'word_block.norm1.'),
                    ('attn_in.', 'word_block.attn.'),
                    ('norm_mlp_in.', 'word_block.norm2.'),
                    ('mlp_in.', 'word_block.mlp.'),
                    ('norm1_proj.', 'word_to_sentence.norm1.'),
                    ('proj.', 'word_to_sentence.proj.'),
                    ('norm2_proj.', 'word_to_sentence.norm2.'),
                    ('norm_out.', 'sentence_block.norm1.'),
                    ('attn_out.', 'sentence_block.attn.'),
                    ('norm_mlp.', 'sentence_block.norm2.'),
                    ('mlp.', 'sentence_block.mlp.'),
                )
            ),
            ('norm.', 'norm.'),
        ),
        joins=(Join('.attn.qkv.', ('.attn.qk.', '.attn.v.'), (2, 1)),),
        reshapes=(WORD_POS,),
    ),
)

"""The forms of mmpretrain: TNT (legacy formulation) and T2T-ViT (only Transformer).

Source: mmpretrain 1.2.0, ``models/backbones/tnt.py`` and ``t2t_vit.py``.
"""

from .form import Form
from .timm import WORD_POS

_TNT_PARTS = (
    ('norm_attn.', 'norm1.'),
    ('norm_ffn.', 'norm2.'),
    # rows of queries, keys, values, as ours
    ('attn.attn.in_proj_weight', 'attn.qkv.weight'),
    ('attn.attn.in_proj_bias', 'attn.qkv.bias'),
    ('attn.attn.out_proj.', 'attn.proj.'),
    ('ffn.layers.0.0.', 'mlp.fc1.'),
    ('ffn.layers.1.', 'mlp.fc2.'),
)
_T2T_PARTS = (
    ('ln1.', 'norm1.'),
    ('ln2.', 'norm2.'),
    ('ffn.layers.0.0.', 'mlp.fc1.'),
    ('ffn.layers.1.', 'mlp.fc2.'),
)

FORMS = (
    Form(
        source='mmpretrain',
        family='TNT',
        recognise=r'layers\.\d+\.outer_block\.norm_attn\.weight',
        names=(
            ('cls_token', 'cls_token'),
            ('patch_pos', 'sentence_pos'),
            ('pixel_pos', 'word_pos'),
            ('pixel_embed.proj.', 'word_embed.proj.'),
            ('norm1_proj.', 'word_to_sentence.norm1.'),
            ('projection.', 'word_to_sentence.proj.'),
            ('norm2_proj.', 'word_to_sentence.norm2.'),
            ('layers.{}.norm_proj.', 'blocks.{}.word_to_sentence.norm1.'),
            ('layers.{}.projection.', 'blocks.{}.word_to_sentence.proj.'),
            *(
                (f'layers.{{}}.{their_block}.{theirs}', f'blocks.{{}}.{our_block}.{ours}')
                for their_block, our_block in (
                    ('inner_block', 'word_block'),
                    ('outer_block', 'sentence_block'),
                )
                for theirs, ours in _TNT_PARTS
            ),
            ('norm.', 'norm.'),
        ),
        reshapes=(WORD_POS,),
        head='head.fc.',
        prefix='backbone.',
    ),
    Form(
        source='mmpretrain',
        family='T2TViT',
        recognise=r'tokens_to_token\.attention1\.ln1\.weight',
        names=(
            ('cls_token', 'cls_token'),
            ('pos_embed', 'token_pos'),
            *(
                (f'tokens_to_token.attention{i}.{theirs}', f'tokens_to_token.attend{i}.{ours}')
                for i in (1, 2)
                for theirs, ours in (*_T2T_PARTS, ('attn.qkv.', 'qkv.'), ('attn.proj.', 'proj.'))
            ),
            ('tokens_to_token.project.', 'tokens_to_token.proj.'),
            *(
                (f'encoder.{{}}.{theirs}', f'blocks.{{}}.{ours}')
                for theirs, ours in (*_T2T_PARTS, ('attn.', 'attn.'))
            ),
            ('norm.', 'norm.'),
        ),
        head='head.layers.head.',
        prefix='backbone.',
    ),
)

"""The forms of the authors' checkpoints.

TNT and PyramidTNT:
https://github.com/huawei-noah/Efficient-AI-Backbones/tree/f90e129/tnt_pytorch. T2T-ViT:
https://github.com/yitu-opensource/T2T-ViT/tree/0f63dc9/models.
"""

from torch import Tensor

from .form import Form, Join, Reshape

_WORDS = 16  # in a sentence of PyramidTNT

_BLOCK = (
    ('inner_norm1.', 'word_block.norm1.'),
    ('inner_attn.', 'word_block.attn.'),
    ('inner_norm2.', 'word_block.norm2.'),
    ('inner_mlp.', 'word_block.mlp.'),
    ('proj_norm1.', 'word_to_sentence.norm1.'),
    ('proj.', 'word_to_sentence.proj.'),
    ('proj_norm2.', 'word_to_sentence.norm2.'),
    ('outer_norm1.', 'sentence_block.norm1.'),
    ('outer_attn.linear.', 'sentence_block.attn.reduce.'),
    ('outer_attn.norm.', 'sentence_block.attn.reduce_norm.'),
    ('outer_attn.', 'sentence_block.attn.'),
    ('outer_norm2.', 'sentence_block.norm2.'),
    ('outer_mlp.', 'sentence_block.mlp.'),
    ('se_layer.fc.0.', 'sentence_block.se.norm.'),
    ('se_layer.fc.1.', 'sentence_block.se.fc1.'),
    ('se_layer.fc.3.', 'sentence_block.se.fc2.'),
)


def _outer_tokens(ours: dict[str, Tensor]) -> Tensor:
    return (
        ours['sentence_pos'][:, 1:]
        .new_zeros(1, ours['sentence_pos'].shape[1] - 1, 1)
        .repeat(1, 1, ours['sentence_pos'].shape[2])
    )


def _t2t_vit(recognise: str, attention: tuple[tuple[str, str], ...]) -> Form:
    """Return the form of T2T-ViT with one of the two attentions in the token module."""
    return Form(
        source='official',
        family='T2TViT',
        recognise=rf'tokens_to_token\.attention1\.{recognise}\.weight',
        names=(
            ('cls_token', 'cls_token'),
            ('pos_embed', 'token_pos'),
            *(
                (f'tokens_to_token.attention{i}.{theirs}', f'tokens_to_token.attend{i}.{ours}')
                for i in (1, 2)
                for theirs, ours in (
                    *attention,
                    *((part, part) for part in ('norm1.', 'norm2.', 'mlp.')),
                )
            ),
            ('tokens_to_token.project.', 'tokens_to_token.proj.'),
            ('blocks.', 'blocks.'),
            ('norm.', 'norm.'),
        ),
    )


FORMS = (
    Form(
        source='official',
        family='TNT',
        recognise=r'blocks\.\d+\.outer_norm1\.weight',
        names=(
            ('cls_token', 'cls_token'),
            ('outer_pos', 'sentence_pos'),
            ('inner_pos', 'word_pos'),
            ('patch_embed.proj.', 'word_embed.proj.'),
            ('proj_norm1.', 'word_to_sentence.norm1.'),
            ('proj.', 'word_to_sentence.proj.'),
            ('proj_norm2.', 'word_to_sentence.norm2.'),
            *((f'blocks.{{}}.{theirs}', f'blocks.{{}}.{ours}') for theirs, ours in _BLOCK),
            ('norm.', 'norm.'),
        ),
        joins=(Join('.attn.qkv.', ('.attn.qk.', '.attn.v.'), (2, 1)),),
        unused={'outer_tokens': _outer_tokens},
    ),
    Form(
        source='official',
        family='PyramidTNT',
        recognise=r'stages\.\d+\.blocks\.\d+\.outer_norm1\.weight',
        names=(
            ('outer_pos', 'sentence_pos'),
            ('inner_pos', 'word_pos'),
            ('patch_embed.common_conv.', 'stem.common.'),
            ('patch_embed.inner_convs.', 'stem.words.'),
            ('patch_embed.outer_convs.', 'stem.sentences.'),
            # their merges are counted from 0, ours by the stage that they open
            *(
                (f'{kind}_merges.{i}.{theirs}', f'stages.{i + 1}.{kind}_merge.{ours}')
                for kind in ('word', 'sentence')
                for i in range(3)
                for theirs, ours in (('norm.', 'norm.'), ('conv.0.', 'conv.'))
            ),
            ('stages.{}.relative_pos', 'stages.{}.relative_pos'),
            *(
                (f'stages.{{}}.blocks.{{}}.{theirs}', f'stages.{{}}.blocks.{{}}.{ours}')
                for theirs, ours in _BLOCK
            ),
            ('norm.', 'norm.'),
        ),
        joins=(
            Join('.word_block.attn.qkv.', ('.word_block.attn.q.', '.word_block.attn.kv.'), (1, 2)),
        ),
        reshapes=(
            Reshape(
                r'.*\.word_block\.norm[12]\.(weight|bias)',
                to_ours=lambda norm: norm.unflatten(0, (_WORDS, -1)),
                to_theirs=lambda norm: norm.flatten(),
            ),
        ),
    ),
    _t2t_vit('kqv', (('w', 'features'), ('kqv.', 'kqv.'), ('proj.', 'proj.'))),
    _t2t_vit('norm1', (('attn.qkv.', 'qkv.'), ('attn.proj.', 'proj.'))),
)

"""mmpretrain's TNT (the legacy formulation): mmpretrain 1.2.0, ``models/backbones/tnt.py``."""

from torch import Tensor

from .rename import rename

_BLOCKS = {'inner_block': 'word_block', 'outer_block': 'sentence_block'}
_PARTS = {
    r'norm_attn\.': 'norm1.',
    r'norm_ffn\.': 'norm2.',
    r'attn\.attn\.in_proj_': 'attn.qkv.',  # its rows are queries, keys, values, as ours
    r'attn\.attn\.out_proj\.': 'attn.proj.',
    r'ffn\.layers\.0\.0\.': 'mlp.fc1.',
    r'ffn\.layers\.1\.': 'mlp.fc2.',
}
RULES = (
    (r'cls_token$', 'cls_token'),
    (r'patch_pos$', 'sentence_pos'),
    (r'pixel_pos$', 'word_pos'),
    (r'pixel_embed\.proj\.', 'word_embed.proj.'),
    (r'norm([12])_proj\.', r'word_to_sentence.norm\1.'),
    (r'projection\.', 'word_to_sentence.proj.'),
    (r'layers\.(\d+)\.norm_proj\.', r'blocks.\1.word_to_sentence.norm1.'),
    (r'layers\.(\d+)\.projection\.', r'blocks.\1.word_to_sentence.proj.'),
    *(
        (rf'layers\.(\d+)\.{their_block}\.{their_part}', rf'blocks.\1.{our_block}.{our_part}')
        for their_block, our_block in _BLOCKS.items()
        for their_part, our_part in _PARTS.items()
    ),
    (r'norm\.', 'norm.'),
)


def convert(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Convert to our keys; the head is dropped."""
    renamed = rename(tensors, RULES)
    renamed['word_pos'] = (
        renamed['word_pos'].flatten(2).transpose(1, 2)
    )  # (1, c, k, k) -> (1, M, c)
    return renamed

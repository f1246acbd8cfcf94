"""timm's TNT: official (``tnt_*_patch16_224``) and legacy (``tnt_s_legacy_patch16_224``).

Source: timm 1.0, ``models/tnt.py``.
"""

from torch import Tensor

from .rename import fuse_qkv, rename

RULES = (
    (r'cls_token$', 'cls_token'),
    (r'patch_pos$', 'sentence_pos'),
    (r'pixel_pos$', 'word_pos'),
    (r'pixel_embed\.proj\.', 'word_embed.proj.'),
    (r'norm([12])_proj\.', r'word_to_sentence.norm\1.'),
    (r'proj\.', 'word_to_sentence.proj.'),
    (r'(blocks\.\d+)\.norm_in\.', r'\1.word_block.norm1.'),
    (r'(blocks\.\d+)\.norm_mlp_in\.', r'\1.word_block.norm2.'),
    (r'(blocks\.\d+)\.(attn|mlp)_in\.', r'\1.word_block.\2.'),
    (r'(blocks\.\d+)\.norm([12])_proj\.', r'\1.word_to_sentence.norm\2.'),
    (r'(blocks\.\d+)\.proj\.', r'\1.word_to_sentence.proj.'),
    (r'(blocks\.\d+)\.norm_out\.', r'\1.sentence_block.norm1.'),
    (r'(blocks\.\d+)\.norm_mlp\.', r'\1.sentence_block.norm2.'),
    (r'(blocks\.\d+)\.attn_out\.', r'\1.sentence_block.attn.'),
    (r'(blocks\.\d+)\.mlp\.', r'\1.sentence_block.mlp.'),
    (r'norm\.', 'norm.'),
)


def convert(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Convert to our keys; the head is dropped."""
    renamed = rename(tensors, RULES)
    renamed['word_pos'] = (
        renamed['word_pos'].flatten(2).transpose(1, 2)
    )  # (1, c, k, k) -> (1, M, c)
    return fuse_qkv(renamed)

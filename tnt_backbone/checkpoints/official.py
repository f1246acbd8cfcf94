"""The authors' TNT: https://github.com/huawei-noah/Efficient-AI-Backbones/blob/f90e129/tnt_pytorch/tnt.py."""

from torch import Tensor

from .rename import fuse_qkv, rename

RULES = (
    (r'cls_token$', 'cls_token'),
    (r'outer_pos$', 'sentence_pos'),
    (r'inner_pos$', 'word_pos'),
    (r'patch_embed\.proj\.', 'word_embed.proj.'),
    (r'proj_norm([12])\.', r'word_to_sentence.norm\1.'),
    (r'proj\.', 'word_to_sentence.proj.'),
    (r'(blocks\.\d+)\.inner_(norm1|norm2|attn|mlp)\.', r'\1.word_block.\2.'),
    (r'(blocks\.\d+)\.outer_(norm1|norm2|attn|mlp)\.', r'\1.sentence_block.\2.'),
    (r'(blocks\.\d+)\.proj_norm([12])\.', r'\1.word_to_sentence.norm\2.'),
    (r'(blocks\.\d+)\.proj\.', r'\1.word_to_sentence.proj.'),
    (r'(blocks\.\d+)\.se_layer\.fc\.0\.', r'\1.sentence_block.se.norm.'),
    (r'(blocks\.\d+)\.se_layer\.fc\.1\.', r'\1.sentence_block.se.fc1.'),
    (r'(blocks\.\d+)\.se_layer\.fc\.3\.', r'\1.sentence_block.se.fc2.'),
    (r'norm\.', 'norm.'),
)


def convert(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Convert to our keys; the head and the unused ``outer_tokens`` are dropped."""
    return fuse_qkv(rename(tensors, RULES))

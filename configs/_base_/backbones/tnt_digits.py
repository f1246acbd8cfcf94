"""The small TNT of the demo: half of TNT-Ti's depth, on patches of 8 pixels.

A scene of 128 pixels is 16 * 16 sentences of 4 * 4 words of 2 pixels.
"""

_base_ = ['tnt.py']

backbone = dict(
    type='tnt_backbone.TNT',
    arch=dict(depth=6, word_dims=12, word_heads=2, sentence_dims=192, sentence_heads=3),
    img_size=128,
    patch_size=8,
    word_stride=2,
)

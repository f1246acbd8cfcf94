"""A tenth of the learning rate for the backbone, as DETR and its kin have it, as custom_keys.

For TNT and PyramidTNT. Norms, biases, the class token and the position tables of the backbone get
no weight decay. mmengine gives a parameter to the longest key that is part of its name, and such a
parameter is out of reach of norm_decay_mult and bias_decay_mult: so each has a key here that is
longer than 'backbone'. The pyramid is not pretrained and learns at the full rate.
"""

backbone_keys = {
    'backbone': dict(lr_mult=0.1),
    **{
        key: dict(lr_mult=0.1, decay_mult=0.0)
        for key in (
            'backbone.cls_token',
            'backbone.word_pos',
            'backbone.sentence_pos',
            # of embeddings and blocks
            'block.norm1',
            'block.norm2',
            'word_to_sentence.norm1',
            'word_to_sentence.norm2',
            'word_embed.proj.bias',
            'word_to_sentence.proj.bias',
            'block.attn.proj.bias',
            'block.mlp.fc1.bias',
            'block.mlp.fc2.bias',
            # of PyramidTNT alone
            'block.attn.reduce_norm',
            'block.attn.reduce.bias',
            '_merge.norm',
            '_merge.conv.bias',
        )
    },
    'pyramid.levels': dict(lr_mult=1.0),
    # its layers, counted: norm, convolution, norm, GELU, convolution, norm
    **{
        f'resample.{layer}': dict(lr_mult=1.0, decay_mult=0.0)
        for layer in (
            '0.weight',
            '0.bias',
            '1.bias',
            '2.weight',
            '2.bias',
            '4.bias',
            '5.weight',
            '5.bias',
        )
    },
}

"""What only TNT has."""

import logging

import pytest
import torch
from mmengine.logging import MMLogger
from torch import nn

from tnt_backbone import TNT

TINY = {'depth': 4, 'word_dims': 8, 'word_heads': 2, 'sentence_dims': 16, 'sentence_heads': 2}


def test_without_arguments_it_is_tnt_s():
    backbone = TNT()
    assert (backbone.embed_dims, backbone.num_layers, backbone.formulation) == (384, 12, 'official')
    assert backbone.out_indices == (0, 1, 2, 3)


@pytest.mark.parametrize('formulation', ['official', 'legacy'])
def test_inner_blocks(formulation):
    """The paper's TNT-S-1..4: the other blocks are vanilla, and the words pass them by."""
    backbone = TNT(TINY, img_size=32, inner_blocks=(0, 2), formulation=formulation)
    assert [block.word_block is not None for block in backbone.blocks] == [True, False, True, False]
    words, sentences = torch.randn(4, 16, 8), torch.randn(1, 5, 16)
    words_after, sentences_after = backbone.blocks[1](words, sentences, (2, 2))
    assert words_after is words
    assert torch.equal(sentences_after, backbone.blocks[1].sentence_block(sentences))
    backbone(torch.randn(1, 3, 32, 32))[3].sum().backward()
    assert all(p.grad is not None for p in backbone.parameters())
    with pytest.raises(ValueError, match=r'inner_blocks=\(0, 4\).*\b3\b'):
        TNT(TINY, inner_blocks=(0, 4))


@pytest.mark.parametrize(
    ('patch_size', 'word_stride', 'num_words'), [(8, 4, 4), (8, 2, 16), (16, 8, 4), (32, 4, 64)]
)
def test_patch_and_word_size(patch_size, word_stride, num_words):
    for formulation in ('official', 'legacy'):
        backbone = TNT(
            TINY,
            img_size=64,
            patch_size=patch_size,
            word_stride=word_stride,
            formulation=formulation,
        )
        assert backbone.word_pos.shape == (1, num_words, 8)
        maps = backbone(torch.randn(1, 3, 70, 50))
        assert [tuple(level.shape[-2:]) for level in maps] == [(18, 13), (9, 7), (5, 4), (3, 2)]


@pytest.mark.parametrize(
    'kwargs',
    [{'se': True}, {'window_size': 2, 'global_blocks': ()}, {'formulation': 'legacy'}],
    ids=str,
)
def test_a_class_token_output_is_the_one_among_all(kwargs):
    outputs = []
    for out_type in ('cls_token', 'raw'):
        torch.manual_seed(0)
        backbone = TNT(TINY, img_size=48, out_type=out_type, **kwargs)
        outputs.append(backbone(torch.randn(2, 3, 48, 64))[0])
        only_last = out_type == 'cls_token' and 'se' not in kwargs  # whose gate reads all tokens
        found = [block.sentence_block.class_token_only for block in backbone.blocks]
        assert found == [False, False, False, only_last]
    torch.testing.assert_close(outputs[0], outputs[1][:, 0])


def test_in_channels():
    assert TNT(TINY, img_size=32, in_channels=1)(torch.randn(1, 1, 32, 32))[3].shape == (
        1,
        2048,
        1,
        1,
    )


def test_img_size_may_be_a_rectangle():
    backbone = TNT(TINY, img_size=(32, 64), out_type='raw')
    assert backbone.sentence_pos.shape == (1, 1 + 2 * 4, 16)
    assert backbone(torch.randn(1, 3, 64, 32))[0].shape == (1, 9, 16), (
        'the table is resized, not flattened'
    )


@pytest.mark.parametrize(
    'arguments',
    [
        {'formulation': 'paper'},
        {'word_stride': 5},
        {'word_stride': 0},
        {'img_size': (224, 8)},
        {'patch_size': -4},
    ],
)
def test_bad_arguments_are_refused(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=name):
        TNT(TINY, **arguments)


def test_initialisation_is_the_authors():
    """Truncated normals of 0.02 for linear layers and tables; convolutions keep torch's own."""
    torch.manual_seed(0)
    backbone = TNT('s')
    for name, parameter in backbone.named_parameters():
        module = backbone.get_submodule(name.rpartition('.')[0])
        if (isinstance(module, nn.Linear) and name.endswith('weight')) or name.endswith(
            ('_pos', 'cls_token')
        ):
            assert parameter.std().item() == pytest.approx(0.02, rel=0.2), name
            assert parameter.abs().max() <= 2.0
        elif isinstance(module, nn.Linear):
            assert not parameter.any(), name


def test_model_zoo_names_of_mmseg_are_ignored_with_a_warning(caplog):
    """Stock configs of MMSegmentation hand their ResNet's name to whatever backbone is there."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    caplog.handler.setLevel(logging.WARNING)
    backbone = TNT(TINY, img_size=32, pretrained='open-mmlab://resnet50_v1c')
    logger.removeHandler(caplog.handler)
    assert 'open-mmlab://resnet50_v1c' in caplog.text
    assert backbone.init_cfg is None


def test_pretrained_loads_a_file(tmp_path):
    weights = TNT(TINY, img_size=32)
    torch.save(weights.state_dict(), tmp_path / 'w.pth')
    backbone = TNT(TINY, img_size=32, pretrained=str(tmp_path / 'w.pth'))
    backbone.init_weights()
    assert torch.equal(backbone.sentence_pos, weights.sentence_pos)
    with pytest.raises(ValueError, match=r"pretrained='tnt://tnt_s'.*init_cfg="):
        TNT(
            TINY,
            pretrained='tnt://tnt_s',
            init_cfg=dict(type='Pretrained', checkpoint='tnt://tnt_s'),
        )

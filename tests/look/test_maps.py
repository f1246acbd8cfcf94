"""Attention as stored arrays, and features as colours."""

import numpy as np
import pytest
import torch

from tests.look.test_blocks import build
from tnt_backbone.look.blocks import record_blocks
from tnt_backbone.look.maps import attention_maps, principal_colours, stretched


def maps_of(name, number=1, size=(64, 96), **options):
    (block,), _ = record_blocks(build(name), torch.randn(1, 3, *size), [number])
    return attention_maps(block, **options)


def test_all_rows_are_kept_in_their_places():
    entry = maps_of('tnt')
    weights = entry.block.sentence_attention.rows()[0].mean(0)  # (1 + N, 1 + N)
    assert (entry.step, entry.sentences.shape) == (1, (4, 6, 4, 6))
    np.testing.assert_allclose(entry.sentences[2, 3].ravel(), weights[1 + 2 * 6 + 3, 1:], rtol=1e-5)
    np.testing.assert_allclose(entry.class_token.ravel(), weights[0, 1:], rtol=1e-5)
    np.testing.assert_allclose(entry.sentences.sum((2, 3)) + entry.to_class, 1, rtol=1e-5)
    words = entry.block.word_attention.rows().mean(1)  # (N, M, M)
    np.testing.assert_allclose(entry.words[2, 3], words[2 * 6 + 3], rtol=1e-5)


def test_of_large_pictures_the_sentence_in_the_middle_is_kept():
    whole, part = maps_of('tnt', size=(80, 96)), maps_of('tnt', size=(80, 96), most=300)
    assert (whole.step, part.step) == (1, 2)
    assert part.sentences.size <= 300
    assert part.rows.tolist() == [0, 2, 4]
    assert part.columns.tolist() == [0, 2, 4]
    for kept, every in zip(
        (part.sentences, part.words), (whole.sentences, whole.words), strict=True
    ):
        np.testing.assert_allclose(kept, every[part.rows][:, part.columns], rtol=1e-5)


def test_a_block_of_the_class_token_only_has_no_sentences_that_read():
    entry = maps_of('tnt class token', number=2)
    assert entry.sentences.size == 0
    assert entry.class_token.shape == (4, 6)
    assert entry.block.sentences is None


@pytest.mark.parametrize(('name', 'number', 'has_words'), [('t2t', 0, False), ('pyramid', 2, True)])
def test_other_families(name, number, has_words):
    entry = maps_of(name, number=number)
    assert (entry.words is not None) == has_words
    assert (entry.class_token is None) == (name == 'pyramid')
    np.testing.assert_allclose(entry.sentences.sum((2, 3)) + entry.to_class, 1, rtol=1e-5)
    assert entry.sentences.shape[2:] == entry.block.key_grid


@pytest.mark.parametrize('channels', [5, 200], ids=['more points', 'more channels'])
def test_colours_are_principal_components(channels):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(channels, 8, 9, generator=generator)
    features[:4] *= torch.tensor([9.0, 6.0, 4.0, 2.0])[:, None, None]
    colours = principal_colours(features)
    points = features.flatten(1).T.numpy()
    _, _, loadings = np.linalg.svd(points - points.mean(0), full_matrices=False)
    for i in range(3):
        sign = np.sign(loadings[i][np.abs(loadings[i]).argmax()])
        score = stretched((points - points.mean(0)) @ loadings[i] * sign)
        np.testing.assert_allclose(colours[..., i].ravel(), score * 255, atol=1)


def test_a_constant_map_is_a_picture_too():
    assert (principal_colours(torch.ones(4, 3, 3)) == 0).all()
    assert principal_colours(torch.randn(2, 3, 3)).shape == (3, 3, 3)

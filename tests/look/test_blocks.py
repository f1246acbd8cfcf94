"""What is recorded of a backbone is what it computed, and recording changes nothing."""

import pytest
import torch

from tnt_backbone import TNT, PyramidTNT, T2TViT
from tnt_backbone.layers import TransformerBlock, fusable
from tnt_backbone.look.blocks import choose_blocks, places_of, record_blocks

ARCH = {'depth': 3, 'word_dims': 8, 'word_heads': 2, 'sentence_dims': 48, 'sentence_heads': 3}
CASES = {
    'tnt': lambda: TNT(ARCH),
    'tnt legacy': lambda: TNT(ARCH, formulation='legacy'),
    'tnt se': lambda: TNT(ARCH, se=True),
    'tnt windows': lambda: TNT(ARCH, window_size=2, global_blocks=(2,)),
    'tnt class token': lambda: TNT(ARCH, out_type='cls_token'),
    'tnt some words': lambda: TNT(ARCH, inner_blocks=(0,)),
    'tnt patch of 14': lambda: TNT(ARCH, patch_size=14, word_stride=7),
    'pyramid': lambda: PyramidTNT('ti', out_indices=(0, 1), img_size=64),
    't2t': lambda: T2TViT('7', out_indices=(0, 2)),
}


def build(name):
    torch.manual_seed(0)
    backbone = CASES[name]().eval()
    for parameter in backbone.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.1)
    return backbone


def outputs_of(modules, run):
    """Return what modules were called with and gave."""
    found = {}
    handles = [
        module.register_forward_hook(lambda m, args, out: found.update({m: (args, out)}))
        for module in modules
    ]
    run()
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize('name', CASES)
def test_both_attentions_are_those_of_the_quick_path(name):
    backbone, image = build(name), torch.randn(1, 3, 60, 90)
    places = places_of(backbone)
    with torch.no_grad():
        recorded, outputs = record_blocks(backbone, image, range(len(places)))
        for mine, own in zip(outputs, backbone(image), strict=True):
            assert torch.equal(mine, own)
        modules = [part for place in places for part in (place.sentences.attn, place.words) if part]
        calls = outputs_of(modules, lambda: backbone(image))
        for place, block in zip(places, recorded, strict=True):
            rows = block.sentence_attention
            mixed = (rows.rows() @ rows.v).transpose(1, 2).flatten(2)
            torch.testing.assert_close(
                place.sentences.attn.proj(mixed),
                calls[place.sentences.attn][1],
                rtol=1e-5,
                atol=1e-5,
            )
            assert rows.k.shape[2] == block.key_grid[0] * block.key_grid[1] + block.prefix
            if place.words is None:
                assert block.word_attention is None
                assert block.words is None
                continue
            (words,), after = calls[place.words]
            rows = block.word_attention
            mixed = (rows.rows() @ rows.v).transpose(1, 2).flatten(2)
            words = words + place.words.attn.proj(mixed)
            words = words + place.words.mlp(place.words.norm2(words))
            torch.testing.assert_close(words, after, rtol=1e-5, atol=1e-5)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in backbone.modules())


def test_recording_keeps_the_quick_path(monkeypatch):
    said = []
    monkeypatch.setattr(fusable, 'log', said.append)
    fusable.say_once.cache_clear()
    backbone = build('tnt')
    slow, forward = [], TransformerBlock.forward
    monkeypatch.setattr(
        TransformerBlock, 'forward', lambda self, *args: slow.append(self) or forward(self, *args)
    )
    monkeypatch.setattr(fusable, 'BLOCK_FORWARD', TransformerBlock.forward)
    record_blocks(backbone, torch.randn(1, 3, 32, 32), [0, 1, 2])
    assert slow == [block.sentence_block for block in backbone.blocks]
    assert said == []


def test_maps_are_the_tokens_in_their_places():
    backbone, image = build('tnt'), torch.randn(1, 3, 48, 80)
    calls = {}
    with torch.no_grad():
        calls = outputs_of([backbone.blocks[1]], lambda: backbone(image))
        (block,), _ = record_blocks(backbone, image, [1])
    words, sentences = calls[backbone.blocks[1]][1]
    assert (block.grid, block.prefix, block.stride, block.side) == ((3, 5), 1, 16, 4)
    # the sentence in row 2 and column 3; its word in row 1 and column 2
    assert torch.equal(block.sentences[:, 2, 3], sentences[0, 1 + 2 * 5 + 3])
    assert torch.equal(block.words[:, 2 * 4 + 1, 3 * 4 + 2], words[2 * 5 + 3, 1 * 4 + 2])


def test_stages_have_their_own_grids():
    backbone = build('pyramid')
    numbers = choose_blocks(backbone, None)
    recorded, _ = record_blocks(backbone, torch.randn(1, 3, 64, 96), numbers)
    assert [block.name for block in recorded] == ['stage 0, block 0', 'stage 1, block 0']
    assert [(b.grid, b.key_grid, b.stride, b.prefix) for b in recorded] == [
        ((8, 12), (2, 3), 8, 0),
        ((4, 6), (2, 3), 16, 0),
    ]


def test_blocks_are_chosen_and_checked():
    assert choose_blocks(build('tnt'), None) == [0, 1, 2]
    assert choose_blocks(build('tnt class token'), None) == [0, 1]
    assert choose_blocks(build('tnt'), [-1, 0]) == [0, 2]
    with pytest.raises(ValueError, match=r'\[3\].*--blocks.*0 to 2'):
        choose_blocks(build('tnt'), [0, 3])
    with pytest.raises(ValueError, match='out_indices'):
        choose_blocks(T2TViT('7', out_indices=(0, 1)), None)

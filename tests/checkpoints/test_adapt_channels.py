"""RGB weights for images of other channels, against timm's rule and against grey images."""

import pytest
import torch
from timm.models import adapt_input_conv

from tnt_backbone import TNT, PyramidTNT, T2TViT
from tnt_backbone.checkpoints import load_pretrained
from tnt_backbone.checkpoints.load import adapt_channels

OURS = {'depth': 2, 'word_dims': 8, 'word_heads': 4, 'sentence_dims': 24, 'sentence_heads': 2}
T2T = {'depth': 2, 'embed_dims': 24, 'num_heads': 2, 'token_dims': 16, 'token_drop_rate': 0.0}
BACKBONES = {
    'TNT': lambda **kwargs: TNT(OURS, img_size=32, **kwargs),
    'legacy TNT': lambda **kwargs: TNT(OURS, img_size=32, formulation='legacy', **kwargs),
    'PyramidTNT': lambda **kwargs: PyramidTNT('ti', img_size=64, out_indices=0, **kwargs),
    'Performer': lambda **kwargs: T2TViT(T2T, img_size=32, **kwargs),
    'Transformer': lambda **kwargs: T2TViT(
        {**T2T, 'token_attention': 'transformer'}, img_size=32, **kwargs
    ),
}


@pytest.mark.parametrize('in_channels', [1, 2, 4, 6, 13])
def test_a_convolution_is_as_timm_makes_it(in_channels):
    weight = torch.randn(8, 3, 7, 7)
    ours = adapt_channels('word_embed.proj.weight', weight, in_channels)
    torch.testing.assert_close(ours, adapt_input_conv(in_channels, weight))


@pytest.mark.parametrize('in_channels', [1, 2, 4, 6, 13])
@pytest.mark.parametrize('family', BACKBONES)
def test_a_grey_image_gives_what_it_gives_in_rgb(tmp_path, family, in_channels):
    torch.manual_seed(0)
    rgb = BACKBONES[family]().double().eval()
    torch.save(rgb.state_dict(), tmp_path / 'rgb.pth')
    other = (
        BACKBONES[family](
            in_channels=in_channels,
            init_cfg={
                'type': 'Pretrained',
                'checkpoint': str(tmp_path / 'rgb.pth'),
                'adapt_in_channels': True,
            },
        )
        .double()
        .eval()
    )
    other.init_weights()
    grey = torch.randn(1, 1, 64, 32, dtype=torch.float64)
    with torch.no_grad():
        expected = rgb(grey.expand(-1, 3, -1, -1))
        found = other(grey.expand(-1, in_channels, -1, -1))
    if in_channels % 3 and in_channels > 1:
        # R, G, B, R is no mean of R, G and B: the rule keeps the scale only.
        scales = [maps[0].std() for maps in (expected, found)]
        assert 0.5 < scales[1] / scales[0] < 2
        return
    for first, second in zip(expected, found, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize('family', BACKBONES)
def test_nothing_is_adapted_unasked(tmp_path, family):
    torch.save(BACKBONES[family]().state_dict(), tmp_path / 'rgb.pth')
    with pytest.raises(ValueError, match=r'in_channels=3.*adapt_in_channels=True'):
        load_pretrained(BACKBONES[family](in_channels=4), tmp_path / 'rgb.pth')


def test_weights_that_are_not_for_rgb_are_refused(tmp_path):
    torch.save(BACKBONES['TNT'](in_channels=4).state_dict(), tmp_path / 'w.pth')
    with pytest.raises(ValueError, match=r'word_embed\.proj\.weight.*adapt_in_channels'):
        load_pretrained(BACKBONES['TNT'](), tmp_path / 'w.pth', adapt_in_channels=True)

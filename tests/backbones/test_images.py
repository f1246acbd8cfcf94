"""The backbones' door: an image in any form gives what a plain one gives, or a message."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tnt_backbone import TNT
from tnt_backbone.backbones import BACKBONES
from tnt_backbone.backbones.images import require_dense_tensor
from tnt_backbone.errors import InputError, InputTypeError

ARCH = dict(depth=2, word_dims=8, word_heads=2, sentence_dims=48, sentence_heads=3)
# Other strides of the same numbers
LAYOUTS = {
    'channels last': lambda image: image.to(memory_format=torch.channels_last),
    'transposed': lambda image: image.transpose(2, 3).contiguous().transpose(2, 3),
    'a part of a larger one': lambda image: torch.stack([image, image], -1)[..., 0],
    'every second pixel': lambda image: image.repeat_interleave(2, 2)[:, :, ::2],
    'flipped twice': lambda image: image.flip(3).flip(3),
    'of a batch': lambda image: image.expand(3, -1, -1, -1)[1:2],
    'a parameter': lambda image: torch.nn.Parameter(image),
    'with a gradient': lambda image: image.clone().requires_grad_(),
    'from numpy, flipped': lambda image: torch.from_numpy(image.numpy()[..., ::-1].copy()).flip(3),
}


@pytest.fixture(scope='module')
def backbone():
    torch.manual_seed(0)
    return TNT(ARCH, img_size=32).eval()


@given(
    height=st.integers(1, 50),
    width=st.integers(1, 50),
    layout=st.sampled_from(sorted(LAYOUTS)),
)
def test_the_layout_in_memory_does_not_matter(backbone, height, width, layout):
    image = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(height))
    with torch.no_grad():
        for got, expected in zip(backbone(LAYOUTS[layout](image)), backbone(image), strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize('kind', BACKBONES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize('layout', ['channels last', 'flipped twice', 'with a gradient'])
def test_of_all_families(kind, layout):
    torch.manual_seed(0)
    backbone = kind(next(iter(kind.VARIANTS)), img_size=64).eval()
    image = torch.randn(1, 3, 40, 56)
    with torch.no_grad():
        for got, expected in zip(backbone(LAYOUTS[layout](image)), backbone(image), strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_nan_stays_in_its_image(backbone):
    images = torch.randn(2, 3, 32, 32)
    broken = images.clone()
    broken[0, 0, 0, 0] = float('nan')
    for got, expected in zip(backbone(broken), backbone(images), strict=True):
        assert got[0].isnan().any()
        torch.testing.assert_close(got[1], expected[1])


OTHER_TYPES = (
    *(torch.uint8, torch.int64, torch.bool, torch.float16, torch.bfloat16, torch.float64),
    *(torch.complex64, torch.float8_e4m3fn),
)


@pytest.mark.parametrize('dtype', OTHER_TYPES, ids=str)
def test_another_type_is_named(backbone, dtype):
    with pytest.raises(InputError, match=rf'{dtype}.* image\.'):
        backbone(torch.zeros(1, 3, 32, 32).to(dtype))


@pytest.mark.parametrize('shape', [(0, 3, 0, 32), (1, 3, 0, 32), (3, 32, 32), (1, 32, 32, 3), ()])
def test_another_shape_is_named(backbone, shape):
    with pytest.raises(InputError, match=rf'{shape}'.replace('(', r'\(').replace(')', r'\)')):
        backbone(torch.zeros(shape))


@pytest.mark.parametrize('image', [None, [torch.zeros(3, 32, 32)], torch.zeros(1, 3, 8, 8).numpy()])
def test_what_is_no_tensor_is_named(backbone, image):
    with pytest.raises(InputTypeError, match=type(image).__name__):
        backbone(image)


def test_a_sparse_image_is_named(backbone):
    with pytest.raises(InputError, match='to_dense'):
        backbone(torch.zeros(1, 3, 32, 32).to_sparse())


def test_in_autocast_the_image_may_be_of_either_type(backbone):
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        for given_type in (torch.float32, torch.bfloat16):
            assert backbone(image.to(given_type))[0].isfinite().all()
        with pytest.raises(InputError, match='float64'):
            backbone(image.double())


def test_a_backbone_in_another_precision_takes_such_images(backbone):
    double = TNT(ARCH, img_size=32).double().eval()
    double.load_state_dict(backbone.state_dict())
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        for got, expected in zip(double(image.double()), backbone(image), strict=True):
            torch.testing.assert_close(got.float(), expected, rtol=1e-3, atol=1e-4)


def test_what_torch_fx_gives_is_refused_with_the_ways_to_go_on():
    """The option efficient_conv_bn_eval of mmengine traces each module that it is pointed at."""
    image = torch.fx.Tracer().proxy(torch.fx.Graph().placeholder('image'))
    with pytest.raises(TypeError, match=r'leaf_modules.*efficient_conv_bn_eval'):
        require_dense_tensor(image)

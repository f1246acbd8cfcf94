"""Every backbone by ``torch.export``, and in ONNX Runtime by both of PyTorch's exporters."""

import dataclasses
import inspect

import onnxruntime
import pytest
import torch

from tnt_backbone.backbones import BACKBONES
from tnt_backbone.layers import TokenPerformer


def small(family, **options):
    """Few blocks of a family's smallest variant."""
    torch.manual_seed(0)
    arch = dataclasses.asdict(next(iter(family.VARIANTS.values())))
    arch.update({'depths': (1, 1, 1, 1)} if 'depths' in arch else {'depth': 2})
    return family(arch, img_size=64, **options).eval()


@pytest.fixture(params=BACKBONES, ids=lambda backbone: backbone.__name__)
def backbone(request):
    """A small one, with windows that do not divide the grid, if any."""
    has_windows = 'window_size' in inspect.signature(request.param).parameters
    windows = {'window_size': 3, 'global_blocks': (1,)} if has_windows else {}
    return small(request.param, **windows)


def check(file, backbone, images):
    """Compare ONNX Runtime's maps with PyTorch's."""
    session = onnxruntime.InferenceSession(file, providers=['CPUExecutionProvider'])
    theirs = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    with torch.no_grad():
        for ours, found in zip(backbone(images), theirs, strict=True):
            torch.testing.assert_close(torch.from_numpy(found), ours, rtol=1e-4, atol=1e-5)


# PyramidTNT's own size, where its tables are added as they are, and one whose grids are odd
@pytest.mark.filterwarnings('ignore::torch.jit.TracerWarning')  # sizes become constants
@pytest.mark.parametrize(
    'size', [pytest.param((64, 64), marks=pytest.mark.slow), (70, 100)], ids=str
)
def test_torchscript_exporter(backbone, tmp_path, size):
    images = torch.randn(1, 3, *size)
    file = str(tmp_path / 'backbone.onnx')
    torch.onnx.export(backbone, (images,), file, dynamo=False, opset_version=17)
    check(file, backbone, images)


@pytest.mark.slow  # The newer exporter takes 10 to 30 seconds.
def test_torch_export_and_its_onnx_take_any_number_of_images(backbone, tmp_path):
    batch = torch.export.Dim('batch', max=8)
    program = torch.export.export(
        backbone, (torch.randn(2, 3, 64, 64),), dynamic_shapes=({0: batch},)
    )
    images = torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        for ours, theirs in zip(backbone(images), program.module()(images), strict=True):
            torch.testing.assert_close(theirs, ours)
    file = str(tmp_path / 'backbone.onnx')
    torch.onnx.export(program, f=file, dynamo=True, verbose=False)
    check(file, backbone, images)


@pytest.mark.slow  # 10 to 40 seconds
@pytest.mark.parametrize('family', BACKBONES, ids=lambda family: family.__name__)
def test_torch_export_and_its_onnx_take_images_of_any_size(family, tmp_path):
    backbone = small(family)
    shapes = (dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC),)
    program = torch.export.export(
        backbone, (torch.randn(2, 3, 80, 112),), dynamic_shapes=shapes, strict=False
    )
    file = str(tmp_path / 'backbone.onnx')
    torch.onnx.export(program, f=file, dynamo=True, verbose=False)
    for size in [(3, 3, 96, 144), (1, 3, 90, 131), (2, 3, 70, 101)]:
        images = torch.randn(size)
        with torch.no_grad():
            for ours, theirs in zip(backbone(images), program.module()(images), strict=True):
                torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-5)
        check(file, backbone, images)


def test_the_performers_epsilon_is_exported(tmp_path):
    torch.manual_seed(0)
    performer = TokenPerformer(147, 16).eval()
    for parameter in performer.parameters():
        if parameter.ndim > 1:  # totals near the epsilon
            torch.nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
    tokens, file = torch.randn(2, 64, 147), str(tmp_path / 'performer.onnx')
    torch.onnx.export(performer, (tokens,), file, dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(file, providers=['CPUExecutionProvider'])
    (found,) = session.run(None, {session.get_inputs()[0].name: tokens.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), performer(tokens), rtol=1e-4, atol=1e-4)

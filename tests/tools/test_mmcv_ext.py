"""tools/_mmcv_ext.py: the values of mmcv's compiled operators, from torch and torchvision.

Each comparison calls a function of ``mmcv.ops`` twice: with the compiled operators and with ours.
An environment without compiled operators skips them, and runs the tests with known values.
"""

import importlib.util
import inspect
import re
import sys
from functools import partial
from pathlib import Path

import mmcv.ops
import pytest
import torch
from mmcv.ops import (
    batched_nms,
    bbox_overlaps,
    deform_conv2d,
    modulated_deform_conv2d,
    nms,
    nms_match,
    roi_align,
    sigmoid_focal_loss,
    soft_nms,
)
from mmcv.ops.multi_scale_deform_attn import (
    MultiScaleDeformableAttnFunction,
    multi_scale_deformable_attn_pytorch,
)
from mmcv.ops.psa_mask import psa_mask
from mmdet.models.losses.focal_loss import py_sigmoid_focal_loss
from torch.autograd import gradcheck

FILE = Path(__file__).resolve().parents[2] / 'tools/_mmcv_ext.py'
COMPILED = sys.modules['mmcv._ext']
# mmcv.ops has functions with the names of its files, so the files are taken from sys.modules.
FILES = [
    module
    for name, module in sorted(sys.modules.items())
    if name.startswith('mmcv.ops.') and hasattr(module, 'ext_module')
]


@pytest.fixture(scope='module')
def ours():
    """The file as a module."""
    spec = importlib.util.spec_from_file_location('mmcv_ext', FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def use(ours, monkeypatch):
    """Lets ``mmcv.ops`` call our operators or the given ones."""

    def choose(operators=ours):
        for file in FILES:
            monkeypatch.setattr(file, 'ext_module', operators)

    torch.manual_seed(0)
    return choose


@pytest.fixture
def both(use):
    """Calls a function with the compiled operators and with ours."""
    if not COMPILED.__file__.endswith('.so'):
        pytest.skip('mmcv has no compiled operators here: setup_env.sh --no-compile')

    def call(function):
        results = []
        for operators in ({'operators': COMPILED}, {}):
            use(**operators)
            results.append(function())
        return results

    return call


def boxes(number, size=300.0):
    corners = torch.rand(number, 2, 2) * size
    return torch.cat([corners.amin(1), corners.amax(1)], 1)


def with_gradients(function, *inputs):
    """Return the output, and the gradients of a weighted sum of it."""
    inputs = [x.detach().requires_grad_() for x in inputs]
    output = function(*inputs)
    weights = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view_as(output)
    return output.detach(), *torch.autograd.grad(output, inputs, weights)


def after(function, *options):
    """Return a function whose last arguments are given."""
    return lambda *inputs: function(*inputs, *options)


def assert_equal(results):
    for expected, actual in zip(*results, strict=True):
        assert torch.equal(expected, actual)


# ---- Names


def test_every_operator_exists_for_import(ours):
    wanted = set()
    for file in FILES:
        wanted.update(re.findall(r'ext_module\.(\w+)', inspect.getsource(file)))
    assert len(wanted) > 100
    assert all(callable(getattr(ours, name)) for name in wanted)
    assert not hasattr(ours, '__path__')


def test_a_missing_operator_names_itself_and_the_command(use):
    use()
    with pytest.raises(NotImplementedError, match=r'carafe_forward .*bash tools/setup_env\.sh'):
        mmcv.ops.carafe(torch.rand(1, 4, 4, 4), torch.rand(1, 9, 8, 8), 3, 1, 2)
    with pytest.raises(NotImplementedError, match=r"pool_mode='max'.*'avg'.*setup_env"):
        roi_align(torch.rand(1, 1, 4, 4), torch.tensor([[0.0, 0, 0, 2, 2]]), 2, 1.0, 0, 'max')


def test_arguments_have_the_names_of_the_compiled_ones(ours, both):
    checked = 0
    for name, function in inspect.getmembers(ours, inspect.isfunction):
        if name.startswith('_') or function.__module__ != ours.__name__:
            continue
        signature = getattr(COMPILED, name).__doc__.partition('\n')[0]
        names = re.findall(r'(\w+): ', signature)
        inspect.signature(function).bind(**dict.fromkeys(names))
        checked += 1
    assert checked == 19


# ---- Boxes


def test_nms_of_boxes_with_known_overlaps(use):
    """Boxes 0 and 1 overlap by 81 / 119 = 0.68; with an offset of 1 by 100 / 142 = 0.70."""
    use()
    given = torch.tensor([[0.0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30]])
    scores = torch.tensor([0.7, 0.9, 0.8])
    assert nms(given, scores, 0.67)[1].tolist() == [1, 2]
    assert nms(given, scores, 0.69)[1].tolist() == [1, 2, 0]
    assert nms(given, scores, 0.69, offset=1)[1].tolist() == [1, 2]
    assert nms(given, scores, 0.71, offset=1)[1].tolist() == [1, 2, 0]
    matched = nms_match(torch.cat([given, scores[:, None]], 1), 0.5)
    assert [group.tolist() for group in matched] == [[1, 0], [2]]
    kept, indices = soft_nms(given, scores, 0.5, method='linear')
    assert indices.tolist() == [1, 2, 0]
    assert kept[:, 4].tolist() == pytest.approx([0.9, 0.8, 0.7 * (1 - 81 / 119)])


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('number', [0, 1, 30, 500])
def test_nms_keeps_the_same_boxes(both, number, offset):
    """Also with equal scores, thresholds that are overlaps, and boxes without area."""
    for rounded in (False, True):
        given, scores = boxes(number, 20.0), torch.rand(number)
        if rounded:
            given, scores = given.round(), (scores * 10).round() / 10
        for threshold in (0.1, 0.3, 0.5, 0.7):
            assert_equal(both(partial(nms, given, scores, threshold, offset=offset)))


def test_nms_by_class_keeps_the_same_boxes(both):
    given, scores, classes = boxes(300), torch.rand(300), torch.randint(0, 5, (300,))
    config = dict(type='nms', iou_threshold=0.4, max_num=50, score_threshold=0.1)
    results = both(lambda: batched_nms(given, scores, classes, dict(config)))
    assert_equal(results)
    assert len(results[0][1]) == 50


@pytest.mark.parametrize('method', ['naive', 'linear', 'gaussian'])
def test_soft_nms_keeps_the_same_boxes(both, method):
    for rounded in (False, True):
        given, scores = boxes(100, 50.0), torch.rand(100)
        if rounded:
            given, scores = given.round(), (scores * 10).round() / 10
        (compiled, expected), (ours, kept) = both(
            partial(soft_nms, given, scores, 0.3, method=method, min_score=0.05)
        )
        assert torch.equal(kept, expected)
        torch.testing.assert_close(ours, compiled, equal_nan=True)


def test_nms_match_has_the_same_groups(both):
    dets = torch.cat([boxes(200, 30.0).round(), (torch.rand(200, 1) * 10).round()], 1)
    compiled, ours = both(lambda: [group.tolist() for group in nms_match(dets, 0.5)])
    assert ours == compiled
    assert max(map(len, ours)) > 1


@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('mode', ['iou', 'iof'])
def test_bbox_overlaps_are_equal(both, mode, aligned):
    first, second = boxes(40), boxes(40)
    for offset in (0, 1):
        overlaps = partial(bbox_overlaps, first, second, mode, aligned, offset)
        assert_equal([[each] for each in both(overlaps)])


# ---- Regions of interest


@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('sampling_ratio', [0, 2])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_roi_align_has_the_same_bits(both, dtype, sampling_ratio, aligned):
    """Forward and backward, with regions that reach outside the map."""
    image = torch.randn(2, 3, 13, 17, dtype=dtype)
    for number in (0, 50):
        regions = torch.cat(
            [torch.randint(0, 2, (number, 1)), boxes(number, 80.0) - torch.rand(number, 1) * 20], 1
        ).to(dtype)
        options = (regions, (7, 5), 0.25, sampling_ratio, 'avg', aligned)
        assert_equal(both(partial(with_gradients, after(roi_align, *options), image)))


def test_roi_align_of_a_ramp_is_the_coordinate_of_its_cells(use):
    use()
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    pooled = roi_align(ramp, torch.tensor([[0.0, 1, 1, 5, 5]]), 2, 1.0, 0, 'avg', True)
    assert pooled.tolist() == [[[[1.5, 3.5], [1.5, 3.5]]]]


# ---- Focal loss


def test_focal_loss_is_mmdetections(use):
    """Class 4 of 4 is the background."""
    use()
    logits, target = torch.randn(20, 4, dtype=torch.float64) * 4, torch.arange(20) % 5
    weight = torch.rand(5, dtype=torch.float64)
    one_hot = torch.nn.functional.one_hot(target, 5)[:, :4]
    for class_weight in (None, weight[:4]):
        known = target < 4 if class_weight is not None else target < 5
        x, labels = logits[known], target[known]
        factor = None if class_weight is None else class_weight[labels][:, None]
        ours = after(sigmoid_focal_loss, labels, 1.5, 0.3, class_weight, 'none')
        plain = after(py_sigmoid_focal_loss, one_hot[known], factor, 1.5, 0.3, 'none')
        torch.testing.assert_close(with_gradients(ours, x), with_gradients(plain, x))


def test_focal_loss_of_extreme_logits_is_finite(use):
    use()
    logits = torch.tensor([[200.0, -200.0], [-200.0, 200.0]])
    ours = after(sigmoid_focal_loss, torch.tensor([0, 0]), 2.0, 0.25, None, 'none')
    loss, gradient = with_gradients(ours, logits)
    most = -torch.tensor(torch.finfo(torch.float32).tiny).log()  # mmcv's limit of a logarithm
    torch.testing.assert_close(loss, torch.tensor([[0, 0], [0.25 * most, 0.75 * most]]))
    assert torch.isfinite(gradient).all()


# ---- Deformable convolution and attention, in another order of summation


@pytest.mark.parametrize(
    ('groups', 'deform_groups', 'stride', 'padding', 'dilation', 'kernel'),
    [(1, 1, 1, 1, 1, (3, 3)), (4, 2, 1, 2, 2, (3, 3)), (2, 2, (2, 1), (1, 0), (1, 2), (3, 2))],
)
def test_deformable_convolutions_agree(
    both, groups, deform_groups, stride, padding, dilation, kernel
):
    image, weight = torch.randn(2, 8, 9, 11), torch.randn(8, 8 // groups, *kernel)
    bias, taps = torch.randn(8), kernel[0] * kernel[1] * deform_groups
    geometry = (stride, padding, dilation, groups, deform_groups)
    size = torch.conv2d(image, weight, None, *geometry[:-1]).shape[2:]
    mask, plain, modulated = torch.rand(2, taps, *size), deform_conv2d, modulated_deform_conv2d
    for shift in (0, 1, 2.5):  # 0: many points are exactly one pixel outside the image
        offset = torch.randn(2, 2 * taps, *size) * shift
        for case in (
            (after(plain, *geometry), image, offset, weight),
            (after(plain, *geometry), image, offset.round(), weight),
            (after(modulated, None, *geometry), image, offset, mask, weight),
            (after(modulated, *geometry), image, offset.round(), mask, weight, bias),
        ):
            compiled, ours = both(partial(with_gradients, *case))
            torch.testing.assert_close(ours, compiled, rtol=1e-4, atol=1e-4)


def test_offsets_that_are_larger_than_the_output_are_read_alike(both):
    """MMDetection's DyHead makes them from a finer level."""
    image, weight = torch.randn(2, 4, 5, 6), torch.randn(4, 4, 3, 3)
    offset, mask = torch.randn(2, 18, 10, 12), torch.rand(2, 9, 10, 12)
    convolve = after(modulated_deform_conv2d, None, 1, 1)
    compiled, ours = both(partial(with_gradients, convolve, image, offset, mask, weight))
    torch.testing.assert_close(ours, compiled, rtol=1e-4, atol=1e-4)


def test_deformable_convolution_without_offsets_is_a_convolution(use):
    use()
    image, weight, bias = torch.randn(1, 4, 7, 7), torch.randn(6, 4, 3, 3), torch.randn(6)
    expected = torch.conv2d(image, weight, bias, padding=1)
    offset, mask = torch.zeros(1, 18, 7, 7), torch.ones(1, 9, 7, 7)
    actual = modulated_deform_conv2d(image, offset, mask, weight, bias, 1, 1)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


def test_deformable_attention_and_its_gradients(use):
    """What mmcv calls on a GPU: equal to its PyTorch function, and to differences of it."""
    use()
    shapes = torch.tensor([[4, 5], [2, 3]])
    starts = torch.tensor([0, 20])
    value = torch.rand(1, 26, 2, 3, dtype=torch.float64, requires_grad=True)
    places = torch.rand(1, 4, 2, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    weights = torch.rand(1, 4, 2, 2, 2, dtype=torch.float64, requires_grad=True)

    def attend(value, places, weights):
        return MultiScaleDeformableAttnFunction.apply(value, shapes, starts, places, weights, 64)

    output = attend(value, places, weights)
    assert torch.equal(output, multi_scale_deformable_attn_pytorch(value, shapes, places, weights))
    assert gradcheck(attend, (value, places, weights))


# ---- Point-wise spatial attention


@pytest.mark.parametrize('psa_type', [0, 1], ids=['collect', 'distribute'])
@pytest.mark.parametrize('mask', [(3, 3), (5, 3), (9, 11), (1, 1)])
def test_psa_masks_have_the_same_bits(both, mask, psa_type):
    weights = torch.randn(2, mask[0] * mask[1], 4, 5)
    assert_equal(both(partial(with_gradients, after(psa_mask, psa_type, mask), weights)))

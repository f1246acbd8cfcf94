"""Heat maps by value: against gradients taken by hand, and against the package grad-cam."""

import copy
import sys

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from torch.nn import functional as F

from tnt_backbone import TNT, PyramidTNT, T2TViT
from tnt_backbone.look.explain import explain, explained_layer
from tnt_backbone.look.heat import Layer, gradients_from, layer_cam
from tnt_backbone.look.network_input import network_input
from tnt_backbone.predict.pictures import find_pictures

ARCH = {'depth': 2, 'word_dims': 8, 'word_heads': 2, 'sentence_dims': 48, 'sentence_heads': 3}


def look(model_of, data, task):
    model = model_of(task)
    folder = 'classification/val/3' if task == 'classification' else 'val'
    return model, network_input(model, find_pictures([data / folder])[0])


def by_hand(target, maps, size):
    """Return LayerCAM of one number, with the levels added."""
    total = torch.zeros(size)
    for level, slope in zip(maps, torch.autograd.grad(target, maps), strict=True):
        cam = torch.relu((torch.relu(slope) * level).sum(1, keepdim=True)).detach()
        total += F.interpolate(cam, size=size, mode='bilinear')[0, 0]
    return (total / total.max()).numpy()


def test_objects_are_explained_by_the_gradient_of_their_score(model_of, data):
    model, seen = look(model_of, data, 'detection')
    maps = explain(model, seen, score=0.0, limit=3)
    assert [entry.title for entry in maps[:1]] == ['3 most certain objects']
    result = model.predict(data / 'val/0.jpg', score=0.0)
    assert [entry.title for entry in maps[1:]] == [
        f'{name}: {score:.2f}' for name, score in zip(result.names, result.scores[:3], strict=False)
    ]
    # in pixels of the network's input, which is the picture times a factor
    factor = seen.content[0] / result.height
    boxes = np.concatenate([entry.boxes for entry in maps[1:]])
    np.testing.assert_allclose(boxes, result.boxes[:3] * factor, rtol=1e-4, atol=1e-3)

    network = model.model
    with torch.no_grad():
        levels = [level.requires_grad_() for level in network.backbone(seen.tensor)]
    scores = network.bbox_head(network.neck(levels))[0]
    flat = torch.cat([level.permute(0, 2, 3, 1).flatten() for level in scores]).sigmoid()
    place = (flat - float(result.scores[0])).abs().argmin()
    expected = by_hand(flat[place], levels, seen.pixels.shape[:2])
    np.testing.assert_allclose(maps[1].heat, expected, atol=1e-4)
    np.testing.assert_array_equal(maps[0].heat, np.max([m.heat for m in maps[1:]], axis=0))


def test_only_found_objects_and_chosen_classes_are_explained(model_of, data):
    model, seen = look(model_of, data, 'detection')
    result = model.predict(data / 'val/0.jpg', score=0.0)
    assert explain(model, seen, score=1.0, limit=3) == []
    limit = float(result.scores[3])
    name = result.names[2]
    maps = explain(model, seen, score=limit, limit=9, classes=[name])
    found = [f'{name}: {s:.2f}' for s in result.scores[:4][result.labels[:4] == result.labels[2]]]
    assert [entry.title for entry in maps[-len(found) :]] == found
    assert len(maps) == len(found) + (len(found) > 1)
    assert len(explain(model, seen, score=limit, limit=9)) == 1 + sum(result.scores >= limit)
    with pytest.raises(ValueError, match='horse'):
        explain(model, seen, score=0.0, limit=3, classes=['horse'])


def test_classes_of_pixels_are_explained_by_their_mean_logit(model_of, data):
    model, seen = look(model_of, data, 'segmentation')
    maps = explain(model, seen, score=0.3, limit=2)
    labels = model.predict(data / 'val/0.jpg').labels
    shares = np.bincount(labels.ravel(), minlength=11) / labels.size
    first = int(shares.argmax())
    assert maps[0].title == f'{model.classes[first]}: {shares[first]:.0%} of the pixels'

    network = model.model
    with torch.no_grad():
        levels = [level.requires_grad_() for level in network.backbone(seen.tensor)]
    logits = network.decode_head(network.neck(levels) if network.with_neck else levels)
    logits = F.interpolate(logits, size=seen.pixels.shape[:2], mode='bilinear')[0]
    target = logits[first][logits.argmax(0) == first].mean()
    expected = by_hand(target, levels, seen.pixels.shape[:2])
    np.testing.assert_allclose(maps[0].heat, expected, atol=1e-4)


def test_pictures_are_explained_as_grad_cam_does(model_of, data):
    cam = pytest.importorskip('pytorch_grad_cam')
    model, seen = look(model_of, data, 'classification')
    maps = explain(model, seen, score=0.3, limit=2)
    result = model.predict(data / 'classification/val/3')[0]
    assert [m.title for m in maps] == [f'{name}: {score:.2f}' for name, score in result.top(2)]

    (mine,) = explain(model, seen, score=0.3, limit=1, method='gradcam')
    assert all(parameter.grad is None for parameter in model.model.parameters())

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone, self.rest = model.model.backbone, copy.deepcopy(model.model)
            self.rest.backbone = torch.nn.Identity()
            self.last = torch.nn.Identity()

        def forward(self, image):
            (level,) = self.backbone(image)
            return self.rest((self.last(level),), mode='tensor')

    network = Logits().requires_grad_(True)
    target = cam.utils.model_targets.ClassifierOutputTarget(int(result.label))
    theirs = cam.LayerCAM(network, [network.last])(seen.tensor, [target])[0]
    ours = maps[0].heat - maps[0].heat.min()
    np.testing.assert_allclose(ours / ours.max(), theirs, atol=1e-4)

    theirs = cam.GradCAM(network, [network.last])(seen.tensor, [target])[0]
    np.testing.assert_allclose(mine.heat, theirs, atol=1e-4)


def test_other_methods_need_grad_cam_and_a_classifier(model_of, data, monkeypatch):
    model, seen = look(model_of, data, 'classification')
    monkeypatch.setitem(sys.modules, 'pytorch_grad_cam', None)
    with pytest.raises(ImportError, match=r'tnt-backbone\[look\]'):
        explain(model, seen, score=0.3, limit=1, method='gradcam')
    monkeypatch.setattr(model, 'task', 'detection')
    with pytest.raises(ValueError, match=r'--cam gradcam.*detection'):
        explain(model, seen, score=0.3, limit=1, method='gradcam')


BACKBONES = {
    'class token': lambda: TNT(ARCH, out_type='cls_token'),
    'mean': lambda: TNT(ARCH, out_type='avg_featmap'),
    'map': lambda: TNT(ARCH, out_type='featmap', out_indices=(0, 1)),
    'pyramid mean': lambda: PyramidTNT('ti', img_size=64, out_type='avg_featmap'),
    't2t': lambda: T2TViT('7', out_type='cls_token'),
}


@pytest.mark.parametrize('name', BACKBONES)
def test_every_kind_of_vector_has_a_map(name):
    torch.manual_seed(0)
    backbone, size = BACKBONES[name]().eval(), (64, 96)
    layer = explained_layer(backbone, size)
    with gradients_from(backbone, layer) as outputs:
        result = backbone(torch.randn(1, 3, *size))[-1]
        heat = layer_cam((result * torch.randn_like(result)).sum(), layer, outputs, size)
    assert heat.shape == size
    assert heat.max() == 1
    assert heat.std() > 0.01
    assert all(parameter.requires_grad for parameter in backbone.parameters())


def test_a_score_without_a_gradient_is_refused():
    layer = Layer(torch.nn.Identity())
    with gradients_from(layer.module, layer) as outputs:
        layer.module(torch.ones(1, 2, 4, 4))
        with pytest.raises(ValueError, match='--no-heat'):
            layer_cam(torch.tensor(0.5), layer, outputs, (8, 8))


def test_the_picture_that_is_shown_is_what_the_network_got(model_of, data):
    model, seen = look(model_of, data, 'detection')
    preprocessor = model.model.data_preprocessor
    again = seen.tensor[0] * preprocessor.std + preprocessor.mean  # RGB
    height, width = seen.content
    np.testing.assert_allclose(
        seen.pixels[:height, :width], again[:, :height, :width].permute(1, 2, 0), atol=0.51
    )
    assert (seen.pixels[height:] == 0).all()
    assert (seen.pixels[:, width:] == 0).all()
    with DefaultScope.overwrite_default_scope('mmdet'):
        assert seen.samples[0].img_shape[:2] == seen.content

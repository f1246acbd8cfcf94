"""Heads for several labels: the file finds the classes that MMPretrain's head does."""

import numpy as np
import pytest
import torch
from mmpretrain.models import MultiLabelLinearClsHead

from tests.exported.models import write_pictures
from tests.predict.conftest import data, make_checkpoint  # noqa: F401 (fixtures)
from tnt_backbone import load_model
from tnt_backbone.exported.classify import choose
from tnt_backbone.exported.export import export_model
from tnt_backbone.exported.model import ExportedModel
from tnt_backbone.exported.parity import compare
from tnt_backbone.predict.pictures import find_pictures


@pytest.mark.parametrize('rule', [{}, {'thr': 0.6}, {'topk': 3}, {'thr': 0.6, 'topk': 3}])
def test_the_classes_are_those_of_mmpretrain(rule):
    head = MultiLabelLinearClsHead(num_classes=8, in_channels=4, **rule)
    logits = torch.tensor([[0.5, -2, 3, 0, 1, -1, 0.1, 2], [-9, -8, -7, -6, -5, -4, -3, -2]])
    for sample in head._get_predictions(logits, None):
        scores = sample.pred_score.numpy()
        found = choose(scores, {'thr': head.thr, 'topk': head.topk})
        assert sorted(found) == sorted(sample.pred_label.tolist())
        assert list(scores[found]) == sorted(scores[found], reverse=True)


def test_a_file_finds_several_labels(make_checkpoint, tmp_path):  # noqa: F811
    path, cfg = make_checkpoint('classification')
    head = {'type': 'MultiLabelLinearClsHead', 'num_classes': 10, 'in_channels': 192, 'thr': 0.49}
    cfg.model.head = head
    content = torch.load(path, weights_only=False)
    content['meta']['cfg'] = cfg.pretty_text
    torch.save(content, path)
    trained = load_model(path, device='cpu')
    torch.manual_seed(0)
    torch.nn.init.normal_(trained.model.head.fc.weight, std=1.0)
    pictures = find_pictures([write_pictures(tmp_path / 'pictures', [(64, 64)] * 4)])
    file = tmp_path / 'model.onnx'
    export_model(trained, file, (64, 64))
    exported = ExportedModel(file)
    assert compare(trained, exported, pictures)['passed']
    numbers = set()
    for ours, theirs in zip(trained.stream(pictures), exported.stream(pictures), strict=True):
        assert [e['category'] for e in theirs.to_json()['labels']] == [
            trained.classes[i] for i in ours.chosen
        ]
        np.testing.assert_array_equal(ours.chosen, theirs.chosen)
        assert theirs.draw().shape == ours.pixels.shape
        numbers.add(len(ours.chosen))
    assert numbers != {1}

    trained.model.head.thr = 0.9  # other classes with equal scores
    assert not compare(trained, exported, pictures)['passed']

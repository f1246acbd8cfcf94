"""Pictures with fewer places than a detector has queries: told before the run, and in it."""

from types import SimpleNamespace

import pytest
import torch
from mmdet.models import DINO
from mmdet.structures import DetDataSample

from tnt_backbone import load_model
from tnt_backbone.cli.common import message_of
from tnt_backbone.predict.pictures import Picture, UnreadablePictureError
from tnt_backbone.run.config import read_config
from tnt_backbone.run.few_places import check_places, explain_few_places


def places(side):
    """Count the cells of the maps of strides 8, 16, 32 and 64, by hand."""
    return sum((-(-side // stride)) ** 2 for stride in (8, 16, 32, 64))


@pytest.mark.parametrize(('side', 'queries'), [(192, 765), (192, 766), (224, 1045)])
def test_the_largest_pictures_must_have_a_place_for_each_query(side, queries):
    cfg = read_config(
        'dino_pyramid_tnt_s_coco',
        options={
            'model.num_queries': queries,
            'test_dataloader.dataset.pipeline.1.scale': (side,) * 2,
        },
        work_dir=None,
        launcher='none',
    )
    check_places(cfg, ('train', 'val'))  # up to 800x1344
    if places(side) >= queries:
        check_places(cfg, ('test',))
        return
    with pytest.raises(
        ValueError, match=r'test_dataloader.*num_queries=766.*192x192.*765.*224x224'
    ):
        check_places(cfg, ('test',))


def choose(side, queries=300):
    """Let MMDetection choose the queries in a picture, with layers that do nothing."""
    batch_data_samples = [DetDataSample(metainfo={'batch_input_shape': (side, side)})]
    assert batch_data_samples
    sides = [-(-side // stride) for stride in (8, 16, 32, 64)]
    detector = DINO.__new__(DINO)
    torch.nn.Module.__init__(detector)
    detector.num_queries = queries
    detector.decoder = SimpleNamespace(num_layers=0)
    branches = [torch.nn.Linear(8, 4)]
    detector.bbox_head = SimpleNamespace(cls_branches=branches, reg_branches=branches)
    detector.gen_encoder_output_proposals = lambda memory, *_: (memory, 0)
    detector.query_embedding = torch.nn.Embedding(queries, 8)
    detector.eval()
    memory = torch.zeros(1, sum(s * s for s in sides), 8)
    return detector.pre_decoder(memory, None, torch.tensor([[s, s] for s in sides]))


def test_what_pytorch_says_of_too_few_places_is_explained():
    choose(128)  # 340 places
    with pytest.raises(RuntimeError, match='out of range') as caught:
        choose(64)
    said = message_of(caught.value)
    assert said == explain_few_places(caught.value)
    for word in ('DINO', 'num_queries=300', '64x64', 'have 85.', '128x128', 'model.num_queries=85'):
        assert word in said
    assert message_of(RuntimeError('selected index k out of range')) is None


def test_a_prediction_leaves_such_a_picture_out():
    model = load_model('tnt://digits')
    batch = [
        (Picture(f'{side}.png', ''), {'inputs': torch.zeros(3, side, side)}) for side in (64, 128)
    ]
    (small, error), (large, answer) = model.answered(
        batch, lambda data: [choose(data['inputs'][0].shape[-1])]
    )
    assert (small.name, large.name) == ('64.png', '128.png')
    assert isinstance(error, UnreadablePictureError)
    assert str(error).startswith('64.png: DINO')
    assert answer[0]['query'].shape == (1, 300, 8)

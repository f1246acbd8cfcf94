"""tnt_backbone/segmentation: Trans2Seg's head against what can be written out by hand."""

import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope, init_default_scope
from torch import nn
from torch.nn import functional as F

from tnt_backbone.heads.trans2seg_head import ClassAttention, DecoderLayer, MapMlp
from tnt_backbone.segmentation import Trans2SegHead

CONFIG = Path(__file__).parents[2] / 'configs/trans2seg_tnt_s_ade20k.py'
CLASSES, FINE, COARSE = 5, 12, 20  # classes and channels of the maps


@pytest.fixture(autouse=True)
def scope():
    DefaultScope._instance_dict.clear()
    init_default_scope('mmseg')
    torch.manual_seed(0)
    yield
    DefaultScope._instance_dict.clear()


def make_head(**changes):
    arguments = dict(
        in_channels=(FINE, COARSE),
        in_index=(0, 1),
        channels=8,
        num_classes=CLASSES,
        embed_dims=16,
        num_layers=2,
        num_heads=4,
        grid_size=(4, 6),
        norm_cfg=dict(type='BN'),
    )
    head = Trans2SegHead(**{**arguments, **changes})
    for module in head.modules():
        if isinstance(module, nn.Linear):  # 0.02 is for 256 channels: with 16, nothing would happen
            nn.init.normal_(module.weight, std=0.25)
    return head


def make_maps(batch=2, fine=(8, 12), coarse=(4, 6)):
    return torch.randn(batch, FINE, *fine), torch.randn(batch, COARSE, *coarse)


@pytest.mark.parametrize(
    ('fine', 'coarse'),
    [((8, 12), (4, 6)), ((13, 21), (7, 11)), ((25, 4), (4, 1)), ((1, 1), (1, 1))],
)
def test_logits_have_the_size_of_the_fine_map(fine, coarse):
    head = make_head().eval()
    with torch.no_grad():
        logits = head(make_maps(3, fine, coarse))
    assert logits.shape == (3, CLASSES, *fine)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize('coarse', [(4, 6), (5, 7)])
@pytest.mark.parametrize('changes', [{}, dict(num_layers=1), dict(dropout_ratio=0.5)])
def test_every_parameter_has_a_gradient(changes, coarse):
    head = make_head(**changes).train()
    maps = [level.requires_grad_() for level in make_maps(coarse=coarse)]
    (head(maps) * torch.randn(2, CLASSES, 8, 12)).sum().backward()
    assert [name for name, p in head.named_parameters() if p.grad is None] == []
    zero = [name for name, p in head.named_parameters() if not p.grad.abs().max() > 0]
    assert zero == []
    assert all(level.grad.abs().max() > 0 for level in maps)


def test_the_maps_are_attention_written_out_by_hand():
    """Those of the last layer, from the queries and tokens that reach it."""
    head = make_head().eval()
    nn.init.zeros_(head.map_mlp.mlp.fc2.weight)  # so it leaves the maps as they are
    seen = []
    head.decoder[-1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    with torch.no_grad():
        _, maps = head.encode_decode(make_maps()[1])
    ((queries, tokens),) = seen
    last = head.decoder[-1]
    q = F.layer_norm(queries, (16,)) @ last.attn.query.weight.T
    k = F.layer_norm(tokens, (16,)) @ last.attn.key.weight.T
    assert maps.shape == (2, CLASSES, 4, 4, 6)
    for sample in range(2):
        for number in range(CLASSES):
            for h in range(4):
                part = slice(4 * h, 4 * h + 4)  # 16 channels of 4 heads
                expected = k[sample, :, part] @ q[sample, number, part] / 2.0  # sqrt(4)
                found = maps[sample, number, h]
                torch.testing.assert_close(found, expected.reshape(4, 6))
                torch.testing.assert_close(
                    found.flatten().softmax(0), expected.exp() / expected.exp().sum()
                )


def test_the_update_of_the_queries_is_that_of_pytorchs_attention():
    layer = DecoderLayer(16, 4, 3.0, is_last=False)
    for parameter in layer.query_mlp[1].fc2.parameters():
        nn.init.zeros_(parameter)
    torch_attn = nn.MultiheadAttention(16, 4, batch_first=True)
    with torch.no_grad():
        parts = (layer.attn.query.weight, layer.attn.key.weight, layer.value.weight)
        torch_attn.in_proj_weight.copy_(torch.cat(parts))
        torch_attn.out_proj.load_state_dict(layer.proj.state_dict())
    queries, tokens = torch.randn(2, 5, 16), torch.randn(2, 24, 16)
    maps, new_queries, new_tokens = layer(queries, tokens)
    normed = F.layer_norm(tokens, (16,))
    update, weights = torch_attn(
        F.layer_norm(queries, (16,)), normed, normed, average_attn_weights=False
    )
    torch.testing.assert_close(maps.softmax(-1).transpose(1, 2), weights)
    torch.testing.assert_close(new_queries, queries + update)
    torch.testing.assert_close(new_tokens, tokens + layer.token_mlp[1](normed))


def test_the_classes_share_everything_but_their_query():
    head = make_head().eval()
    maps, order = make_maps(), torch.tensor([3, 0, 4, 1, 2])
    other = copy.deepcopy(head)
    with torch.no_grad():
        other.class_embed.copy_(head.class_embed[:, order])
        logits = head(maps)
        torch.testing.assert_close(other(maps), logits[:, order])
    assert logits.std(dim=1).mean() > 1e-4


def test_images_of_a_batch_do_not_mix():
    head = make_head().eval()
    fine, coarse = make_maps()
    with torch.no_grad():
        both = head((fine, coarse))
        one = head((fine[1:], coarse[1:]))
    torch.testing.assert_close(both[1:], one)


def test_fine_map_is_read_where_it_is():
    """A pixel of the fine map reaches its neighbours in one 3x3 convolution, and no others."""
    head = make_head().eval()
    fine, coarse = make_maps()
    changed = fine.clone()
    changed[:, :, 4, 5] += 10.0
    with torch.no_grad():
        difference = (head((changed, coarse)) - head((fine, coarse))).abs().amax(dim=(0, 1))
    rows, columns = difference.nonzero(as_tuple=True)
    assert set(rows.tolist()) <= {3, 4, 5}
    assert set(columns.tolist()) <= {4, 5, 6}
    assert difference[4, 5] > 0


def test_map_mlp_is_resized_to_its_grid():
    mlp = MapMlp((4, 6), 3.0)
    maps = torch.randn(2, 5, 3, 4, 6)
    cells = maps.flatten(3)
    hidden = F.gelu(mlp.mlp.fc1(F.layer_norm(cells, (24,))))
    expected = cells + mlp.mlp.fc2(hidden)
    torch.testing.assert_close(mlp(maps), expected.unflatten(3, (4, 6)))

    larger = torch.randn(2, 5, 3, 8, 12)
    with torch.no_grad():
        mlp.mlp.fc2.weight.zero_()
        mlp.mlp.fc2.bias.copy_(torch.arange(24.0))
    table = torch.arange(24.0).reshape(1, 1, 4, 6)
    update = F.interpolate(table, size=(8, 12), mode='bilinear', align_corners=False)
    torch.testing.assert_close(
        mlp(larger) - larger, update.expand(2, 5, 3, 8, 12), rtol=0, atol=1e-5
    )


def test_places_are_told_apart():
    head = make_head().eval()
    with torch.no_grad():
        features, _ = head.encode_decode(torch.ones(1, COARSE, 4, 6))
        assert features.std(dim=(2, 3)).max() > 1e-3
        head.pos_embed.zero_()
        features, _ = head.encode_decode(torch.ones(1, COARSE, 4, 6))
    torch.testing.assert_close(features, features[:, :, :1, :1].expand_as(features))


def test_it_learns_to_segment():
    """Three kinds of pixels, by the sign of two channels: a few steps tell them apart."""
    torch.manual_seed(2)
    head = make_head(num_classes=3).train()
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-2)
    for _ in range(100):
        fine, coarse = make_maps(4)
        labels = (fine[:, 0] > 0).long() + ((fine[:, 0] > 0) & (fine[:, 1] > 0)).long()
        loss = F.cross_entropy(head((fine, coarse)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.5  # 1.04 is the entropy of the class frequencies


def test_size_with_tnt_s_is_what_the_config_says():
    """The table of configs/_base_/models/trans2seg.py."""
    cfg = Config.fromfile(CONFIG)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)

    def count(module):
        return sum(parameter.numel() for parameter in module.parameters())

    head = model.decode_head
    assert count(head) == 6_573_849
    assert round(count(model) / 1e6, 1) == 31.3
    layer = head.decoder[0]
    # a layer's MLP over its maps; the last layer's value, projection and two MLPs
    unused = (len(head.decoder) - 1) * count(head.map_mlp)
    unused += sum(map(count, (layer.value, layer.proj, layer.query_mlp, layer.token_mlp)))
    assert round(unused / 1e6, 1) == 2.1
    pooled = count(model) - count(model.backbone.pyramid)
    assert round((pooled + unused) / 1e6, 1) == 32.1  # the paper's


@pytest.mark.parametrize('name', ['Trans2SegHead', 'tnt_backbone.Trans2SegHead'])
def test_mmsegmentation_finds_it(name):
    from mmseg.registry import MODELS as MMSEG_MODELS

    cfg = dict(
        type=name, in_channels=(FINE, COARSE), in_index=(0, 1), num_classes=CLASSES, num_layers=1
    )
    head = MMSEG_MODELS.build(cfg)
    assert type(head) is Trans2SegHead
    assert isinstance(head.loss_decode, nn.Module)


def test_package_does_without_mmsegmentation(run_in_a_fork):
    code = (
        "import sys; sys.modules['mmseg'] = None\n"
        'import tnt_backbone, tnt_backbone.engine\n'
        'try:\n'
        '    import tnt_backbone.segmentation\n'
        'except ImportError as error:\n'
        "    print('needs', error.name)\n"
    )
    done = run_in_a_fork(code)
    assert done.stdout.startswith('needs mmseg'), done.stderr


@pytest.mark.parametrize(
    ('changes', 'text'),
    [
        (dict(in_channels=FINE), 'in_channels=12'),
        (dict(in_index=(0, 1, 2)), 'in_index'),
        (dict(grid_size=16), 'grid_size=16'),
        (dict(num_layers=0), 'num_layers=0'),
        (dict(num_heads=3), r'num_heads=3\b.*\b16\b'),
    ],
)
def test_wrong_arguments_are_named(changes, text):
    with pytest.raises(ValueError, match=text):
        make_head(**changes)


def test_heads_must_divide():
    with pytest.raises(ValueError, match='num_heads=5'):
        ClassAttention(16, 5)

"""Which runs come next, and the networks that are compared."""

import pytest
import small_objects
import small_objects_cost
import small_objects_designs  # noqa: F401  registers the designs
import small_objects_models as models
import torch
from mmdet.registry import MODELS
from mmengine.registry import DefaultScope
from small_objects_digits import make_digits
from study import Rows


@pytest.fixture
def rows(tmp_path):
    return Rows(tmp_path / 'results.csv', small_objects.COLUMNS, len(small_objects.KEYS))


def add(rows, network, rate, seed, score):
    key = ('detect', network, rate, seed, str(small_objects.STEPS['detect']))
    rows.add(dict(zip(small_objects.KEYS, key, strict=True)) | dict(AP_all=score))


def test_the_other_seeds_take_the_better_rate(rows):
    def missing():
        return [key[1:4] for key in small_objects.missing(rows, ['detect'], ['tnt', 'vit'])]

    both = [('tnt', '0.001', '0'), ('tnt', '0.003', '0')]
    assert missing() == [*both, ('vit', '0.001', '0'), ('vit', '0.003', '0')]
    add(rows, 'tnt', '0.003', '0', 0.3)
    assert missing()[:2] == [('tnt', '0.001', '0'), ('vit', '0.001', '0')]
    add(rows, 'tnt', '0.001', '0', 0.2)
    first = [('vit', '0.001', '0'), ('vit', '0.003', '0')]  # of all networks
    assert missing() == [*first, ('tnt', '0.003', '1'), ('tnt', '0.003', '2')]
    for seed in '12':
        add(rows, 'tnt', '0.003', seed, 0.3)
    assert missing() == first


def test_with_one_rate_all_seeds_take_it(rows):
    def missing():
        return [key[1:4] for key in small_objects.missing(rows, ['detect'], ['tnt'], [0.01])]

    assert missing() == [('tnt', '0.01', '0')]
    add(rows, 'tnt', '0.01', '0', 0.3)
    assert missing() == [('tnt', '0.01', '1'), ('tnt', '0.01', '2')]


def test_rows_of_another_number_of_steps_do_not_count(rows, monkeypatch):
    add(rows, 'tnt', '0.001', '0', 0.2)
    monkeypatch.setitem(small_objects.STEPS, 'detect', 7)
    assert len(small_objects.missing(rows, ['detect'], ['tnt'])) == 2


def test_photographs_are_asked_for_with_their_folder(tmp_path):
    assert 'photos' not in small_objects.parse_args([]).tasks
    for name in ('kangaroo/images', 'pennfudan/images/train', 'pennfudan/images/val'):
        (tmp_path / name).mkdir(parents=True)
    for name in ('kangaroo', 'pennfudan'):
        for split in ('train', 'val'):
            (tmp_path / name / f'{split}.json').touch()
    assert 'photos' in small_objects.parse_args(['--photos', str(tmp_path)]).tasks
    (tmp_path / 'pennfudan/val.json').unlink()
    for wrong in (
        ['--only', 'photos'],
        ['--only', 'resnet50'],
        ['--photos', str(tmp_path)],
    ):
        with pytest.raises(SystemExit) as ended:
            small_objects.parse_args(wrong)
        assert ended.value.code == 2


def test_which_networks_are_meant():
    def networks(*words):
        return small_objects.parse_args(list(words)).networks

    everything = [*small_objects.NETWORKS, *small_objects.DESIGNS]
    assert networks() == list(small_objects.NETWORKS)
    assert networks('--only', 'detect') == list(small_objects.NETWORKS)
    assert networks('--designs') == everything
    assert networks('--only', 'words_told', 'tnt') == ['tnt', 'words_told']
    assert networks('--only', 'words_told', '--designs') == [
        'words_told', 'words_zero', 'words_first'
    ]  # fmt: skip


@pytest.mark.parametrize('network', small_objects.NETWORKS)
def test_all_networks_give_the_head_the_same_maps(network, tmp_path):
    DefaultScope.get_instance('test', scope_name='mmdet')
    width = 64 if network != 'swin' else 24
    cfg = models.detector(network, width, tmp_path, ('a', 'b'))
    detector = MODELS.build(cfg.model)
    maps = detector.backbone(torch.zeros(1, 3, 64, 96))
    assert [tuple(level.shape[-2:]) for level in maps] == [(16, 24), (8, 12), (4, 6)]
    assert len(detector.extract_feat(torch.zeros(1, 3, 64, 96))) == 4
    assert detector.bbox_head.num_classes == 2
    # each object has an anchor: the roots of their areas are at most a factor of 2**(1/4) apart
    sides = torch.cat(detector.bbox_head.prior_generator.base_anchors)
    areas = (sides[:, 2] - sides[:, 0]) * (sides[:, 3] - sides[:, 1])
    assert areas.sqrt().tolist() == pytest.approx([4 * 2 ** (i / 2) for i in range(8)])
    inner = [name for name, _ in detector.named_modules() if name.endswith('.word_block')]
    assert len(inner) == (models.DEPTH if network.startswith('tnt') else 0)
    read = [name for name, _ in detector.named_modules() if name.endswith('.read_words')]
    assert len(read) == (2 if network == 'tnt_words' else 0)


def test_the_recipe(tmp_path):
    cfg = models.detector('tnt', 128, tmp_path)
    cfg = models.with_recipe(cfg, steps=80, rate=3e-3, seed=5)
    assert cfg.train_cfg.max_iters == cfg.param_scheduler[1].T_max == 80
    assert cfg.param_scheduler[0].end == 10
    assert (cfg.optim_wrapper.optimizer.lr, cfg.randomness.seed) == (3e-3, 5)
    assert cfg.train_dataloader.dataset.data_root == f'{tmp_path}/'
    assert cfg.test_evaluator.ann_file == f'{tmp_path}/annotations/instances_val.json'


def test_a_network_that_costs_more_is_refused(tmp_path):
    rows = Rows(tmp_path / 'cost.csv', small_objects_cost.COLUMNS, 2)
    row = dict(step_s=1, params_m=1)
    rows.add(row | dict(model='tnt_words', width=128, of_reference=1.0, chosen=1))
    rows.add(row | dict(model='tnt', width=128, of_reference=1.1, chosen=1))
    rows.add(row | dict(model='vit', width=160, of_reference=0.7, chosen=0))
    rows.add(row | dict(model='vit', width=192, of_reference=0.9, chosen=1))
    rows.add(row | dict(model='swin', width=24, of_reference=1.0, chosen=1))
    with pytest.raises(SystemExit, match='resnet'):  # the measurement was interrupted
        small_objects_cost.chosen_widths(rows)
    rows.add(row | dict(model='resnet', width=40, of_reference=1.0, chosen=1))
    widths = dict(tnt_words=128, tnt=128, vit=192, swin=24, resnet=40)
    assert small_objects_cost.chosen_widths(rows) == widths
    rows.add(row | dict(model='resnet', width=48, of_reference=1.11, chosen=1))
    with pytest.raises(SystemExit, match='resnet of width 48'):
        small_objects_cost.chosen_widths(rows)


@pytest.mark.slow
@pytest.mark.parametrize('task', ['detect', 'segment'])
def test_a_run_from_scenes_to_a_row(task, tmp_path):
    make_digits(tmp_path / 'data', train=4, val=2)
    key = (task, 'tnt_words', '0.001', '0', '10')
    row = small_objects.run(key, tmp_path, dict(tnt_words=32))
    assert set(row) <= set(small_objects.COLUMNS)
    assert tuple(row[name] for name in small_objects.KEYS) == key
    score = row['mIoU'] if task == 'segment' else row['AP_all']
    assert 0 <= float(score) < 50
    assert 0 <= float(row['minutes']) < 10
    # the training is over: a second call only tests
    (tmp_path / 'runs' / '_'.join(key) / 'last_checkpoint').unlink()
    assert small_objects.run(key, tmp_path, dict(tnt_words=32)) == row


def test_designs_differ_in_the_one_thing_that_they_name(tmp_path):
    """Their sentences are those of the pyramid as built, with the same seed."""
    DefaultScope.get_instance('test', scope_name='mmdet')
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))

    def build(network):
        torch.manual_seed(0)
        return MODELS.build(models.detector(network, 64, tmp_path).model.backbone).eval()

    def read_by(backbone):
        seen = []
        backbone.pyramid.levels['0'].read_words[0].register_forward_hook(
            lambda module, args, out: seen.append(args[0])
        )
        backbone(image)
        return seen[0]

    plain, built = build('tnt'), build('tnt_words')
    zero, told, first = (build(name) for name in small_objects.DESIGNS)
    with torch.no_grad():
        for of_zero, of_told, of_built in zip(zero(image), told(image), built(image), strict=True):
            assert of_zero.shape == of_told.shape == of_built.shape
        # nothing is added at the start
        level = plain.pyramid.levels['0'].resample
        level.load_state_dict(zero.pyramid.levels['0'].resample.state_dict())
        plain.load_state_dict(
            {k: v for k, v in zero.state_dict().items() if not k.startswith('pyramid')},
            strict=False,
        )
        assert torch.equal(plain(image)[0], zero(image)[0])
        # a word that is told something else is read in another way
        before = told(image)[0]
        told.pyramid.levels['0'].read_words.tell[1].weight.neg_()
        assert not torch.allclose(told(image)[0], before)
        words = {}
        first.blocks[0].register_forward_hook(lambda m, args, out: words.update(first=out[0]))
        of_first = read_by(first)
        cells = words['first'].view(1, 4, 4, 4, 4, -1)  # sentences' and words' rows and columns
        assert torch.equal(of_first, cells.permute(0, 5, 1, 3, 2, 4).reshape(of_first.shape))
        assert not torch.allclose(read_by(built), of_first)

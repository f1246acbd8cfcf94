"""The tables of docs/evidence.md agree with the rows of finished runs."""

import dataclasses

import evidence
import evidence_tables as tables
import pytest
from evidence_plot import plot
from overfit_recipes import RECIPES, key_of
from small_objects import MAP_SCORES, SCORES, STEPS


def row(network, rate, seed, score, task='detect', **others):
    return dict(
        task=task,
        network=network,
        rate=str(rate),
        seed=str(seed),
        steps=str(STEPS[task]),
        minutes='30',
        mIoU=str(100 * score),
        **{name: str(score) for name in SCORES},
    ) | {name: str(value) for name, value in others.items()}


ROWS = [
    row('tnt', 0.001, 0, 0.5),  # the worse rate
    row('tnt', 0.003, 0, 0.6),
    row('tnt', 0.003, 1, 0.4),
    row('tnt_words', 0.001, 0, 0.7, AP_small=0.2),
    row('tnt_words', 0.001, 1, 0.6, AP_small=0.1),
    row('tnt_words', 0.001, 2, 0.8, AP_small=0.6),
]


def cells(table, name):
    (line,) = [line for line in table.splitlines() if line.startswith(f'| {name} |')]
    head = [cell.strip() for cell in table.splitlines()[0].strip('|').split('|')]
    return dict(zip(head, [cell.strip() for cell in line.strip('|').split('|')], strict=True))


def test_the_page_agrees_with_the_rows(capsys):
    assert evidence.main(['--check']) == 0, capsys.readouterr().out


def test_boxes():
    table = tables.boxes(ROWS, 'detect')
    words = cells(table, 'TNT, levels read words')
    assert (words['rate'], words['seeds']) == ('0.001', '3')
    assert words['AP all'] == '70.0 (60.0 to 80.0)'
    assert words['AP small'] == '30.0 (10.0 to 60.0)'
    plain = cells(table, 'TNT')
    assert (plain['rate'], plain['seeds'], plain['AP all']) == ('0.003', '2', '50.0 (40.0 to 60.0)')
    difference = cells(table, 'words: first minus second')
    # seed by seed: 70 - 60 and 60 - 40; the third has no partner
    assert (difference['seeds'], difference['AP all']) == ('2', '15.0 (10.0 to 20.0)')
    assert cells(table, 'Swin')['AP all'] == tables.NOT_RUN


def test_rows_of_another_task_or_length_do_not_count():
    others = [dict(each, steps='7') for each in ROWS] + [dict(each, task='photos') for each in ROWS]
    assert cells(tables.boxes(others, 'detect'), 'TNT')['AP all'] == tables.NOT_RUN


def test_label_maps():
    table = tables.label_maps([row('vit', 0.001, 0, 0.25, task='segment')])
    assert cells(table, 'ViT: no inner transformers')['mIoU'] == '25.0'


def test_designs():
    """At the larger rate. Rows without numbers of pixels were of another machine."""
    pixels = dict.fromkeys(MAP_SCORES, '')
    counted = dict.fromkeys(MAP_SCORES, 0.5)
    rows = [
        *ROWS,
        row('words_zero', 0.003, 0, 0.3),
        row('tnt', 0.003, 0, 0.9, task='segment', **pixels),
        row('tnt', 0.003, 1, 0.8, task='segment', **counted | dict(pixels_large=0.25)),
    ]
    table = tables.designs(rows)
    plain = cells(table, 'TNT')
    assert plain['AP all'] == '50.0 (40.0 to 60.0)'
    assert (plain['mIoU'], plain['IoU, any digit'], plain['pixels right, large']) == (
        *('80.0', '50.0', '25.0'),
    )
    zero = cells(table, 'the convolution that reads words starts at zero')
    assert (zero['AP small'], zero['mIoU']) == ('30.0', tables.NOT_RUN)


def test_the_plot_is_shown_as_soon_as_there_is_one():
    assert tables.NOT_RUN in tables.plot([], 'a.svg')
    assert tables.NOT_RUN in tables.plot([dict(ROWS[0], task='photos')], 'a.svg')
    assert '(a.svg)' in tables.plot(ROWS[:1], 'a.svg')


def test_hours():
    assert cells(tables.hours(ROWS), 'detect')['hours of training'] == '3.0'


def test_overfit():
    key = dict(zip(('recipe', 'steps', 'batch', 'rate'), key_of('RetinaNet'), strict=True))
    found = dict(
        metric='coco/bbox_mAP_50', value='0.9', loss_start='2', loss_end='0.1', minutes='3'
    )
    assert 'yes' in cells(tables.overfit([key | found]), 'RetinaNet')['reached 0.9']
    found['value'] = '0.899'
    table = tables.overfit([key | found])
    assert cells(table, 'RetinaNet')['reached 0.9'] == 'coco/bbox_mAP_50 0.899: no'
    assert cells(table, 'DETR')['reached 0.9'] == tables.NOT_RUN
    longer = key | found | dict(steps='9999')
    assert cells(tables.overfit([longer]), 'RetinaNet')['reached 0.9'] == tables.NOT_RUN


def test_a_changed_learning_rate_is_said(monkeypatch):
    recipe = dataclasses.replace(RECIPES['RetinaNet'], rate=10.0)
    monkeypatch.setitem(RECIPES, 'RetinaNet', recipe)
    table = tables.overfit([])
    assert '10 times the learning rate' in cells(table, 'RetinaNet')['changes']
    assert 'learning rate' not in cells(table, 'Faster R-CNN')['changes']


def test_strides():
    table = tables.strides([dict(stride='16', mIoU='0.817', right='0.964')])
    assert cells(table, '16') == {
        'stride of the map': '16',
        'mIoU': '0.817',
        'share of right pixels': '0.964',
    }


def test_pretraining():
    values = {
        ('cifar10', '0'): 30,
        ('cifar10', '1'): 20,
        ('scratch', '0'): 10,
        ('scratch', '2'): 12,
    }
    rows = [
        dict(task='detect', start=start, seed=seed, value=str(value))
        for (start, seed), value in values.items()
    ]
    found = cells(tables.pretraining(rows), 'detect')
    assert found['from scratch'] == '11.0 (10.0 to 12.0)'
    assert found["from CIFAR-10's weights"] == '25.0 (20.0 to 30.0)'
    assert found['gain'] == '20.0'  # only seed 0 has both
    assert found['runs'] == '4 of 6'


def test_a_page_without_a_place_for_a_table():
    page = 'a\n<!-- cost: -->\nold\n<!-- end -->\nb\n'
    filled = evidence.fill(page, dict(cost='new'))
    assert filled == 'a\n<!-- cost: -->\n\nnew\n\n<!-- end -->\nb\n'
    assert evidence.fill(filled, dict(cost='new')) == filled
    with pytest.raises(LookupError, match='hours'):
        evidence.fill(page, dict(cost='new', hours='x'))


def test_the_plot_depends_only_on_the_rows(tmp_path):
    for name in 'ab':
        plot(ROWS, tmp_path / f'{name}.svg')
    first = (tmp_path / 'a.svg').read_text()
    assert first == (tmp_path / 'b.svg').read_text()
    plot(ROWS[:4], tmp_path / 'c.svg')
    assert first != (tmp_path / 'c.svg').read_text()

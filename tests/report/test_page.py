"""The page: what stands on it, and that names cannot change it."""

import base64
import dataclasses
import html.parser
import io
import itertools
import json
import math
import re

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.report.scenes import CLASSES, records, results
from tests.report.test_training import step, write_log
from tnt_backbone.report.charts import line_chart, ticks
from tnt_backbone.report.differences import config_values, differences
from tnt_backbone.report.examples import examples_of
from tnt_backbone.report.page import number, report_page, write_page
from tnt_backbone.report.results import FILE, Results, read_results
from tnt_backbone.report.runs import Run, find_run
from tnt_backbone.report.summary import summarize
from tnt_backbone.report.tables import colours_of

VOID = {'meta', 'img'}
NASTY = [
    '<script>alert(1)</script>',
    '"><img src=x onerror=alert(1)>',
    "'&lt;",
    '{{ 7*7 }}',
    '</style>',
]


class Page(html.parser.HTMLParser):
    """Elements with their attributes, the text, and whether every element is closed."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.attributes, self.text, self.open = [], set(), [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes |= {name for name, _ in attrs}
        for name, value in attrs:
            if name in ('src', 'href'):
                assert value.startswith(('data:image/jpeg;base64,', '#')), value
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def page_of(*found, **options):
    runs = [
        Run(f'run {i}', None, one, None, one.config if one else '') for i, one in enumerate(found)
    ]
    return report_page(runs, **options)


def of_classes(names, count=2):
    return results(
        classes=list(names), pictures=records(count=count, num_classes=len(names)),
        checkpoint=names[0], environment={names[0]: names[-1]}, config=f'a = {names[0]!r}',
        metrics={names[-1]: 0.5},
    )  # fmt: skip


def test_the_page_has_no_script_and_loads_nothing():
    text = page_of(results(pictures=records(count=8)))
    page = Page(text)
    assert {'script', 'link', 'iframe', 'object'}.isdisjoint(page.elements)
    assert not any(name.startswith('on') for name in page.attributes)
    assert "default-src 'none'" in text
    assert not re.search(r'https?://', text)


NAME = st.one_of(st.sampled_from(NASTY), st.text(min_size=1, max_size=20))


@settings(max_examples=8)
@given(st.lists(NAME, min_size=3, max_size=3, unique=True))
def test_names_change_no_element(names):
    plain, nasty = Page(page_of(of_classes(['a', 'b', 'c']))), Page(page_of(of_classes(names)))
    assert nasty.elements == plain.elements
    assert nasty.attributes == plain.attributes


def test_nasty_names_stand_on_the_page_as_they_are():
    page = Page(page_of(of_classes(NASTY[:3])))
    text = ''.join(page.text)
    assert all(name in text for name in NASTY[:3])
    assert '{{ 7*7 }}' in ''.join(Page(page_of(of_classes(['{{ 7*7 }}', 'b', 'c']))).text)


def test_numbers_of_the_table_are_those_of_the_summary(tmp_path):
    from tnt_backbone.report.summary import summarize

    one = results()
    text = page_of(one)
    for name, values in summarize(one).rows:
        row = re.search(rf'<td class="name">{name}</td>(.*?)</tr>', text, re.S).group(1)
        cells = re.findall(r'>([^<>]+)</td>', row)
        assert cells == [f'{values[0]:,.0f}', *(f'{value:.3f}' for value in values[1:])]


def test_two_runs_are_compared():
    first = results(config="lr = 0.1\nmodel = dict(type='TNT', stages=[dict(n=1), dict(n=2)])\n")
    second = dataclasses.replace(
        first, pictures=records(seed=9),
        config="lr = 0.2\nmodel = dict(type='TNT', stages=[dict(n=1), dict(n=3)])\nnew = 1\n",
    )  # fmt: skip
    text = page_of(first, second)
    assert 'change' in text
    (part,) = re.findall(r'<h2 id="differences">.*?</table>', text, re.S)
    assert re.findall(r'<td class="name">(.*?)</td>', part) == ['lr', 'model.stages.1.n', 'new']
    same = page_of(first, first)
    assert 'There is none' in same
    assert 'cannot be compared' not in same
    fewer = dataclasses.replace(first, pictures=first.pictures[1:])
    assert 'different pictures' in page_of(first, fewer)
    assert 'different classes' in page_of(
        first, dataclasses.replace(first, classes=['x', 'y', 'z'])
    )
    broken = dataclasses.replace(first, config='import os')
    assert 'cannot be compared' in page_of(first, broken)


def test_runs_of_different_tasks_are_refused():
    other = Results(task='classification', classes=['a'], metrics={}, pictures=[])
    with pytest.raises(ValueError, match='detection'):
        page_of(results(), other)


def test_configs_are_read_and_never_run(tmp_path):
    with pytest.raises(ValueError, match='line 1'):
        config_values(f'open({str(tmp_path / "x")!r}, "w")')
    assert not (tmp_path / 'x').exists()
    values = config_values("a = dict(b=[1, 2], c=dict(d=None))\nwork_dir = 'x'\n")
    assert values == {'a.b': '[1, 2]', 'a.c.d': 'None'}
    rows = differences([values, values | {'a.c.d': '1', 'e': '2'}])
    assert rows == [('a.c.d', ['None', '1']), ('e', ['(not set)', '2'])]


def write_run(folder, one=None, pictures=2):
    """A training and a test of it in one work folder, with pictures."""
    given = records(count=pictures)
    for record in given:
        record['path'] = str(folder / record['path'])
        (folder / 'images').mkdir(parents=True, exist_ok=True)
        cv2.imwrite(record['path'], np.full((300, 900, 3), 128, np.uint8))
    write_log(folder / '20300101_000000', step(1, 3.0), step(2, 2.0))
    one = one or results(pictures=given)
    return one.write(folder / '20300102_000000')


def test_a_run_is_found_by_each_of_its_names(tmp_path):
    file = write_run(tmp_path / 'work')
    for path in (tmp_path / 'work', tmp_path / 'work' / '20300102_000000', file):
        run = find_run(path)
        assert run.name == 'work/20300102_000000'
        assert run.folder == tmp_path / 'work' / '20300102_000000'
        assert run.training.losses['loss'] == [(1, 3.0), (2, 2.0)]
        assert run.results.classes == CLASSES
    alone = find_run(tmp_path / 'work' / '20300101_000000')
    assert alone.results is None


def test_the_pictures_are_on_the_page_and_a_lost_one_does_no_harm(tmp_path):
    write_run(tmp_path, pictures=3)
    text = report_page([find_run(tmp_path)])
    (first, second) = re.findall(r'alt="truth of (\d)\.jpg"', text)  # the third has no object
    assert text.count('<img') == 4
    (tmp_path / 'images' / f'{first}.jpg').write_bytes(b'no picture')
    assert report_page([find_run(tmp_path)]).count('<img') == 2
    (tmp_path / 'images' / f'{second}.jpg').unlink()
    assert report_page([find_run(tmp_path)]).count('<img') == 0
    write_run(tmp_path / 'other', pictures=3)
    assert report_page([find_run(tmp_path / 'other')], pictures=False).count('<img') == 0


def test_a_training_without_a_test_has_a_page(tmp_path):
    write_log(tmp_path / 'a', step(1), step(2), {'coco/bbox_mAP': 0.1, 'step': 1})
    page = Page(report_page([find_run(tmp_path)]))
    assert page.elements.count('svg') == 3  # losses, rates, validation
    assert 'tnt test' in ''.join(page.text)


@pytest.mark.parametrize(
    'content',
    [
        '', '[]', '{"format": 2}', '{"format": 1}', '{"format": 1, "task": "x"}',
        json.dumps({'format': 1, **dataclasses.asdict(results())}).replace('"boxes"', '"x"'),
        json.dumps({'format': 1, **dataclasses.asdict(results(classes=['a']))}),
        json.dumps({'format': 1, **dataclasses.asdict(results(task='segmentation'))}),
    ],
)  # fmt: skip
def test_damaged_numbers_are_refused_by_name(tmp_path, content):
    file = tmp_path / FILE
    file.parent.mkdir()
    file.write_text(content)
    with pytest.raises(ValueError, match=r'report\.json.*tnt test'):
        find_run(tmp_path)


def test_numbers_come_back_from_the_file(tmp_path):
    one = results(notes=['x'], peak_memory_mb=[1.5], seconds=2.5)
    assert read_results(one.write(tmp_path)) == one


def test_a_file_of_somebody_else_is_not_overwritten(tmp_path):
    (tmp_path / 'a.html').write_text('<html>mine</html>')
    with pytest.raises(FileExistsError, match=r'a\.html'):
        write_page(tmp_path / 'a.html', 'new')
    assert 'mine' in (tmp_path / 'a.html').read_text()
    for text in (page_of(results()), page_of(results(classes=['x', 'y', 'z']))):
        assert write_page(tmp_path / 'b.html', text).read_text() == text


@settings(max_examples=10)
@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=10), st.booleans())
@example([(0.0, float('nan')), (1.0, 2.0)], False)
def test_a_chart_of_any_values_is_whole(points, logarithmic):
    text = str(line_chart({'<a>': points}, x='x', y='y', logarithmic=logarithmic))
    assert '<a>' not in text
    Page(text)
    for x, y in re.findall(r'(-?[\d.]+|nan|inf),(-?[\d.]+|nan|inf)', text):
        assert 0 <= float(x) <= 460
        assert 0 <= float(y) <= 250


@pytest.mark.parametrize(('low', 'high'), [(0, 1), (-3, 7), (1e-9, 2e-9), (0.1, 1e6), (99, 101)])
def test_ticks_are_round_and_within(low, high):
    found = ticks(low, high)
    assert 2 <= len(found) <= 8
    assert low * (1 - 1e-6) <= found[0]
    assert found[-1] <= high * (1 + 1e-6)
    digits = {f'{b - a:.0e}'[0] for a, b in itertools.pairwise(found)}
    assert digits <= {'1', '2', '5'}


@pytest.mark.parametrize(
    ('value', 'expected'),
    [
        (math.nan, '-'),
        (None, '-'),
        (0.12345, '0.123'),
        (1.0, '1.000'),
        (1234, '1,234'),
        (-1, '-1.000'),
        (1234.6, '1,235'),
    ],
)
def test_numbers_for_people(value, expected):
    assert number(value) == expected


@pytest.mark.parametrize('unusable', [[], [[0, 0, 0]], [[0, 0], [1, 1]], [[0, 0, 256]] * 2, 'red'])
def test_label_maps_have_the_colours_of_the_data_set(unusable, tmp_path):
    png = io.BytesIO()
    Image.fromarray(np.array([[0] * 16 + [1] * 16] * 16, np.uint8)).save(png, 'png')
    label_map = base64.b64encode(png.getvalue()).decode()
    record = dict(counts=[[0, 0, 256], [1, 1, 256]], path='', size=[16, 32])
    record['maps'] = dict(truth=label_map, predicted=label_map)

    def shown(palette):
        given = results(
            task='segmentation', classes=['sky', 'sea'], pictures=[record], palette=palette
        )
        summary = summarize(read_results(given.write(tmp_path)))
        ((example,), _) = examples_of(summary)
        drawn = base64.b64decode(example.images[0][1].split(',')[-1])
        return colours_of([('', summary)]), np.asarray(Image.open(io.BytesIO(drawn)))

    named, pixels = shown([[0, 0, 0], [0, 0, 255]])
    assert named == [('sky', '#000000'), ('sea', '#0000ff')]
    np.testing.assert_allclose(pixels[8, [4, 28]], [[0, 0, 0], [0, 0, 255]], atol=9)  # JPEG
    own = [colour for _, colour in shown(unusable)[0]]
    assert len({*own, '#000000', '#0000ff'}) == 4

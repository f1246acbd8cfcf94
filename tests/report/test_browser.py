"""The pages of tnt report and tnt browse in a browser: they open, are whole, and ask nobody."""

import json
import shutil

import pytest

from tests.browsers import HOSTILE, open_chromium, open_page, overflow
from tests.report.scenes import records, results
from tests.report.test_page import of_classes, page_of
from tnt_backbone.cli.browse import main as browse
from tnt_backbone.report.page import write_page

pytestmark = pytest.mark.browser


@pytest.fixture(scope='module')
def chromium():
    with open_chromium() as browser:
        yield browser


def check(chromium, path, names):
    """Check a page in a wide and a narrow window: names are text, and nothing overflows."""
    for width in (1280, 390):
        with open_page(chromium, path.as_uri(), width=width) as page:
            text = ' '.join(page.locator('body').inner_text().split())
            for name in names:
                assert ' '.join(name.split()) in text
            broken = (
                'Array.from(document.images).filter(i => !i.complete || !i.naturalWidth).length'
            )
            assert page.evaluate(broken) == 0
            assert page.locator('script, [onerror], [onload], [onmouseover]').count() == 0
            for summary in page.locator('summary').all():
                summary.click()
            assert overflow(page) <= 0
            assert page.locator('svg, table').count() > 0


def test_a_report(chromium, tmp_path):
    first, second = (of_classes(names, count=8) for names in (HOSTILE, HOSTILE[::-1]))
    path = write_page(tmp_path / '<b>report.html', page_of(first, second))
    check(chromium, path, HOSTILE)


def test_a_report_with_pictures(chromium, tmp_path, coco_root):
    names = [f'{i}.jpg' for i in range(4)]
    nasty = tmp_path / '<img src=x onerror="window.hacked=1">.jpg'
    shutil.copy(coco_root / 'images/0.jpg', nasty)
    pictures = records(count=4, num_classes=3)
    for record, name in zip(pictures, names, strict=True):
        record.update(path=str(coco_root / 'images' / name), size=[64, 64])
    pictures[0]['path'] = str(nasty)
    path = write_page(tmp_path / 'report.html', page_of(results(pictures=pictures)))
    check(chromium, path, [nasty.name])


def test_what_training_sees(chromium, tmp_path, tiny_config, monkeypatch):
    """The classes of the config stand in the file of annotations, too."""
    monkeypatch.chdir(tmp_path)
    names = list(HOSTILE[:2])
    file = tmp_path / 'coco/train.json'
    content = json.loads(file.read_text())
    for category, name in zip(content['categories'], names, strict=True):
        category['name'] = name
    nasty = "<img src=x onerror='window.hacked=1'>.jpg"
    (tmp_path / 'coco/images/0.jpg').rename(tmp_path / 'coco/images' / nasty)
    content['images'][0]['file_name'] = nasty
    file.write_text(json.dumps(content))
    tiny_config.write_text(tiny_config.read_text().replace("('box', 'disc')", repr(tuple(names))))
    browse([str(tiny_config), '--out', 'browse.html', '--pictures', '4'])
    check(chromium, tmp_path / 'browse.html', [*names, nasty])

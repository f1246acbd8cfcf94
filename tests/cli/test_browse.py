"""tnt browse: the page, and messages about what it is given."""

import re
from pathlib import Path

import pytest

from tests.report.test_page import Page
from tnt_backbone.cli.browse import main
from tnt_backbone.demo.dataset import make_dataset


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_page_shows_pictures_classes_and_sizes(tiny_config):
    options = ['--cfg-options', 'train_dataloader.dataset.pipeline.2.scale=(128,128)']
    main([str(tiny_config), '--pictures', '3', *options])
    text = Path('browse.html').read_text()
    page = Page(text)
    assert page.elements.count('img') == 3
    rows = re.findall(r'<td class="name">(.*?)</td><td[^>]*>(.*?)</td>', text)
    assert ('box', '2') in rows
    assert ('disc', '2') in rows
    assert ('32 to 96', '4') in rows
    assert '128x128' in text
    assert 'LoadImageOrSkip' in text


def test_label_maps_have_the_colours_of_the_config(monkeypatch):
    make_dataset('digits', train=1, val=1)
    monkeypatch.setenv('TNT_DEMO_DATA', 'digits/')
    main(['fpn_tnt_digits', '--pictures', '1', '--samples', '1'])
    text = Path('browse.html').read_text()
    assert Page(text).elements.count('img') == 1
    assert all(colour in text for colour in ('#000000', '#1f77b4', '#17becf'))


def test_names_change_no_element(tiny_config):
    """The classes of the config stand in the file of annotations, too."""
    main([str(tiny_config), '--out', 'a.html'])
    nasty = ('<script>x</script>', '"><img src=x>')
    content = Path('coco/train.json').read_text()
    for old, new in zip(('"box"', '"disc"'), nasty, strict=True):
        content = content.replace(old, f'"{new}"'.replace('"">', '"\\">'))
    Path('coco/train.json').write_text(content)
    config = tiny_config.read_text().replace("('box', 'disc')", repr(nasty))
    tiny_config.write_text(config)
    main([str(tiny_config), '--out', 'b.html'])
    plain, changed = (Page(Path(f'{name}.html').read_text()) for name in 'ab')
    assert changed.elements == plain.elements
    assert all(name in ''.join(changed.text) for name in nasty)


@pytest.mark.parametrize(
    ('arguments', 'expected'),
    [
        (['--pictures', '0'], '--pictures 0'),
        (['--seed', '-1'], '--seed -1'),
        (['--out', 'a.txt'], '.html'),
        (['--cfg-options', 'train_dataloader.dataset.ann_file=nowhere.json'], 'nowhere.json'),
    ],
)
def test_wrong_arguments_are_named(tiny_config, capsys, arguments, expected):
    with pytest.raises(SystemExit) as exit_:
        main([str(tiny_config), *arguments])
    assert exit_.value.code == 2
    assert expected in capsys.readouterr().err
    assert not Path('browse.html').exists()

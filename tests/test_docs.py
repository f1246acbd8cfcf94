"""The pages name files, headings, tests, commands and options that exist."""

import os
import re
import shlex
import subprocess
import sys
from collections import defaultdict
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from tests.conftest import ROOT

PAGES = [
    *sorted((ROOT / 'docs').glob('*.md')),
    *(ROOT / f'{name}.md' for name in ('README', 'CONTRIBUTING', 'SECURITY')),
]
FOLDERS = 'benchmarks|configs|docs|requirements|tests|tnt_backbone|tools'
OWN = 'configs/mine'  # how the names of files begin that the user makes
# Scripts that pass options on, and where those stand
PASSED_ON = {
    'tools/dist_train.sh': 'tools/train.py',
    'tools/slurm_train.sh': 'tools/train.py',
    'tools/dist_test.sh': 'tools/test.py',
    'tools/slurm_test.sh': 'tools/test.py',
}


def prose(text):
    """Return a page without its blocks of code."""
    return re.sub(r'^```.*?^```$', '', text, flags=re.MULTILINE | re.DOTALL)


def headings(path):
    """Return the anchors of a page, as GitHub makes them."""
    names = re.findall(r'^#+ (.+)$', prose(path.read_text()), re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', name.lower()).replace(' ', '-') for name in names}


def exists(name):
    """Return whether a path of the repository exists, with ``{a,b}`` and ``<name>`` as ``*``."""
    return any(ROOT.glob(re.sub(r'\{[^}]*\}|<[^>]*>', '*', name).rstrip('/')))


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r'\]\(([^)\s]+)\)', prose(page.read_text())):
        if '://' in target:
            continue
        name, _, anchor = target.partition('#')
        path = (page.parent / name) if name else page
        assert path.exists(), target
        assert not anchor or anchor in headings(path), target


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_paths_of_the_repository_exist(page):
    named = re.findall(rf'(?<![\w/.-])((?:{FOLDERS})/[\w./*<>{{}},-]+)', page.read_text())
    names = {name.rstrip('.,') for name in named if not name.startswith(OWN)}
    assert [name for name in sorted(names) if not exists(name)] == []


def test_files_of_rooms_exist():
    """CONTRIBUTING.md names files by the ends of their paths."""
    ends = re.findall(r'`([\w/]+\.(?:py|json|txt))`', (ROOT / 'CONTRIBUTING.md').read_text())
    assert len(ends) > 50
    assert [end for end in ends if not any(ROOT.glob(f'[!.]*/**/{end}')) and not exists(end)] == []


def commands(text):
    """Find the commands of this repository in a page.

    Yields:
        The script, or ``tnt COMMAND``, and the options that are passed to it.
    """
    blocks = re.findall(r'^```bash\n(.*?)^```$', text, re.MULTILINE | re.DOTALL)
    lines = '\n'.join(blocks).replace('\\\n', ' ').splitlines()
    lines += re.findall(
        r'`((?:(?:bash|python|tnt) |tools/|benchmarks/)[^`]+)`', prose(text).replace('\n', ' ')
    )
    for line in lines:
        words = shlex.split(line, comments=True)
        for i, word in enumerate(words):
            if re.fullmatch(r'(?:tools|benchmarks)/[\w/]+\.(?:py|sh)', word):
                break
            if word == 'tnt' and re.match(r'\w', ' '.join(words[i + 1 :])):
                word = f'tnt {words[i + 1]}'
                break
        else:
            continue
        options = {part.partition('=')[0] for part in words[i:] if part.startswith('--')}
        yield word, options - {'--help'}


def described(command):
    """Return the text that holds all options of a command."""
    path = ROOT / command
    if command == 'tools/test.sh':  # passes them to pytest
        return (ROOT / 'tests/compatibility/conftest.py').read_text()
    if path.parent.name in ('benchmarks', 'mutation'):  # their --help imports torch, or cosmic-ray
        return path.read_text()
    start = ['bash' if path.suffix == '.sh' else sys.executable, str(path)]
    if not path.suffix:
        start = [sys.executable, '-c', 'from tnt_backbone.cli.tnt import main; main()']
        start += command.split()[1:]
    run = subprocess.run([*start, '--help'], capture_output=True, text=True, cwd=ROOT, check=True)
    return run.stdout


def test_commands_have_the_options_that_are_shown():
    shown = defaultdict(set)
    for page in PAGES:
        for command, options in commands(page.read_text()):
            shown[command] |= options
    assert shown['tools/new_config.py'] > {'--backbone', '--from', '--data'}
    for command, options in shown.items():
        text = described(PASSED_ON.get(command, command)) if options else ''
        missing = {option for option in options if not re.search(rf'{option}\b(?!-)', text)}
        assert missing == set(), command


class Links(HTMLParser):
    """The addresses on a page of the site, and the places that others may name."""

    def __init__(self, page):
        super().__init__()
        self.addresses, self.ids = set(), {''}
        self.feed(page.read_text())

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.ids.add(attributes.get('id'))
        self.addresses |= {attributes.get('href'), attributes.get('src')} - {None}


def dead_links(site):
    """Return the addresses within a site that lead nowhere."""
    pages = {page.resolve(): Links(page) for page in site.rglob('*.html')}
    dead = []
    for page, links in pages.items():
        for address in links.addresses:
            name, _, anchor = unquote(address).partition('#')
            if re.match(r'[a-z]+:', name):
                continue
            target = (page.parent / name.partition('?')[0]).resolve() if name else page
            known = pages[target].ids if target in pages else {'', anchor}
            if not target.exists() or anchor not in known:
                dead.append((page.name, address))
    return dead


def test_dead_links_are_found(tmp_path):
    (tmp_path / 'a.html').write_text('<a id="x" href="b.html#y"><a href="#x"><img src="c.png">')
    (tmp_path / 'b.html').write_text('<a href="a.html#z"><a href="a.html?v=1"><a href="http://c">')
    assert sorted(dead_links(tmp_path)) == [
        ('a.html', 'b.html#y'),
        ('a.html', 'c.png'),
        ('b.html', 'a.html#z'),
    ]


def test_the_site_is_built_without_a_warning(tmp_path):
    script = [ROOT / 'tools/docs.sh', tmp_path / 'site']
    done = subprocess.run(
        ['bash', *script],
        env={**os.environ, 'PYTHON': sys.executable},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (
        'class="sig sig-object py" id="tnt_backbone.TNT"'
        in (tmp_path / 'site/reference.html').read_text()
    )
    listed = (tmp_path / 'site/llms.txt').read_text()
    for page in ROOT.glob('docs/*.md'):
        assert page.stem == 'index' or f'(_sources/{page.stem}.md.txt)' in listed
    assert dead_links(tmp_path / 'site') == []
    zoo = (tmp_path / 'site/zoo.html').read_text()
    assert [path for path in ROOT.glob('configs/*.py') if f'>{path.stem}<' not in zoo] == []
    links = re.findall(r'\]\(([^)]*)\)', listed)
    assert [link for link in links if not (tmp_path / 'site' / link).is_file()] == []

"""Sphinx's settings for the documentation site: ``bash tools/docs.sh`` builds it."""

import contextlib
import importlib
import io
import os
import re
import sys
from pathlib import Path
from unittest import mock

from sphinx.application import Sphinx

from tnt_backbone.cli.tnt import COMMANDS
from tnt_backbone.version import __version__

DOCS = Path(__file__).parent
GENERATED = DOCS / 'generated'
sys.path[:0] = [str(DOCS.parent), str(DOCS)]

project = 'tnt_backbone'
release = version = __version__
copyright = 'the authors of tnt_backbone, Apache License 2.0'
extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
    'sphinx_copybutton',
]
exclude_patterns = ['_build', 'generated/zoo_*']

myst_enable_extensions = ['colon_fence']
myst_heading_anchors = 4  # links to headings, as GitHub resolves them
copybutton_exclude = '.linenos, .gp, .go'

autodoc_typehints = 'description'
autodoc_member_order = 'bysource'
napoleon_google_docstring = True

html_theme = 'furo'
html_title = f'tnt_backbone {__version__}'
html_show_sphinx = False
html_static_path = ['_static']
html_css_files = ['site.css']


# Pages of the site that lie at the top of the repository
TOP = {
    'README': 'readme',
    'SECURITY': 'security',
    'CONTRIBUTING': 'contributing',
    'CHANGELOG': 'changelog',
}
LINKS = {f']({name}.md': f']({page}.md' for name, page in TOP.items()} | {
    '](docs/': '](../',
    '](LICENSE)': '](../../LICENSE)',
}


def write_pages(app: Sphinx) -> None:
    """Write what is made from other files: pages of the top folder, and ``--help`` of commands."""
    GENERATED.mkdir(exist_ok=True)
    for name, page in TOP.items():
        text = (DOCS.parent / f'{name}.md').read_text(encoding='utf-8')
        for link, target in LINKS.items():
            text = text.replace(link, target)
        (GENERATED / f'{page}.md').write_text(text, encoding='utf-8')
    importlib.import_module('zoo_table').write_tables(DOCS / 'zoo.csv', GENERATED)
    parts = ['# Commands\n\nWhat `tnt COMMAND --help` prints.\n']
    for command, (file, _) in COMMANDS.items():
        said = io.StringIO()
        with (
            mock.patch.object(sys, 'argv', [f'tnt {command}']),
            mock.patch.dict(os.environ, COLUMNS='100'),
            contextlib.redirect_stdout(said),
        ):
            try:
                importlib.import_module(f'tnt_backbone.cli.{file}').main(['--help'])
            except SystemExit as end:
                if end.code:
                    raise
        parts.append(f'## tnt {command}\n\n```text\n{said.getvalue().strip()}\n```\n')
    (GENERATED / 'commands.md').write_text('\n'.join(parts), encoding='utf-8')


def link_pages(app: Sphinx, docname: str, source: list[str]) -> None:
    """Let links to the top of the repository lead to the pages made from those files."""
    for name, page in TOP.items():
        source[0] = source[0].replace(f'](../{name}.md', f'](generated/{page}.md')


def write_llms(app: Sphinx, error: Exception | None) -> None:
    """Write ``llms.txt``: the pages, each with its first sentence (https://llmstxt.org)."""
    lines = ['# tnt_backbone', '', '> Transformer-in-Transformer backbones for OpenMMLab.', '']
    for page in sorted(app.env.found_docs - {'index'}):
        text = (DOCS / f'{page}.md').read_text(encoding='utf-8')
        title, _, rest = text.removeprefix('# ').partition('\n')
        texts = (part.strip() for part in rest.split('\n\n'))
        first = ' '.join(
            next((part for part in texts if re.match(r'(?!```)[\w`]', part)), '').split()
        )
        first = re.sub(r'\[([^]]*)\]\([^)]*\)', r'\1', first)  # links of a page lead nowhere here
        lines.append(f'- [{title}](_sources/{page}.md.txt): ' + re.split(r'(?<=[.:])\s', first)[0])
    Path(app.outdir, 'llms.txt').write_text('\n'.join(lines) + '\n', encoding='utf-8')


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect('builder-inited', write_pages)
    app.connect('source-read', link_pages)
    app.connect('build-finished', write_llms)

"""Error texts of OpenMMLab, PyTorch and this package, from ``known_errors.toml``.

``docs/troubleshooting.md`` is made from the same table:

    python -m tnt_backbone.doctor.known_errors > docs/troubleshooting.md
"""

import re
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from .finding import NOTE, PROBLEM, Finding

HEAD = """# Troubleshooting

Search this page for the text of your error.

| command | does |
| --- | --- |
| `tnt doctor` | looks for the causes on your machine, and names the command that fixes each |
| `tnt doctor CONFIG` | also looks at the data of a config, and fetches its weights |
| `tnt doctor --error LOG` | looks for the texts of this page in a log |
"""


@dataclass(frozen=True)
class KnownError:
    """One error text.

    Attributes:
        kind: Its heading on the page.
        name: A few words for it.
        example: The text as people see it.
        pattern: A regular expression for all texts of this kind.
        cause: What it means.
        fix: A command, or options of the command that failed.
    """

    kind: str
    name: str
    example: str
    pattern: str
    cause: str
    fix: str


KNOWN_ERRORS = {
    row['name']: KnownError(**row)
    for row in tomllib.loads(Path(__file__).with_suffix('.toml').read_text('utf-8'))['error']
}


def recognise(text: str) -> KnownError | None:
    """Return the first known error whose text occurs in another one."""
    known = KNOWN_ERRORS.values()
    return next((error for error in known if re.search(error.pattern, text)), None)


def look_into_log(lines: Iterable[str]) -> list[Finding]:
    """Return a finding for each known error in a log, in the order in which they occur."""
    found: dict[str, Finding] = {}
    for number, line in enumerate(lines, start=1):
        error = recognise(line)
        if error and error.name not in found:
            text = f'line {number}: {line.strip()[:200]}\n{error.cause}'
            found[error.name] = Finding(error.name, PROBLEM, text, error.fix)
    none = f'none of the {len(KNOWN_ERRORS)} texts of docs/troubleshooting.md'
    return list(found.values()) or [Finding('log', NOTE, none, 'tnt doctor')]


def page() -> str:
    """Return the text of ``docs/troubleshooting.md``."""
    text = HEAD
    for kind, errors in groupby(KNOWN_ERRORS.values(), key=lambda error: error.kind):
        text += f'\n## {kind}\n\n| Message | Cause | Do |\n| --- | --- | --- |\n'
        for error in errors:
            fence = '``' if '`' in error.example else '`'
            text += f'| {fence}{error.example}{fence} | {error.cause} | `{error.fix}` |\n'
    return text


if __name__ == '__main__':
    sys.stdout.write(page())

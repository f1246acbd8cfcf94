"""Write docs/compatibility.md from the outcomes of the sweep.

python tools/compatibility/page.py
"""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import uncompiled
from sweep import FAMILIES, ROOTS, Row, read

PAGE = Path(__file__).parents[2] / 'docs' / 'compatibility.md'
TEXT = Path(__file__).with_name('page.md')


def runs(rows: Iterable[Row], column: str) -> int:
    """Count the rows where a backbone runs, with or without help."""
    return sum(row[column].startswith('ok') for row in rows)


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table in Markdown."""
    lines = [list(header), ['-'] * len(list(header)), *rows]
    return '\n'.join('| ' + ' | '.join(map(str, line)) + ' |' for line in lines)


def short(outcome: str) -> str:
    """An error's text on one line of a table."""
    return '`' + outcome.replace('|', '/').replace('`', "'")[:150] + '`'


def grouped(rows: Iterable[Row], *columns: str) -> str:
    """Configs by what went wrong, the commonest first."""
    groups = defaultdict(list)
    for row in rows:
        groups[tuple(row[column] for column in columns)].append(row['config'])
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    heads = ('what went wrong',) if len(columns) == 1 else columns
    return table(
        (*heads, 'configs', 'such as'),
        ((*map(short, texts), len(names), f'`{names[0]}`') for texts, names in ordered),
    )


def summary(rows: dict[str, Row], tried: dict[str, Row]) -> str:
    """Return a line per library."""
    lines = []
    for library in ROOTS:
        swept = [row for row in rows.values() if row['config'].startswith(f'{library}/')]
        own = [row for row in swept if row['own'] == 'ok']
        lines.append(
            [
                library,
                len(swept),
                len({row['config'].split('/')[1] for row in swept}),
                len({row['model'] for row in swept}),
                len({row['swapped'] for row in own}),
                len(own),
                *(runs(own, family) for family in FAMILIES),
                without_compiled(own, tried.values()),
            ]
        )
    return table(
        (
            'library',
            'configs swept',
            'folders',
            'distinct models',
            'distinct once swapped',
            'run with their own',
            *FAMILIES,
            'TNT without compiled operators',
        ),
        lines,
    )


def without_compiled(own: Iterable[Row], tried: Iterable[Row]) -> str:
    """Return how many configs run with TNT without compiled operators.

    Args:
        own: Rows of a library whose stock backbone runs.
        tried: Rows of ``uncompiled.csv``. A row counts for all configs with the same swapped model.
    """
    outcomes = {row['swapped']: row['outcome'] for row in tried}
    reached = [row for row in own if row['swapped'] in outcomes and runs([row], 'TNT')]
    ok = sum(outcomes[row['swapped']] == 'ok' for row in reached)
    return f'{ok} of {len(reached)} tried'


def operators(rows: Iterable[Row]) -> str:
    """Return which operators of mmcv are called, by how many of the distinct models."""
    called = defaultdict(list)
    for row in {row['swapped']: row for row in rows}.values():
        for operator in row['operators'].split() or ['none']:
            called[operator].append(row['config'])
    return table(
        ('operator', 'distinct models that call it', 'such as'),
        (
            (f'`{name}`' if name != 'none' else name, len(configs), f'`{configs[0]}`')
            for name, configs in sorted(called.items(), key=lambda item: -len(item[1]))
        ),
    )


def needs(rows: Iterable[Row]) -> str:
    """What had to be added to ``type``, by folder."""
    needed = defaultdict(set)
    for row in rows:
        for family in FAMILIES:
            if ' with ' in row[family]:
                added = row[family].partition(' with ')[2]
                needed[added].add('/'.join(row['config'].split('/')[:2]))
    return table(
        ('added', 'folders'),
        ((f'`{added}`', ', '.join(sorted(folders))) for added, folders in sorted(needed.items())),
    )


def write() -> str:
    """The page."""
    rows = dict(sorted(read().items()))
    tried = dict(sorted(uncompiled.read().items()))
    failed_uncompiled = [row for row in tried.values() if row['outcome'] != 'ok']
    own = [row for row in rows.values() if row['own'] == 'ok']
    failed = [row for row in own if runs([row], 'TNT') < 1 or row['Swin']]
    return TEXT.read_text().format(
        dates=' to '.join(sorted({f([r['date'] for r in rows.values()]) for f in (min, max)})),
        versions='; '.join(sorted({row['versions'] for row in rows.values()})),
        summary=summary(rows, tried),
        operators=operators(tried.values()),
        uncompiled_date=' to '.join(
            sorted({f([row['date'] for row in tried.values()]) for f in (min, max)})
        ),
        uncompiled=grouped(failed_uncompiled, 'outcome')
        if failed_uncompiled
        else 'All of them ran.',
        needs=needs(own),
        failed=grouped(failed, *FAMILIES, 'Swin'),
        stock=grouped((row for row in rows.values() if row['own'] != 'ok'), 'own'),
    )


if __name__ == '__main__':
    PAGE.write_text(write())

"""Makes the tables of zoo.md from zoo.csv; conf.py calls it."""

import csv
import re
from pathlib import Path

COLUMNS = {
    'config': 'config',
    'size': 'size',
    'params_m': 'params, M',
    'gmacs': 'MACs, G',
    'seconds': 'time, s',
    'memory_mib': 'MiB',
    'published': 'published, by',
    'exports': 'exports',
    'parity': 'agrees',
    'trained_here': 'trained by us',
}
ADDRESS = re.compile(r'^(.*), (https://\S+)$')


def write_tables(table: Path, folder: Path) -> None:
    """Write ``zoo_TASK.md`` for each task of a table of ``benchmarks/config_zoo.py``."""
    with table.open(newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    for task in sorted({row['task'] for row in rows}):
        lines = ['| ' + ' | '.join(COLUMNS.values()) + ' |', '| --- ' * len(COLUMNS) + '|']
        lines += [_line(row) for row in rows if row['task'] == task]
        (folder / f'zoo_{task}.md').write_text('\n'.join(lines) + '\n', encoding='utf-8')


def _line(row: dict[str, str]) -> str:
    shown = {
        **row,
        'config': f'`{row["config"]}`',
        'size': f'{row["height"]}x{row["width"]}' if row['height'] else '',
        'seconds': row['seconds'] or row['note'],
        'published': re.sub(r'Top (\d) Accuracy', r'top-\1', row['published']),
    }
    if row['published']:
        shown['published'] += ': ' + ADDRESS.sub(r'[\1](\2)', row['source'])
    return '| ' + ' | '.join(shown[column] for column in COLUMNS) + ' |'

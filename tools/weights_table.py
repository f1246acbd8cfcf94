"""Write the tables of docs/weights.md from tnt_backbone/checkpoints/published.json.

python tools/weights_table.py
"""

from collections.abc import Iterator
from pathlib import Path

from tnt_backbone.checkpoints import PUBLISHED
from tnt_backbone.checkpoints.published import SCHEME

PAGE = Path(__file__).parents[1] / 'docs' / 'weights.md'
BEGIN, END = '<!-- tools/weights_table.py writes from here -->', '<!-- to here -->'


def lines() -> Iterator[str]:
    """Yield the Markdown of all tables."""
    for family in dict.fromkeys(row.family for row in PUBLISHED.values()):
        rows = {name: row for name, row in PUBLISHED.items() if row.family == family}
        yield f'\n### {family}\n'
        yield '| name | arguments | form | input, mean, std | top-1 / top-5 | places |'
        yield '| --- | --- | --- | --- | --- | --- |'
        for name, row in rows.items():
            options = ''.join(f', {key}={value!r}' for key, value in row.options.items())
            if row.img_size != 224:
                options += f', img_size={row.img_size}'
            pixels = 'mean = std = 127.5' if row.mean == row.std else f"{row.data.split('-')[0]}'s"
            accuracy = f'{row.top1}' + (f' / {row.top5}' if row.top5 else '')
            data = '' if row.data == 'ImageNet-1k' else f' ({row.data})'
            places = [f'[{i}]({place})' for i, place in enumerate(row.places, 1)]
            places += [f'by hand: {place}' for place in row.by_hand]
            note = f'; {row.note}' if row.note else ''
            yield (
                f"| `{SCHEME}{name}` | `arch='{row.arch}'{options}` | {row.source} "
                f'| {row.img_size}, {pixels} | {accuracy}{data} | {", ".join(places)}{note} |'
            )
        yield (
            '\nChecked: '
            + '; '.join(
                f'{source} form: '
                + next(row.checked for row in rows.values() if row.source == source)
                for source in dict.fromkeys(row.source for row in rows.values())
            )
            + '. The files themselves were not fetched.'
        )
    yield ''


def fill(page: str) -> str:
    """Put the tables between the two marks of a page."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + '\n' + '\n'.join(lines()) + '\n' + END + after


if __name__ == '__main__':
    PAGE.write_text(fill(PAGE.read_text()))

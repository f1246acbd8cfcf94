r"""Write the tables of ``docs/evidence.md`` from the rows of finished runs.

    python benchmarks/evidence.py --small-objects DIR --overfit DIR --pretraining DIR

Each DIR is the ``--out`` of that study; its rows are copied to ``docs/evidence/``. Without options
the tables are made again from what is there. With ``--check`` nothing is written, and the status
is 1 if the page does not agree with the rows.
"""

import argparse
import re
import shutil
import sys
from pathlib import Path

import evidence_tables as tables
from study import ROOT, Rows

FOLDER = ROOT / 'docs/evidence'
PAGE = ROOT / 'docs/evidence.md'
PLOT = ROOT / 'docs/images/evidence_small_objects.svg'
# the file of the study's folder: its copy in FOLDER
COPIES = {
    'small_objects': {
        'results.csv': 'small_objects.csv',
        'cost.csv': 'small_objects_cost.csv',
    },
    'overfit': {
        'results.csv': 'overfit.csv',
        'strides.csv': 'overfit_strides.csv',
    },
    'pretraining': {'results.csv': 'pretraining.csv'},
}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in COPIES:
        parser.add_argument(f'--{name.replace("_", "-")}', type=Path, metavar='DIR')
    parser.add_argument('--check', action='store_true', help='write nothing, compare')
    args = parser.parse_args(argv)
    for name in COPIES:
        folder = getattr(args, name)
        if folder is not None and not folder.is_dir():
            parser.error(f'--{name.replace("_", "-")} {folder} is no folder')
    return args


def copy_rows(name: str, source: Path) -> None:
    """Copy the rows of a study into the project."""
    FOLDER.mkdir(exist_ok=True)
    for file, copy in COPIES[name].items():
        if (source / file).exists():
            shutil.copyfile(source / file, FOLDER / copy)


def make_blocks(folder: Path) -> dict[str, str]:
    """Return the tables of the page by name."""

    def rows(name: str) -> list[dict[str, str]]:
        return Rows(folder / f'{name}.csv', (), 0).read()

    objects = rows('small_objects')
    return {
        'cost': tables.cost(rows('small_objects_cost')),
        'detect': tables.boxes(objects, 'detect'),
        'plot': tables.plot(objects, f'images/{PLOT.name}'),
        'segment': tables.label_maps(objects),
        'designs': tables.designs(objects),
        'photos': tables.boxes(objects, 'photos'),
        'hours': tables.hours(objects),
        'overfit': tables.overfit(rows('overfit')),
        'strides': tables.strides(rows('overfit_strides')),
        'pretraining': tables.pretraining(rows('pretraining')),
    }


def fill(page: str, blocks: dict[str, str]) -> str:
    """Return the page with its tables replaced.

    Raises:
        LookupError: If the page has no place for one of them.
    """
    for name, block in blocks.items():
        place = re.compile(rf'(<!-- {name}: [^\n]*-->\n).*?(<!-- end -->)', re.DOTALL)
        if not place.search(page):
            raise LookupError(f'the page has no place for the table {name!r}')
        page = place.sub(lambda found, block=block: f'{found[1]}\n{block}\n\n{found[2]}', page)
    return page


def main(argv: list[str] | None = None) -> int:
    """Copy rows, and write or compare the page."""
    args = parse_args(argv)
    if not args.check:
        for name in COPIES:
            if (source := getattr(args, name)) is not None:
                copy_rows(name, source)
    before = PAGE.read_text()
    after = fill(before, make_blocks(FOLDER))
    if args.check:
        if before != after:
            print(f'{PAGE} does not agree with {FOLDER}. Run: python benchmarks/evidence.py')
        return int(before != after)
    PAGE.write_text(after)
    objects = Rows(FOLDER / 'small_objects.csv', (), 0).read()
    if tables.can_be_drawn(objects):
        from evidence_plot import plot

        plot(objects, PLOT)
    return 0


if __name__ == '__main__':
    sys.exit(main())

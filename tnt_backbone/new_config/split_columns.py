"""Columns of yes and no that put the rows of a table into splits.

::

    filename,label,is_valid                  fastai
    filename,label,is_valid,is_test
    filename,label,train,val,test
"""

from collections.abc import Sequence
from pathlib import Path

from ..data_checks.findings import shorten
from ..errors import InputError
from .class_cells import YES, are_yes_or_no, column, plain

# Columns in small letters and digits, and the split of the rows that say yes
FLAGS = {
    'istrain': 'train',
    'isvalid': 'val',
    'isval': 'val',
    'isvalidation': 'val',
    'istest': 'test',
}
# Likewise, where another column names the class: a class of vehicles is called train
BARE = {'train': 'train', 'val': 'val', 'validation': 'val', 'test': 'test'}
# The split of the rows that say no in all columns
REST = {
    ('train',): 'val',
    ('val',): 'train',
    ('test',): 'train',
    ('val', 'test'): 'train',
    ('train', 'test'): 'val',
    ('train', 'val'): 'test',
}


def read_flags(
    file: Path, header: Sequence[str], rows: Sequence[Sequence[str]], *, has_class: bool
) -> tuple[list[int], list[str]]:
    """Return the places of columns that put rows into splits, and the split of each row.

    Args:
        file: The table, for messages.
        header: The names of the columns.
        rows: The cells.
        has_class: Whether a column is named for the class.

    Returns:
        Nothing, if there are no such columns.

    Raises:
        ValueError: If a row is in several splits, or in none.
    """
    known = FLAGS | (BARE if has_class else {})
    places: dict[str, int] = {}
    for i, cell in enumerate(header):
        split = known.get(plain(cell))
        cells = column(rows, i)
        if split and split not in places and any(cells) and are_yes_or_no(cells):
            places[split] = i
    if not places:
        return [], []
    order = tuple(split for split in ('train', 'val', 'test') if split in places)
    splits = []
    for row in rows:
        said = [split for split in order if _says_yes(row[places[split] : places[split] + 1])]
        if len(said) > 1 or (not said and order not in REST):
            names = shorten(header[place] for place in places.values())
            raise InputError(
                f'{file} has a row in {" and ".join(said) or "no split"} by the columns {names}: '
                f'{shorten(row, 8)}. Put each row into one split'
            )
        splits.append(said[0] if said else REST[order])
    return list(places.values()), splits


def _says_yes(cells: Sequence[str]) -> bool:
    return any(cell.strip().lower().removesuffix('.0') in YES for cell in cells)

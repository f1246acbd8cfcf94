"""Small changes of the package: which there are, a fixed sample of them, and the changed source."""

import ast
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cosmic_ray.commands import init
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db

ROOMS = ('backbones', 'layers', 'checkpoints', 'data_checks')


class Mutant(NamedTuple):
    """One change: the ``occurrence``-th place of a file where an operator of cosmic-ray applies."""

    file: str
    line: int
    operator: str
    occurrence: int


def find_mutants(root: Path) -> list[Mutant]:
    """Return all changes that cosmic-ray knows, without those of annotations."""
    files = [
        file
        for room in ROOMS
        for file in sorted((root / 'tnt_backbone' / room).glob('*.py'))
        if file.name != '__init__.py'
    ]
    annotated = {file: set(_annotated_places(file.read_text())) for file in files}
    with use_db(':memory:', WorkDB.Mode.create) as session:
        init(files, session, {})
        found = [mutation for item in session.work_items for mutation in item.mutations]
    return sorted(
        Mutant(
            str(Path(mutation.module_path).relative_to(root)),
            mutation.start_pos[0],
            mutation.operator_name.removeprefix('core/'),
            mutation.occurrence,
        )
        for mutation in found
        if mutation.start_pos not in annotated[Path(mutation.module_path)]
    )


def _annotated_places(source: str) -> Iterator[tuple[int, int]]:
    """Line and column of each character of an annotation, where a change would change nothing."""
    for node in ast.walk(ast.parse(source)):
        for annotation in (getattr(node, 'annotation', None), getattr(node, 'returns', None)):
            if annotation is not None and annotation.lineno == annotation.end_lineno:
                for column in range(annotation.col_offset, annotation.end_col_offset):
                    yield annotation.lineno, column


def draw(root: Path, mutants: list[Mutant], count: int, seed: int) -> list[Mutant]:
    """Return changes drawn at random, the same ones each time, of those that Python can compile."""
    drawn: list[Mutant] = []
    for mutant in random.Random(seed).sample(mutants, len(mutants)):
        if len(drawn) == count:
            break
        try:
            ast.parse(changed(root, mutant))
        except SyntaxError:  # cosmic-ray also changes the * before keyword-only arguments
            continue
        except AttributeError:  # and it cannot change `except module.Error`
            continue
        drawn.append(mutant)
    return drawn


def changed(root: Path, mutant: Mutant) -> str:
    """Return the source of a file after a change."""
    operator = get_operator(f'core/{mutant.operator}')()
    return mutate_code((root / mutant.file).read_text(), operator, mutant.occurrence)


def statement(source: str, line: int) -> range:
    """Return the lines of the smallest statement around a line, without the statements in it."""
    found = range(line, line + 1)
    for node in ast.walk(ast.parse(source)):  # outer ones come first
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or 0):
            body = getattr(node, 'body', None)
            end = body[0].lineno if body else (node.end_lineno or line) + 1
            found = range(node.lineno, max(end, node.lineno + 1))
    return found

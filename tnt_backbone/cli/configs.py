"""List, find or copy the configs that come with this package.

    tnt configs                            list all
    tnt configs mask_rcnn pyramid          list those whose names have all these parts
    tnt configs retinanet_tnt_s_coco --copy mine.py

tnt train and tnt test take the names in the list. A copy holds everything in one file, so that it
works from any folder.
"""

import argparse
import ast
import json
from collections.abc import Sequence
from pathlib import Path

from ..errors import ExistingFileError, InputError, MissingFileError
from ..run.find_config import CONFIGS, find_config
from ..whole_file import write_whole
from .common import errors_of_the_user, make_parser

TOOL = 'tnt configs'


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = make_parser(__doc__)
    parser.add_argument('parts', nargs='*', metavar='PART', help='part of the name')
    parser.add_argument('--copy', type=Path, metavar='FILE.py', help='write the config to FILE.py')
    parser.add_argument('--force', action='store_true', help='overwrite FILE.py if it exists')
    parser.add_argument('--json', action='store_true', help='print names and descriptions as JSON')
    return parser.parse_args(argv)


def find(parts: Sequence[str]) -> dict[str, str]:
    """Return the first line of each config that fits, by its name.

    Raises:
        FileNotFoundError: If there is none.
    """
    found = {
        path.stem: (ast.get_docstring(ast.parse(path.read_text('utf-8'))) or '').partition('\n')[0]
        for path in sorted(CONFIGS.glob('*.py'))
        if all(part.lower() in path.stem for part in parts)
    }
    if not found:
        raise MissingFileError(
            f'No config has {" and ".join(map(repr, parts))} in its name. tnt configs lists all'
        )
    return found


def copy(name: str, target: Path, *, force: bool) -> None:
    """Write a config with everything that it inherits.

    Raises:
        FileExistsError: If the target exists.
    """
    if target.suffix != '.py':
        raise InputError(f'--copy {target} must end in .py')
    if target.exists() and not force:
        raise ExistingFileError(f'{target} exists. Pass another name, or --force')

    from ..run.config import read_file

    write_whole(target, read_file(find_config(name)).pretty_text)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    with errors_of_the_user(TOOL):
        if args.copy:
            if len(args.parts) != 1:
                raise InputError('--copy needs the whole name of one config')
            copy(args.parts[0], args.copy, force=args.force)
            print(args.copy)
            return
        found = find(args.parts)
    if args.json:
        print(json.dumps(found, indent=1))
    else:
        width = max(map(len, found))
        print('\n'.join(f'{name:{width}}  {text}' for name, text in found.items()))

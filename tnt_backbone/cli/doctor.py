"""Look for what is wrong with the environment and the machine, and name what fixes it.

    tnt doctor
    tnt doctor CONFIG       also looks at the data of a config, and fetches its weights
    tnt doctor --error LOG  says what the error in a log means

A problem makes commands fail or give wrong results. With a note, they work less well or less
quickly. The exit status is 1 if there is a problem, otherwise 0.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..doctor.finding import OK, PROBLEM, Finding
from .common import (
    add_cfg_options,
    errors_of_the_user,
    make_parser,
    parse_cfg_options,
    require_files,
)

TOOL = 'tnt doctor'
WIDTH = 24  # of the names


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = make_parser(__doc__)
    parser.add_argument('config', nargs='?', help='also look at this config')
    parser.add_argument(
        '--error',
        metavar='LOG',
        help='look only into a log (- for what is piped in) for known errors',
    )
    parser.add_argument('--json', action='store_true', help='print JSON and nothing else')
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    if args.error and args.config:
        parser.error(f'--error looks only into a log; leave {args.config} out')
    return args


def read_log(path: str) -> list[Finding]:
    """Return the known errors in a log.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    from ..doctor.known_errors import look_into_log
    from ..errors import MissingFileError

    if path == '-':
        return look_into_log(sys.stdin)
    if not Path(path).is_file():
        raise MissingFileError(f'--error {path}: there is no such file. Pass the log of a run')
    with open(path, encoding='utf-8', errors='replace') as lines:
        return look_into_log(lines)


def show(findings: Iterable[Finding]) -> list[Finding]:
    """Print findings as they come, and how many are problems; return them."""
    shown = []
    for finding in findings:
        status = finding.status.upper() if finding.status == PROBLEM else finding.status
        text = finding.text.replace('\n', f'\n{"":{WIDTH + 9}}')
        print(f'{status:9}{finding.name:{WIDTH}}{text}', flush=True)
        if finding.status != OK and finding.fix:
            print(f'{"":9}{"":{WIDTH}}-> {finding.fix}', flush=True)
        shown.append(finding)
    problems = sum(finding.status == PROBLEM for finding in shown)
    print(f'\n{problems} problem{"" if problems == 1 else "s"}')
    return shown


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    out = sys.stdout
    if args.json:
        sys.stdout = sys.stderr  # whatever libraries print
    with errors_of_the_user(TOOL):
        if args.config:
            require_files(args.config)
        if args.error:
            findings: Iterable[Finding] = read_log(args.error)
        else:
            from ..doctor.examine import examine

            findings = examine(args.config, parse_cfg_options(args.cfg_options))
        if args.json:
            findings = list(findings)
            print(json.dumps([*map(dataclasses.asdict, findings)], indent=1), file=out)
        else:
            findings = show(findings)
    sys.exit(int(any(finding.status == PROBLEM for finding in findings)))

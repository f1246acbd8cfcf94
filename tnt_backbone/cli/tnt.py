"""One command for all: ``tnt train``, ``tnt predict`` and the others."""

import argparse
import importlib
import os
import sys

from ..near_names import did_you_mean
from ..run.find_config import home
from ..version import __version__
from .common import errors_of_the_user

# Command: its file in this folder, and what it does
COMMANDS = {
    'new': ('new_config', 'make a config with our backbone and your own data'),
    'check': ('check_data', 'look for mistakes in the data of a config'),
    'browse': ('browse', 'make an HTML page of what training sees'),
    'train': ('train', 'train with the settings of a config'),
    'test': ('test', 'measure a checkpoint on the test data of its config'),
    'report': ('report', 'make an HTML page of a run, or compare several'),
    'predict': ('predict', 'predict on pictures, folders or videos'),
    'look': ('look', 'show what a network reads, and what speaks for its predictions'),
    'app': ('app', 'open a page on which one drops pictures and sees what a model says'),
    'embed': ('embed', 'write a vector per picture or per box'),
    'export': ('export', 'write a checkpoint as an ONNX file'),
    'publish': ('publish', 'write a checkpoint without the state of its training'),
    'convert': ('convert_checkpoint', 'write weights in another form'),
    'flops': ('get_flops', 'count parameters and operations'),
    'plan': ('plan', 'find batch and options that fit into the memory of GPUs'),
    'doctor': ('doctor', 'look for what is wrong with the environment and the machine'),
    'configs': ('configs', 'list, find and copy the configs that come with the package'),
}


def usage() -> str:
    """Return what ``tnt --help`` prints."""
    lines = [f'  {name:9} {text}' for name, (_, text) in COMMANDS.items()]
    return '\n'.join(
        [
            'usage: tnt COMMAND [arguments of the command]',
            '',
            *lines,
            '',
            'tnt COMMAND --help shows the arguments. tnt --version shows the version.',
        ]
    )


def starts_processes(arguments: list[str]) -> bool:
    """Return whether several processes are asked for; ``--dry-run`` only pretends to have them."""
    # argparse takes --d for --dry-run
    is_dry = any(len(part) > 2 and '--dry-run'.startswith(part) for part in arguments)
    return not is_dry and any(part.partition('=')[0] == '--gpus' for part in arguments)


def start_processes(name: str, arguments: list[str]) -> None:
    """Replace this process by a launcher of several: ``--gpus N``, as ``dist_train.sh`` does."""
    parser = argparse.ArgumentParser(prog=f'tnt {name}', add_help=False)
    parser.add_argument('--gpus', type=int, required=True)
    options, rest = parser.parse_known_args(arguments)
    if options.gpus < 1:
        parser.error(f'--gpus {options.gpus}: 1 is the least')
    tools = home() / 'tools'
    launcher, tool = str(tools / '_torchrun.py'), str(tools / f'{name}.py')
    os.execv(sys.executable, [sys.executable, launcher, tool, str(options.gpus), *rest])


def main() -> None:
    """Run the command that the first argument names."""
    name, *arguments = sys.argv[1:] or ['--help']
    if name in ('-h', '--help'):
        print(usage())
    elif name == '--version':
        print(__version__)
    elif name not in COMMANDS:
        question = did_you_mean(name, COMMANDS, alike=0.6)
        sys.stderr.write(f'tnt: error: {name!r} is no command.{question}\n\n{usage()}\n')
        sys.exit(2)
    elif name in ('train', 'test') and starts_processes(arguments):
        start_processes(name, arguments)
    else:
        # argparse takes the name of the command for usage and errors from here
        sys.argv[0] = f'tnt {name}'
        command = importlib.import_module(f'.{COMMANDS[name][0]}', __package__)
        with errors_of_the_user(sys.argv[0]):
            command.main(arguments)

"""What the commands share: options, a quick check of files, and messages about mistakes."""

import argparse
import os
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from ..errors import InputError, UserError
from ..near_names import did_you_mean
from ..run.find_config import find_config
from ..run.missing_checkpoint import missing_checkpoint
from ..run.ranks import is_first_on_node, local_rank
from ..whole_file import ADVICE

MISTAKE, CRASH = 2, 3  # exit status
LIBRARIES = ('torch', 'mmengine', 'mmcv', 'mmdet', 'mmseg', 'mmpretrain')
BUILD = 'build_from_cfg'  # of mmengine's registries; its KeyError and TypeError are about a config
EXPORTED = ('.onnx', '.xml')  # files of tnt export
OTHERS_WAIT = 5.0  # seconds; launchers end a run within them once its first process has failed


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser that shows the description with its line breaks.

    Its examples name the tool; ``tnt`` puts itself in their place, as a wheel has no ``tools/``.
    """
    if description:
        description = re.sub(r'python tools/\w+\.py', own_name('\\g<0>'), description)
    return _Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


class _Parser(argparse.ArgumentParser):
    """A parser that asks whether another option was meant."""

    def error(self, message: str) -> NoReturn:
        """End with status 2 and a message."""
        _, separator, unknown = message.partition('unrecognized arguments: ')
        names = [part.partition('=')[0] for part in unknown.split() if part.startswith('-')]
        questions = [did_you_mean(name, self._option_string_actions) for name in names]
        super().error(message + ''.join(dict.fromkeys(questions)) if separator else message)


def _pair(text: str) -> str:
    """Return an override, or raise an error if it has no key or no ``=``."""
    key, separator, _ = text.partition('=')
    if not key or not separator:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not of the form KEY=VALUE. Example: train_dataloader.batch_size=1'
        )
    return text


def check_numbers(parser: argparse.ArgumentParser, args: argparse.Namespace, **least: int) -> None:
    """End with a message if an option is below its least value, or ``--score`` is no share."""
    for name, value in least.items():
        if (given := getattr(args, name)) is not None and given < value:
            parser.error(f'--{name} {given}: {value} is the least')
    score = getattr(args, 'score', None)
    if score is not None and not 0 <= score <= 1:
        parser.error(f'--score {score:g}: pass a number from 0 to 1')


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options`` to a parser."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action='extend',
        type=_pair,
        metavar='KEY=VALUE',
        help='change keys of the config, for instance train_dataloader.batch_size=1 '
        'train_cfg.max_epochs=6. Write lists as key="[a,b]" or key=a,b, without spaces',
    )


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add ``--trust`` to a parser."""
    parser.add_argument(
        '--trust',
        nargs='+',
        default=[],
        metavar='NAME',
        help='types and modules that the config in the checkpoint may name although no library '
        'of OpenMMLab has them',
    )


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of commands that load a model: config, trusted types and device."""
    parser.add_argument('--config', help='config file instead of the one in the checkpoint')
    add_trust(parser)
    parser.add_argument('--device', help='such as cuda:1 or cpu (default: a GPU if there is one)')


def parse_cfg_options(pairs: list[str] | None) -> dict[str, Any] | None:
    """Return the overrides as a dict, read in the same way as mmengine's tools do."""
    if pairs is None:
        return None
    from mmengine.config import DictAction

    namespace = argparse.Namespace()
    DictAction([], 'cfg_options')(argparse.ArgumentParser(), namespace, pairs)
    return namespace.cfg_options


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that training and testing share; their names are OpenMMLab's."""
    parser.add_argument(
        '--work-dir', help='folder for logs and checkpoints (default: ./work_dirs/CONFIG_NAME)'
    )
    add_cfg_options(parser)
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what starts the processes (default: none); the shell scripts set it',
    )
    # torch.distributed.launch passes it; torchrun sets LOCAL_RANK instead
    parser.add_argument('--local_rank', '--local-rank', type=int, help=argparse.SUPPRESS)


def require_files(config: str, *checkpoints: str | None) -> None:
    """Check that a config and local checkpoints exist, before anything slow is imported.

    Raises:
        FileNotFoundError: If a file is missing.
    """
    find_config(config)
    for path in checkpoints:
        if path is not None:
            require_checkpoint(path)


def require_checkpoint(path: str) -> None:
    """Check that a local checkpoint exists; addresses are looked up later.

    Raises:
        FileNotFoundError: If it does not. The text lists those in its folder.
    """
    if '://' in path or path.startswith('timm/') or Path(path).is_file():
        return
    raise missing_checkpoint(path)


def require_trained(path: str) -> None:
    """Check that a local checkpoint exists, and that it is none of the files of ``tnt export``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is an exported file, which predicts but cannot be looked into.
    """
    require_checkpoint(path)
    if path.endswith(EXPORTED):
        raise InputError(
            f'{path} is an exported file, which only predicts. Pass the checkpoint (.pth) that it '
            'was made from'
        )


def make_folder(path: str | Path, option: str) -> None:
    """Make a folder for results before they are computed.

    Args:
        path: The folder; parents are made, too.
        option: What names it on the command line.

    Raises:
        ValueError: If it cannot be made, or not be written to.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK):
            raise PermissionError('it cannot be written to')
    except OSError as error:
        raise InputError(
            f'the folder {str(path)!r} cannot be used: {error}. Pass another {option}'
        ) from error


def own_name(tool: str) -> str:
    """Return what the command was called by: ``tnt train`` or ``tools/train.py``."""
    return sys.argv[0] if sys.argv[0].startswith('tnt ') else tool


@contextmanager
def errors_of_the_user(tool: str, *, launcher: str = 'none') -> Iterator[None]:
    """Print a mistake of the user as one message, and everything else with its traceback.

    The exit status is 2 after a message and 3 after a traceback. 1 stays for what a command finds
    (``tools/check_data.py``).

    Args:
        tool: Name at the beginning of the message.
        launcher: What started the processes. If all of them fail in the same way, the first process
            of a machine prints the message, and its exit ends the others before they print.
    """
    tool = own_name(tool)
    try:
        yield
    except Exception as error:
        _ignore_data_workers()
        sys.stdout.flush()  # the message is the last
        if (text := message_of(error)) is None:
            traceback.print_exception(error)
            sys.exit(CRASH)
        if is_first_on_node(launcher):
            sys.stderr.write(f'{tool}: error: {text}\n')
        else:
            time.sleep(OTHERS_WAIT)
            sys.stderr.write(f'{tool}: error in process {local_rank(launcher)}: {text}\n')
        sys.exit(MISTAKE)


def _ignore_data_workers() -> None:
    """Let no data worker that ends from now on raise: the command would end with status 1.

    PyTorch's handler of SIGCHLD raises wherever the main thread is, also while an error is told.
    """
    if hasattr(signal, 'SIGCHLD') and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def message_of(error: Exception) -> str | None:
    """Return what to say to the user, or ``None`` for a fault that needs its traceback."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and error.name in LIBRARIES:
        return (
            f'{error.name} is not installed in this environment. Run bash tools/setup_env.sh and '
            "source .venv/bin/activate, or pip install 'tnt-backbone[openmmlab]'"
        )
    if isinstance(error, OSError) and error.errno in ADVICE:
        path = error.filename or 'A file that this command writes'
        return f'{path}: {error.strerror}. {ADVICE[error.errno]}'
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, ImportError) and any(f'{os.sep}cv2{os.sep}' in f.filename for f in frames):
        # opencv-python, which the libraries ask for, needs libGL and libxcb; servers have neither
        return (
            f'OpenCV cannot be imported: {error}. Without a display, use its other package. Run: '
            'pip uninstall -y opencv-python opencv-python-headless; pip install '
            "'opencv-python-headless<5'"
        )
    names = [frame.name for frame in frames]
    if 'pre_decoder' in names:  # of MMDetection's detectors with queries
        from ..run.few_places import explain_few_places

        return explain_few_places(error)
    # an argument that a class does not have, or that its base class does not have
    if BUILD in names and names[-1] in (BUILD, '__init__'):
        from ..run.build_errors import explain

        return explain(error)
    return None

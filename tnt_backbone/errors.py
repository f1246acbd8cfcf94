"""Which errors are messages to the user, and which are faults that need their traceback.

A mistake of the user ends in a ``raise`` statement of this package, whose text says what to do. The
class of an error does not tell that: numpy, PyTorch and ``int('x')`` raise ``ValueError`` too, and
there it is a fault of the program. So the place decides: the instruction that raised. No list of
classes or files has to be kept in step with the code.
"""

import dis
import os
from pathlib import Path
from types import TracebackType

PACKAGE = f'{Path(__file__).parent}{os.sep}'
KINDS = (FileNotFoundError, FileExistsError, ValueError, TypeError, ImportError)
RAISE = dis.opmap['RAISE_VARARGS']


def is_message(error: BaseException) -> bool:
    """Return whether a ``raise`` statement of this package made an error, to speak to the user.

    Args:
        error: An error that was raised. Of its traceback, the innermost frame counts.
    """
    trace = innermost(error)
    if trace is None or not isinstance(error, KINDS):
        return False
    code = trace.tb_frame.f_code
    return code.co_filename.startswith(PACKAGE) and code.co_code[trace.tb_lasti] == RAISE


def innermost(error: BaseException) -> TracebackType | None:
    """Return where an error was raised; ``None`` if it was not."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace

"""Messages of the core: into mmengine's log where mmengine runs, else into Python's."""

import logging
import sys


def log(message: str, level: int = logging.INFO) -> None:
    """Log a message, without importing mmengine.

    Args:
        message: The text.
        level: Of ``logging``.
    """
    mmengine_logging = sys.modules.get('mmengine.logging')
    if mmengine_logging is not None:
        mmengine_logging.print_log(message, logger='current', level=level)
    else:
        logging.getLogger('tnt_backbone').log(level, message)

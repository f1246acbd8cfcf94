"""Errors that speak to the user: what was given, what is allowed, and what to do.

A command prints such an error as one message. Every other error is a fault of a program, ours or
somebody else's, and keeps its traceback. Each class is also the class of Python that callers
expect, so ``except ValueError`` catches an :class:`InputError`.
"""


class UserError(Exception):
    """A mistake that the user can correct. The text says how."""


class InputError(UserError, ValueError):
    """A value that is not allowed."""


class InputTypeError(UserError, TypeError):
    """A value of a type that is not allowed."""


class MissingFileError(UserError, FileNotFoundError):
    """A file or folder that does not exist."""


class ExistingFileError(UserError, FileExistsError):
    """A file that would be overwritten."""


class DiskError(UserError, OSError):
    """A file that cannot be written, or not be read as it was written."""


class NotFiniteError(UserError, ArithmeticError):
    """A training whose loss or gradients are no longer numbers."""


class MemoryLimitError(UserError, MemoryError):
    """A run that needs more memory than there is."""


class MissingPackageError(UserError, ImportError):
    """A package that has to be installed first."""

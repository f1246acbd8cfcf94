"""Files of vectors, ``.npz`` and ``.parquet``, written while the vectors come."""

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ExistingFileError, InputError, MissingPackageError
from ..whole_file import whole_file
from .embed import Vectors

ENDINGS = ('.npz', '.parquet')
ROWS = 1024  # of Parquet that are written together


def check_out(path: Path, *, force: bool) -> None:
    """Check that a file of vectors can be written, before vectors are computed.

    Raises:
        ValueError: If its ending is unknown, or its folder cannot be written to.
        FileExistsError: If it exists, without ``force``.
        ImportError: If Parquet needs pyarrow, which is not installed.
    """
    if path.suffix.lower() not in ENDINGS:
        raise InputError(f'--out {path}: the ending must be one of {", ".join(ENDINGS)}')
    if path.exists() and not force:
        raise ExistingFileError(f'--out {path} exists. Pass another name, or --force to replace it')
    if path.suffix.lower() == '.parquet' and find_spec('pyarrow') is None:
        raise MissingPackageError(
            "Parquet needs pyarrow. Run: pip install 'tnt-backbone[look]'. Or pass --out FILE.npz"
        )


@contextmanager
def vectors_file(path: Path, *, with_boxes: bool) -> Iterator['VectorsFile']:
    """Yield a file of vectors, which has its name only when the block has ended without an error.

    Memory holds the names and boxes, but not the vectors.

    Args:
        path: ``.npz`` or ``.parquet``.
        with_boxes: Whether the vectors are of boxes.

    Raises:
        OSError: :class:`~tnt_backbone.errors.DiskError`, if it cannot be written.
    """
    with whole_file(path) as part:
        file = VectorsFile(part, with_boxes=with_boxes)
        try:
            yield file
            file.finish()
        except BaseException:
            with suppress(OSError):  # there is a first error to tell
                file.abandon()
            raise


class VectorsFile:
    """What :func:`vectors_file` yields; ``number`` counts the vectors."""

    def __init__(self, path: Path, *, with_boxes: bool) -> None:
        self.with_boxes = with_boxes
        self.number = 0
        self._dims: int | None = None
        is_table = path.suffix.lower() == '.parquet'
        self._file: Any = (_Table if is_table else _Arrays)(path)

    def add(self, entry: Vectors) -> None:
        """Add the vectors of a picture."""
        self._dims = entry.vectors.shape[1]
        if not len(entry.vectors):
            return
        columns: dict[str, Any] = {'name': [entry.name] * len(entry.vectors)}
        if entry.boxes is not None:
            columns['box'] = entry.boxes.boxes.astype(np.float32)
            columns['score'] = entry.boxes.scores.astype(np.float32)
            columns['category'] = list(entry.boxes.names)
        self._file.add(entry.vectors.astype(np.float32), columns)
        self.number += len(entry.vectors)

    def finish(self) -> None:
        """Complete the file."""
        empty: dict[str, Any] = {'name': []}
        if self.with_boxes:
            empty |= {'box': np.zeros((0, 4), np.float32), 'category': []}
            empty['score'] = np.zeros(0, np.float32)
        self._file.add(np.zeros((0, self._dims or 0), np.float32), empty)
        self._file.close()

    def abandon(self) -> None:
        """Close what is open."""
        self._file.abandon()


class _Arrays:
    """NumPy's ``.npz``: ``name (n,)``, ``vector (n, C)``, and of boxes ``box (n, 4)`` and more."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.vectors: Any = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115, see close
        self.shape = (0, 0)
        self.columns: dict[str, list[Any]] = {}

    def add(self, vectors: np.ndarray, columns: dict[str, Any]) -> None:
        self.vectors.write(np.ascontiguousarray(vectors, '<f4').tobytes())
        self.shape = (self.shape[0] + len(vectors), vectors.shape[1])
        for name, values in columns.items():
            self.columns.setdefault(name, []).append(values)

    def close(self) -> None:
        with zipfile.ZipFile(self.path, 'w', allowZip64=True) as archive:
            for name, parts in self.columns.items():
                is_text = isinstance(parts[0], list)
                whole = (
                    np.array([v for part in parts for v in part], np.str_)
                    if is_text
                    else np.concatenate(parts)
                )
                with archive.open(f'{name}.npy', 'w', force_zip64=True) as file:
                    np.lib.format.write_array(file, whole, allow_pickle=False)
            with archive.open('vector.npy', 'w', force_zip64=True) as file:
                header = {'descr': '<f4', 'fortran_order': False, 'shape': self.shape}
                np.lib.format.write_array_header_1_0(file, header)
                self.vectors.seek(0)
                shutil.copyfileobj(self.vectors, file)
        self.vectors.close()

    def abandon(self) -> None:
        self.vectors.close()


class _Table:
    """Parquet: a row per vector with the columns of :class:`_Arrays`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writer: Any = None
        self.waiting: list[Any] = []

    def add(self, vectors: np.ndarray, columns: dict[str, Any]) -> None:
        import pyarrow

        def fixed(rows: np.ndarray) -> Any:
            flat = pyarrow.array(rows.ravel(), pyarrow.float32())
            if not rows.shape[1]:
                return pyarrow.array([[] for _ in rows], pyarrow.list_(pyarrow.float32()))
            return pyarrow.FixedSizeListArray.from_arrays(flat, rows.shape[1])

        arrays = {
            name: pyarrow.array(values, pyarrow.string())
            if isinstance(values, list)
            else fixed(values)
            if values.ndim == 2
            else pyarrow.array(values)
            for name, values in columns.items()
        }
        self.waiting.append(pyarrow.table({**arrays, 'vector': fixed(vectors)}))
        if sum(map(len, self.waiting)) >= ROWS:
            self._write()

    def _write(self) -> None:
        import pyarrow
        import pyarrow.parquet

        # without a vector before, the width of an empty table is not known
        tables = [table for table in self.waiting if len(table)] or self.waiting
        if self.writer is None:
            self.writer = pyarrow.parquet.ParquetWriter(self.path, tables[0].schema)
        elif not any(map(len, tables)):
            return
        self.writer.write_table(pyarrow.concat_tables(tables))
        self.waiting = []

    def close(self) -> None:
        self._write()
        self.writer.close()

    def abandon(self) -> None:
        if self.writer is not None:
            self.writer.close()

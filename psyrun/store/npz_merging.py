"""Arrays in NPZ files that are copied from file to file without being loaded."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from psyrun.store.arrays import Array, Indices, RowType, to_row_type
from psyrun.store.npz_file import read_header, reading
from psyrun.store.npz_text import differ_much
from psyrun.store.picks import Picks
from psyrun.utils.files import Filename

_STEP_BYTES = 1 << 20
_PICKED_BYTES = 1 << 23
_LOCAL_HEADER = 30  # bytes before the name; its lengths are in the last four


@dataclass(frozen=True, slots=True)
class StoredArray:
    """Rows of a key in an NPZ file, as they would be in memory.

    Attributes
    ----------
    begin : int
        Where in the file its member begins, in bytes.
    head : int
        Length of its header, in bytes.
    crc : int
        CRC-32 of header and rows.
    """

    path: Filename
    name: str
    begin: int
    head: int
    crc: int
    n_rows: int
    row_type: RowType

    @classmethod
    def find(
        cls, path: Filename, archive: zipfile.ZipFile, name: str
    ) -> StoredArray | None:
        """Return a member, None if it is compressed or needs to be converted."""
        info, header = archive.getinfo(name), read_header(archive, name)
        if header is None or info.compress_type != zipfile.ZIP_STORED:
            return None
        shape, is_transposed, dtype, head = header
        if is_transposed or not shape or dtype.kind in "OV" or not dtype.isnative:
            return None
        rows = RowType(dtype, shape[1:])
        found = cls(path, name, info.header_offset, head, info.CRC, shape[0], rows)
        return found if head + found.n_bytes == info.file_size else None

    @property
    def n_bytes(self) -> int:
        """Size of all rows, in bytes."""
        return self.n_rows * self.row_type.n_bytes

    def pieces(self, step: int) -> Iterator[memoryview]:
        """Yield the rows in pieces of `step` bytes, which are valid one at a time.

        Raises `StoreError` if they are not what was written, at the end for the
        checksum.
        """
        with self.opened() as file:
            crc = zlib.crc32(_exactly(file, self.head))
            buffer = memoryview(bytearray(min(step, self.n_bytes)))
            for begin in range(0, self.n_bytes, max(step, 1)):
                piece = buffer[: self.n_bytes - begin]
                _fill(file, piece)
                crc = zlib.crc32(piece, crc)
                yield piece
            if crc != self.crc:
                raise zipfile.BadZipFile(f"Bad CRC-32 for file {self.name!r}")

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """Open the file where the header of the array begins."""
        with reading(self.path), open(self.path, "rb", buffering=0) as file:  # noqa: PTH123
            file.seek(self.begin)
            local = _exactly(file, _LOCAL_HEADER)
            lengths = (local[26:28], local[28:30])
            file.seek(sum(int.from_bytes(n, "little") for n in lengths), 1)
            yield file

    def rows(self, step: int) -> Iterator[Array]:
        """Yield `step` rows at a time; see `pieces`."""
        dtype, shape = self.row_type.dtype, self.row_type.shape
        if not self.n_bytes:
            yield np.empty((self.n_rows, *shape), dtype)
        for piece in self.pieces(step * self.row_type.n_bytes):
            yield np.frombuffer(piece, dtype).reshape(-1, *shape)


@dataclass(frozen=True)
class Content:
    """What is in a file; an array is None if it has to be loaded to be merged."""

    filename: Filename
    n_rows: int
    arrays: Mapping[str, StoredArray | None]

    def part(self, key: str) -> StoredArray | int | None:
        """Return the array of a key, or the number of rows that lack it."""
        return self.arrays.get(key, self.n_rows)


def is_uneven_text(arrays: Sequence[StoredArray]) -> bool:
    """Whether texts of which some are much longer would be joined."""
    types = [array.row_type for array in arrays]
    if not all(t.dtype.kind in "SU" and t.shape == types[0].shape for t in types):
        return False
    n_texts = math.prod(types[0].shape) if types else 0
    return differ_much((a.n_rows * n_texts, a.row_type.dtype.itemsize) for a in arrays)


def _exactly(file: IO[bytes], n_bytes: int) -> memoryview:
    read = memoryview(bytearray(n_bytes))
    _fill(file, read)
    return read


def _fill(file: Any, buffer: memoryview) -> None:
    while len(buffer):
        n_read = file.readinto(buffer)
        if not n_read:
            raise EOFError("it ends too early")
        buffer = buffer[n_read:]


def write_joined(
    member: IO[bytes],
    key: str,
    parts: Sequence[StoredArray | int],
    target: RowType,
    is_read: Callable[[Filename], object] = lambda path: None,
) -> None:
    """Write parts of a column one after the other, as one array.

    A part is an array, or a number of missing rows. Little of it is in memory at a
    time. `is_read` is called with the file of each array that is not needed any more.
    Raises `StoreError` if an integer would change.
    """
    _write_header(member, sum(map(_n_rows, parts)), target)
    for part in parts:
        for piece in _converted(key, part, target):
            member.write(piece)
        if isinstance(part, StoredArray):
            is_read(part.path)


def _write_header(member: IO[bytes], n_rows: int, target: RowType) -> None:
    header = {
        "descr": np.lib.format.dtype_to_descr(target.dtype),
        "fortran_order": False,
        "shape": (n_rows, *target.shape),
    }
    np.lib.format.write_array_header_1_0(member, header)


def _n_rows(part: StoredArray | int) -> int:
    return part if isinstance(part, int) else part.n_rows


def _converted(
    key: str, part: StoredArray | int, target: RowType
) -> Iterator[memoryview | bytes]:
    if isinstance(part, StoredArray) and part.row_type == target:
        yield from part.pieces(_STEP_BYTES)
        return
    step = max(1, _STEP_BYTES // max(target.n_bytes, 1))
    for rows in _missing(part, step) if isinstance(part, int) else part.rows(step):
        yield to_row_type(key, rows, target).tobytes()


def _missing(n_rows: int, step: int) -> Iterator[int]:
    return (min(step, n_rows - begin) for begin in range(0, n_rows, step))


def write_picked(
    member: IO[bytes],
    key: str,
    parts: Sequence[StoredArray | int],
    target: RowType,
    picks: Picks,
) -> None:
    """Write rows that are picked from parts of a column as one array.

    Some MB of them are in memory at a time. Raises `StoreError` if an integer would
    change, or a part is not what was written.
    """
    readers = [p if isinstance(p, int) else _RowReader(p) for p in parts]
    _write_header(member, len(picks), target)
    step = max(1, _PICKED_BYTES // max(target.n_bytes, 1))
    buffer = np.empty((min(step, len(picks)), *target.shape), target.dtype)
    for piece in picks.divided(step):
        column = buffer[: len(piece)]
        for number, places, rows in piece.by_origin():
            reader = readers[number]
            part = len(rows) if isinstance(reader, int) else reader.take(rows)
            column[places] = to_row_type(key, part, target)
        if column.nbytes:
            member.write(column.reshape(-1).view(np.uint8).data)
    for reader in readers:
        if isinstance(reader, _RowReader):
            reader.end()


class _RowReader:
    """Reads rows of an array, one after the other as long as they ascend."""

    def __init__(self, array: StoredArray) -> None:
        self._array = array
        self._row_bytes = array.row_type.n_bytes
        with array.opened() as file:
            self._crc = zlib.crc32(_exactly(file, array.head))
            self._begin = file.tell()
        self._n_read = 0
        self._is_verified = False

    def take(self, rows: Indices) -> Array:
        """Return some rows."""
        dtype, shape = self._array.row_type.dtype, self._array.row_type.shape
        if not self._row_bytes:
            return np.empty((len(rows), *shape), dtype)
        if rows[0] < self._n_read or (np.diff(rows) < 1).any():
            self.end()
        column = np.empty((len(rows), self._row_bytes), np.uint8)
        with reading(self._array.path), open(self._array.path, "rb", buffering=0) as f:  # noqa: PTH123
            for places, span in _runs(rows):
                if not self._is_verified:
                    self._skip(f, span.start)
                self._read(f, span.start, column[places].data.cast("B"))
        return column.view(dtype).reshape(len(rows), *shape)

    def _read(self, file: IO[bytes], row: int, buffer: memoryview) -> None:
        file.seek(self._begin + row * self._row_bytes)
        _fill(file, buffer)
        if not self._is_verified:
            self._crc = zlib.crc32(buffer, self._crc)
            self._n_read = row + len(buffer) // self._row_bytes

    def _skip(self, file: IO[bytes], row: int) -> None:
        """Read up to a row for the checksum."""
        step = max(1, _STEP_BYTES // self._row_bytes)
        for begin in range(self._n_read, row, step):
            n_bytes = (min(begin + step, row) - begin) * self._row_bytes
            self._read(file, begin, memoryview(bytearray(n_bytes)))

    def end(self) -> None:
        """Compare the checksum, for which all else is read that was not yet."""
        if self._is_verified or not self._row_bytes:
            return
        with reading(self._array.path), open(self._array.path, "rb", buffering=0) as f:  # noqa: PTH123
            self._skip(f, self._array.n_rows)
            if self._crc != self._array.crc:
                name = self._array.name
                raise zipfile.BadZipFile(f"Bad CRC-32 for file {name!r}")
        self._is_verified = True


def _runs(rows: Indices) -> Iterator[tuple[slice, range]]:
    """Divide rows into those that follow one another, with their places."""
    ends = [*(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), len(rows)]
    begin = 0
    for end in ends if len(rows) else []:
        first = int(rows[begin])
        yield slice(begin, end), range(first, first + end - begin)
        begin = end

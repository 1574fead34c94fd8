"""HDF5 files that are open for a while, and what can go wrong with them."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import tables

from psyrun.errors import StoreError, one_line
from psyrun.store.h5.attributes import raw_attributes
from psyrun.utils.files import Filename, explained, force, refuse_pipe

SPARE_BYTES = 16 * 1024
"""More than the header of an array and the index of its chunks can take."""


@contextmanager
def opened(
    filename: Filename, mode: str, name: Filename, **parameters: int
) -> Iterator[tables.File]:
    """Open a file as `tables.open_file` does, and close it whatever happens.

    Errors call the file by `name`. Raises `StoreError` if it cannot be opened, or
    not be written when it is closed.
    """
    with raw_attributes(name), _opened(filename, mode, name, **parameters) as file:
        yield file


@contextmanager
def _opened(
    filename: Filename, mode: str, name: Filename, **parameters: int
) -> Iterator[tables.File]:
    with h5_explained(name), explained(name):
        if mode != "w":
            os.stat(filename)  # noqa: PTH116
            refuse_pipe(filename)
        try:
            file = tables.open_file(os.fspath(filename), mode, **parameters)
        except ValueError as error:
            raise StoreError(
                f"{name}: the file is open in this process; close it first."
            ) from error
    try:
        yield file
    except BaseException:
        # What closing a broken file has to say hides the cause.
        _close_quietly(file)
        raise
    with h5_explained(name):
        file.close()
        if mode == "w":
            trim(filename)


def trim(filename: Filename) -> None:
    """Give back space of a file that was set aside, but not needed.

    PyTables does not say so when HDF5 fails to write, but opening the file again does.
    """
    tables.open_file(os.fspath(filename), "r+").close()


def _close_quietly(file: tables.File) -> None:
    try:
        file.close()
    except tables.HDF5ExtError:
        return


@contextmanager
def h5_explained(filename: Filename) -> Iterator[None]:
    """Turn errors of PyTables into a `StoreError` with the file and HDF5's cause."""
    try:
        yield
    except tables.HDF5ExtError as error:
        reason = _reason(error)
        if "unable to lock" in reason:
            busy = StoreError(
                f"{filename}: another process is using the file; try again when it "
                "has finished."
            )
            busy.errno = errno.EAGAIN
            raise busy from error
        if number := _errno(error):
            with explained(filename):
                raise OSError(number, os.strerror(number)) from error
        raise StoreError(
            f"{filename}: is not an HDF5 file, not whole, or cannot be written "
            f"({reason}); check the disk, or restore a copy of the file."
        ) from error


def _reason(error: tables.HDF5ExtError) -> str:
    # From the call that failed down to the reason.
    backtrace = error.h5backtrace
    return str(backtrace[-1][-1]) if backtrace else one_line(error)


def _errno(error: tables.HDF5ExtError) -> int:
    """Return what number the system gave for a failure; 0 if it was none of its."""
    texts = [str(call[-1]) for call in error.h5backtrace or ()]
    found = re.search(r"\berrno = (\d+)", " ".join(texts))
    return int(found[1]) if found else 0


def reserve(file: tables.File, start: int, n_bytes: int, name: Filename) -> int:
    """Have the file system set space aside, so that writing cannot fail.

    HDF5 writes when it pleases and PyTables does not say when that fails, so that a
    full disk must be noticed before. `start` is where the file ends, or how much is
    set aside already. Returns how much is set aside then; all sizes in bytes.
    Without effect where the system cannot do so (macOS). Raises `StoreError`, and
    leaves the file as it was, if there is not that much space.
    """
    if not n_bytes or not hasattr(os, "posix_fallocate"):
        return start
    descriptor = file.fileno()
    size = os.fstat(descriptor).st_size
    with explained(name):
        try:
            os.posix_fallocate(descriptor, start, n_bytes)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    return start + n_bytes


def to_disk(file: tables.File, node: tables.Leaf) -> None:
    """Write everything that HDF5 holds back, and wait until it is on disk.

    Flushing any one array flushes the file; doing so for each takes long.
    """
    node.flush()
    force(file.fileno())

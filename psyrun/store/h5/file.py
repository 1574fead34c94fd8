"""HDF5 files that are open for a while, and what can go wrong with them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import tables

from psyrun.errors import StoreError, one_line
from psyrun.utils.files import Filename, explained

SPARE_BYTES = 16 * 1024
"""More than the header of an array and the index of its chunks can take."""


@contextmanager
def opened(filename: Filename, mode: str, name: Filename) -> Iterator[tables.File]:
    """Open a file and close it whatever happens.

    Parameters
    ----------
    filename : path-like
        The file.
    mode : {'r', 'r+', 'w'}
        As for `tables.open_file`.
    name : path-like
        What to call the file in errors.

    Yields
    ------
    tables.File
        The open file.

    Raises
    ------
    StoreError
        If the file cannot be opened, or not be written when it is closed.
    """
    with h5_explained(name), explained(name):
        if mode != "w":
            os.stat(filename)  # noqa: PTH116
        try:
            file = tables.open_file(os.fspath(filename), mode)
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
            # PyTables does not say so when HDF5 fails to write, but opening the
            # file again does. It also gives back space that was not needed.
            tables.open_file(os.fspath(filename), "r+").close()


def _close_quietly(file: tables.File) -> None:
    try:
        file.close()
    except tables.HDF5ExtError:
        return


@contextmanager
def h5_explained(filename: Filename) -> Iterator[None]:
    """Turn errors of PyTables into a `StoreError` that names the file.

    Parameters
    ----------
    filename : path-like
        The file that the body reads or writes.

    Raises
    ------
    StoreError
        With the last cause that HDF5 gives.
    """
    try:
        yield
    except tables.HDF5ExtError as error:
        reason = _reason(error)
        if "unable to lock" in reason:
            raise StoreError(
                f"{filename}: another process is using the file; try again when it "
                "has finished."
            ) from error
        raise StoreError(
            f"{filename}: is not an HDF5 file, not whole, or cannot be written "
            f"({reason}); check the disk, or restore a copy of the file."
        ) from error


def _reason(error: tables.HDF5ExtError) -> str:
    # From the call that failed down to the reason.
    backtrace = error.h5backtrace
    return str(backtrace[-1][-1]) if backtrace else one_line(error)


def reserve(file: tables.File, start: int, n_bytes: int, name: Filename) -> int:
    """Have the file system set space aside, so that writing cannot fail.

    HDF5 writes when it pleases and PyTables does not say when that fails, so
    that a full disk must be noticed before.

    Parameters
    ----------
    file : tables.File
        A file that is open for writing.
    start : int
        Where the file ends, or how much is set aside already, in bytes.
    n_bytes : int
        How much is to be added, in bytes.
    name : path-like
        What to call the file in errors.

    Returns
    -------
    int
        How much is set aside now, in bytes; more on systems that can do so
        (not macOS).

    Raises
    ------
    StoreError
        If there is not that much space. The file is then as it was.
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


def to_disk(file: tables.File) -> None:
    """Write everything that HDF5 holds back, and wait until it is on disk.

    Parameters
    ----------
    file : tables.File
        A file that is open for writing.

    Raises
    ------
    OSError
        If the file system reports that data could not be written.
    """
    file.flush()
    os.fsync(file.fileno())

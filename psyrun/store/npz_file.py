"""NPZ files that are open for a while, and the headers of the arrays in them."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from psyrun.errors import one_line
from psyrun.utils.files import Filename, damaged, explained, refuse_pipe

MEMBER = ".npy"
"""How the name of the member with the array of a key ends."""

_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}

# What reading a damaged zip file or a damaged array in it raises.
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError, ValueError)


@contextmanager
def opened(filename: Filename) -> Iterator[zipfile.ZipFile]:
    """Open a file to read it; see `reading`."""
    with reading(filename), zipfile.ZipFile(filename) as archive:
        yield archive


@contextmanager
def created(path: Path, name: Filename) -> Iterator[zipfile.ZipFile]:
    """Write a new file; a `StoreError` calls it by `name`."""
    with explained(name), zipfile.ZipFile(path, "w") as archive:
        yield archive


@contextmanager
def reading(filename: Filename) -> Iterator[None]:
    """Turn what reading a file raises into a `StoreError` with its name."""
    with explained(filename):
        refuse_pipe(filename)
        try:
            yield
        except _BROKEN as error:
            raise damaged(
                filename, f"is not an NPZ file or not whole ({one_line(error)})"
            ) from error


class Header(NamedTuple):
    """What comes before the rows of an array in its member; `length` is in bytes."""

    shape: tuple[int, ...]
    is_transposed: bool
    dtype: np.dtype[Any]
    length: int


def read_header(archive: zipfile.ZipFile, name: str) -> Header | None:
    """Return the header of a member, None if it is of an unknown version."""
    with archive.open(name) as member:
        read = _READERS.get(np.lib.format.read_magic(member))
        return None if read is None else Header(*read(member), member.tell())

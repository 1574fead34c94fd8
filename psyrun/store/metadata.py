"""What is to be known of the rows of a file: in it, or in a file beside it.

That is a text in JSON, and arrays of numbers. Where a format has no room for them, they
are in a file ``<name>.psyrun`` beside it, a zip file as `numpy.savez` writes it.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from psyrun.errors import StoreError
from psyrun.store.arrays import Array
from psyrun.store.base import Store
from psyrun.store.npz_file import reading
from psyrun.store.npz_metadata import read_metadata, write_metadata
from psyrun.utils.files import (
    Filename,
    damaged,
    explained,
    file_beside,
    opened,
    replacing,
)

PROVENANCE = "provenance"
"""Name of the array with where the rows of each version come from, as `packed`."""
_FORMAT = 1
_ABOUT, _FILE = "about", "of_file"
_SAMPLE = 1 << 16  # bytes at the begin and at the end


@dataclass(frozen=True, eq=False)
class Metadata:
    """What is to be known of the rows of a file.

    Attributes
    ----------
    about : dict
        What there is as JSON.
    arrays : dict of str to ndarray
        Numbers; empty arrays are not kept.
    """

    about: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)

    def encoded(self) -> dict[str, Array]:
        """Return all of it as arrays, none of them empty."""
        text = json.dumps({"format": _FORMAT, **self.about})
        arrays = {name: a for name, a in self.arrays.items() if a.size}
        return {_ABOUT: np.frombuffer(text.encode(), np.uint8), **arrays}

    @classmethod
    def decoded(cls, arrays: Mapping[str, Array], filename: Filename) -> Metadata:
        """Return what a file has that was encoded.

        Raises `StoreError` if that is damaged, or of a later version.
        """
        try:
            about = json.loads(arrays[_ABOUT].astype(np.uint8).tobytes())
            number = about["format"]
            is_known = type(number) is int and 1 <= number <= _FORMAT
        except (KeyError, TypeError, ValueError) as error:
            raise damaged(filename, "has metadata that cannot be read") from error
        if not is_known:
            raise StoreError(
                f"{filename}: its metadata are of a later version of psyrun; install "
                "that to read them."
            )
        rest = {name: a for name, a in arrays.items() if name not in (_ABOUT, _FILE)}
        return cls(about, rest)


def packed(value: Any) -> Array:
    """Return the JSON text of a value, compressed by zlib."""
    return np.frombuffer(zlib.compress(json.dumps(value).encode()), np.uint8)


def unpacked(array: Array) -> Any:
    """Return what was packed; `ValueError` or `zlib.error` if it is damaged."""
    return json.loads(zlib.decompress(array.astype(np.uint8).tobytes()))


def save_with(
    store: Store,
    filename: Filename,
    save: Callable[[str], int],
    metadata: Metadata | Callable[[], Metadata],
) -> int:
    """Write a file with metadata, and return the number of rows.

    Both are there or neither is, if the format has room for them. A file beside it
    comes after it.

    Parameters
    ----------
    store : Store
        The store that `save` writes with.
    filename : path-like
        The file.
    save : callable
        Writes rows to a file whose name it is given, and returns their number.
    metadata : Metadata or callable
        What is to be known of them, or what returns it once they are written.

    Raises
    ------
    StoreError
        If `save` does, or the metadata cannot be written.
    """
    beside = file_beside(filename)
    if not store.keeps_metadata:
        beside.unlink(missing_ok=True)
        n_rows = save(os.fspath(filename))
        write_beside(beside, _given(metadata), filename)
        return n_rows
    with replacing(filename) as path, _called(path, filename):
        n_rows = save(str(path))
        store.write_metadata(path, _given(metadata).encoded())
    beside.unlink(missing_ok=True)
    return n_rows


def _given(metadata: Metadata | Callable[[], Metadata]) -> Metadata:
    return metadata if isinstance(metadata, Metadata) else metadata()


@contextmanager
def _called(path: Path, name: Filename) -> Iterator[None]:
    """Have errors speak of a file by its later name."""
    try:
        yield
    except StoreError as error:
        error.args = (str(error).replace(str(path), os.fspath(name)),)
        raise


def write_beside(path: Path, metadata: Metadata, of_file: Filename | None) -> None:
    """Write metadata to a file, which belongs to another one if that is given."""
    arrays = metadata.encoded()
    if of_file is not None:
        arrays[_FILE] = _sample(of_file)
    with (
        replacing(path) as new,
        explained(path),
        zipfile.ZipFile(new, "w") as archive,
    ):
        write_metadata(archive, arrays)


def metadata_of(
    store: Store,
    filename: Filename,
    names: Collection[str] | None = None,
    beside: Path | None = None,
) -> Metadata | None:
    """Return what is to be known of a file, None if nothing is known of it.

    Parameters
    ----------
    store : Store
        Its store.
    filename : path-like
        The file.
    names : collection of str, optional
        The arrays to read, as far as they are there; all of them without it.
    beside : Path, optional
        The file that stands beside it, if it does not have the usual name.

    Raises
    ------
    StoreError
        If the metadata are damaged, or of a later version of psyrun.
    """
    wanted = None if names is None else {_ABOUT, _FILE, *names}
    found = store.read_metadata(filename, wanted)
    if found:
        return Metadata.decoded(found, filename)
    path = file_beside(filename) if beside is None else beside
    if not path.is_file():
        return None
    found = read_beside(path, wanted)
    # One may be left of another file of that name.
    if not np.array_equal(found.get(_FILE, ()), _sample(filename)):
        return None
    return Metadata.decoded(found, path)


def read_beside(path: Path, names: Collection[str] | None = None) -> dict[str, Array]:
    """Return the arrays in a file of metadata; `StoreError` if it is damaged."""
    with reading(path), zipfile.ZipFile(path) as archive:
        return read_metadata(archive, names)


def _sample(filename: Filename) -> Array:
    """Return numbers by which a file is recognized, of which little is read."""
    with explained(filename), opened(filename, buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        crc = zlib.crc32(file.read(_SAMPLE))
        file.seek(max(0, size - _SAMPLE))
        return np.array([size, zlib.crc32(file.read(_SAMPLE), crc)], np.int64)

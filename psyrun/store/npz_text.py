"""Text of very different lengths in NPZ files, without the space that it wastes.

NumPy gives each text of an array as much space as the longest takes. Where that is
many times more than needed, the texts of a key are two members of the file instead
of one, both in NumPy's format::

    <key>.text-v1.data      all texts in UTF-8, one after the other (uint8)
    <key>.text-v1.offsets   where each begins, and the end of the last (int64)

``bytes-v1`` stands for bytes. As the names do not end in ``.npy``, they cannot be
those of other keys, and `numpy.load` gives the arrays by these names. In memory such
a column is an array of objects, which are texts.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from psyrun.errors import StoreError
from psyrun.store.arrays import Array
from psyrun.store.values import base_value, unstorable

_KINDS = {"text": str, "bytes": bytes}
_MEMBER = re.compile(r"(?s)(.*)\.(text|bytes)-v([0-9]+)\.(data|offsets)")
_VERSION = "1"
_LEAST_BYTES = 1 << 20
_WASTE = 4  # times as much space as needed


def text_column(key: str, values: Any) -> Array | None:
    """Return texts as objects if an array of characters would waste much space.

    None if it would not, or the values are no texts, or not only. Raises `StoreError`
    for what an array of characters would not keep either.
    """
    if isinstance(values, np.ndarray) and not _may_waste(values):
        return None
    if not isinstance(next(iter(values), None), str | bytes):
        return None
    texts = [_as_base(value) for value in values]
    if _type_of(texts) is None or not _wastes(texts):
        return None
    if any(text[-1:] in ("\0", b"\0") for text in texts):
        raise unstorable(key, "text or bytes with a null character at the end")
    return _as_objects(texts)


def _may_waste(array: Array) -> bool:
    is_large = array.dtype.kind in "SU" and array.nbytes > _LEAST_BYTES
    return array.ndim == 1 and (is_large or array.dtype == object)


def _as_base(value: Any) -> Any:
    if isinstance(value, str):
        return str.__str__(value)
    return bytes(value) if isinstance(value, np.bytes_) else base_value(value)


def is_text(column: Array) -> bool:
    """Whether a column holds texts as objects, and nothing else."""
    return column.dtype == object and _type_of(column.tolist()) is not None


def join_texts(key: str, parts: Sequence[Array]) -> Array | None:
    """Put columns of text one after the other, in the form that suits all of it.

    None if they are not all of text, of one kind, or it suits arrays of characters.
    """
    if not all(part.ndim == 1 and part.dtype.kind in "OSU" for part in parts):
        return None
    sizes = [(len(part), part.dtype.itemsize) for part in parts]
    if not any(part.dtype == object for part in parts) and not differ_much(sizes):
        return None
    return text_column(key, _as_objects(text for p in parts for text in p.tolist()))


def differ_much(sizes: Iterable[tuple[int, int]]) -> bool:
    """Whether to join arrays of characters would waste much more than they do.

    For each, `sizes` has its number of rows and the bytes of a row.
    """
    listed = list(sizes)
    needed = sum(n_rows * size for n_rows, size in listed)
    most = max((size for _, size in listed), default=0)
    fixed = sum(n_rows for n_rows, _ in listed) * most
    return fixed > _LEAST_BYTES and fixed > _WASTE * needed


def _wastes(texts: Sequence[Any]) -> bool:
    size = 4 if isinstance(texts[0], str) else 1
    lengths = list(map(len, texts))
    fixed = len(texts) * max(lengths) * size
    return fixed > _LEAST_BYTES and fixed > _WASTE * (sum(lengths) + 8 * len(texts))


def _type_of(values: Sequence[Any]) -> type | None:
    types = set(map(type, values))
    only = types.pop() if len(types) == 1 else None
    return only if only in (str, bytes) else None


def _as_objects(texts: Iterable[Any]) -> Array:
    return np.fromiter(texts, dtype=object)


def text_size(column: Array) -> int:
    """Return about how many bytes a column of objects takes in a file."""
    return sum(len(text) for text in column.tolist()) if is_text(column) else 0


def write_text(archive: zipfile.ZipFile, key: str, column: Array) -> None:
    """Write a column of which `is_text` is true."""
    texts = column.tolist()
    kind = "text" if isinstance(texts[0], str) else "bytes"
    encoded = [_encoded(text) for text in texts]
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(list(map(len, encoded)), out=offsets[1:])
    data = np.frombuffer(b"".join(encoded), np.uint8)
    for part, array in (("offsets", offsets), ("data", data)):
        name = f"{key}.{kind}-v{_VERSION}.{part}"
        with archive.open(name, "w", force_zip64=True) as member:
            np.lib.format.write_array(member, array, allow_pickle=False)


def _encoded(text: str | bytes) -> bytes:
    # Surrogates stand for what is no text, as in the names of files.
    return text if isinstance(text, bytes) else text.encode(errors="surrogatepass")


def key_of_text(name: str) -> str | None:
    """Return the key of a member that belongs to a column of text, else None.

    Raises `StoreError` if the member is of a later version.
    """
    match = _MEMBER.fullmatch(name)
    if match is None:
        return None
    if match[3] != _VERSION:
        raise StoreError(
            f"key {match[1]!r} is stored as a later version of psyrun does; install "
            "that to read the file."
        )
    return match[1]


def offsets_name(archive: zipfile.ZipFile, key: str) -> str | None:
    """Return the name of the member with the offsets of a key, None without one."""
    names = (f"{key}.{kind}-v{_VERSION}.offsets" for kind in _KINDS)
    return next((name for name in names if name in archive.NameToInfo), None)


def read_text(archive: zipfile.ZipFile, offsets: str) -> Array:
    """Read a column, given the name of the member with its offsets.

    Raises `ValueError` if it is damaged.
    """
    ends = _read_array(archive, offsets)
    data = _read_array(archive, f"{offsets.removesuffix('offsets')}data").tobytes()
    is_whole = len(ends) and (ends[0], ends[-1]) == (0, len(data))
    if not is_whole or (np.diff(ends) < 0).any():
        raise ValueError(f"{offsets} does not fit to the text")
    parts = [data[begin:end] for begin, end in pairwise(ends.tolist())]
    if ".bytes-v" in offsets[-20:]:
        return _as_objects(parts)
    return _as_objects(part.decode(errors="surrogatepass") for part in parts)


def _read_array(archive: zipfile.ZipFile, name: str) -> Array:
    with archive.open(name) as member:
        array: Array = np.lib.format.read_array(member, allow_pickle=False)
    return array

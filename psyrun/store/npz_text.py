"""Text of very different lengths in NPZ files, without the space that it wastes.

NumPy gives each text of an array as much space as the longest takes. Where that is
many times more than needed, the texts of a key are two members of the file instead
of one, both in NumPy's format::

    <key>.text-v1.data      all texts in UTF-8, one after the other (uint8)
    <key>.text-v1.offsets   where each begins, and the end of the last (int64)

Where each row is an array of texts, it is ``v2``, and the offsets have the shape of the
column: they say where each text ends. The texts come in the order of NumPy's `ravel`.

``bytes`` instead of ``text`` stands for bytes. As the names do not end in ``.npy``,
they cannot be those of other keys, and `numpy.load` gives the arrays by these names. In
memory such a column is an array of objects, which are texts.
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
from psyrun.store.values import base_value, leaves, plain_value, unstorable

_KINDS = {"text": str, "bytes": bytes}
_MEMBER = re.compile(r"(?s)(.*)\.(text|bytes)-v([0-9]+)\.(data|offsets)")
_ROWS, _ARRAYS = "1", "2"  # versions: a text in each row, or an array of them
_LEAST_BYTES = 1 << 20
_WASTE = 4  # times as much space as needed


def text_column(key: str, values: Any) -> Array | None:
    """Return texts as objects if an array of characters would waste much space.

    None if it would not, or the values are no texts, or not only. Raises `StoreError`
    for what an array of characters would not keep either.
    """
    if isinstance(values, np.ndarray) and not _may_waste(values):
        return None
    found = _texts_and_shape(key, values)
    if found is None:
        return None
    texts, shape = found
    if _type_of(texts) is None or not _wastes(texts):
        return None
    if any(text[-1:] in ("\0", b"\0") for text in texts):
        raise unstorable(key, "text or bytes with a null character at the end")
    return _as_objects(texts).reshape(shape)


def _may_waste(array: Array) -> bool:
    is_large = array.dtype.kind in "SU" and array.nbytes > _LEAST_BYTES
    return is_large or array.dtype == object


def _texts_and_shape(key: str, values: Any) -> tuple[list[Any], tuple[int, ...]] | None:
    """Return all texts of a column, and its shape; None if it may be no such column."""
    first = next(iter(values), None)
    if isinstance(first, str | bytes):
        texts = [_as_base(value) for value in values]
        return texts, (len(texts),)
    if isinstance(first, list | tuple):
        is_text = isinstance(next(leaves(first), None), str | bytes)
    else:
        is_text = isinstance(first, np.ndarray) and first.dtype.kind in "SUO"
    return _texts_of_arrays(key, values) if is_text else None


def _texts_of_arrays(key: str, rows: Any) -> tuple[list[Any], tuple[int, ...]] | None:
    try:
        arrays = [np.array(plain_value(key, row), dtype=object) for row in rows]
        column = np.stack(arrays)
    except ValueError:
        # The lists are uneven.
        return None
    return [_as_base(value) for value in column.ravel().tolist()], column.shape


def _as_base(value: Any) -> Any:
    if isinstance(value, str):
        return str.__str__(value)
    return bytes(value) if isinstance(value, np.bytes_) else base_value(value)


def is_text(column: Array) -> bool:
    """Whether a column holds texts as objects, and nothing else."""
    return column.dtype == object and _type_of(column.ravel().tolist()) is not None


def join_texts(key: str, parts: Sequence[Array]) -> Array | None:
    """Put columns of text one after the other, in the form that suits all of it.

    None if they are not all of text, of one kind, or it suits arrays of characters.
    """
    if not all(part.dtype.kind in "OSU" for part in parts):
        return None
    if len({part.shape[1:] for part in parts}) != 1:
        return None
    sizes = [(part.size, part.dtype.itemsize) for part in parts]
    if not any(part.dtype == object for part in parts) and not differ_much(sizes):
        return None
    return text_column(key, np.concatenate([part.astype(object) for part in parts]))


def differ_much(sizes: Iterable[tuple[int, int]]) -> bool:
    """Whether to join arrays of characters would waste much more than they do.

    For each, `sizes` has its number of texts and the bytes of one.
    """
    listed = list(sizes)
    needed = sum(n_texts * size for n_texts, size in listed)
    most = max((size for _, size in listed), default=0)
    fixed = sum(n_texts for n_texts, _ in listed) * most
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
    texts = column.ravel().tolist() if is_text(column) else []
    return sum(map(len, texts))


def write_text(archive: zipfile.ZipFile, key: str, column: Array) -> None:
    """Write a column of which `is_text` is true."""
    texts = column.ravel().tolist()
    kind = "text" if isinstance(texts[0], str) else "bytes"
    encoded = [_encoded(text) for text in texts]
    ends = np.cumsum(list(map(len, encoded)), dtype=np.int64)
    if column.ndim == 1:
        version, offsets = _ROWS, np.concatenate([[0], ends])
    else:
        version, offsets = _ARRAYS, ends.reshape(column.shape)
    data = np.frombuffer(b"".join(encoded), np.uint8)
    for part, array in (("offsets", offsets), ("data", data)):
        name = f"{key}.{kind}-v{version}.{part}"
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
    if match[3] not in (_ROWS, _ARRAYS):
        raise StoreError(
            f"key {match[1]!r} is stored as a later version of psyrun does; install "
            "that to read the file."
        )
    return match[1]


def offsets_name(archive: zipfile.ZipFile, key: str) -> str | None:
    """Return the name of the member with the offsets of a key, None without one."""
    forms = (f"{kind}-v{version}" for version in (_ROWS, _ARRAYS) for kind in _KINDS)
    names = (f"{key}.{form}.offsets" for form in forms)
    return next((name for name in names if name in archive.NameToInfo), None)


def count_texts(offsets: str, shape: tuple[int, ...]) -> int:
    """Return the number of rows, given name and shape of the offsets."""
    return shape[0] - 1 if _is_of_rows(offsets) else shape[0]


def _is_of_rows(offsets: str) -> bool:
    return offsets.endswith(f"-v{_ROWS}.offsets")


def read_text(archive: zipfile.ZipFile, offsets: str) -> Array:
    """Read a column, given the name of the member with its offsets.

    Raises `ValueError` if it is damaged.
    """
    stored = _read_array(archive, offsets)
    data = _read_array(archive, f"{offsets.removesuffix('offsets')}data").tobytes()
    if _is_of_rows(offsets):
        shape, bounds = (len(stored) - 1,), stored
    else:
        shape, bounds = stored.shape, np.concatenate([[0], stored.ravel()])
    is_whole = len(bounds) and (bounds[0], bounds[-1]) == (0, len(data))
    if not is_whole or (np.diff(bounds) < 0).any():
        raise ValueError(f"{offsets} does not fit to the text")
    parts = [data[begin:end] for begin, end in pairwise(bounds.tolist())]
    if ".bytes-v" in offsets[-20:]:
        return _as_objects(parts).reshape(shape)
    texts = (part.decode(errors="surrogatepass") for part in parts)
    return _as_objects(texts).reshape(shape)


def _read_array(archive: zipfile.ZipFile, name: str) -> Array:
    with archive.open(name) as member:
        array: Array = np.lib.format.read_array(member, allow_pickle=False)
    return array

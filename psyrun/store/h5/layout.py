"""The layout of a result in an HDF5 file.

One group holds one extendable array (EArray) per key, with rows along axis 0.
Attributes of the group: ``rows``, the number of rows that count; surplus rows
of an append that did not come to its end are ignored. Attributes of an array:
``position``, the place of its key among the keys; ``row_shape``, if the shape
of a row has a zero, which HDF5 would take for another extendable axis.

Files without these attributes, as psyrun 0.8 wrote them, are read as well.
"""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import tables
from numpy.typing import NDArray

from psyrun.errors import StoreError
from psyrun.store.arrays import Indices, RowType
from psyrun.store.h5.attributes import pickled
from psyrun.utils.files import Filename, damaged

_STEP_BYTES = 1 << 20
CHUNK_BYTES = 16 * 1024
"""Smallest size of a chunk with more than one row, in bytes."""

MAX_CHUNKS = 64
"""Most chunks per array: as many as one node of HDF5's index holds.

Adding to a node is a single write, so that being killed at any moment leaves
a file that can be read. Splitting a node takes several, and being killed
between them loses the array (H5Pset_istore_k: a node has up to 2 x 32
entries).
"""

_ESCAPE = re.compile(r"_x([0-9a-f]{1,5}|10[0-9a-f]{4})_")

# An underscore that would make the text after it look like an escape, too.
_TO_ESCAPE = re.compile(r"[^A-Za-z0-9_]|_(?=x[0-9a-f]+(?:_|[^A-Za-z0-9_]))|^[0-9]")
_EMPTY = "_x_"
_RESERVED = re.compile(r"_[cfgvip]_|(__members__|_x_)$")


def results_group(file: tables.File, node: str, name: Filename) -> tables.Group:
    """Return the group that holds the results; a `StoreError` if there is none."""
    if node not in file or not isinstance(file.get_node(node), tables.Group):
        raise damaged(name, f"was not written by H5Store, as it has no group {node!r}")
    return file.get_node(node)


def arrays(group: tables.Group) -> dict[str, tables.EArray]:
    """Return the arrays of a group by key, in the order of the keys.

    Opening them takes most of the time if they are many, so that it is done once.
    """
    nodes = group._f_list_nodes("Array")
    if any(isinstance(node.flavor, bytes) for node in nodes):
        raise pickled(group._v_file.filename)
    ordered = sorted(nodes, key=lambda node: _attribute(node, "position", len(nodes)))
    return {key_of(node._v_name): node for node in ordered}


def _attribute(node: tables.Node, name: str, default: Any) -> Any:
    value = getattr(node._v_attrs, name, default)
    if isinstance(value, bytes):
        raise pickled(node._v_file.filename)
    return value


def count(
    group: tables.Group, found: Mapping[str, tables.EArray], name: Filename
) -> int:
    """Return the number of rows that count, given the `arrays` of a group.

    Raises `StoreError` if an array is shorter than that, or the arrays of an old
    file differ in length.
    """
    lengths = {node.nrows for node in found.values()}
    rows = recorded_count(group)
    if (rows is None and len(lengths) > 1) or min(lengths, default=0) < (rows or 0):
        raise damaged(name, "has arrays of different lengths")
    return int(next(iter(lengths), 0)) if rows is None else rows


def recorded_count(group: tables.Group) -> int | None:
    """Return how many rows the group says to have, None in files of psyrun 0.8."""
    rows = _attribute(group, "rows", None)
    return None if rows is None else int(rows)


def set_count(group: tables.Group, n_rows: int) -> None:
    """Record how many rows count."""
    group._v_attrs.rows = np.int64(n_rows)


def row_type(node: tables.EArray) -> RowType:
    """Return the type of an array's rows, with their true shape, zeros included."""
    shape = _attribute(node, "row_shape", node.shape[1:])
    return RowType(node.atom.dtype.base, tuple(map(int, shape)))


def create(
    group: tables.Group, name: str, rows: RowType, n_rows: int, position: int
) -> tables.EArray:
    """Create an empty array for about `n_rows` rows of a type.

    It can take twice as many before it has to be created anew. `position` is the
    place of the key among the keys.
    """
    shape = tuple(max(length, 1) for length in rows.shape)
    atom = _atom(rows.dtype)
    chunk = (chunk_rows(atom.itemsize * math.prod(shape), n_rows), *shape)
    node = group._v_file.create_earray(group, name, atom, (0, *shape), chunkshape=chunk)
    node._v_attrs.position = np.int64(position)
    if shape != rows.shape:
        node._v_attrs.row_shape = np.array(rows.shape)
    return node


@lru_cache
def _atom(dtype: np.dtype[Any]) -> tables.Atom:
    return tables.Atom.from_dtype(dtype)


def add_rows(node: tables.EArray, column: NDArray[Any]) -> None:
    """Append rows of the array's row type."""
    shape = (len(column), *node.shape[1:])
    # Rows without elements are stood in for by one element per axis.
    node.append(column if column.shape == shape else np.zeros(shape, column.dtype))


def read_rows(node: tables.EArray, rows: slice, n_rows: int) -> NDArray[Any]:
    """Read some of the `n_rows` rows that count."""
    wanted = range(n_rows)[rows]
    true = row_type(node)
    if 0 in true.shape or not wanted:
        return np.empty((len(wanted), *true.shape), true.dtype)
    # HDF5 steps forwards only.
    low, high = sorted((wanted[0], wanted[-1]))
    read: NDArray[Any] = node[low : high + 1 : abs(wanted.step)]
    return read if wanted.step > 0 else read[::-1]


def pick_rows(node: tables.EArray, rows: Indices, n_rows: int) -> NDArray[Any]:
    """Read some of the `n_rows` rows that count, in any order.

    Each chunk with one of them is read once, and little at a time is in memory.
    """
    true = row_type(node)
    found = np.empty((len(rows), *true.shape), true.dtype)
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    ends = np.flatnonzero(np.diff(ordered // node.chunkshape[0])) + 1
    for places, some in zip(
        np.split(order, ends), np.split(ordered, ends), strict=True
    ):
        if len(some):
            span = slice(int(some[0]), int(some[-1]) + 1)
            found[places] = read_rows(node, span, n_rows)[some - some[0]]
    return found


def steps(n_rows: int, *types: RowType) -> Iterator[slice]:
    """Divide rows so that about 1 MiB of these types is in memory at a time."""
    row_bytes = sum(t.n_bytes for t in types)
    step = max(1, _STEP_BYTES // max(row_bytes, 1))
    return (slice(start, start + step) for start in range(0, n_rows, step))


def read_steps(
    found: Mapping[str, tables.EArray], n_rows: int
) -> Iterator[dict[str, NDArray[Any]]]:
    """Read the `n_rows` rows that count, piece by piece."""
    types = map(row_type, found.values())
    for rows in steps(n_rows, *types) if n_rows else [slice(0)]:
        yield {key: read_rows(node, rows, n_rows) for key, node in found.items()}


def chunk_rows(row_bytes: int, n_rows: int) -> int:
    """Return how many rows a chunk has so that `MAX_CHUNKS` hold twice `n_rows`."""
    rows = max(1, CHUNK_BYTES // row_bytes)
    while rows * MAX_CHUNKS < 2 * n_rows:
        rows *= 2
    return rows


def has_room(node: tables.EArray, n_rows: int) -> bool:
    """Return whether an array can grow to `n_rows` with at most `MAX_CHUNKS`."""
    return _n_chunks(node, n_rows) <= MAX_CHUNKS


def growth(node: tables.EArray, n_rows: int) -> int:
    """Return how many bytes of chunks an array needs to grow to `n_rows`."""
    added = max(0, _n_chunks(node, n_rows) - _n_chunks(node, node.nrows))
    chunk_bytes: int = math.prod(node.chunkshape) * node.atom.itemsize
    return added * chunk_bytes


def _n_chunks(node: tables.EArray, n_rows: int) -> int:
    shape = (n_rows, *node.shape[1:])
    return math.prod(-(-n // c) for n, c in zip(shape, node.chunkshape, strict=True))


def node_name(key: str) -> str:
    """Return the name of the node for a key: the key if it is an ordinary identifier.

    Raises `StoreError` if the key is not text.
    """
    check_key(key)
    name = _TO_ESCAPE.sub(lambda match: _escaped(match[0]), key)
    if keyword.iskeyword(name) or _RESERVED.match(name):
        return _escaped(name[0]) + name[1:]
    return name or _EMPTY


def check_key(key: object) -> None:
    """Raise a `StoreError` if a key is not text."""
    if not isinstance(key, str):
        raise StoreError(
            f"key {key!r} cannot be a name in an HDF5 file; use text, or "
            "PickleStore (.pkl)."
        )


def key_of(name: str) -> str:
    """Return the key of a node whose name is from `node_name`."""
    if name == _EMPTY:
        return ""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), name)


def _escaped(character: str) -> str:
    return f"_x{ord(character):x}_"

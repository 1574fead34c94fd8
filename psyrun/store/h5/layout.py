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
from collections.abc import Iterator
from typing import Any

import numpy as np
import tables
from numpy.typing import NDArray

from psyrun.errors import StoreError
from psyrun.store.arrays import RowType
from psyrun.utils.files import Filename, damaged

_STEP_BYTES = 1 << 20


def results_group(file: tables.File, node: str, name: Filename) -> tables.Group:
    """Return the group that holds the results.

    Parameters
    ----------
    file : tables.File
        The open file.
    node : str
        The path of the group.
    name : path-like
        What to call the file in errors.

    Returns
    -------
    tables.Group
        The group.

    Raises
    ------
    StoreError
        If there is none.
    """
    if node not in file or not isinstance(file.get_node(node), tables.Group):
        raise damaged(name, f"was not written by H5Store, as it has no group {node!r}")
    return file.get_node(node)


def arrays(group: tables.Group) -> dict[str, tables.EArray]:
    """Return the arrays of a group in the order of their keys.

    Parameters
    ----------
    group : tables.Group
        From `results_group`.

    Returns
    -------
    dict of str to tables.EArray
        The arrays by key.
    """
    nodes = group._f_list_nodes("Array")
    ordered = sorted(nodes, key=lambda node: _attribute(node, "position", len(nodes)))
    return {key_of(node._v_name): node for node in ordered}


def _attribute(node: tables.Node, name: str, default: Any) -> Any:
    return getattr(node._v_attrs, name, default)


def count(group: tables.Group, name: Filename) -> int:
    """Return the number of rows that count.

    Parameters
    ----------
    group : tables.Group
        From `results_group`.
    name : path-like
        What to call the file in errors.

    Returns
    -------
    int
        The number of rows.

    Raises
    ------
    StoreError
        If an array is shorter than that, or the arrays of an old file differ
        in length.
    """
    lengths = {node.nrows for node in arrays(group).values()}
    rows = _attribute(group, "rows", None)
    if (rows is None and len(lengths) > 1) or min(lengths, default=0) < (rows or 0):
        raise damaged(name, "has arrays of different lengths")
    return int(next(iter(lengths), 0) if rows is None else rows)


def is_counted(group: tables.Group) -> bool:
    """Return whether the group says how many of its rows count.

    Parameters
    ----------
    group : tables.Group
        From `results_group`.

    Returns
    -------
    bool
        Not so for files of psyrun 0.8.
    """
    return "rows" in group._v_attrs


def set_count(group: tables.Group, n_rows: int) -> None:
    """Say how many rows count.

    Parameters
    ----------
    group : tables.Group
        From `results_group`.
    n_rows : int
        The number of rows.
    """
    group._v_attrs.rows = np.int64(n_rows)


def row_type(node: tables.EArray) -> RowType:
    """Return the type of the rows of an array.

    Parameters
    ----------
    node : tables.EArray
        An array of a result.

    Returns
    -------
    RowType
        With the true shape, zeros included.
    """
    shape = _attribute(node, "row_shape", node.shape[1:])
    return RowType(node.atom.dtype.base, tuple(map(int, shape)))


def create(
    group: tables.Group, name: str, rows: RowType, n_rows: int, position: int
) -> tables.EArray:
    """Create an empty array.

    Parameters
    ----------
    group : tables.Group
        Where to put it.
    name : str
        The name of its node.
    rows : RowType
        The type of its rows.
    n_rows : int
        How many rows to expect; the array can take twice as many before it
        has to be created anew.
    position : int
        The place of the key among the keys.

    Returns
    -------
    tables.EArray
        The array.
    """
    shape = tuple(max(length, 1) for length in rows.shape)
    atom = tables.Atom.from_dtype(rows.dtype)
    chunk = (chunk_rows(atom.itemsize * math.prod(shape), n_rows), *shape)
    node = group._v_file.create_earray(group, name, atom, (0, *shape), chunkshape=chunk)
    node._v_attrs.position = np.int64(position)
    if shape != rows.shape:
        node._v_attrs.row_shape = np.array(rows.shape)
    return node


def add_rows(node: tables.EArray, column: NDArray[Any]) -> None:
    """Put rows at the end of an array.

    Parameters
    ----------
    node : tables.EArray
        The array.
    column : ndarray, shape (n_rows, ...)
        Rows of the array's row type.
    """
    shape = (len(column), *node.shape[1:])
    # Rows without elements are stood in for by one element per axis.
    node.append(column if column.shape == shape else np.zeros(shape, column.dtype))


def read_rows(node: tables.EArray, rows: slice, n_rows: int) -> NDArray[Any]:
    """Read rows of an array.

    Parameters
    ----------
    node : tables.EArray
        The array.
    rows : slice
        The rows to read, of those that count.
    n_rows : int
        How many rows count.

    Returns
    -------
    ndarray, shape (n, ...)
        The rows.
    """
    wanted = range(n_rows)[rows]
    true = row_type(node)
    if 0 in true.shape or not wanted:
        return np.empty((len(wanted), *true.shape), true.dtype)
    # HDF5 steps forwards only.
    low, high = sorted((wanted[0], wanted[-1]))
    read: NDArray[Any] = node[low : high + 1 : abs(wanted.step)]
    return read if wanted.step > 0 else read[::-1]


def steps(n_rows: int, *types: RowType) -> Iterator[slice]:
    """Divide rows such that about 1 MiB is in hand at a time.

    Parameters
    ----------
    n_rows : int
        The number of rows.
    *types : RowType
        The types of the arrays that are handled together.

    Yields
    ------
    slice
        The next rows.
    """
    row_bytes = sum(math.prod(t.shape) * t.dtype.itemsize for t in types)
    step = max(1, _STEP_BYTES // max(row_bytes, 1))
    return (slice(start, start + step) for start in range(0, n_rows, step))


def read_steps(group: tables.Group, n_rows: int) -> Iterator[dict[str, NDArray[Any]]]:
    """Read all rows piece by piece.

    Parameters
    ----------
    group : tables.Group
        From `results_group`.
    n_rows : int
        How many rows count.

    Yields
    ------
    dict of str to ndarray
        The next rows.
    """
    found = arrays(group)
    types = map(row_type, found.values())
    for rows in steps(n_rows, *types) if n_rows else [slice(0)]:
        yield {key: read_rows(node, rows, n_rows) for key, node in found.items()}


CHUNK_BYTES = 16 * 1024
"""Smallest size of a chunk with more than one row, in bytes."""


MAX_CHUNKS = 64
"""Most chunks per array: as many as one node of HDF5's index holds.

Adding to a node is a single write, so that being killed at any moment leaves
a file that can be read. Splitting a node takes several, and being killed
between them loses the array (H5Pset_istore_k: a node has up to 2 x 32
entries).
"""


_GROWTH = 4


def chunk_rows(row_bytes: int, n_rows: int) -> int:
    """Return how many rows a chunk of a new array should have.

    Parameters
    ----------
    row_bytes : int
        The size of a row, in bytes.
    n_rows : int
        How many rows to expect.

    Returns
    -------
    int
        So many that `MAX_CHUNKS` hold twice the expected rows.
    """
    rows = max(1, CHUNK_BYTES // row_bytes)
    while rows * MAX_CHUNKS < 2 * n_rows:
        rows *= _GROWTH
    return rows


def has_room(node: tables.EArray, n_rows: int) -> bool:
    """Return whether an array can grow to a length with few enough chunks.

    Parameters
    ----------
    node : tables.EArray
        The array.
    n_rows : int
        The length.

    Returns
    -------
    bool
        Whether it needs at most `MAX_CHUNKS`.
    """
    return _n_chunks(node, n_rows) <= MAX_CHUNKS


def growth(node: tables.EArray, n_rows: int) -> int:
    """Return by how much an array grows on disk to reach a length.

    Parameters
    ----------
    node : tables.EArray
        The array.
    n_rows : int
        The length.

    Returns
    -------
    int
        The size of the chunks to be added, in bytes.
    """
    added = max(0, _n_chunks(node, n_rows) - _n_chunks(node, node.nrows))
    chunk_bytes: int = math.prod(node.chunkshape) * node.atom.itemsize
    return added * chunk_bytes


def _n_chunks(node: tables.EArray, n_rows: int) -> int:
    shape = (n_rows, *node.shape[1:])
    return math.prod(-(-n // c) for n, c in zip(shape, node.chunkshape, strict=True))


_ESCAPE = re.compile(r"_x([0-9a-f]{1,5}|10[0-9a-f]{4})_")

# An underscore that would make the text after it look like an escape, too.
_TO_ESCAPE = re.compile(r"[^A-Za-z0-9_]|_(?=x[0-9a-f]+(?:_|[^A-Za-z0-9_]))|^[0-9]")
_EMPTY = "_x_"
_RESERVED = re.compile(r"_[cfgvip]_|(__members__|_x_)$")


def node_name(key: str) -> str:
    """Return the name of the node that holds a key.

    Parameters
    ----------
    key : str
        Any text.

    Returns
    -------
    str
        The key itself if it is an ordinary identifier.

    Raises
    ------
    StoreError
        If the key is not text.
    """
    check_key(key)
    name = _TO_ESCAPE.sub(lambda match: _escaped(match[0]), key)
    if keyword.iskeyword(name) or _RESERVED.match(name):
        return _escaped(name[0]) + name[1:]
    return name or _EMPTY


def check_key(key: object) -> None:
    """Refuse a key that is not text.

    Parameters
    ----------
    key : object
        A key of a row.

    Raises
    ------
    StoreError
        Naming the key and a store that takes it.
    """
    if not isinstance(key, str):
        raise StoreError(
            f"key {key!r} cannot be a name in an HDF5 file; use text, or "
            "PickleStore (.pkl)."
        )


def key_of(name: str) -> str:
    """Return the key that a node holds.

    Parameters
    ----------
    name : str
        A name from `node_name`.

    Returns
    -------
    str
        The key.
    """
    if name == _EMPTY:
        return ""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), name)


def _escaped(character: str) -> str:
    return f"_x{ord(character):x}_"

"""How the arrays of an HDF5 file are divided into chunks.

Space is set aside chunk by chunk, and an index of each array says where its
chunks are.
"""

from __future__ import annotations

import math

import tables

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

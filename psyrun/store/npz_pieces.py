"""Rows of an NPZ file in pieces, so that not all of them are in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from psyrun.store.arrays import Array
from psyrun.store.npz_merging import StoredArray

_PIECE_BYTES = 1 << 23


def pieces(
    arrays: Mapping[str, StoredArray | None],
    n_rows: int,
    load: Callable[[str], Array],
) -> Iterator[dict[str, Array]]:
    """Yield some MB of rows at a time, at least one piece.

    Parameters
    ----------
    arrays : mapping of str to StoredArray or None
        For each key where its rows are, or None if they cannot be read in pieces.
    n_rows : int
        Number of rows.
    load : callable
        Returns all rows of such a key.

    Raises
    ------
    StoreError
        If rows are not what was written, at the end for the checksums.
    """
    row_bytes = sum(a.row_type.n_bytes for a in arrays.values() if a is not None)
    step = max(1, _PIECE_BYTES // max(1, row_bytes))
    if not n_rows or not arrays:
        yield {key: _empty(array, key, load) for key, array in arrays.items()}
        return
    columns = (
        _divided(load(key), step) if array is None else _steps(array, step)
        for key, array in arrays.items()
    )
    # All of them are read to their end, for their checksums.
    for rows in zip(*columns, strict=True):
        yield dict(zip(arrays, rows, strict=True))


def _empty(array: StoredArray | None, key: str, load: Callable[[str], Array]) -> Array:
    if array is None:
        return load(key)
    return np.empty((0, *array.row_type.shape), array.row_type.dtype)


def _divided(column: Array, step: int) -> Iterator[Array]:
    return (column[begin : begin + step] for begin in range(0, len(column), step))


def _steps(array: StoredArray, step: int) -> Iterator[Array]:
    if not array.n_bytes:
        dtype, shape = array.row_type.dtype, array.row_type.shape
        yield from _divided(np.empty((array.n_rows, *shape), dtype), step)
        return
    for rows in array.rows(step):
        # The next ones take their memory.
        yield rows.copy()

"""Rows that are added to an HDF5 file in place.

An append that cannot be finished must leave the rows from before. Killed: no
write to the file moves or breaks what is there (see `MAX_CHUNKS`), and the
number of rows is written last, after everything else is on disk. Disk full:
the space is reserved before the first write.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import tables
from numpy.typing import NDArray

from psyrun.files import Filename
from psyrun.store.columns import RowType, common, convert
from psyrun.store.h5chunks import growth, has_room
from psyrun.store.h5file import SPARE_BYTES, reserve, to_disk
from psyrun.store.h5layout import (
    add_rows,
    arrays,
    count,
    is_counted,
    row_type,
    set_count,
)
from psyrun.store.rows import count_rows


def extend(
    group: tables.Group, columns: Mapping[str, NDArray[Any]], name: Filename
) -> bool:
    """Add rows to the arrays of a file if they fit.

    Parameters
    ----------
    group : tables.Group
        The results in a file that is open for writing.
    columns : mapping of str to ndarray, shape (n_new, ...)
        The new rows.
    name : path-like
        What to call the file in errors.

    Returns
    -------
    bool
        False, with the file unchanged, if the file needs to be written anew:
        for a new key, type or larger shape, for more chunks, or because it
        has no rows or was written by psyrun 0.8.

    Raises
    ------
    StoreError
        If the rows do not go with those of the file, or there is no space.
    """
    n_old = count(group, name)
    n_rows = n_old + count_rows(columns)
    found = arrays(group)
    parts = {key: columns.get(key, count_rows(columns)) for key in found}
    if (
        not (n_old and is_counted(group) and columns.keys() <= found.keys())
        or not all(has_room(node, n_rows) for node in found.values())
        or not all(_fits(key, part, found[key]) for key, part in parts.items())
    ):
        return False
    rows = {key: convert(key, parts[key], row_type(found[key])) for key in found}
    file = group._v_file
    end = os.fstat(file.fileno()).st_size
    n_bytes = sum(growth(node, n_rows) for node in found.values())
    reserve(file, end, n_bytes + SPARE_BYTES, name)
    for key, node in found.items():
        if node.nrows > n_old:
            node.truncate(n_old)
        add_rows(node, rows[key])
    to_disk(file)
    set_count(group, n_rows)
    to_disk(file)
    return True


def _fits(key: str, part: NDArray[Any] | int, node: tables.EArray) -> bool:
    types = [row_type(node)]
    if isinstance(part, int):
        return common(key, types, missing=True) == types[0]
    return common(key, [*types, RowType.of(part)]) == types[0]

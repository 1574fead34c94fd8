"""Rows that are written to a new HDF5 file piece by piece."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import tables
from numpy.typing import NDArray

from psyrun.store.arrays import (
    NUMERIC,
    RowType,
    check_kind,
    column_array,
    common_row_type,
    to_row_type,
)
from psyrun.store.h5.file import SPARE_BYTES, h5_explained, reserve, to_disk
from psyrun.store.h5.layout import (
    add_rows,
    arrays,
    count,
    create,
    growth,
    has_room,
    node_name,
    read_rows,
    recorded_count,
    row_type,
    set_count,
    steps,
)
from psyrun.store.rows import Columns, count_rows
from psyrun.utils.files import Filename

GROWTH = 2
"""For how many times its rows a file is laid out that is written anew to grow."""

# `node_name` gives no key this name.
_NEW = "_p_new"


def numeric_columns(data: Columns) -> dict[str, NDArray[Any]]:
    """Turn rows into arrays of shape (n_rows, ...) that HDF5 holds.

    Raises `StoreError` if the lengths differ or a column is not numeric.
    """
    count_rows(data)
    columns = {key: column_array(key, values) for key, values in data.items()}
    for key, column in columns.items():
        check_kind(key, column, NUMERIC, "H5Store")
    return columns


class H5Stream:
    """Rows that are written to a new file, of which errors speak by `name`.

    Arrays are laid out for `expected` rows, if known. An array whose row type turns
    out too narrow, or that gets more rows than it was laid out for, is copied to a
    new one in steps of about 1 MiB.
    """

    def __init__(
        self, file: tables.File, node: str, name: Filename, expected: int = 0
    ) -> None:
        self._file = file
        self._expected = expected
        self._name = name
        self._n_rows = 0
        self._reserved = 0
        self._arrays: dict[str, tables.EArray] = {}
        # Asking the arrays would take long if they are many.
        self._types: dict[str, RowType] = {}
        parent, _, child = node.rpartition("/")
        with h5_explained(name):
            self._group = file.create_group(parent or "/", child, createparents=True)
            set_count(self._group, 0)

    def append(self, columns: Columns) -> None:
        """Add rows.

        Raises `StoreError` if the lengths differ, a column is not numeric or does not
        go with the rows before, or the file cannot be written.
        """
        data = numeric_columns(columns)
        n_new = count_rows(data)
        if not self._n_rows:
            self._start_over()
        elif not n_new:
            return
        with h5_explained(self._name):
            for key in dict.fromkeys([*self._arrays, *data]):
                self._add(key, data.get(key, n_new))
            self._n_rows += n_new
            set_count(self._group, self._n_rows)

    def _start_over(self) -> None:
        """Forget keys that have no rows."""
        for array in self._arrays.values():
            array.remove()
        self._arrays.clear()
        self._types.clear()

    def _add(self, key: str, part: NDArray[Any] | int) -> None:
        n_new = part if isinstance(part, int) else len(part)
        old = self._arrays.get(key)
        n_rows = self._n_rows + n_new
        types = [] if isinstance(part, int) else [RowType.of(part)]
        types += [] if old is None else [self._types[key]]
        missing = isinstance(part, int) or (old is None and self._n_rows > 0)
        target = common_row_type(key, types, missing)
        if old is not None and old.nrows > self._n_rows:
            # An append that failed got this far.
            old.truncate(self._n_rows)
        if old is None or types[-1] != target or not has_room(old, n_rows):
            grown = n_rows if old is None else n_rows * GROWTH
            expected = self._expected if self._expected >= n_rows else grown
            self._arrays[key] = self._renew(key, old, target, expected)
            self._types[key] = target
        self._write(self._arrays[key], key, part, target)

    def _renew(
        self, key: str, old: tables.EArray | None, target: RowType, n_rows: int
    ) -> tables.EArray:
        """Create the array of a key; with the rows of the old one, if there is one."""
        if _NEW in self._group:
            self._group._f_get_child(_NEW).remove()
        self._reserve(SPARE_BYTES)
        position = [*self._arrays, key].index(key) if old else len(self._arrays)
        if old is None and not self._n_rows:
            # Moving takes as long as all the rest, and nothing can be left half done.
            return create(self._group, node_name(key), target, n_rows, position)
        new = create(self._group, _NEW, target, n_rows, position)
        if old is None:
            self._write(new, key, self._n_rows, target)
        else:
            for rows in steps(self._n_rows, row_type(old)):
                self._write(new, key, read_rows(old, rows, self._n_rows), target)
            old.remove()
        new.move(newname=node_name(key))
        return new

    def _write(
        self, array: tables.EArray, key: str, part: NDArray[Any] | int, target: RowType
    ) -> None:
        n_new = part if isinstance(part, int) else len(part)
        self._reserve(growth(array, array.nrows + n_new))
        for rows in steps(n_new, target):
            piece = len(range(n_new)[rows]) if isinstance(part, int) else part[rows]
            add_rows(array, to_row_type(key, piece, target))

    def _reserve(self, n_bytes: int) -> None:
        self._reserved = reserve(self._file, self._reserved, n_bytes, self._name)


def extend(
    group: tables.Group, columns: Mapping[str, NDArray[Any]], name: Filename
) -> bool:
    """Add rows to the arrays of an open file if they fit, else leave it unchanged.

    Returns False if the file needs to be written anew: for a new key, type or larger
    shape, for more chunks, or because it has no rows or was written by psyrun 0.8.
    Raises `StoreError` if the rows do not go with those of the file, or there is no
    space.
    """
    found = arrays(group)
    n_old = count(group, found, name)
    n_new = count_rows(columns)
    n_rows = n_old + n_new
    parts = {key: columns.get(key, n_new) for key in found}
    if (
        not (
            n_old
            and recorded_count(group) is not None
            and columns.keys() <= found.keys()
        )
        or not all(has_room(node, n_rows) for node in found.values())
        or not all(_fits(key, part, found[key]) for key, part in parts.items())
    ):
        return False
    rows = {key: to_row_type(key, parts[key], row_type(found[key])) for key in found}
    file = group._v_file
    end = os.fstat(file.fileno()).st_size
    n_bytes = sum(growth(node, n_rows) for node in found.values())
    reserve(file, end, n_bytes + SPARE_BYTES, name)
    for key, node in found.items():
        if node.nrows > n_old:
            node.truncate(n_old)
        add_rows(node, rows[key])
    to_disk(file, node)
    set_count(group, n_rows)
    to_disk(file, node)
    return True


def _fits(key: str, part: NDArray[Any] | int, node: tables.EArray) -> bool:
    types = [row_type(node)]
    if isinstance(part, int):
        return common_row_type(key, types, missing=True) == types[0]
    return common_row_type(key, [*types, RowType.of(part)]) == types[0]

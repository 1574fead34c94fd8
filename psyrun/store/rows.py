"""Rows of data as a mapping from key to sequence."""

from __future__ import annotations

import operator
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from psyrun.errors import StoreError, did_you_mean
from psyrun.utils.files import Filename
from psyrun.utils.text import listed

if TYPE_CHECKING:
    from psyrun.store.arrays import Indices

Columns: TypeAlias = Mapping[str, Any]
"""Key to sequence of values, one value per row."""
ColumnDict: TypeAlias = dict[str, Any]


def with_rows(batches: Sequence[Columns]) -> list[Columns]:
    """Drop batches without rows, as they say nothing about types or keys.

    The last batch stays if none has rows. Raises `StoreError` if the lengths
    within a batch differ.
    """
    return [b for b in batches if count_rows(b)] or list(batches[-1:])


def count_rows(columns: Columns) -> int:
    """Return the number of rows, 0 without keys.

    Raises `StoreError` if a column is no sequence, or the lengths differ.
    """
    lengths = {key: _length(key, column) for key, column in columns.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{key!r} has {n}" for key, n in lengths.items())
        raise StoreError(
            f"the number of rows differs between keys: {listed}; give every key "
            "one value per row."
        )
    return next(iter(lengths.values()), 0)


def _length(key: str, column: Any) -> int:
    if not isinstance(column, str | bytes | Mapping | set | frozenset):
        try:
            return len(column)
        except TypeError:
            pass
    raise StoreError(
        f"key {key!r} holds a single {type(column).__name__} instead of a sequence "
        "with one value per row; put it into a list."
    )


def select_rows(
    columns: Columns, row: int | slice | None, filename: Filename
) -> dict[str, Any]:
    """Return the rows that a call of `Store.load` asks for.

    Raises `StoreError`, with the file name, if there is no such row.
    """
    wanted = row_slice(row, count_rows(columns), filename)
    return {key: column[wanted] for key, column in columns.items()}


def row_slice(row: int | slice | None, n_rows: int, filename: Filename) -> slice:
    """Return the slice that a call of `Store.load` asks for; one row for an integer.

    Raises `StoreError`, with the file name, if there is no such row.
    """
    if row is None:
        return slice(None)
    if isinstance(row, slice):
        return row
    index = operator.index(row)
    if not -n_rows <= index < n_rows:
        raise StoreError(
            f"{filename}: there is no row {index}; rows are numbered from 0 and "
            f"the file has {n_rows}."
        )
    return slice(index % n_rows, index % n_rows + 1)


def chosen_keys(
    keys: Sequence[str] | None, known: Collection[str], filename: Filename
) -> list[str]:
    """Return the columns that a call of `Store.pick` asks for.

    Raises `StoreError`, with the file name, if there is no such column.
    """
    wanted = list(known if keys is None else keys)
    for key in wanted:
        if key not in known:
            raise StoreError(f"{filename}: {no_column(key, known)}")
    return wanted


def no_column(key: object, known: Collection[object]) -> str:
    """Return in two sentences that there is no such column, and which there are."""
    names = list(map(str, known))
    there = f"The columns are {listed(names)}." if names else "It has none."
    return f"there is no column {key!r}.{did_you_mean(str(key), names)} {there}"


def check_rows(rows: Indices, n_rows: int, filename: Filename) -> None:
    """Raise a `StoreError`, with the file name, if there are no such rows."""
    if len(rows) and not 0 <= rows.min() <= rows.max() < n_rows:
        raise StoreError(
            f"{filename}: there is no row {rows.max()}; rows are numbered from 0 and "
            f"the file has {n_rows}."
        )

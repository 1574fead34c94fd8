"""Whether a row that was computed can be kept beside the other rows."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from psyrun.errors import ResultError
from psyrun.steps.agreement import FirstValue, agree_on_first, is_missing
from psyrun.steps.column_check import (
    ANEW,
    ColumnCheck,
    KeptRows,
    can_be_missing,
    described,
)
from psyrun.store.arrays import Array, RowType, inexact_integer, row_array
from psyrun.store.base import Store

# Types whose values all have one `RowType`, or one that goes with the same ones.
_ALIKE = frozenset({bool, int, float, complex, str, bytes})
_FLOAT64 = np.dtype(np.float64)
_EXACT = range(-(2**53), 2**53 + 1)


@dataclass
class RowCheck:
    """Check that a row can be kept: by its store, and beside the other rows.

    Attributes
    ----------
    reference : Path
        File with the keys and types of the first row of the round, made by
        the worker that is first.
    kept : mapping of str to RowType
        The types of rows that were taken over from before; empty if there are
        none.
    kept_large : collection of str
        Keys of these whose integers are not all exact as floating point numbers.
    """

    store: Store
    reference: Path
    kept: Mapping[str, RowType] = field(default_factory=dict)
    kept_large: Collection[str] = ()
    _fitting: set[tuple[Hashable, object]] = field(default_factory=set, init=False)
    _columns: dict[Hashable, ColumnCheck] | None = field(default=None, init=False)

    def __call__(self, row: Mapping[str, Any]) -> None:
        """Check one row.

        Raises `StoreError` if the store cannot hold one of its values, `ResultError`
        if it has other keys than the other rows, or no column can hold one of its
        values beside theirs, and `RecordError` if `reference` is damaged.
        """
        self.store.check(row)
        if self._columns is None:
            if self.store.has_typed_columns:
                # A first row that does not fit would have all others refused.
                self._check_kept(row)
            first = agree_on_first(self.reference, self._first_values(row))
            self._columns = {
                key: ColumnCheck(
                    key, place, self.reference, value, self._kept_rows(key)
                )
                for place, (key, value) in enumerate(first.items())
            }
        if row.keys() != self._columns.keys():
            raise ResultError(_difference(row.keys(), self._columns))
        if self.store.has_typed_columns:
            self._check_values(row, self._columns)

    def _first_values(self, row: Mapping[str, Any]) -> dict[Hashable, FirstValue]:
        if not self.store.has_typed_columns:
            return dict.fromkeys(row, FirstValue())
        arrays = {key: row_array(key, value) for key, value in row.items()}
        return {key: FirstValue.of(array) for key, array in arrays.items()}

    def _kept_rows(self, key: Any) -> KeptRows | None:
        if not self.kept:
            return None
        return KeptRows(self.kept.get(key), key in self.kept_large)

    def _check_values(
        self, row: Mapping[str, Any], columns: Mapping[Hashable, ColumnCheck]
    ) -> None:
        fitting = self._fitting
        for key, value in row.items():
            # Most values are plain numbers, which must cost next to nothing.
            kind = _kind(value)
            if (key, kind) in fitting:
                continue
            array = row_array(key, value)
            if kind is None and (key, kind := _kind_of_array(array)) in fitting:
                continue
            columns[key].check(array)
            fitting.add((key, kind))

    def _check_kept(self, row: Mapping[str, Any]) -> None:
        if self.kept:
            for key, value in row.items():
                column = ColumnCheck(key, 0, None, FirstValue(), self._kept_rows(key))
                column.check(row_array(key, value))
        for key in self._without_missing_value - row.keys():
            raise ResultError(
                f"execute returned no {key!r}, which the rows kept from before have "
                f"as {described(self.kept[key])}, where no value can be missing. "
                f"Return it{ANEW}, or use PickleStore (.pkl)."
            )

    @cached_property
    def _without_missing_value(self) -> set[str]:
        lacking = {key for key in self.kept if not can_be_missing(key, self.kept[key])}
        return lacking.union(self.kept_large)


def _kind(value: Any) -> object:
    """Return what values that need no check have in common with one that had it.

    None if that takes a closer look.
    """
    kind = type(value)
    if kind in _ALIKE:
        if kind is float and value != value:
            return "nan"
        return None if kind is int and value not in _EXACT else kind
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind == "f":
        return (value.dtype, value.shape, not value.shape and bool(value != value))
    return None


def _kind_of_array(array: Array) -> object:
    large = inexact_integer(array, _FLOAT64) is not None
    return (array.dtype, array.shape, large, is_missing(array))


def _difference(found: Iterable[object], expected: Iterable[object]) -> str:
    lacking = sorted(set(expected) - set(found), key=repr)
    surplus = sorted(set(found) - set(expected), key=repr)
    parts = [f"lacks {', '.join(map(repr, lacking))}"] if lacking else []
    parts += [f"has also {', '.join(map(repr, surplus))}"] if surplus else []
    return (
        f"execute returned other keys than for the first assignment: the row "
        f"{' and '.join(parts)}. Return the same keys for all assignments, with nan "
        "where there is no value."
    )

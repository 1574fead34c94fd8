"""Whether a value can be kept in one array with the values of other rows.

Types tell most of it. Two things do not show in them: whether integers are too large
for the floating point numbers that fractions and missing values need, and how many
axes rows have if the first one has nothing. What rows of the one or the other kind
come first is agreed on by all workers, so that the rest is refused when it is
computed, and the rows that are kept can be merged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from psyrun.errors import ResultError, StoreError
from psyrun.steps.agreement import FirstValue, agree_on_word, is_missing
from psyrun.store.arrays import (
    NUMERIC,
    Array,
    RowType,
    common_row_type,
    inexact_integer,
    n_axes,
)

ANEW = ", or evaluate all anew with 'psy run --fresh'"
_FIRST = "for the first assignment"
_KEPT = "in the rows kept from before"
_FLOATS = "floats"
_INTEGERS = "integers"
_FLOAT64 = np.dtype(np.float64)


@dataclass(frozen=True)
class KeptRows:
    """What the rows that are kept from before have for a key.

    Attributes
    ----------
    type : RowType or None
        Its type; None if they lack it.
    has_large : bool
        Whether it has integers that are not exact as floating point numbers.
    """

    type: RowType | None
    has_large: bool

    def check(self, key: str, array: Array) -> None:
        """Raise a `ResultError` if an array of the rows and a value is not possible."""
        found = RowType(array.dtype, array.shape)
        if self.type is not None:
            check_pair(key, found, self.type, _KEPT, ANEW)
        elif not can_be_missing(key, found):
            raise ResultError(
                f"key {key!r} is new, and the rows kept from before cannot go without "
                f"a value of type {described(found)}. Return a number, which is "
                f"nan for them{ANEW}, or use PickleStore (.pkl)."
            )

    @property
    def numbers(self) -> str | None:
        """What numbers rows must be for them, if that is known."""
        if self.type is None or self.type.dtype.kind in "fc":
            return _FLOATS
        return _INTEGERS if self.has_large else None

    @property
    def axes(self) -> str | None:
        """How many axes rows must have for them, if that is known."""
        # Single values may all be nan.
        shape = self.type.shape if self.type is not None else ()
        return _axes(shape, is_missing=not shape)


@dataclass
class ColumnCheck:
    """Check values of a key, which is the one at `place` in the `reference`.

    Without a reference, they are checked beside the kept rows only.
    """

    key: Any
    place: int
    reference: Path | None
    first: FirstValue
    kept: KeptRows | None = None
    _numbers: str | None = field(default=None, init=False)
    _axes: str | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.first.type is not None:
            self._numbers = _FLOATS if self.first.type.dtype.kind in "fc" else None
            self._axes = _axes(self.first.type.shape, self.first.is_missing)
        if self.kept is not None:
            self._numbers = self.kept.numbers or self._numbers
            self._axes = self.kept.axes or self._axes

    def check(self, array: Array) -> None:
        """Raise a `ResultError` if a value does not go together with the others."""
        types = [RowType(array.dtype, array.shape)]
        if self.first.type is not None:
            check_pair(self.key, types[0], self.first.type, _FIRST)
            types.append(self.first.type)
        if self.kept is not None:
            self.kept.check(self.key, array)
            types += [self.kept.type] if self.kept.type is not None else []
        if array.dtype.kind in NUMERIC:
            self._check_numbers(array, common_row_type(self.key, types).dtype)
            self._check_axes(array)

    def _check_numbers(self, array: Array, common: np.dtype[Any]) -> None:
        is_float = common.kind in "fc"
        large = inexact_integer(array, common if is_float else _FLOAT64)
        if large is None:
            if is_float and self._agree_on_numbers(_FLOATS) == _INTEGERS:
                raise self._refusal(
                    "nan" if is_missing(array) and array.size else _described(array),
                    "others have integers that are not exact as floating point numbers",
                )
        elif is_float or self._agree_on_numbers(_INTEGERS) == _FLOATS:
            raise self._refusal(
                f"the integer {large}",
                "others have fractions, nan, no value or another shape, which takes "
                "floating point numbers, and it is not exact as one",
            )

    def _agree_on_numbers(self, mine: str) -> str:
        if self._numbers is None:
            self._numbers = self._agree_on("numbers", mine)
        return self._numbers

    def _check_axes(self, array: Array) -> None:
        mine = _axes(array.shape, is_missing(array))
        if mine is None:
            return
        if self._axes is None:
            self._axes = self._agree_on("axes", mine)
        if self._axes != mine:
            raise self._refusal(
                _described(array),
                f"others have another number of axes ({self._axes}), and padding would "
                "mix them",
            )

    def _agree_on(self, what: str, mine: str) -> str:
        if self.reference is None:
            return mine
        return agree_on_word(self.reference, f"{self.place}-{what}", mine)

    def _refusal(self, found: str, reason: str) -> ResultError:
        return ResultError(
            f"execute returned {found} for {self.key!r}, but {reason}. Return the same "
            "types and shapes for all assignments, or use PickleStore (.pkl)."
        )


def _axes(shape: tuple[int, ...], is_missing: bool) -> str | None:
    found = n_axes(shape, is_missing)
    return None if found is None else str(found)


def check_pair(
    key: str, found: RowType, other: RowType, where: str, remedy: str = ""
) -> None:
    """Raise a `ResultError` if no array has rows of both types."""
    try:
        common_row_type(key, [other, found])
    except StoreError as error:
        raise ResultError(
            f"execute returned {described(found)} for {key!r}, but it is "
            f"{described(other)} {where}, and no array keeps both as they are. Return "
            f"the same types and shapes for all assignments{remedy}, or use "
            "PickleStore (.pkl)."
        ) from error


def can_be_missing(key: str, found: RowType) -> bool:
    """Return whether rows of a type can be without a value."""
    try:
        common_row_type(key, [found], missing=True)
    except StoreError:
        return False
    return True


def _described(array: Array) -> str:
    return described(RowType(array.dtype, array.shape))


def described(found: RowType) -> str:
    """Return a row type as messages show it."""
    name = {"U": "str", "S": "bytes"}.get(found.dtype.kind, str(found.dtype))
    return f"{name} of shape {found.shape}" if found.shape else name

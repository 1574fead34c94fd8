"""Whether a row can be kept: by its store, and beside the other rows."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from psyrun.errors import RecordError, ResultError, StoreError, one_line
from psyrun.store.arrays import RowType, common_row_type
from psyrun.store.base import Store

_FIRST = "for the first assignment"
_KEPT = "in the rows kept from before"
_ANEW = ", or evaluate all anew with 'psy run'"
# Types whose values all have one `RowType`, or one that goes with the same ones.
_ALIKE = frozenset({bool, int, float, complex, str, bytes})


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
    """

    store: Store
    reference: Path
    kept: Mapping[str, RowType] = field(default_factory=dict)
    _fitting: set[tuple[str, Any]] = field(default_factory=set, init=False)
    _first: dict[str, RowType | None] | None = field(default=None, init=False)

    def __call__(self, row: Mapping[str, Any]) -> None:
        """Check one row.

        Raises `StoreError` if the store cannot hold one of its values, `ResultError`
        if it has other keys than the other rows, or no column can hold one of its
        values beside theirs, and `RecordError` if `reference` is damaged.
        """
        self.store.check(row)
        if self._first is None:
            if self.store.has_typed_columns:
                # A first row that does not fit would have all others refused.
                self._check_kept(row)
            self._first = _agree_on_first(self.reference, self._types(row))
        if row.keys() != self._first.keys():
            raise ResultError(_difference(row.keys(), self._first))
        if self.store.has_typed_columns:
            self._check_types(row, self._first)

    def _types(self, row: Mapping[str, Any]) -> dict[str, RowType | None]:
        if not self.store.has_typed_columns:
            return dict.fromkeys(row)
        return {key: RowType.of_value(key, value) for key, value in row.items()}

    def _check_types(
        self, row: Mapping[str, Any], first: Mapping[str, RowType | None]
    ) -> None:
        for key, value in row.items():
            # Most values are plain numbers, which must cost next to nothing.
            if (key, type(value)) in self._fitting:
                continue
            kind = (key, _kind(value))
            if kind in self._fitting:
                continue
            found = RowType.of_value(key, value)
            _check_pair(key, found, first[key], _FIRST)
            self._check_beside_kept(key, found)
            if kind[1] is not None:
                self._fitting.add(kind)

    def _check_kept(self, row: Mapping[str, Any]) -> None:
        for key, value in row.items():
            self._check_beside_kept(key, RowType.of_value(key, value))
        for key in self._without_missing_value - row.keys():
            raise ResultError(
                f"execute returned no {key!r}, which the rows kept from before have "
                f"as {_described(self.kept[key])}, where no value can be missing. "
                f"Return it{_ANEW}, or use PickleStore (.pkl)."
            )

    def _check_beside_kept(self, key: str, found: RowType) -> None:
        if key in self.kept:
            _check_pair(key, found, self.kept[key], _KEPT, _ANEW)
        elif self.kept and not _can_be_missing(key, found):
            raise ResultError(
                f"key {key!r} is new, and the rows kept from before cannot go without "
                f"a value of type {_described(found)}. Return a number, which is "
                f"nan for them{_ANEW}, or use PickleStore (.pkl)."
            )

    @cached_property
    def _without_missing_value(self) -> set[str]:
        return {key for key in self.kept if not _can_be_missing(key, self.kept[key])}


def _kind(value: Any) -> type | tuple[Any, ...] | None:
    """Return what values that need no check have in common with one that had it."""
    if type(value) in _ALIKE:
        return type(value)
    if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
        return (value.dtype, value.shape)
    return None


def _check_pair(
    key: str, found: RowType, other: RowType | None, where: str, remedy: str = ""
) -> None:
    if other is None:
        return
    try:
        common_row_type(key, [other, found])
    except StoreError as error:
        raise ResultError(
            f"execute returned {_described(found)} for {key!r}, but it is "
            f"{_described(other)} {where}, and no array keeps both as they are. Return "
            f"the same types and shapes for all assignments{remedy}, or use "
            "PickleStore (.pkl)."
        ) from error


def _can_be_missing(key: str, found: RowType) -> bool:
    try:
        common_row_type(key, [found], missing=True)
    except StoreError:
        return False
    return True


def _described(found: RowType) -> str:
    name = {"U": "str", "S": "bytes"}.get(found.dtype.kind, str(found.dtype))
    return f"{name} of shape {found.shape}" if found.shape else name


def _agree_on_first(
    reference: Path, types: Mapping[str, RowType | None]
) -> dict[str, RowType | None]:
    """Return the types of the round's first row, which may be this one."""
    mark = f"{socket.gethostname()}-{os.getpid()}"
    mine = reference.with_name(f".{reference.name}.{mark}")
    try:
        record = {key: _recorded(found) for key, found in types.items()}
        mine.write_text(json.dumps(record), encoding="utf-8")
        os.link(mine, reference)
    except FileExistsError:
        pass
    finally:
        mine.unlink(missing_ok=True)
    try:
        record = json.loads(reference.read_text(encoding="utf-8"))
        return {key: _read(found) for key, found in record.items()}
    except (AttributeError, ValueError, TypeError) as error:
        raise RecordError(
            f"{reference}: is damaged ({one_line(error)}). Remove it, then run again."
        ) from error


def _recorded(found: RowType | None) -> tuple[str, tuple[int, ...]] | None:
    # What a structured type consists of is not in its name.
    if found is None or found.dtype.kind == "V":
        return None
    return found.dtype.str, found.shape


def _read(recorded: tuple[str, list[int]] | None) -> RowType | None:
    if recorded is None:
        return None
    dtype, shape = recorded
    return RowType(np.dtype(dtype), tuple(shape))


def _difference(found: Iterable[str], expected: Iterable[str]) -> str:
    lacking = sorted(set(expected) - set(found), key=repr)
    surplus = sorted(set(found) - set(expected), key=repr)
    parts = [f"lacks {', '.join(map(repr, lacking))}"] if lacking else []
    parts += [f"has also {', '.join(map(repr, surplus))}"] if surplus else []
    return (
        f"execute returned other keys than for the first assignment: the row "
        f"{' and '.join(parts)}. Return the same keys for all assignments, with nan "
        "where there is no value."
    )

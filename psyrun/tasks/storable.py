"""Whether a store can hold the parameters of a task, found out before the work."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from psyrun.errors import StoreError
from psyrun.pspace import ParameterSpace
from psyrun.pspace.absent import absent
from psyrun.pspace.columns import Column
from psyrun.store.arrays import (
    NUMERIC,
    Array,
    RowType,
    column_array,
    common_row_type,
    inexact_integer,
    n_axes,
    row_array,
)
from psyrun.store.base import Store

_MOST_POINTS = 10_000_000  # whose values may be in memory for a closer look
_FLOAT64 = np.dtype(np.float64)
_NAN = np.float64("nan")
_NUMBERS = (bool, int, float, complex, np.int64, np.float64, np.bool_)


@dataclass(frozen=True)
class KeptColumns:
    """The columns of rows that are kept: their types, and which hold large integers."""

    types: Mapping[str, RowType]
    large: Collection[str]


@dataclass(frozen=True)
class _Part:
    """Some values of a parameter.

    They are of one type; `sample` is one of them, and `large` an integer among them
    that is not exact as float64. `axes` says how many axes other rows must have, None
    if that is not known from them.
    """

    type: RowType
    sample: Any
    large: int | None = None
    axes: int | None = None


def check_parameters(
    space: ParameterSpace,
    store: Store,
    excluded: Collection[str],
    kept: KeptColumns | None = None,
) -> None:
    """Refuse parameters that the store cannot hold, or not in one array.

    Costs as much as the values that the space holds, however many points they make.
    Raises `StoreError` with the parameter.
    """
    saved = [key for key in space.keys() if key not in excluded]  # noqa: SIM118
    first = space[0]
    try:
        store.check({key: first[key] for key in saved})
    except StoreError as error:
        raise _about_parameter(error) from error
    if not store.has_typed_columns:
        return
    for key in saved:
        try:
            _check(key, _held_parts(space, key), store, kept)
        except StoreError as error:
            if len(space) > _MOST_POINTS:
                raise _about_parameter(error) from error
            _check_used(space, key, store, kept)


def _check_used(
    space: ParameterSpace, key: str, store: Store, kept: KeptColumns | None
) -> None:
    """Look at points, as not all that operands hold is in a difference or a slice."""
    try:
        _check(key, _used_parts(space, key), store, kept)
    except StoreError as error:
        raise _about_parameter(error) from error


def _check(
    key: str, parts: Iterable[_Part], store: Store, kept: KeptColumns | None
) -> None:
    found = list(parts)
    for part in found:
        store.check({key: part.sample})
    is_lacking = any(part.sample is _NAN for part in found)
    try:
        common = common_row_type(key, [part.type for part in found])
    except StoreError as error:
        if not is_lacking:
            raise
        raise StoreError(f"{error} It is nan for points without it.") from error
    _check_axes(key, found, kept)
    large = next((p.large for p in found if p.large is not None), None)
    if large is not None and common.dtype.kind in "fc":
        where = "nan for points without it" if is_lacking else "fractions or nan"
        raise _inexact(key, large, where)
    if kept is not None:
        _check_beside_kept(key, common, large, kept)


def _check_axes(key: str, parts: list[_Part], kept: KeptColumns | None) -> None:
    by_axes: dict[int | None, RowType] = {part.axes: part.type for part in parts}
    if kept is not None and key in kept.types:
        shape = kept.types[key].shape
        by_axes.setdefault(n_axes(shape, is_missing=not shape), kept.types[key])
    by_axes.pop(None, None)
    if len(by_axes) > 1:
        one, other, *_ = (f"{t.dtype} of shape {t.shape}" for t in by_axes.values())
        raise StoreError(
            f"parameter {key!r} holds both {one} and {other}, which have different "
            "numbers of axes, so that padding would mix them. Give values of as many "
            "axes, leave it out with exclude_from_result, or use PickleStore (.pkl)."
        )


def _check_beside_kept(
    key: str, found: RowType, large: int | None, kept: KeptColumns
) -> None:
    """Refuse integers that cannot be in one array with those of rows from before."""
    if key not in kept.types:
        return
    try:
        common = common_row_type(key, [found, kept.types[key]])
    except StoreError:
        # A result may have the name of a parameter, and stand in its place.
        return
    if common.dtype.kind in "fc" and (large is not None or key in kept.large):
        what = "above 2**53" if large is None else large
        raise _inexact(
            key, what, "rows from before with fractions, nan or another shape"
        )


def _inexact(key: str, large: object, where: str) -> StoreError:
    return StoreError(
        f"parameter {key!r} holds the integer {large}, which is not exact as float64, "
        f"beside {where}, so that no array keeps it as it is. Give smaller integers or "
        "text, leave it out with exclude_from_result, or use PickleStore (.pkl)."
    )


def _about_parameter(error: StoreError) -> StoreError:
    return StoreError(str(error).replace("key ", "parameter ", 1))


def _held_parts(space: ParameterSpace, key: str) -> Iterator[_Part]:
    for name, column in space.leaves():
        if name == key and column.n_places:
            yield from _parts_of_column(key, column)
    if space.may_lack(key):
        yield _Part(RowType(_FLOAT64, ()), _NAN)


def _parts_of_column(key: str, column: Column) -> Iterator[_Part]:
    held = column.held()
    if held is None or held.dtype.hasobject:
        values = column.take(np.arange(column.n_places)) if held is None else held
        yield from _parts_of_values(key, values.tolist())
    else:
        yield _part(held, column[0])


def _used_parts(space: ParameterSpace, key: str) -> Iterator[_Part]:
    rows = np.arange(len(space))
    if space.may_lack(key):
        is_lacking = absent(space, key, rows)
        rows = rows[~is_lacking]
        if is_lacking.any():
            yield _Part(RowType(_FLOAT64, ()), _NAN)
    values = space.gather(key, rows, lambda column, rows: column.take(rows))
    yield from _parts_of_values(key, values.tolist())


def _parts_of_values(key: str, values: list[Any]) -> Iterator[_Part]:
    by_type: dict[type, list[Any]] = {}
    for value in values:
        by_type.setdefault(type(value), []).append(value)
    for kind, alike in by_type.items():
        if kind is str or kind is bytes:
            nulls = (v for v in alike if v[-1:] in ("\0", b"\0"))
            sample = next(nulls, alike[0])
            yield _part(row_array(key, sample)[np.newaxis], sample)
        elif kind in _NUMBERS:
            yield _part(column_array(key, alike), alike[0])
        else:
            yield from _parts_of_objects(key, alike)


def _parts_of_objects(key: str, values: list[Any]) -> Iterator[_Part]:
    seen: set[tuple[RowType, int | None, int | None]] = set()
    for value in values:
        part = _part(row_array(key, value)[np.newaxis], value)
        if (found := (part.type, part.large, part.axes)) not in seen:
            seen.add(found)
            yield part


def _part(column: Array, sample: Any) -> _Part:
    found = RowType.of(column)
    return _Part(found, sample, inexact_integer(column, _FLOAT64), _axes(column))


def _axes(column: Array) -> int | None:
    kind = column.dtype.kind
    if kind not in NUMERIC:
        # These are not padded.
        return None
    is_missing = kind in "fc" and column.ndim == 1 and bool(np.isnan(column).all())
    return n_axes(column.shape[1:], is_missing)

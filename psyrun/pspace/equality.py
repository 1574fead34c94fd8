"""Which rows of parameter spaces are equal, in linear time.

Each parameter becomes a column of 64-bit codes that are equal exactly where the
values are; then rows are gathered by hashing all columns at once. Hashes only
propose: codes decide.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError
from psyrun.pspace.columns import Column, ConstantColumn, Indices
from psyrun.pspace.identity import PLAIN, IncomparableError, identity_of

Encoder = Callable[[Column, Indices], Indices]
NAN = ConstantColumn(math.nan)
_FLOAT_EXACT = 2**53
_AT_ONCE = 1 << 16  # rows that are compared at first
_EXAMPLES = 3  # values of a type that are tried
_SPARSE = 4  # numbers per row, from which on it takes less time to hash
_MULTIPLIER = 0x9E3779B97F4A7C15  # 2**64 / golden ratio (Knuth, TAOCP 3, 6.4)


class Space(Protocol):
    """What is needed of a parameter space."""

    def __len__(self) -> int:
        """Return the number of points."""

    def keys(self) -> Collection[str]:
        """Return the names of the parameters."""

    def gather(self, key: str, rows: Indices, fetch: Encoder) -> NDArray[Any]:
        """Collect the codes of one key's values at many points."""


class _UnsuitableError(Exception):
    """An encoder cannot tell these values apart without an error."""


def equal_rows(spaces: Sequence[Space], keys: Sequence[str]) -> list[Indices]:
    """Assign numbers to the rows of some spaces, the same to equal rows.

    Values are equal as in Python (1, 1.0 and True are), and nan equals nan. Lists,
    tuples and arrays are equal if they have equal items, data classes and tables of
    pandas if they have equal parts, dates and times of whatever type if they are the
    same moment. What Python compares by identity, or not at all, is equal if it is
    pickled as the same parts. A key that a space lacks is nan in all of its rows;
    without keys all rows are equal.

    Parameters
    ----------
    spaces : sequence of ParameterSpace
        The spaces, at least one.
    keys : sequence of str
        The parameters that are compared; others do not matter.

    Returns
    -------
    list of ndarray of int64, each of shape (n_points,)
        The numbers of the rows of each space. They are not negative, and the largest is
        at most a few times the number of all rows.

    Raises
    ------
    PsyrunError
        If values cannot be compared.
    """
    ends = np.cumsum([len(space) for space in spaces])
    columns = [_codes(spaces, key) for key in keys]
    return np.split(_number_rows(columns, int(ends[-1])), ends[:-1])


def check_comparable(columns: Iterable[tuple[str, Column]]) -> None:
    """Raise `PsyrunError` if parameters have values that cannot be compared.

    A few of each type are tried.
    """
    for key, column in columns:
        places = np.arange(column.n_places)
        if column.numbers(places) is None:
            try:
                list(map(identity_of, _examples(column.take(places))))
            except IncomparableError as error:
                raise PsyrunError(f"parameter {key!r} {error}") from error.__cause__


def _examples(values: NDArray[np.object_]) -> Iterator[Any]:
    counts: dict[type, int] = {}
    for value in values:
        kind = type(value)
        if kind not in PLAIN and counts.setdefault(kind, 0) < _EXAMPLES:
            counts[kind] += 1
            # What holds numbers only would just take long.
            if not isinstance(value, np.ndarray) or value.dtype.hasobject:
                yield value


def is_in(rows: Indices, others: Indices) -> NDArray[np.bool_]:
    """Return which rows, as numbered by `equal_rows`, are among some other rows.

    Parameters
    ----------
    rows : ndarray of int64, shape (n,)
        Numbers of rows.
    others : ndarray of int64, shape (m,)
        Numbers of the other rows, from the same call of `equal_rows`.

    Returns
    -------
    ndarray of bool, shape (n,)
        Whether some other row equals a row.
    """
    found = np.zeros(_count_numbers(rows, others), dtype=np.bool_)
    found[others] = True
    return found[rows]


def pair_rows(new: Indices, old: Indices) -> Indices:
    """Pair equal rows, each at most once, in the order in which they occur.

    Parameters
    ----------
    new : ndarray of int64, shape (n,)
        Numbers of rows, as `equal_rows` has given them.
    old : ndarray of int64, shape (m,)
        Numbers of the other rows, from the same call.

    Returns
    -------
    ndarray of int64, shape (n,)
        The index of the old row of each new one, or -1.
    """
    n_numbers = _count_numbers(new, old)
    counts = np.bincount(old, minlength=n_numbers)
    starts = np.cumsum(counts) - counts
    earlier = _count_earlier(new, n_numbers)
    by_number = np.append(np.argsort(old, kind="stable"), -1)
    place = np.where(earlier < counts[new], starts[new] + earlier, len(old))
    return by_number[place]


def common_beginning(space: Space, other: Space, keys: Sequence[str]) -> int:
    """Return with how many points that are surely equal two spaces begin.

    Only numbers of one type are compared.
    """
    if not {*space.keys()} & {*other.keys()} >= {*keys}:
        return 0
    n_points = min(len(space), len(other))
    for begin in range(0, n_points, _AT_ONCE):
        rows = np.arange(begin, min(begin + _AT_ONCE, n_points))
        for key in keys:
            rows = rows[: _n_equal(space, other, key, rows)]
        if len(rows) < min(_AT_ONCE, n_points - begin):
            return begin + len(rows)
    return n_points


def _n_equal(space: Space, other: Space, key: str, rows: Indices) -> int:
    """Return how many rows, from the first one on, have equal numbers."""
    try:
        values = space.gather(key, rows, _numbers)
        others = other.gather(key, rows, _numbers)
    except _UnsuitableError:
        return 0
    if values.dtype != others.dtype:
        return 0
    is_other = values != others
    if values.dtype.kind == "f":
        is_other &= ~(np.isnan(values) & np.isnan(others))
    return int(np.argmax(is_other)) if is_other.any() else len(rows)


def _numbers(column: Column, rows: Indices) -> NDArray[Any]:
    numbers = column.numbers(rows)
    if numbers is None:
        raise _UnsuitableError
    return numbers


def _count_numbers(*rows: Indices) -> int:
    return max(int(numbers.max(initial=-1)) for numbers in rows) + 1


def _count_earlier(numbers: Indices, n_numbers: int) -> Indices:
    """Return how many rows before each row have its number."""
    counts = np.bincount(numbers, minlength=n_numbers)
    starts = np.cumsum(counts) - counts
    order = np.argsort(numbers, kind="stable")
    earlier = np.empty_like(numbers)
    earlier[order] = np.arange(len(numbers)) - starts[numbers[order]]
    return earlier


def _codes(spaces: Sequence[Space], key: str) -> Indices:
    for encode in (_integer_codes, _float_codes):
        try:
            return _gather(spaces, key, encode)
        except _UnsuitableError:
            continue
    try:
        return _gather(spaces, key, _object_encoder())
    except IncomparableError as error:
        raise PsyrunError(f"parameter {key!r} {error}") from error.__cause__


def _gather(spaces: Sequence[Space], key: str, encode: Encoder) -> Indices:
    return np.concatenate(
        [_gather_codes(space, key, _once_per_place(encode)) for space in spaces]
    )


def _gather_codes(space: Space, key: str, encode: Encoder) -> Indices:
    rows, known = np.arange(len(space)), space.keys()
    return space.gather(key, rows, encode) if key in known else encode(NAN, rows)


def _once_per_place(encode: Encoder) -> Encoder:
    """Encode each held value once, however often a product repeats it."""

    def encode_places(column: Column, rows: Indices) -> Indices:
        if column.n_places > len(rows):
            return encode(column, rows)
        # Others may not be known, or take long to compute.
        is_used = np.zeros(column.n_places, dtype=np.bool_)
        places = np.minimum(rows, column.n_places - 1)
        is_used[places] = True
        codes = np.empty(column.n_places, dtype=np.int64)
        codes[is_used] = encode(column, np.flatnonzero(is_used))
        return codes[places]

    return encode_places


def _integer_codes(column: Column, rows: Indices) -> Indices:
    numbers = column.numbers(rows)
    if numbers is None or numbers.dtype != np.int64:
        raise _UnsuitableError
    return numbers


def _float_codes(column: Column, rows: Indices) -> Indices:
    numbers = column.numbers(rows)
    if numbers is None:
        raise _UnsuitableError
    if numbers.dtype == np.int64 and np.any(np.abs(numbers) > _FLOAT_EXACT):
        raise _UnsuitableError
    floats = numbers + 0.0  # There are two zeros and many nans: leave one each.
    floats[np.isnan(floats)] = math.nan
    return floats.view(np.int64)


def _object_encoder() -> Encoder:
    table: dict[Any, int] = {}

    def encode(column: Column, rows: Indices) -> Indices:
        identities = map(identity_of, column.take(rows))
        codes = (table.setdefault(identity, len(table)) for identity in identities)
        return np.fromiter(codes, dtype=np.int64, count=len(rows))

    return encode


def _number_rows(columns: Sequence[Indices], n_rows: int) -> Indices:
    if not (columns and n_rows):
        return np.zeros(n_rows, dtype=np.int64)
    lows = [int(column.min()) for column in columns]
    spans = [int(c.max()) - low + 1 for c, low in zip(columns, lows, strict=True)]
    if math.prod(spans) > _SPARSE * n_rows:
        return _first_equals(columns, n_rows)
    numbers = np.zeros(n_rows, dtype=np.int64)
    for column, low, span in zip(columns, lows, spans, strict=True):
        numbers = numbers * span + (column - low)
    return numbers


def _first_equals(columns: Sequence[Indices], n_rows: int) -> Indices:
    """Return for each row one row that equals it, the same for all its equals."""
    result = np.empty(n_rows, dtype=np.int64)
    rest = np.arange(n_rows, dtype=np.int64)
    salt = 0
    while rest.size:
        slots = _slots(columns, salt)
        owners = np.empty(int(slots.max()) + 1, dtype=np.int64)
        owners[slots] = np.arange(rest.size)
        owner = owners[slots]
        found = np.logical_and.reduce([c[owner] == c for c in columns])
        result[rest[found]] = rest[owner[found]]
        rest, columns = rest[~found], [c[~found] for c in columns]
        salt += 1
    return result


def _slots(columns: Sequence[Indices], salt: int) -> NDArray[np.uint64]:
    """Hash each row into a table of two to four places per row."""
    n_rows = len(columns[0])
    multiplier = np.uint64(_MULTIPLIER * (2 * salt + 1) % 2**64)
    mixed = np.zeros(n_rows, dtype=np.uint64)
    for column in columns:
        mixed ^= column.view(np.uint64)
        # Products carry upwards only: floats that differ in their exponent alone
        # need the way down.
        mixed ^= mixed >> np.uint64(32)
        mixed *= multiplier
    return mixed >> np.uint64(64 - (2 * n_rows).bit_length())

"""Which rows of parameter spaces are equal, in linear time.

Each parameter becomes a column of 64-bit codes that are equal exactly where the
values are; then rows are gathered by hashing all columns at once. Hashes only
propose: codes decide.
"""

from __future__ import annotations

import copyreg
import math
import pickle
import warnings
from array import array
from collections import deque
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import fields, is_dataclass
from datetime import date, timedelta
from enum import Enum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError, one_line
from psyrun.pspace.columns import Column, ConstantColumn, Indices
from psyrun.pspace.moments import duration_of, moment_of

Encoder = Callable[[Column, Indices], Indices]
NAN = ConstantColumn(math.nan)
_FLOAT_EXACT = 2**53
_AT_ONCE = 1 << 16  # rows that are compared at first
_EXAMPLES = 3  # values of a type that are tried
_SPARSE = 4  # numbers per row, from which on it takes less time to hash
_MULTIPLIER = 0x9E3779B97F4A7C15  # 2**64 / golden ratio (Knuth, TAOCP 3, 6.4)
_PLAIN = {str, int, bool, bytes, type(None), type(...)}


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


class IncomparableError(Exception):
    """A value that cannot be compared by value; the argument is why."""


def equal_rows(spaces: Sequence[Space], keys: Sequence[str]) -> list[Indices]:
    """Assign numbers to the rows of some spaces, the same to equal rows.

    Values are equal as in Python (1, 1.0 and True are), and nan equals nan. Lists,
    tuples and arrays are equal if they have equal items, data classes and tables of
    pandas if they have equal parts, dates and times of whatever type if they are the
    same moment. What Python compares by identity, or not at all, is equal if it is
    pickled as the same parts. A key that a space lacks is nan in all of its rows;
    without keys all rows are equal. Returns one array per space, shape (n_points,),
    with numbers that are not negative and at most a few times as many as rows. Raises
    `PsyrunError` if values cannot be compared.
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
        if kind not in _PLAIN and counts.setdefault(kind, 0) < _EXAMPLES:
            counts[kind] += 1
            # What holds numbers only would just take long.
            if not isinstance(value, np.ndarray) or value.dtype.hasobject:
                yield value


def is_in(rows: Indices, others: Indices) -> NDArray[np.bool_]:
    """Return which rows, as numbered by `equal_rows`, are among some other rows."""
    found = np.zeros(_count_numbers(rows, others), dtype=np.bool_)
    found[others] = True
    return found[rows]


def pair_rows(new: Indices, old: Indices) -> Indices:
    """Pair equal rows, each at most once, in the order in which they occur.

    The rows are numbered by `equal_rows`. Returns for each new row the index of its
    old one, or -1.
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


def identity_of(value: Any) -> Any:
    """Return a hashable object that is equal for equal values only.

    It consists of tuples, frozen sets, plain values, classes, `ComparedByValue`, and
    values that have a hash and a comparison of their own. Raises `IncomparableError`.
    """
    try:
        return _identity(value)
    except RecursionError:
        return _pickle_of(value)


def _identity(value: Any) -> Any:
    """Return a hashable object that is equal for equal values only."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, np.ndarray):
        value = value.tolist()
    elif isinstance(value, np.number | np.bool_ | np.void):
        value = value.item()
    if isinstance(value, list | tuple | deque | array):
        return tuple(map(_identity, value))
    if isinstance(value, set | frozenset):
        return frozenset(map(_identity, value))
    if isinstance(value, Mapping):
        return Mapping, frozenset((k, _identity(v)) for k, v in value.items())
    return _hashable(value)


def _hashable(value: Any) -> Any:
    if _is_dataclass(value):
        names = [field.name for field in fields(value) if field.compare]
        return _name(value), *(_identity(getattr(value, name)) for name in names)
    if isinstance(value, slice):
        return slice, *map(_identity, (value.start, value.stop, value.step))
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if (table := _as_lists(value)) is not None:
        return _name(value), _identity(table)
    is_equal = _is_equal_to_itself(value)
    if is_equal is None:
        return by_content(value)
    if not is_equal:
        # The one object math.nan: dictionaries look at identity before equality.
        return math.nan if _is_number(value) else type(value)
    if isinstance(value, date | np.datetime64):
        return moment_of(value)
    if isinstance(value, timedelta):
        return duration_of(value)
    if not _has_hash(value):
        return ComparedByValue(value)
    # Only comparisons that are written in Python raise for values of other classes.
    return _Hashed(value) if hasattr(type(value).__eq__, "__code__") else value


def _is_dataclass(value: Any) -> bool:
    """Whether a value is of a data class that Python has given its comparison."""
    code = getattr(type(value).__eq__, "__code__", None)
    is_generated = getattr(code, "co_filename", "") == "<string>"
    return is_generated and is_dataclass(value) and not isinstance(value, type)


def _as_lists(value: Any) -> Any:
    """Return what a table, index or array of pandas consists of; None for others."""
    if type(value).__module__.partition(".")[0] != "pandas":
        return None
    if hasattr(value, "columns") and hasattr(value, "items"):
        parts = [column.tolist() for _, column in value.items()]
        return [value.index.tolist(), value.columns.tolist(), parts]
    if hasattr(value, "index") and hasattr(value, "tolist"):
        return [value.index.tolist(), value.name, value.tolist()]
    return value.tolist() if hasattr(value, "tolist") else None


def _is_equal_to_itself(value: Any) -> bool | None:
    """Return whether ``value == value``, or None where that says nothing."""
    own: Any = type(value).__eq__
    # Functions, classes and members of enumerations pickle by their name.
    is_named = hasattr(value, "__name__") or isinstance(value, Enum)
    if own is object.__eq__ and not is_named:
        return None
    try:
        with warnings.catch_warnings():
            # Some are about its cost.
            warnings.simplefilter("ignore")
            answer = value == value
    except RecursionError:
        raise
    except Exception as error:
        if "ambiguous" in str(error):  # Several parts have an answer each.
            return None
        raise _cannot_be_compared(value, error) from error
    return bool(answer) if isinstance(answer, bool | np.bool_) else None


def _has_hash(value: Any) -> bool:
    try:
        hash(value)
    except RecursionError:
        raise
    except Exception:
        return False
    return True


class ComparedByValue:
    """Stands for a value that has a comparison, but no hash."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __hash__(self) -> int:
        return hash(type(self.value))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ComparedByValue):
            return False
        return _are_equal(self.value, other.value)


class _Hashed(ComparedByValue):
    """Stands for a value with a hash, whose comparison may raise for some others."""

    def __hash__(self) -> int:
        return hash(self.value)

    def __eq__(self, other: object) -> bool:
        value = other.value if isinstance(other, ComparedByValue) else other
        return _are_equal(self.value, value)


def _are_equal(value: Any, other: Any) -> bool:
    """Compare two values by Python, or else by their content."""
    try:
        return bool(value == other)
    except Exception:
        if type(value) is not type(other):
            return False
        return bool(by_content(value) == by_content(other))


def by_content(value: Any) -> Any:
    """Return what a value is pickled as, with its parts compared by value.

    The bytes of a pickle would differ with the order of sets, and with which parts
    are one object.
    """
    try:
        reduce: Callable[[Any], Any] = copyreg.dispatch_table.get(type(value), _reduced)
        made_of = reduce(value)
        if isinstance(made_of, str):
            return module_of(type(value)), made_of
        make, *parts = made_of
        # Items of lists and dictionaries come as iterators.
        lists = [list(p) if isinstance(p, Iterator) else p for p in parts[:4]]
        return _name(value), _name_of(make), *map(_identity, lists)
    except (RecursionError, IncomparableError):
        raise
    except Exception as error:
        raise _cannot_be_compared(value, error) from error


def _reduced(value: Any) -> Any:
    if type(value) is object:
        raise TypeError("an object() is equal only to itself")
    return value.__reduce_ex__(4)


def _pickle_of(value: Any) -> bytes:
    try:
        return pickle.dumps(value, protocol=4)
    except Exception as error:
        raise _cannot_be_compared(value, error) from error


def _cannot_be_compared(value: Any, error: Exception) -> IncomparableError:
    return IncomparableError(
        f"holds values of type {type(value).__name__} that cannot be compared "
        f"({one_line(error)}); use numbers, strings or tuples."
    )


def _name(value: Any) -> tuple[str, str]:
    """Return the class of a value: running a task file again makes it anew."""
    return module_of(type(value)), type(value).__qualname__


def _name_of(make: Any) -> Any:
    name = getattr(make, "__qualname__", None)
    return make if name is None else (module_of(make), name)


def module_of(value: Any) -> str:
    """Return the module of a class or function, the same with each version of pandas.

    From pandas 3 on, many are in another one than before.
    """
    module = str(getattr(value, "__module__", None))
    return "pandas" if module.startswith("pandas.") else module


def _is_number(value: Any) -> bool:
    return hasattr(value, "__float__") or isinstance(value, complex)


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

"""What stands for the value of a parameter when values are compared.

Two values of whatever type stand for the same if they are equal as users mean it: see
`psyrun.pspace.equality.equal_rows`.
"""

from __future__ import annotations

import copyreg
import math
import pickle
import warnings
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, timedelta
from enum import Enum
from typing import Any

import numpy as np

from psyrun.errors import one_line
from psyrun.pspace.moments import duration_of, moment_of

PLAIN = {str, int, bool, bytes, type(None), type(...)}
"""Types whose values stand for themselves."""


class IncomparableError(Exception):
    """A value that cannot be compared by value; the argument is why."""


def identity_of(value: Any) -> Any:
    """Return a hashable object that is equal for equal values only.

    It consists of tuples, frozen sets, plain values, classes, `ComparedByValue`, and
    values that have a hash and a comparison of their own.

    Raises
    ------
    IncomparableError
        If comparing the value raises an error, or it can neither be compared nor
        pickled.
    """
    try:
        return _identity(value)
    except RecursionError:
        return _pickle_of(value)


def _identity(value: Any) -> Any:
    """Return a hashable object that is equal for equal values only."""
    if type(value) in PLAIN:
        return value
    if isinstance(value, np.ndarray):
        value = value.tolist()
    elif isinstance(value, np.timedelta64):
        return _hashable(value)  # it is a number to NumPy, too
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
    if isinstance(value, timedelta | np.timedelta64):
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

    Raises
    ------
    IncomparableError
        If the value cannot be pickled, or one of its parts not be compared.
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

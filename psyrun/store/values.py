"""Values of rows as what an array holds: numbers, text, dates, and arrays of them.

What is more than that, such as a table with labels, is refused instead of being
cut down to its numbers. What is a kind of text or number, such as a member of an
enumeration, is taken for what its class is derived from.
"""

from __future__ import annotations

from collections import UserString
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from psyrun.errors import StoreError

# Classes derived from these can have other conversions of their own, which NumPy
# would call in part: of members of str and Enum, it keeps as many characters of
# their `__str__` as the text has.
_BASES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (str, str.__str__),
    (bytes, lambda value: bytes.__getitem__(value, slice(None))),
    (int, int.__int__),
    (float, float.__float__),
    (complex, complex.__complex__),
)
_PLAIN = frozenset(
    {bool, range, np.ndarray, *(base for base, _ in _BASES)}
    | {np.dtype(code).type for code in np.typecodes["All"]}
)
_LABELS = ("columns", "coords", "index", "names", "unit", "units")


def unstorable(key: str, what: str) -> StoreError:
    """Return the error for values, such as "masked values", that no array holds."""
    return StoreError(
        f"key {key!r} holds {what}, which no array keeps as it is; use "
        "PickleStore (.pkl)."
    )


def plain_value(key: str, value: Any) -> Any:
    """Return a value as a number, text, an array, or (nested) lists of these.

    A value that is so already is returned itself. Raises `StoreError` for one that
    is more, such as a data frame or an array with a unit.
    """
    value = base_value(value)
    if type(value) in _PLAIN:
        return value
    if isinstance(value, list | tuple):
        return _plain_items(key, value)
    check_is_array(key, value)
    if isinstance(value, UserString):
        # Its characters are such texts again, without end.
        raise unstorable(key, "a value of type UserString")
    if isinstance(value, Sequence) and not _has_buffer(value):
        return _plain_items(key, value)
    return value


def base_value(value: Any) -> Any:
    """Return text or a number of a derived class as one of the class itself.

    Anything else, and scalars of NumPy, are returned as they are.
    """
    if type(value) in _PLAIN:
        return value
    if not isinstance(value, np.generic) or isinstance(value, str | bytes):
        for base, convert in _BASES:
            if isinstance(value, base):
                return convert(value)
    return value


def _plain_items(key: str, items: Sequence[Any]) -> Sequence[Any]:
    if _PLAIN.issuperset(map(type, items)):
        return items if isinstance(items, list | tuple) else list(items)
    try:
        return [plain_value(key, item) for item in items]
    except RecursionError:
        raise unstorable(key, f"a {type(items).__name__} that is too deep") from None


def check_is_array(key: str, value: Any) -> None:
    """Raise a `StoreError` for a value of which an array keeps only a part."""
    if isinstance(value, np.ndarray):
        # As of NumPy's own, such as memory maps: they say where an array is from.
        is_ours = type(value).__module__.partition(".")[0] == "numpy"
        if not is_ours and getattr(value, "__dict__", None):
            raise _more_than_an_array(key, value, "np.asarray(...)")
    elif not _has_array(value):
        # NumPy would take the nodes of a graph or the columns of a table.
        if hasattr(value, "__getitem__") and not isinstance(value, Sequence):
            raise unstorable(key, f"a value of type {type(value).__name__}")
    elif not isinstance(value, np.generic) and not _is_only_an_array(value):
        has_method = callable(getattr(value, "to_numpy", None))
        raise _more_than_an_array(
            key, value, ".to_numpy()" if has_method else "np.asarray(...)"
        )


def _has_array(value: Any) -> bool:
    return hasattr(value, "__array__") or hasattr(value, "__array_interface__")


def _is_only_an_array(value: Any) -> bool:
    """Whether an array of another library (JAX, PyTorch, Zarr) has nothing else."""
    if callable(getattr(value, "numpy", None)):
        return True
    is_labelled = any(hasattr(value, name) for name in _LABELS)
    return isinstance(getattr(value, "dtype", None), np.dtype) and not is_labelled


def _has_buffer(value: Any) -> bool:
    try:
        memoryview(value).release()
    except TypeError:
        return False
    return True


def _more_than_an_array(key: str, value: Any, part: str) -> StoreError:
    return StoreError(
        f"key {key!r} holds a value of type {type(value).__name__}, of which an array "
        f"would keep a part only; return that, with {part}, or use PickleStore (.pkl)."
    )


def leaves(value: Any) -> Iterator[Any]:
    """Yield what (nested) lists hold; a value itself that is none."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def odd_type(values: Iterable[Any]) -> str:
    """Return the name of the type of the first value that only objects hold."""
    found = list(values)
    odd = (value for value in found if np.asarray(value).dtype.hasobject)
    return type(next(odd, found)).__name__

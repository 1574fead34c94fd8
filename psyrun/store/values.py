"""One value of a result as a NumPy array, or an error that says why not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import StoreError

NUMERIC = "biufc"
"""The kinds of `numpy.dtype` that are numbers."""

_WORDS = {
    "S": "bytes",
    "U": "str",
    "M": "datetime64",
    "m": "timedelta64",
    "V": "structured array",
}
_INT64 = range(-(2**63), 2**63)
_NO_CHECK = frozenset(
    {bool, float, complex, np.bool_, np.float64, np.float32, np.int64, np.int32}
)


def refuse(key: str, what: str, can: str = "PickleStore (.pkl)") -> StoreError:
    """Return the error for values that no array holds.

    Parameters
    ----------
    key : str
        The key of the values.
    what : str
        The values, as in ``"a value of type set"``.
    can : str
        The stores that hold them.

    Returns
    -------
    StoreError
        To be raised by the caller.
    """
    return StoreError(
        f"key {key!r} holds {what}, which no array keeps as it is; use {can}."
    )


def row_array(key: str, value: Any) -> NDArray[Any]:
    """Return a value as an array that holds exactly the same.

    Parameters
    ----------
    key : str
        The key of the value, for the error.
    value : object
        A number, text, date, array, or (nested) list of these.

    Returns
    -------
    ndarray
        The value in native byte order.

    Raises
    ------
    StoreError
        If there is no such array: objects, lists of uneven lists, integers of
        more than 64 bits, lists that mix types, masked values, text that ends
        in a null character.
    """
    if np.ma.is_masked(value):
        raise refuse(key, "masked values")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise refuse(key, f"a {type(value).__name__} of uneven lengths") from error
    if not isinstance(value, np.ndarray):
        _check_same(key, value, array.dtype)
    if array.dtype.hasobject:
        raise refuse(key, f"a value of type {_odd_type(value)}")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _check_same(key: str, value: Any, dtype: np.dtype[Any]) -> None:
    leaves = list(_leaves(value))
    if len(leaves) > 1 and set(map(type, leaves)) == {float}:
        return
    for leaf in leaves:
        if isinstance(leaf, str | bytes) and leaf[-1:] in ("\0", b"\0"):
            raise refuse(key, "text or bytes with a null character at the end")
        if type(leaf) is int and leaf not in _INT64:
            raise refuse(key, f"the integer {leaf}, of more than 64 bits")
        check_exact(key, np.asarray(leaf), dtype)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _odd_type(value: Any) -> str:
    leaves = value.flat if isinstance(value, np.ndarray) else _leaves(value)
    odd = (leaf for leaf in leaves if np.asarray(leaf).dtype.hasobject)
    return type(next(odd, value)).__name__


def check_exact(key: str, array: NDArray[Any], dtype: np.dtype[Any]) -> None:
    """Raise an error if a conversion would change values.

    Parameters
    ----------
    key : str
        The key of the values, for the error.
    array : ndarray
        The values.
    dtype : numpy.dtype
        What they are to be converted to.

    Raises
    ------
    StoreError
        If integers lose digits, or numbers become text.
    """
    kinds = {array.dtype.kind, dtype.kind}
    if len(kinds) > 1 and not kinds <= set(NUMERIC) and not dtype.hasobject:
        raise refuse(key, f"both {array.dtype} and {dtype}")
    if array.dtype.kind not in "iu" or dtype.kind not in "fc":
        return
    limit = 2 ** (np.finfo(dtype).nmant + 1)
    for number in array[(array > limit) | (array < -limit)].tolist():
        if int(dtype.type(number).real) != number:
            raise refuse(key, f"the integer {number}, which is not exact as {dtype}")


def check_kind(key: str, array: NDArray[Any], kinds: str, store: str) -> None:
    """Raise an error if a store does not take the type of an array.

    Parameters
    ----------
    key : str
        The key of the values, for the error.
    array : ndarray
        The values.
    kinds : str
        The kinds of `numpy.dtype` that the store takes.
    store : str
        The name of the store.

    Raises
    ------
    StoreError
        Naming the key, the type and a store that takes it.
    """
    kind = array.dtype.kind
    if kind not in kinds:
        raise StoreError(
            f"key {key!r} holds a value of type {_WORDS.get(kind, array.dtype)}, but "
            f"{store} takes bool, int, float and complex only; use NpzStore (.npz) or "
            "PickleStore (.pkl)."
        )


def check_value(key: str, value: Any, kinds: str, store: str) -> None:
    """Raise an error if a store cannot hold a single value.

    Parameters
    ----------
    key : str
        The key of the value, for the error.
    value : object
        The value.
    kinds : str
        The kinds of `numpy.dtype` that the store takes.
    store : str
        The name of the store.

    Raises
    ------
    StoreError
        Naming the key, the type and a store that takes it.
    """
    if type(value) in _NO_CHECK or (type(value) is int and value in _INT64):
        return
    check_kind(key, row_array(key, value), kinds, store)

"""Parameter spaces and their algebra.

A space is an ordered list of *points*; each assigns a value to every key. Spaces
are never changed: ``*``, ``+``, ``-`` and slices give new ones that refer to
their operands and compute points when they are asked for.

- A product holds every combination; its left operand varies slowest.
- A sum holds the points of one operand after those of the other; a key that a
  point lacks is nan.
- A difference holds the points of the minuend that agree with no point of the
  subtrahend on all of the subtrahend's keys. Values are equal as in Python
  (1, 1.0 and True are), nan equals nan, and lists, tuples and arrays are equal if
  they have equal items.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun._algebra import Difference, Selection
from psyrun._columns import Column, Rows, as_column
from psyrun._rows import equal_rows, pair_rows
from psyrun._space import AmbiguousOperationError, Fetch, ParameterSpace
from psyrun.errors import PsyrunError, one_line

__all__ = [
    "AmbiguousOperationError",
    "Param",
    "ParameterSpace",
    "freeze",
    "match_rows",
    "missing",
    "select",
    "thaw",
]

_MOST_SHOWN = 6  # keys


class Param(ParameterSpace):
    """Points given by one sequence of values, or one scalar, per parameter.

    Parameters
    ----------
    **params
        For each parameter an iterable of values or a scalar. The iterables must
        be equally long; scalars are repeated to their length. Arrays are cut
        along their first axis; generators are read once, here. Strings, bytes,
        mappings, classes and arrays without axes are scalars. If everything is
        a scalar there is one point; ``Param()`` has none and is neutral in
        sums and products.

    Raises
    ------
    PsyrunError
        If the lengths differ, or if a value is a set.

    Examples
    --------
    >>> Param(volts=[1.5, 3.0], sensor="left").build()
    {'volts': [1.5, 3.0], 'sensor': ['left', 'left']}
    """

    def __init__(self, /, **params: Any) -> None:
        columns = {key: as_column(key, value) for key, value in params.items()}
        lengths = {k: size for k, (_, size) in columns.items() if size is not None}
        if len(set(lengths.values())) > 1:
            described = ", ".join(f"{key}: {size}" for key, size in lengths.items())
            raise PsyrunError(
                f"Param: the sequences are not equally long ({described}); give them "
                "one length, or multiply Params to combine each value with each other."
            )
        self._keys = tuple(params)
        self._columns = {key: column for key, (column, _) in columns.items()}
        self._size = next(iter(lengths.values()), 1 if params else 0)

    def __len__(self) -> int:
        return self._size

    def point(self, row: int) -> dict[str, Any]:
        """Return the values at one row."""
        return {key: column[row] for key, column in self._columns.items()}

    def gather(self, key: str, rows: Rows, fetch: Fetch) -> NDArray[Any]:
        """Fetch from the column of the key."""
        return fetch(self._columns[key], rows)

    def leaves(self) -> Iterator[tuple[str, Column]]:
        """Yield the columns."""
        return iter(self._columns.items())

    def __repr__(self) -> str:
        shown = [f"{key}={column!r}" for key, column in self._columns.items()]
        if len(shown) > _MOST_SHOWN:
            shown[_MOST_SHOWN:] = ["..."]
        return f"Param({', '.join(shown)})"


def missing(minuend: ParameterSpace, subtrahend: ParameterSpace) -> ParameterSpace:
    """Return the points of one space that another space lacks.

    Parameters
    ----------
    minuend : ParameterSpace
        The points that are wanted.
    subtrahend : ParameterSpace
        The points that are there.

    Returns
    -------
    ParameterSpace
        The points of the minuend that agree with no point of the subtrahend on
        all keys that the two spaces share; all points if they share none.

    Raises
    ------
    PsyrunError
        When the points are first used, if values cannot be compared.

    Examples
    --------
    >>> missing(Param(a=[1, 2, 3]), Param(a=[2], c=[4])).build()
    {'a': [1, 3]}
    """
    wanted, there = minuend.keys(), set(subtrahend.keys())
    shared = [key for key in wanted if key in there]
    return Difference(minuend, subtrahend, shared) if shared else minuend


def select(space: ParameterSpace, rows: NDArray[np.integer[Any]]) -> ParameterSpace:
    """Return some points of a space, in any order and number.

    Parameters
    ----------
    space : ParameterSpace
        Where to select from.
    rows : ndarray of integers, shape (n,)
        Indices of points, none of them negative.

    Returns
    -------
    ParameterSpace
        A space of `n` points that holds only the indices.
    """
    return Selection(space, np.array(rows, dtype=np.int64))


def match_rows(
    space: ParameterSpace,
    old: ParameterSpace | Mapping[str, Sequence[Any]],
    keys: Sequence[str] | None = None,
) -> Rows:
    """Find for each point of a space an equal row among old ones.

    Rows are equal as in a difference. Each old row is used at most once, and equal
    ones in the order in which they occur, so that points that occur several
    times are told apart by how often they do.

    Parameters
    ----------
    space : ParameterSpace
        A space of `n` points.
    old : ParameterSpace or mapping of str to sequence
        The old rows, or columns that hold them. A key that is absent here equals
        nan only; keys that the space lacks are ignored.
    keys : sequence of str, optional
        Keys of the space to compare; all of them by default.

    Returns
    -------
    ndarray of int64, shape (n,)
        For each point the index of its old row, or -1.

    Raises
    ------
    PsyrunError
        If values of a parameter cannot be compared.
    """
    compared = space.keys() if keys is None else list(keys)
    if isinstance(old, Mapping):
        old = _from_columns(old, compared)
    return pair_rows(*equal_rows([space, old], compared))


def _from_columns(columns: Mapping[str, Sequence[Any]], keys: list[str]) -> Param:
    known = {key: columns[key] for key in keys if key in columns}
    # One column is enough to say how many rows there are.
    return Param(**(known or dict(list(columns.items())[:1])))


def freeze(space: ParameterSpace) -> bytes:
    """Pickle a space, compactly: operands and indices rather than points.

    Parameters
    ----------
    space : ParameterSpace
        What to pickle.

    Returns
    -------
    bytes
        To be given to `thaw`.

    Raises
    ------
    PsyrunError
        Naming the parameter whose values cannot be pickled.
    """
    try:
        return pickle.dumps(space, protocol=5)
    except PsyrunError:
        raise
    except Exception as error:
        raise PsyrunError(_explain(space, error)) from error


def thaw(frozen: bytes) -> ParameterSpace:
    """Return the space that `freeze` has pickled.

    Parameters
    ----------
    frozen : bytes
        What `freeze` returned. Do not thaw what you do not trust: unpickling
        can run any code.

    Returns
    -------
    ParameterSpace

    Raises
    ------
    PsyrunError
        If the bytes are no space, or refer to code that cannot be imported.
    """
    try:
        space = pickle.loads(frozen)
    except Exception as error:
        raise PsyrunError(
            f"the frozen parameter space cannot be read ({one_line(error)}); make "
            "sure that the modules of its values can be imported, or freeze it again."
        ) from error
    if not isinstance(space, ParameterSpace):
        raise PsyrunError(
            f"the frozen data hold a {type(space).__name__}, not a parameter space; "
            "freeze the space again."
        )
    return space


def _explain(space: ParameterSpace, error: Exception) -> str:
    for key, column in space.leaves():
        # A range can be long: look at single values only where some value fails.
        if _pickling_error(column):
            for row in range(column.n_places):
                if cause := _pickling_error(column[row]):
                    return (
                        f"parameter {key!r} holds a value of type "
                        f"{type(column[row]).__name__} that cannot be pickled "
                        f"({cause}): define it at the top level of a module, or pass "
                        "a name and make the value in the function."
                    )
    return f"the parameter space cannot be pickled ({one_line(error)})."


def _pickling_error(value: object) -> str:
    try:
        pickle.dumps(value, protocol=5)
    except Exception as error:
        return one_line(error)
    return ""

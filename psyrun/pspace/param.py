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
  they have equal items. Objects that Python compares by identity, or not at all,
  are equal if they are pickled as the same parts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from keyword import iskeyword
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError
from psyrun.pspace.columns import as_column
from psyrun.pspace.space import Difference, ParameterSpace, Selection, Table
from psyrun.utils.former import warn_former
from psyrun.utils.typing import override

_MOST_SHOWN = 6  # keys


class Param(Table):
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
    UnequalLengthsError
        If the lengths differ. It is a `ValueError`, too.
    PsyrunError
        If a value is a set, or a data frame.

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
            raise UnequalLengthsError(
                f"Param: the sequences are not equally long ({described}); give them "
                "one length, or multiply Params to combine each value with each other."
            )
        size = next(iter(lengths.values()), 1 if params else 0)
        super().__init__({key: column for key, (column, _) in columns.items()}, size)

    @classmethod
    def read(cls, filename: str | os.PathLike[str]) -> Self:
        """Read points from a table in a file.

        Parameters
        ----------
        filename : path-like
            A ``.csv`` or ``.tsv`` file in UTF-8, whose first line has the names of the
            parameters, or a ``.parquet`` file, which needs ``psyrun[parquet]``. A
            column of text has integers, floats or bools (``true``, ``false``) if all
            of its cells are such, and else text.

        Returns
        -------
        Param
            A point for each row, in their order. They are read here, once.

        Raises
        ------
        PsyrunError
            If the file cannot be read; if rows have cells too many or too few, or an
            empty one; or if a name is missing or occurs twice.
        """
        from psyrun.pspace.reading import read_table

        return cls(**read_table(filename))

    @classmethod
    def from_frame(cls, frame: Any) -> Self:
        """Take points from a data frame.

        Parameters
        ----------
        frame : pandas.DataFrame, polars.DataFrame or pyarrow.Table
            A column for each parameter. The index of pandas is left out.

        Returns
        -------
        Param
            A point for each row, in their order, with values of Python's types.

        Raises
        ------
        PsyrunError
            If it is something else, a value is missing (nan is none that is), or a name
            is no text or occurs twice.

        Examples
        --------
        >>> import pandas as pd
        >>> Param.from_frame(pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}))
        Param(a=[1, 2], b=['x', 'y'])
        """
        from psyrun.pspace.reading import columns_of_frame

        return cls(**columns_of_frame(frame))

    def get_param(self, key: str, i: int) -> Any:
        """Return a value of one parameter, as ``space[i][key]`` does."""
        warn_former("Param.get_param", "space[i][key]")
        return self._columns[key][i]

    @override
    def literal(self) -> str | None:
        texts = {key: column.literal() for key, column in self._columns.items()}
        return None if None in texts.values() else f"Param({arguments(texts)})"

    @override
    def _summary(self) -> str:
        shown = [f"{key}={column!r}" for key, column in self._columns.items()]
        if len(shown) > _MOST_SHOWN:
            shown[_MOST_SHOWN:] = ["..."]
        return f"<Param{self._sized()}: {', '.join(shown)}>"


class UnequalLengthsError(PsyrunError, ValueError):
    """The sequences of a `Param` are not equally long."""


def arguments(texts: Mapping[str, str | None]) -> str:
    """Return keyword arguments in Python source, also where keys are no identifiers."""
    if all(key.isidentifier() and not iskeyword(key) for key in texts):
        return ", ".join(f"{key}={text}" for key, text in texts.items())
    items = ", ".join(f"{key!r}: {text}" for key, text in texts.items())
    return f"**{{{items}}}"


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
    others = set(subtrahend.keys())
    shared = [key for key in minuend.keys() if key in others]  # noqa: SIM118
    return Difference(minuend, subtrahend, shared) if shared else minuend


def select(space: ParameterSpace, rows: NDArray[np.integer[Any]]) -> ParameterSpace:
    """Return the points of a space with some indices, in any order and number.

    None of the indices may be negative. The result holds only the indices.
    """
    return Selection(space, np.array(rows, dtype=np.int64))


def select_ascending(
    space: ParameterSpace, rows: NDArray[np.integer[Any]]
) -> ParameterSpace:
    """Return the points of a space with some different indices, ascending.

    If these are all, that is the space itself, which keeps its structure.
    """
    return space if len(rows) == len(space) else select(space, rows)

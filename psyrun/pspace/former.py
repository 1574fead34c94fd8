"""What psyrun 0.8 had for rows as dictionaries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def dict_concat(args: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Turn dictionaries into a dictionary of lists, with None for what one lacks.

    Parameters
    ----------
    args : iterable of mapping
        The dictionaries; `n` of them.

    Returns
    -------
    dict of str to list
        For each key that one of them has, `n` values.

    Examples
    --------
    >>> dict_concat([{"a": 0, "b": 0}, {"a": 1}])
    {'a': [0, 1], 'b': [0, None]}
    """
    rows = list(args)
    keys = dict.fromkeys(key for row in rows for key in row)
    return {key: [row.get(key) for row in rows] for key in keys}

"""Rows of calls, put together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from psyrun.errors import IneffectiveExcludeWarning
from psyrun.utils.former import warn_user


def tabulate(
    rows: Iterable[dict[str, Any]],
    keys: Iterable[str],
    exclude: Sequence[str] | None = (),
) -> dict[str, list[Any]]:
    """Turn rows into columns; `keys` come first."""
    columns: dict[str, list[Any]] = {key: [] for key in keys}
    n_rows = 0
    for n_rows, row in enumerate(rows, start=1):
        for key in row:
            if key not in columns:
                columns[key] = [math.nan] * (n_rows - 1)
        for key, column in columns.items():
            column.append(row.get(key, math.nan))
    names = as_names(exclude)
    if n_rows:
        warn_ineffective(names - columns.keys())
    return {key: column for key, column in columns.items() if key not in names}


def warn_ineffective(names: Iterable[str]) -> None:
    """Warn of names that were to be left out, but were not there."""
    for name in sorted(names):
        warn_user(IneffectiveExcludeWarning(name))


def as_names(exclude: Sequence[str] | None) -> set[str]:
    """Return the names that are to be left out."""
    return {exclude} if isinstance(exclude, str) else set(exclude or ())

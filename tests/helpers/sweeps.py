"""Sweeps in memory: rows of a space, some of them missing or failed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from psyrun.pspace import ParameterSpace
from psyrun.report.picture import Limits, Picture, picture_of
from psyrun.report.plot import wanted_of
from psyrun.report.sweep import Sweep
from psyrun.results.known_rows import KnownRows
from psyrun.results.sources import Source, picked
from psyrun.store.costs import Costs
from psyrun.workdir.description import Description

LIMITS = Limits(series=7, columns=62, lines=24, bars=40)


class RowsInMemory(Source):
    """Rows that are in memory, such as those of `psyrun.map_pspace`."""

    def __init__(
        self,
        columns: Mapping[str, Any],
        known: KnownRows | None,
        description: Description,
        added: Sequence[str] = (),
    ) -> None:
        self.name, self.known, self.description = "rows", known, description
        self._columns, self._added = columns, list(added)

    def keys(self) -> list[str]:
        return list(self._columns)

    def read(self, keys: Sequence[str] | None, rows: Any) -> Mapping[str, Any]:
        return picked(self._columns, keys, rows)

    def count(self) -> int:
        return len(next(iter(self._columns.values())))

    def always(self) -> list[str]:
        return self._added

    def costs(self) -> Costs:
        return Costs.unknown(self.count())


def sweep_of(
    space: ParameterSpace,
    results: Mapping[str, Any],
    *,
    missing: Collection[int] = (),
    failed: Collection[int] = (),
    attrs: Mapping[str, Any] | None = None,
    dims: Mapping[str, Any] | None = None,
    coords: Mapping[str, Any] | None = None,
    cost: str | None = None,
    added: Sequence[str] = (),
) -> Sweep:
    """Return the sweep of a space; results have a value for each assignment."""
    gone = {*missing, *failed}
    rows = np.array([i for i in range(len(space)) if i not in gone], np.int64)
    columns = {**space.build(), **results}
    columns = {key: _some(column, rows) for key, column in columns.items()}
    known = KnownRows(space, rows, 0, set(failed))
    description = Description(dims or {}, coords or {}, attrs or {})
    source = RowsInMemory(columns, known, description, added)
    return Sweep("a", source, cost)


def _some(column: Any, rows: Any) -> Any:
    if isinstance(column, np.ndarray):
        return column[rows]
    return [column[row] for row in rows]


def drawn(
    sweep: Sweep, *arguments: Any, limits: Limits = LIMITS, **options: Any
) -> Picture:
    """Return the plot of a sweep; arguments are those of `wanted_of`."""
    return picture_of(sweep, wanted_of(*arguments, **options), limits)

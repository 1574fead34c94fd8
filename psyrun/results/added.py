"""Columns and rows that are added to those of a result when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError
from psyrun.pspace.columns import Indices
from psyrun.results.archive import (
    STATUSES,
    Archive,
    ArchivedRows,
    Statuses,
    statuses,
)
from psyrun.results.columns import ColumnTypes, joined
from psyrun.results.costs import attrs_of, cost_columns
from psyrun.results.known_rows import KnownRows, number_of_result
from psyrun.results.load import RecordedTask
from psyrun.results.sources import FileSource, Source
from psyrun.results.spaces import RowsOfTask
from psyrun.store.costs import Costs
from psyrun.store.rows import count_rows
from psyrun.workdir.consistent_reads import ConcurrentChangeError
from psyrun.workdir.description import Description

ROW_STATUS = "row_status"
STATUS_ATTRS = {
    ROW_STATUS: {
        "long_name": "current, older (made by another version), or former (its "
        "assignment is not in the space)"
    }
}


_MOST_ROWS = 50_000  # of a piece


def _some_rows(columns: Mapping[str, Any], begin: int, end: int) -> Mapping[str, Any]:
    """Return some rows that follow one another."""
    return {key: column[begin:end] for key, column in columns.items()}


class WithColumns(Source):
    """A source with more columns, which come last."""

    def __init__(
        self, base: Source, attrs: Mapping[str, Mapping[str, Any]], keyword: str
    ) -> None:
        self.name, self.has_no_axes = base.name, base.has_no_axes
        self.base, self.added = base, list(attrs)
        self._attrs, self._keyword = attrs, keyword

    # Of a file, much may have to be read to know these.
    @property
    def known(self) -> KnownRows | None:  # type: ignore[override]
        """Which assignments the rows are of."""
        return self.base.known

    @property
    def advice(self) -> str:  # type: ignore[override]
        """What to do if it is not known which they are."""
        return self.base.advice

    @property
    def description(self) -> Description:  # type: ignore[override]
        """What the task file says of them, and what the columns are."""
        known = self.base.description
        return replace(known, attrs={**known.attrs, **self._attrs})

    def columns_of(self, rows: Indices | None) -> Mapping[str, NDArray[Any]]:
        """Return the added columns of some rows; None stands for all."""
        raise NotImplementedError

    def keys(self) -> list[str]:
        """Return the names of the columns."""
        return [*self.base.keys(), *self.added]

    def always(self) -> list[str]:
        """Return the columns that are there whatever columns are asked for."""
        return [*self.base.always(), *self.added]

    def refuse_doubles(self, keys: Sequence[str] | None) -> None:
        """Raise `PsyrunError` if rows have columns of their own that are called so."""
        self.base.refuse_doubles(keys)
        known = self.base.keys()
        for key in self.added:
            if key in known and (keys is None or key in keys):
                raise PsyrunError(
                    f"{self.name}: has a column {key!r} of its own, so that "
                    f"{self._keyword}=True cannot add one. Leave it out with "
                    "columns=[...]."
                )

    def read(
        self, keys: Sequence[str] | None, rows: Indices | None
    ) -> Mapping[str, Any]:
        """Return some columns, and some rows of them; None stands for all."""
        wanted = self.keys() if keys is None else keys
        own = [key for key in wanted if key not in self.added]
        columns = self.base.read(None if keys is None else own, rows)
        return self._together(columns, wanted, rows)

    def _together(
        self, columns: Mapping[str, Any], keys: Sequence[str], rows: Indices | None
    ) -> Mapping[str, Any]:
        more = self.columns_of(rows)
        if columns and count_rows(columns) != count_rows(more):
            raise ConcurrentChangeError(
                f"{self.name}: changed while it was read. Try again."
            )
        return {key: more[key] if key in more else columns[key] for key in keys}

    def pieces(
        self, keys: Sequence[str], rows: Indices | None
    ) -> Iterator[Mapping[str, Any]]:
        """Yield as `read` returns, in pieces."""
        own = [key for key in keys if key not in self.added]
        if not own:
            yield self.read(keys, rows)
            return
        end = 0
        for columns in self.base.pieces(own, rows):
            begin, end = end, end + count_rows(columns)
            # With more columns, rows take more memory.
            for first in range(begin, max(end, begin + 1), _MOST_ROWS):
                last = min(first + _MOST_ROWS, end)
                some = np.arange(first, last) if rows is None else rows[first:last]
                part = _some_rows(columns, first - begin, last - begin)
                yield self._together(part, keys, some)

    def count(self) -> int:
        """Return the number of rows."""
        return self.base.count()

    def costs(self) -> Costs:
        """Return what the rows have cost."""
        return self.base.costs()


class WithCosts(WithColumns):
    """A source with what its rows have cost."""

    def __init__(self, base: Source) -> None:
        # Which columns there are depends on them.
        self._costs = base.costs()
        super().__init__(base, attrs_of(self._costs), "costs")

    def columns_of(self, rows: Indices | None) -> Mapping[str, NDArray[Any]]:
        """Return the costs of some rows; None stands for all."""
        if rows is not None and len(rows) and rows.max() >= len(self._costs):
            raise ConcurrentChangeError(
                f"{self.name}: changed while it was read. Try again."
            )
        return cost_columns(self._costs if rows is None else self._costs.take(rows))


class WithStatus(WithColumns):
    """A source with what its rows are."""

    def __init__(self, base: Source, status: Statuses) -> None:
        super().__init__(base, STATUS_ATTRS, "former")
        self._status = status

    def columns_of(self, rows: Indices | None) -> Mapping[str, NDArray[Any]]:
        """Return what some rows are; None stands for all."""
        found = self._status if rows is None else self._status[rows]
        return {ROW_STATUS: np.array(STATUSES)[found]}


class Chained(Source):
    """The rows of several sources, one after the other, without axes.

    Columns that are not in all of them have missing values.
    """

    known = None
    has_no_axes = True

    def __init__(self, parts: Sequence[Source]) -> None:
        first = parts[0]
        self.name, self.description = first.name, first.description
        self._parts = parts
        self._keys = [part.keys() for part in parts]
        self._starts = np.cumsum([0, *(part.count() for part in parts)])

    def keys(self) -> list[str]:
        """Return the names of the columns."""
        return list(dict.fromkeys(key for keys in self._keys for key in keys))

    def count(self) -> int:
        """Return the number of rows."""
        return int(self._starts[-1])

    def costs(self) -> Costs:
        """Return what the rows have cost."""
        return Costs.joined(part.costs() for part in self._parts)

    def _wanted(
        self, keys: Sequence[str], rows: Indices | None
    ) -> Iterator[tuple[Source, list[str], Indices | None, int]]:
        """Yield sources with the columns and rows to read, and how many these are."""
        for number, (part, own) in enumerate(zip(self._parts, self._keys, strict=True)):
            begin, end = self._starts[number : number + 2]
            some, n_rows = None, int(end - begin)
            if rows is not None:
                some = rows[(begin <= rows) & (rows < end)] - begin
                n_rows = len(some)
            if n_rows:
                yield part, [key for key in keys if key in own], some, n_rows

    def read(
        self, keys: Sequence[str] | None, rows: Indices | None
    ) -> Mapping[str, Any]:
        """Return some columns, and some rows of them, ascending; None for all."""
        wanted = self.keys() if keys is None else list(keys)
        found, counts = [], []
        for part, own, some, n_rows in self._wanted(wanted, rows):
            found.append(part.read(own, some) if own else {})
            counts.append(n_rows)
        return {key: joined(key, found, counts) for key in wanted}

    def pieces(
        self, keys: Sequence[str], rows: Indices | None
    ) -> Iterator[Mapping[str, Any]]:
        """Yield as `read` returns, in pieces whose columns have the same types."""
        first = np.zeros(1, np.int64)
        wanted = list(self._wanted(keys, rows))
        samples = [
            p.read(own, first if s is None else s[:1]) for p, own, s, _ in wanted
        ]
        types = ColumnTypes.of(keys, samples)
        for part, own, some, n_rows in wanted:
            # Of a part without any of the columns, there is nothing to read.
            pieces = part.pieces(own, some) if own else iter([{}])
            for piece in pieces:
                yield types.fitted(piece, count_rows(piece) if piece else n_rows)
        if not wanted:
            yield self.read(keys, rows)


def with_former(source: Source, found: Any, *, partial: bool) -> Source:
    """Return a source with the rows that are no longer in it, and what all rows are.

    Raises `PsyrunError` if it is not known what its rows are.
    """
    if not isinstance(found, RecordedTask):
        assert isinstance(source, FileSource)
        return WithStatus(Chained([source]), _statuses_in_file(source))
    number = _number_of(found, partial)
    if number is None:
        raise _unknown(
            source.name, f" 'psy run {found.plan.arguments}' writes it again."
        )
    archive = Archive.of(found, number)
    if len(archive.status) != source.count():
        raise ConcurrentChangeError(
            f"{source.name}: changed while it was read. Try again."
        )
    parts: list[ArchivedRows] = archive.parts
    status = np.concatenate([archive.status, *archive.statuses])
    return WithStatus(Chained([source, *parts]), status)


def _number_of(task: RecordedTask, partial: bool) -> int | None:
    if not partial:
        return number_of_result(task)
    rows = RowsOfTask.find(task)
    return None if rows is None else rows.number


def _statuses_in_file(source: FileSource) -> Statuses:
    """Return what the rows of a file are, as far as it says that itself."""
    known, current = source.known, source.current_versions
    if known is None or current is None:
        raise _unknown(source.name, " Load the task that it is of, by its name.")
    costs = source.costs()
    is_current = np.array([name in current for name in costs.versions])
    is_former = np.arange(len(costs)) >= known.n_rows
    return statuses(is_current[costs.columns["version"]], is_former)


def _unknown(name: str, advice: str) -> PsyrunError:
    return PsyrunError(
        f"{name}: which assignments its rows are of is not known, so that former=True "
        f"cannot tell.{advice}"
    )

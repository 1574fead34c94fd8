"""The rows that there are of some rounds, with parameters and versions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from psyrun.pspace import Param, ParameterSpace
from psyrun.pspace.candidates import Candidates
from psyrun.pspace.param import select_ascending
from psyrun.pspace.tolerance import KnownAs
from psyrun.store.arrays import Indices
from psyrun.store.costs import Costs
from psyrun.store.rows import ColumnDict
from psyrun.workdir.costs import costs_of
from psyrun.workdir.division import DivisionCounts
from psyrun.workdir.rows import RoundData


@dataclass(frozen=True)
class RowsThere:
    """The rows that there are of some rounds.

    Attributes
    ----------
    points : sequence of ParameterSpace
        The parameters of the rows, in parts, each of which is of one round. Rows are
        counted through all parts.
    versions : ndarray of int64, shape (n_rows,)
        Which version of the task each row comes from: a place in `fingerprints`.
    fingerprints : tuple of str
        The versions, the newest first; each is there once.
    may_stay : ndarray of bool, shape (n_rows,), or None
        Which rows may be kept that are of another version, or not in the space; None
        for all.
    own : ndarray of int64 or None
        If the space is that of the round of the first part, or the whole of which that
        has a part: the assignments of that.
    replaced : ndarray of bool, shape (n_rows,), or None
        Which rows are not taken, as they are evaluated again; None for none.
    starts_of_all : callable
        Returns when the evaluation of each row began, ndarray of float64, shape
        (n_rows,), in seconds since the epoch, or nan where that is not known. None if
        no row is a copy of another one.
    """

    points: Sequence[ParameterSpace]
    versions: Indices
    fingerprints: tuple[str, ...]
    own: Indices | None = None
    may_stay: NDArray[np.bool_] | None = None
    replaced: NDArray[np.bool_] | None = None
    starts_of_all: Callable[[], NDArray[np.float64]] | None = None

    @property
    def starts(self) -> list[int]:
        """The first row of each part, and the number of all rows."""
        starts: list[int] = np.cumsum([0, *map(len, self.points)]).tolist()
        return starts

    def some(self, rows: Indices) -> ParameterSpace:
        """Return the parameters of some rows, ascending."""
        starts, parts = self.starts, []
        for start, end, points in zip(starts, starts[1:], self.points, strict=False):
            some = rows[(start <= rows) & (rows < end)] - start
            if len(some):
                parts.append(select_ascending(points, some))
        return sum(parts[1:], parts[0]) if parts else Param()

    def with_defaults(self, known_as: KnownAs) -> RowsThere:
        """Return the same, with parameters that rows lack as the task file has them."""
        return replace(self, points=list(map(known_as.completed, self.points)))

    def among(self, candidates: Candidates) -> RowsThere:
        """Return the same for what is searched among some points of the space."""
        return replace(self, own=candidates.places(self.own))

    def columns(self, rows: Indices) -> ColumnDict:
        """Return the parameters of some rows, ascending, as columns."""
        return dict(self.some(rows).build()) if len(rows) else {}

    def of_versions(self, names: Collection[str]) -> NDArray[np.bool_]:
        """Return which rows come from versions with some fingerprints."""
        places = [i for i, name in enumerate(self.fingerprints) if name in names]
        if len(places) in (0, len(self.fingerprints)):
            return np.full(len(self.versions), bool(places))
        return np.isin(self.versions, places)

    def valid(self, names: Collection[str]) -> NDArray[np.bool_]:
        """Return the same without rows that are evaluated again."""
        is_current = self.of_versions(names)
        return is_current if self.replaced is None else is_current & ~self.replaced


def fingerprint_of(data: RoundData) -> str:
    """Return the version that the blocks of a round are computed with."""
    counts = DivisionCounts.load(data.round)
    return "" if counts is None else counts.fingerprint


def rows_of_rounds(
    rounds: Sequence[tuple[RoundData, str]],
    *,
    same_space: bool,
    may_stay: Sequence[bool] | None = None,
    replaced: Sequence[NDArray[np.bool_]] = (),
) -> RowsThere:
    """Return the rows that there are of rounds, given with their fingerprints.

    If it is the `same_space`, the space is that of the first of them. `may_stay` says
    it for all rows of each round, and `replaced` for each row, if for any.
    """
    points: list[ParameterSpace] = []
    names: dict[str, int] = {}
    versions = [np.empty(0, np.int64)]
    for data, fingerprint in rounds:
        points += data.points()
        all_names = (fingerprint, *data.division.fingerprints)
        places = [names.setdefault(name, len(names)) for name in all_names]
        versions.append(np.array(places, np.int64)[data.versions()])
    own = None
    if same_space:
        first = rounds[0][0]
        own = first.division.in_whole(first.with_row())
    stays = None
    if may_stay is not None:
        stays = np.repeat(may_stay, [data.n_rows for data, _ in rounds])
    again = np.concatenate(replaced) if any(each.any() for each in replaced) else None
    return RowsThere(
        points,
        np.concatenate(versions),
        tuple(names),
        own,
        stays,
        again,
        lambda: _starts_of([data for data, _ in rounds]),
    )


def _starts_of(rounds: Iterable[RoundData]) -> NDArray[np.float64]:
    """Return when the evaluation of each row of some rounds began."""
    costs = Costs.joined(costs_of(data, with_seeds=False) for data in rounds)
    return costs.columns["start"]

"""Which existing rows hold the results of the assignments of a new space."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError
from psyrun.pspace import Param, ParameterSpace
from psyrun.pspace.candidates import Candidates
from psyrun.pspace.equality import equal_rows
from psyrun.pspace.finding import are_different
from psyrun.pspace.matching import match_rows, match_stored
from psyrun.pspace.param import select, select_ascending
from psyrun.pspace.tolerance import KnownAs
from psyrun.store.arrays import Indices, take
from psyrun.store.costs import Costs
from psyrun.store.rows import ColumnDict, count_rows
from psyrun.workdir.costs import costs_of
from psyrun.workdir.rows import RoundData

_CLOSED = np.iinfo(np.int64).max


@dataclass(frozen=True)
class ReusedRows:
    """Existing rows that a new space takes over.

    Attributes
    ----------
    rows : ndarray of int64, shape (n,)
        For each of the `n` assignments of the space the row that holds its
        result, or -1.
    former : ndarray of int64, shape (m,)
        Rows whose assignments are not in the space, but that are to stay in the
        result, in their order.
    former_points : dict of str to sequence
        The parameters of these; `m` values each.
    """

    rows: Indices
    former: Indices
    former_points: ColumnDict

    @cached_property
    def used(self) -> Indices:
        """The rows that are taken over, ascending."""
        found = np.concatenate([self.rows[self.rows >= 0], self.former])
        # They are ascending for the most part.
        return np.sort(found, kind="stable")

    def renumbered(self) -> ReusedRows:
        """Return the same for a file with nothing but the rows that are taken over."""
        if not len(self.used) or self.used[-1] == len(self.used) - 1:
            return self
        used, rows = self.used, self.rows.copy()
        rows[rows >= 0] = np.searchsorted(used, rows[rows >= 0])
        former = np.searchsorted(used, self.former)
        return ReusedRows(rows, former, self.former_points)


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


def from_rounds(
    space: ParameterSpace,
    there: RowsThere,
    current: Collection[str],
    *,
    keeps_all: bool,
    is_chosen: NDArray[np.bool_] | None = None,
) -> ReusedRows:
    """Find the rows of former rounds that a space needs.

    Parameters
    ----------
    space : ParameterSpace
        The space.
    there : RowsThere
        The rows.
    current : collection of str
        The fingerprints of the task as it is.
    keeps_all : bool
        Whether rows of other versions are taken where there is none of the current
        one, the newest first, and rows of assignments that are not in the space stay
        in the result, one for each assignment, as far as they may stay.
    is_chosen : ndarray of bool, shape (len(space),), optional
        Which assignments may be evaluated. The others have any row that there is, as
        far as it may stay: also one that is marked to be evaluated again.

    Raises
    ------
    PsyrunError
        If values of a parameter cannot be compared.
    """
    is_current = there.valid(current)
    finder = _Finder(space, there)
    finder.take_own(is_current)
    finder.take(is_current, is_exact=True)
    may_stay = np.ones_like(is_current) if there.may_stay is None else there.may_stay
    if is_chosen is not None and not is_chosen.all():
        finder.take_elsewhere(is_chosen, _of_each_version(there, current, may_stay))
    groups = [is_current & may_stay]
    if keeps_all:
        if there.replaced is not None:
            may_stay = may_stay & ~there.replaced
            # Neither is an older row taken in the place of one that is evaluated again.
            finder.close(there.replaced)
        finder.take(groups[0])
        is_older = ~is_current & may_stay
        finder.take_own(is_older)
        for version in np.unique(there.versions[is_older]):
            groups.append(is_older & (there.versions == version))
            finder.take(groups[-1])
    former = finder.outside(groups) if keeps_all else np.empty(0, np.int64)
    finder.open()
    return ReusedRows(finder.rows, former, there.columns(former))


def _of_each_version(
    there: RowsThere, current: Collection[str], may_stay: NDArray[np.bool_]
) -> Iterator[NDArray[np.bool_]]:
    """Yield which rows are of the current version, and of each other one."""
    is_current = there.of_versions(current)
    yield is_current
    is_older = ~is_current & may_stay
    for version in np.unique(there.versions[is_older]):
        yield is_older & (there.versions == version)


def rows_left_out(
    there: RowsThere, found: ReusedRows, again: NDArray[np.bool_] | None = None
) -> list[Indices]:
    """Return the rows of each part that are not taken over, counted in that part.

    Without those that are there once more, made by the same version: among the rows
    that are taken over, or those of a part before. Neither those that are evaluated
    `again`.
    """
    is_known = np.zeros(len(there.versions), dtype=bool)
    is_known[found.used] = True
    if again is not None:
        is_known |= again
    lefts = []
    for start, points in zip(there.starts, there.points, strict=False):
        is_used = is_known[start : start + len(points)]
        left = np.flatnonzero(~is_used) + start
        if len(left):
            mine = np.concatenate([np.flatnonzero(is_used) + start, left])
            known = np.flatnonzero(is_known)
            left = _not_known(there, points, start, mine, known, left)
            is_known[left] = True
        lefts.append(left - start)
    return lefts


def by_round(
    numbers: Sequence[int], rounds: Sequence[RoundData], lefts: Sequence[Indices]
) -> dict[int, Indices]:
    """Return what `rows_left_out` has found by the numbers of the rounds."""
    found: dict[int, Indices] = {}
    parts = iter(lefts)
    for number, data in zip(numbers, rounds, strict=True):
        left = next(parts)
        if data.division.n_former:
            former = next(parts) + len(data.with_row())
            left = np.concatenate([left, former])
        if len(left):
            found[number] = left
    return found


def evaluated_again(
    space: ParameterSpace, there: RowsThere, current: Collection[str]
) -> NDArray[np.bool_] | None:
    """Return which rows of the current version a space has evaluated again."""
    if there.replaced is None:
        return None
    is_again = there.of_versions(current) & ~there.valid(current)
    for start, points in zip(there.starts, there.points, strict=False):
        rows = np.flatnonzero(is_again[start : start + len(points)])
        if not len(rows):
            continue
        has_keys = set(points.keys()) == set(space.keys())
        is_again[rows + start] = has_keys and (
            match_rows(select_ascending(points, rows), space) >= 0
        )
    return is_again


def _not_known(
    there: RowsThere,
    points: ParameterSpace,
    start: int,
    own: Indices,
    known: Indices,
    left: Indices,
) -> Indices:
    """Return those of the rows `left` of a part that are not known by other numbers.

    All rows of the part, `own`, begin with those that are taken over: of equal ones,
    these are known.
    """
    double = [left[:0]]
    for version in np.unique(there.versions[left]):
        mine = own[there.versions[own] == version]
        others = there.some(known[there.versions[known] == version])
        if set(others.keys()) == set(points.keys()):
            is_known = match_rows(select(points, mine - start), others) >= 0
            double.append(mine[is_known])
    return np.setdiff1d(left, np.concatenate(double))


class _Finder:
    """Takes rows for the assignments of a space."""

    def __init__(self, space: ParameterSpace, there: RowsThere) -> None:
        self.rows = np.full(len(space), -1, np.int64)
        self.is_taken = np.zeros(len(there.versions), dtype=bool)
        self._space = space
        self._there = there

    @cached_property
    def _has_no_equals(self) -> bool:
        """Whether it is known at once that no points of the space are equal."""
        return are_different(self._space, self._space.keys())

    def close(self, is_replaced: NDArray[np.bool_]) -> None:
        """Take no more rows for assignments that have one of some rows."""
        others = _Finder(self._space, self._there)
        others.rows[:] = self.rows
        others.take_own(is_replaced)
        others.take(is_replaced)
        self.rows[(self.rows < 0) & (others.rows >= 0)] = _CLOSED

    def take_elsewhere(
        self, is_chosen: NDArray[np.bool_], groups: Iterable[NDArray[np.bool_]]
    ) -> None:
        """Take rows of some groups for assignments that are not chosen."""
        is_closed = is_chosen & (self.rows < 0)
        self.rows[is_closed] = _CLOSED
        for is_wanted in groups:
            self.take_own(is_wanted)
            self.take(is_wanted, is_exact=True)
        self.rows[is_closed] = -1

    def open(self) -> None:
        """Have assignments that were closed without a row again."""
        self.rows[self.rows == _CLOSED] = -1

    def take_own(self, is_wanted: NDArray[np.bool_]) -> None:
        """Take rows whose assignments are known, as the space is still the same."""
        own = self._there.own
        if own is not None:
            found = np.flatnonzero(is_wanted[: len(own)] & (self.rows[own] < 0))
            self.rows[own[found]] = found
            self.is_taken[found] = True

    def take(self, is_wanted: NDArray[np.bool_], *, is_exact: bool = False) -> None:
        """Take rows for assignments that have none; those of earlier parts first.

        A row of an assignment with parameters that the space has not is only taken if
        that need not be `is_exact`: what it was evaluated with is not known to be what
        it would be evaluated with now.
        """
        keys = set(self._space.keys())
        for start, points in zip(self._there.starts, self._there.points, strict=False):
            if is_exact and not keys.issuperset(points.keys()):
                continue
            own = slice(start, start + len(points))
            there = np.flatnonzero(is_wanted[own] & ~self.is_taken[own])
            lacking = np.flatnonzero(self.rows < 0)
            if len(lacking) and len(there):
                self._match(lacking, points, there, start)

    def _match(
        self, lacking: Indices, points: ParameterSpace, there: Indices, start: int
    ) -> None:
        """Find rows for assignments without one among those `there` of a part."""
        wanted = select_ascending(self._space, lacking)
        found = match_rows(wanted, select_ascending(points, there))
        if len(copies := self._copies(points, there, start, found)):
            there = np.setdiff1d(there, copies)
            found = match_rows(wanted, select_ascending(points, there))
        is_found = found >= 0
        rows = found[is_found]
        if len(there) < len(points):
            rows = there[rows]
        rows += start
        own = is_found if len(lacking) == len(self.rows) else lacking[is_found]
        self.rows[own] = rows
        self.is_taken[rows] = True

    def _copies(
        self, points: ParameterSpace, there: Indices, start: int, found: Indices
    ) -> Indices:
        """Return rows of a part that are copies of some that are taken.

        A round has copies of rows of the one before, which may still be there. They are
        one evaluation, and so can be only one of several equal points: the copy begins
        at the same time. Where times are not known, equal ones count as copies.
        """
        none = np.empty(0, np.int64)
        if self._there.starts_of_all is None or self._has_no_equals:
            return none
        is_other = self.is_taken.copy()
        is_other[start : start + len(points)] = False
        others, rows = np.flatnonzero(is_other), np.sort(there[found[found >= 0]])
        # Times are only read where it matters.
        if not self._are_equal(points, rows, others).any():
            return none
        starts = self._there.starts_of_all()
        mine = starts[there + start]
        there = there[np.isnan(mine) | np.isin(mine, starts[others])]
        others = others[np.isnan(starts[others]) | np.isin(starts[others], mine)]
        return there[self._are_equal(points, there, others)]

    def _are_equal(
        self, points: ParameterSpace, rows: Indices, others: Indices
    ) -> NDArray[np.bool_]:
        """Return which rows of a part have an equal one, of its own, among others."""
        if not len(rows) or not len(others):
            return np.zeros(len(rows), dtype=np.bool_)
        known = self._there.some(others)
        if set(known.keys()) != set(points.keys()):
            return np.zeros(len(rows), dtype=np.bool_)
        return match_rows(select_ascending(points, rows), known) >= 0

    @staticmethod
    def _some(
        start: int, points: ParameterSpace, is_wanted: NDArray[np.bool_]
    ) -> Indices:
        """Return which rows of a part are wanted, counted in it."""
        found: Indices = np.flatnonzero(is_wanted[start : start + len(points)])
        return found

    def outside(self, groups: Iterable[NDArray[np.bool_]]) -> Indices:
        """Return rows of assignments that are not in the space, one for each of them.

        Those of earlier groups, and of earlier parts in these, come first.
        """
        found = np.empty(0, np.int64)
        for is_wanted in groups:
            for start, points in zip(
                self._there.starts, self._there.points, strict=False
            ):
                there = self._some(start, points, is_wanted)
                if self.is_taken[there + start].all():
                    continue
                matched = match_rows(self._space, select_ascending(points, there))
                is_out = ~self.is_taken[there + start]
                is_out[matched[matched >= 0]] = False
                more = there[is_out] + start
                if len(more) and len(found):
                    known = self._there.some(np.sort(found))
                    more = more[match_rows(self._there.some(more), known) < 0]
                found = np.concatenate([found, more])
        return np.sort(found)


def from_result(
    space: ParameterSpace,
    columns: ColumnDict,
    excluded: Collection[str],
    known_as: KnownAs,
) -> ReusedRows:
    """Find the rows of a data file that a space needs.

    Assignments are recognized by the parameters that are not `excluded` from data
    files, and as `known_as` has it. Raises `PsyrunError` if these do not tell
    assignments apart, or cannot be compared.
    """
    keys = [key for key in space.keys() if key not in excluded]  # noqa: SIM118
    if keys != space.keys() and _n_different(space, keys) < _n_different(space):
        left_out = ", ".join(sorted(set(space.keys()) - set(keys)))
        raise PsyrunError(
            f"the result file lacks {left_out}, which exclude_from_result leaves out, "
            "and without it rows of several assignments look alike. Move the file "
            "away to keep it, then compute all with 'psy run'."
        )
    columns = known_as.completed_columns(columns, keys)
    there = Param(**{key: columns[key] for key in keys if key in columns})
    rows = match_stored(known_as.as_in(space, [there]), columns, keys)
    is_former = np.ones(count_rows(columns), dtype=bool)
    is_former[rows[rows >= 0]] = False
    former = np.flatnonzero(is_former)
    points = {key: columns[key] for key in keys if key in columns}
    return ReusedRows(rows, former, take(points, former))


def _n_different(space: ParameterSpace, keys: Sequence[str] | None = None) -> int:
    (numbers,) = equal_rows([space], space.keys() if keys is None else keys)
    return len(np.unique(numbers))


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

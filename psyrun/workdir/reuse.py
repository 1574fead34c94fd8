"""Which existing rows hold the results of the assignments of a new space."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError
from psyrun.pspace import Param, ParameterSpace
from psyrun.pspace.equality import equal_rows
from psyrun.pspace.finding import are_different
from psyrun.pspace.matching import match_rows, match_stored
from psyrun.pspace.param import select_ascending
from psyrun.pspace.tolerance import KnownAs
from psyrun.store.arrays import Indices, take
from psyrun.store.rows import ColumnDict, count_rows
from psyrun.workdir.rows_there import RowsThere

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

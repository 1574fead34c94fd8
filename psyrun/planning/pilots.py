"""What is known of the costs of a task, and which assignments would tell more."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from psyrun.estimate import (
    OK,
    Estimate,
    Evaluated,
    Failure,
    NoEstimate,
    affordable,
    estimate,
    next_pilots,
)
from psyrun.estimate.evaluated import spread_rows
from psyrun.planning.current import round_data
from psyrun.planning.prepare import TaskRun
from psyrun.pspace import ParameterSpace
from psyrun.pspace.columns import Indices
from psyrun.pspace.equality import equal_rows
from psyrun.pspace.param import select
from psyrun.workdir.evaluated import evaluated_in
from psyrun.workdir.failures import failures_of
from psyrun.workdir.layout import Round
from psyrun.workdir.replaced import has_replaced
from psyrun.workdir.rows_there import fingerprint_of

NARROW = 1.3
"""How many times its lower end the upper end of an interval is that is narrow."""
_NONE = Evaluated.of([], [])
_N_COMPARED = 64  # points of two spaces, one of which may be random


@dataclass(frozen=True)
class KnownCosts:
    """The costs of some assignments of a space.

    Attributes
    ----------
    space : ParameterSpace
        The whole space.
    evaluated : Evaluated
        Those whose cost is known.
    causes : mapping of int to str
        Why assignments failed, by their places in the space.
    ended_before : Evaluated
        Those that were ended some other time, as they took too long. They may be tried
        again, with more time.
    """

    space: ParameterSpace
    evaluated: Evaluated = _NONE
    causes: Mapping[int, str] = field(default_factory=dict)
    ended_before: Evaluated = _NONE

    @classmethod
    def of(cls, run: TaskRun) -> KnownCosts:
        """Return what rows of a task tell, as it is decided on now.

        Only rows of the version and of the space of the task count. What the newest
        round has lost to other versions is in older ones.
        """
        found: KnownCosts | None = None
        for number in run.current.rounds_of(run.desired):
            round_ = run.layout.round(number)
            if found is None:
                found = cls._of_round(run, round_)
            elif len(found.evaluated.succeeded) == len(found.space):
                break
            elif not has_replaced(round_, run.desired.names):
                found = found.with_older(cls._of_round(run, round_))
        return cls(run.task.pspace) if found is None else found

    @classmethod
    def _of_round(cls, run: TaskRun, round_: Round) -> KnownCosts:
        data = round_data(run.task, round_)
        space, names = data.division.whole_space, run.desired.names
        evaluated = evaluated_in(data, names)
        if fingerprint_of(data) not in names:
            # What fails in it, is evaluated by another version.
            return cls(space, evaluated.succeeded)
        failed = failures_of(round_)
        places = np.array([each.index for each in failed], np.int64)
        places = data.division.in_whole(places)
        causes = [each.cause for each in failed]
        return cls(space, evaluated, dict(zip(places.tolist(), causes, strict=True)))

    def with_older(self, older: KnownCosts) -> KnownCosts:
        """Return this and what an older round tells of other assignments."""
        known = older.evaluated
        if not _are_same(self.space, older.space, known.rows):
            return self
        ended = self.ended_before.with_others(known.timed_out)
        evaluated = self.evaluated.with_others(known.succeeded)
        return replace(self, evaluated=evaluated, ended_before=ended)

    @property
    def with_success(self) -> KnownCosts:
        """The same without assignments that failed, which may be tried again."""
        found = self.evaluated
        ended = found.timed_out.with_others(self.ended_before)
        return KnownCosts(self.space, found.succeeded, ended_before=ended)

    def with_failures(self, before: KnownCosts) -> KnownCosts:
        """Return this and what had failed before, unless it is known by now."""
        old = before.evaluated
        found = self.evaluated.with_others(old.take(old.outcomes != OK))
        known = replace(self, evaluated=found, ended_before=before.ended_before)
        return replace(known, causes={**before.causes, **self.causes})

    @cached_property
    def estimate(self) -> Estimate | NoEstimate:
        """What all assignments are predicted to cost."""
        return estimate(self.space, self.evaluated.with_others(self.ended_before))

    @property
    def failures(self) -> list[Failure]:
        """The assignments that were evaluated and failed."""
        rows = set(self.evaluated.rows.tolist())
        return [each for each in self.estimate.failures if each.index in rows]

    @property
    def is_sure(self) -> bool:
        """Whether further assignments would not tell much more of the total time."""
        found = self.estimate
        if len(self.evaluated) == len(self.space):
            return True
        if isinstance(found, NoEstimate):
            return False
        return found.time.fits and found.time.total.ratio < NARROW

    def next(self, n: int, tried: Collection[int] = ()) -> Indices:
        """Return up to n assignments that would tell most, without those tried."""
        unknown = set(tried).difference(self.evaluated.rows.tolist())
        found = next_pilots(self.space, self.evaluated, n + len(unknown))
        return np.array([r for r in found.tolist() if r not in unknown][:n], np.int64)

    def that_fit(
        self, rows: Indices, seconds: float, *, at_once: int | None
    ) -> Indices:
        """Return those of some assignments that are predicted to fit into a time.

        Parameters
        ----------
        rows : ndarray of int64, shape (n,)
            Indices of assignments.
        seconds : float
            For how long assignments may be evaluated.
        at_once : int or None
            How many are evaluated at the same time; None for all.

        Returns
        -------
        ndarray of int64, shape (at most n,)
            All of them if nothing is known of their times.
        """
        found = self.estimate
        if isinstance(found, NoEstimate):
            return rows
        if at_once is not None:
            rows = affordable(rows, found.time, seconds * at_once)
        return rows[found.time.means(rows) <= seconds]


def _are_same(space: ParameterSpace, other: ParameterSpace, rows: Indices) -> bool:
    """Whether two spaces have the same points, as a few of some rows tell."""
    if len(space) != len(other):
        return False
    keys = list(space.keys())
    if set(keys) != set(other.keys()):
        return False
    some = rows[spread_rows(len(rows), _N_COMPARED, 0)]
    ours, theirs = equal_rows([select(space, some), select(other, some)], keys)
    return bool(np.array_equal(ours, theirs))

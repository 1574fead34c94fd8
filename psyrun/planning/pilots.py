"""What is known of the costs of a task, and which assignments would tell more."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.estimate import (
    OK,
    Estimate,
    Evaluated,
    NoEstimate,
    affordable,
    estimate,
    next_pilots,
)
from psyrun.planning.current import round_data
from psyrun.planning.prepare import TaskRun
from psyrun.pspace import ParameterSpace
from psyrun.pspace.columns import Indices
from psyrun.workdir.evaluated import evaluated_in
from psyrun.workdir.failures import failures_of
from psyrun.workdir.layout import Round

NARROW = 1.3
"""How many times its lower end the upper end of an interval is that is narrow."""
_NONE = Evaluated.of([], [])


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
    """

    space: ParameterSpace
    evaluated: Evaluated = _NONE
    causes: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, run: TaskRun) -> KnownCosts:
        """Return what rows of a task tell, as it is decided on now.

        Only rows of the version and of the space of the task count. They are in the
        newest round that has any: those of a change that was taken back have none.
        """
        empty = None
        for number in run.current.rounds_of(run.desired):
            known = cls._of_round(run, run.layout.round(number))
            if len(known.evaluated.succeeded):
                return known
            empty = empty or known
        return empty or cls(run.task.pspace)

    @classmethod
    def _of_round(cls, run: TaskRun, round_: Round) -> KnownCosts:
        data = round_data(run.task, round_)
        failed = failures_of(round_)
        places = np.array([each.index for each in failed], np.int64)
        places = data.division.in_whole(places)
        causes = [each.cause for each in failed]
        return cls(
            data.division.whole_space,
            evaluated_in(data, run.desired.names),
            dict(zip(places.tolist(), causes, strict=True)),
        )

    @property
    def with_success(self) -> KnownCosts:
        """The same without assignments that failed, which may be tried again."""
        return KnownCosts(self.space, self.evaluated.succeeded)

    def with_failures(self, before: KnownCosts) -> KnownCosts:
        """Return this and what had failed before, unless it is known by now."""
        old = before.evaluated
        is_new = ~np.isin(old.rows, self.evaluated.rows) & (old.outcomes != OK)
        old = old.take(is_new)
        pairs = zip(_columns(self.evaluated), _columns(old), strict=True)
        found = Evaluated(*(np.concatenate(pair) for pair in pairs))
        found = found.take(np.argsort(found.rows, kind="stable"))
        return replace(self, evaluated=found, causes={**before.causes, **self.causes})

    @cached_property
    def estimate(self) -> Estimate | NoEstimate:
        """What all assignments are predicted to cost."""
        return estimate(self.space, self.evaluated)

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


def _columns(evaluated: Evaluated) -> tuple[NDArray[Any], ...]:
    return (
        evaluated.rows,
        evaluated.seconds,
        evaluated.memory,
        evaluated.outcomes,
    )

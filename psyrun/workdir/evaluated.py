"""What is known of the costs of the assignments of a round, to predict the others."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
from numpy.typing import NDArray

from psyrun.estimate import evaluated as outcomes
from psyrun.estimate.evaluated import Evaluated
from psyrun.store.arrays import Indices
from psyrun.store.costs import Costs
from psyrun.workdir.costs import costs_of_source
from psyrun.workdir.division import Division
from psyrun.workdir.failures import TIMED_OUT, Failure, failures_of
from psyrun.workdir.rows import RoundData


def evaluated_in(data: RoundData, versions: Collection[str] = ()) -> Evaluated:
    """Return the evaluated assignments of a round, with what they have cost.

    Parameters
    ----------
    data : RoundData
        The round. Its jobs may be running.
    versions : collection of str
        Fingerprints of the versions of the task whose rows count, and rows of which
        no version is known; empty for all.

    Returns
    -------
    Evaluated
        Rows and failures whose duration is known. They are indices in the whole space
        of the round, ascending, if the round has a part of that.

    Raises
    ------
    FileNotFoundError
        If a journal was removed meanwhile, as a job has ended: try again.
    """
    size = len(data.division.space)
    # One source after the other, as copies of all they have would take much memory.
    seconds, peaks = (np.full(size, np.nan, np.float32) for _ in range(2))
    ended, has_row = np.full(size, outcomes.OK, np.int8), np.zeros(size, np.bool_)
    for source in data.sources():
        costs = costs_of_source(data, source, with_seeds=False)
        is_of = _is_of(costs, versions)
        seconds[source.indices] = np.where(is_of, costs.seconds, np.nan)
        peaks[source.indices] = costs.peaks
        has_row[source.indices] = True
    for each in failures_of(data.round):
        if each.duration is not None and not has_row[each.index]:
            seconds[each.index] = each.duration
            ended[each.index] = _outcome(each.type)
    rows = np.flatnonzero(np.isfinite(seconds))
    places = data.division.in_whole(rows)
    return Evaluated.of(places, seconds[rows], peaks[rows], ended[rows])


def evaluated_before(
    division: Division, costs: Costs, versions: Collection[str]
) -> Evaluated:
    """Return the assignments whose rows a division keeps, with what they have cost.

    Parameters
    ----------
    division : Division
        It need not be written yet.
    costs : Costs
        Those of its kept rows, as `psyrun.workdir.costs.costs_of_kept` returns them.
    versions : collection of str
        Fingerprints of the versions of the task whose rows count, and rows of which no
        version is known.

    Returns
    -------
    Evaluated
        Rows whose duration is known. They are indices in the space of the division,
        ascending.
    """
    if division.kept is None:
        return Evaluated.of([], [])
    rows = np.flatnonzero(division.kept >= 0)
    costs = costs.take(division.kept[rows])
    seconds, peaks = costs.seconds, costs.peaks
    is_known = np.isfinite(seconds) & _is_of(costs, versions)
    return Evaluated.of(rows[is_known], seconds[is_known], peaks[is_known])


def not_evaluated(data: RoundData, failures: Iterable[Failure]) -> Indices:
    """Return the assignments of a round that have no row and did not fail, ascending.

    They are indices in the space of the round.
    """
    is_open = np.ones(len(data.division.space), dtype=np.bool_)
    is_open[data.with_row()] = False
    is_open[[failure.index for failure in failures]] = False
    return np.flatnonzero(is_open)


def _outcome(exception: str) -> int:
    return outcomes.TIMED_OUT if exception == TIMED_OUT else outcomes.FAILED


def _is_of(costs: Costs, versions: Collection[str]) -> NDArray[np.bool_]:
    """Return which rows some versions have made, or nobody knows which."""
    if not versions:
        return np.ones(len(costs), dtype=np.bool_)
    places = [i for i, v in enumerate(costs.versions) if not v or v in versions]
    return np.isin(costs.columns["version"], places)

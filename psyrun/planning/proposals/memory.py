"""What memory jobs need, and in which part of the space."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from psyrun.estimate import Prediction, Range
from psyrun.estimate.columns import Columns, Floats
from psyrun.estimate.evaluated import spread_rows
from psyrun.planning.proposals.answers import JobMemory, Region
from psyrun.planning.proposals.situation import Situation
from psyrun.pspace.columns import Indices
from psyrun.utils.text import listed, shortened, value_text

_DIFFERS = 2.0  # ratio of the memory of regions from which on they are told
_ALIKE = 1.5  # ratio below which neighbours count as one region
_N_SAMPLED = 2**16
_MOST_REGIONS = 6
_LONGEST_VALUE = 20  # characters


def job_memory(
    prediction: Prediction | None, situation: Situation, pool_size: int
) -> JobMemory | None:
    """Return what memory a job needs whose workers evaluate the largest assignments.

    Beside the workers, the job has a process that needs what the smallest assignment
    does: Python and the libraries.
    """
    if prediction is None:
        return None
    peak, base = prediction.largest.cost, prediction.smallest
    job = Range(
        *(pool_size * each + base for each in (peak.value, peak.low, peak.high))
    )
    return JobMemory(peak, job, _regions(prediction, situation))


def _regions(prediction: Prediction, situation: Situation) -> tuple[Region, ...]:
    """Return parts along the axis that explains most, if they differ."""
    rows = spread_rows(len(situation.space), _N_SAMPLED, 0)
    top = prediction.largest.index
    rows = np.union1d(rows, [top]).astype(np.int64)
    predicted = prediction.medians(rows)
    if not len(predicted) or predicted.max() < _DIFFERS * predicted.min():
        return ()
    predicted *= prediction.largest.cost.value / predicted.max()
    logs = np.log(predicted)
    groupings = list(_groupings(Columns(situation.space), rows, logs))
    if not groupings:
        return ()
    best = max(groupings, key=lambda each: each.explained(logs)).merged(predicted)
    found = tuple(best.regions(situation, rows, predicted))
    needs = [region.memory for region in found]
    return found if max(needs) >= _DIFFERS * min(needs) else ()


@dataclass(frozen=True)
class _Grouping:
    """Rows in a few groups along one parameter.

    `groups` has the number of the group of each row, and `values` what the rows are
    ordered by, or which level they have.
    """

    key: str
    groups: Indices
    values: Floats
    is_level: bool

    def explained(self, logs: Floats) -> float:
        """Return the sum of squares between the groups."""
        sizes = np.bincount(self.groups)
        sums = np.bincount(self.groups, logs - logs.mean())
        return float((sums[sizes > 0] ** 2 / sizes[sizes > 0]).sum())

    def merged(self, memory: Floats) -> _Grouping:
        """Return groups of which neighbours need different amounts."""
        if self.is_level:
            return self
        found, first, number = np.empty_like(self.groups), 0.0, -1
        for group in np.unique(self.groups):
            is_in = self.groups == group
            peak = float(memory[is_in].max())
            if number < 0 or not first / _ALIKE < peak < first * _ALIKE:
                first, number = peak, number + 1
            found[is_in] = number
        return replace(self, groups=found)

    def regions(
        self, situation: Situation, rows: Indices, memory: Floats
    ) -> Iterator[Region]:
        """Yield the groups in words."""
        for group in np.unique(self.groups):
            is_in = self.groups == group
            mine, values = rows[is_in], self.values[is_in]
            if self.is_level:
                some = [mine[values == each][0] for each in np.unique(values)]
                words = listed(self._texts(situation, some))
            else:
                ends = mine[[int(values.argmin()), int(values.argmax())]]
                words = " to ".join(dict.fromkeys(self._texts(situation, ends)))
            peak = float(memory[is_in].max())
            yield Region(f"{self.key} = {words}", float(is_in.mean()), peak)

    def _texts(self, situation: Situation, rows: Iterable[Any]) -> list[str]:
        values = (situation.space[int(row)].get(self.key) for row in rows)
        return [shortened(value_text(value), _LONGEST_VALUE) for value in values]


def _groupings(columns: Columns, rows: Indices, logs: Floats) -> Iterator[_Grouping]:
    """Yield rows in groups along each parameter."""
    points = columns.points(rows)
    for place, key in enumerate(columns.number_keys):
        values = points.numbers[:, place]
        if np.isfinite(values).all():
            yield _Grouping(key, _binned(values), values, is_level=False)
    for place, key in enumerate(columns.level_keys):
        if key not in columns.number_keys:
            codes = points.codes[:, place]
            groups = _gathered(codes, logs)
            yield _Grouping(key, groups, codes.astype(np.float64), is_level=True)


def _binned(values: Floats) -> Indices:
    """Return groups of values with about as many different values each."""
    different, codes = np.unique(values, return_inverse=True)
    n = len(different)
    return np.asarray(codes * min(n, _MOST_REGIONS) // n, np.int64)


def _gathered(codes: Indices, logs: Floats) -> Indices:
    """Return groups of levels; two if there are many, apart at the widest gap."""
    levels, places = np.unique(codes, return_inverse=True)
    if len(levels) <= _MOST_REGIONS:
        return np.asarray(places, np.int64)
    means = np.bincount(places, logs) / np.bincount(places)
    steps = np.sort(means)
    widest = int(np.diff(steps).argmax())
    return np.asarray(means[places] > steps[widest], np.int64)

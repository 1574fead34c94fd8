"""What a task was predicted to cost before it was run, and what it has cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from psyrun.results.costs import known_costs
from psyrun.store.costs import PEAK_BYTES, Costs
from psyrun.utils.ranges import Range
from psyrun.utils.text import (
    counted,
    memory_size,
    parameters_text,
    range_text,
    rough_duration,
)
from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.plan import Plan
from psyrun.workdir.prediction import PredictionRecord
from psyrun.workdir.rows import RoundData

_EXACT = 0.005  # relative difference that rounds to no percent


@dataclass(frozen=True)
class Comparison:
    """What was predicted for a task, and what its rows have cost so far.

    Attributes
    ----------
    record : PredictionRecord
        What was predicted before the run.
    n_assignments : int
        Number of points of the space as it was divided.
    n_counted : int
        Rows of the space whose time is known.
    seconds, slowest : float
        Sum of their times, and the longest, in seconds.
    peak_bytes : float or None
        The most memory of a row; None if it is known of none.
    """

    record: PredictionRecord
    n_assignments: int
    n_counted: int
    seconds: float
    slowest: float
    peak_bytes: float | None

    @property
    def is_complete(self) -> bool:
        """Whether the costs of all assignments that were predicted are known."""
        predicted = self.record.n_assignments
        return self.n_counted == self.n_assignments == predicted

    @property
    def lines(self) -> list[str]:
        """What is to be said of it."""
        return [*self._total(), *self._largest(), *self._reasons()]

    def _total(self) -> Iterator[str]:
        total, real = self.record.total_seconds, self.seconds
        text = f"time {range_text(total, rough_duration)} on one core; "
        text += f"it was {rough_duration(real)}"
        if self.is_complete:
            yield f"{text}{_difference(real, total)}"
            return
        yield f"{text} so far, in {self.n_counted} of {self.n_assignments} assignments"
        n_predicted = self.record.n_assignments
        if n_predicted != self.n_assignments:
            yield f"this was for a space of {counted(n_predicted, 'assignment')}"

    def _largest(self) -> Iterator[str]:
        slowest = self.record.largest_seconds
        yield self._extreme("slowest", slowest, self.slowest, rough_duration)
        if self.record.largest_parameters:
            yield f"it was to be {parameters_text(self.record.largest_parameters)}"
        peak = self.record.peak_bytes
        if peak is not None and self.peak_bytes is not None:
            yield self._extreme("memory", peak, self.peak_bytes, memory_size)

    def _extreme(
        self, what: str, known: Range, real: float, shown: Callable[[float], str]
    ) -> str:
        so_far = "" if self.is_complete else " so far"
        outside = ""
        if real > known.high or (self.is_complete and real < known.low):
            outside = ", outside of that"
        text = f"{what} {range_text(known, shown)}; it was {shown(real)}"
        return f"{text}{so_far}{outside}"

    def _reasons(self) -> Iterator[str]:
        if not self.record.fits and self.record.reason:
            yield f"no model was used, as {self.record.reason}"


def comparison_of(
    layout: TaskLayout, plan: Plan, data: RoundData, costs: Costs | None = None
) -> Comparison | None:
    """Compare what was predicted before the run of a task with its costs.

    Parameters
    ----------
    layout, plan : TaskLayout, Plan
        The task.
    data : RoundData
        The round of the plan.
    costs : Costs, optional
        Costs of the rows of the space, if somebody has read them.

    Returns
    -------
    Comparison or None
        None if nothing was predicted for this version of the task, or nothing has been
        evaluated since.
    """
    record = _record(layout, plan)
    known = None if record is None else costs or known_costs(data)
    if record is None or known is None:
        return None
    times = known.seconds
    times = times[np.isfinite(times)]
    if len(times) <= record.n_known:
        # What was known then is no test of what was predicted.
        return None
    peak = float(known.columns["peak"].max(initial=0)) * PEAK_BYTES
    return Comparison(
        record=record,
        n_assignments=len(data.division.whole_space),
        n_counted=len(times),
        seconds=float(times.sum()),
        slowest=float(times.max()),
        peak_bytes=peak or None,
    )


def _record(layout: TaskLayout, plan: Plan) -> PredictionRecord | None:
    """Return what was predicted when a run began, else what was predicted last."""
    first = PredictionRecord.first(layout.round(plan.round))
    for record in (first, PredictionRecord.load(layout)):
        if record is not None and record.is_for(plan.names):
            return record
    return None


def _difference(real: float, predicted: Range) -> str:
    """Return by how much a cost differs from what was predicted, in words."""
    text = ""
    if predicted.value > 0:
        ratio = real / predicted.value - 1
        size = f"{100 * abs(ratio):.0f} % {'more' if ratio > 0 else 'less'}"
        text = ", as predicted" if abs(ratio) < _EXACT else f", {size}"
    is_inside = predicted.low <= real <= predicted.high
    return text if is_inside else f"{text}, outside of that"

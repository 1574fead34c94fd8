"""When the tasks of a run will be done, predicted again while it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from psyrun.planning.current import round_data as round_of_task
from psyrun.planning.prepare import TaskRun
from psyrun.scheduler.immediate import LOCAL
from psyrun.workdir.division import DivisionCounts
from psyrun.workdir.expected_end import ExpectedEnd, forget
from psyrun.workdir.layout import Round, layout_of
from psyrun.workdir.plan import Plan
from psyrun.workdir.progress import Tally

if TYPE_CHECKING:
    from psyrun.workdir.rows import RoundData

_FIRST = 5.0  # seconds until the first prediction
_PAUSE = 10.0  # seconds between two of them, at least
_SHARE = 0.02  # of the time, at most, goes into predictions
_LARGEST = 1_000_000  # assignments; for more, the speed up to now is all that is used
_FEWEST_ENDS = 2  # assignments per worker from which their efficiency is seen
_LEAST_EFFICIENCY = 0.02
_N_WINDOWS = 5  # between predictions, from which efficiency is taken
_MARGIN = 0.1  # of a time that follows from a speed, relative


class ExpectedEnds:
    """Predicts now and then when tasks will be done, and keeps it for others.

    Predictions take no more than 2 % of the time, and are made only if something was
    evaluated since the last one.

    Parameters
    ----------
    tasks : iterable of TaskRun
        The tasks of the run.
    clock : callable
        Returns seconds since some moment.

    Attributes
    ----------
    n_cores : int
        How many cores of this machine jobs may use.
    """

    def __init__(
        self, tasks: Iterable[TaskRun], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._tasks = [_TaskEnd(task) for task in tasks]
        self._next = clock() + _FIRST
        self.n_cores = 1

    def look(self, tallies: Sequence[Tally]) -> ExpectedEnd | None:
        """Return when all tasks will be done; None while that is not known of one.

        Parameters
        ----------
        tallies : sequence of Tally
            How far each task is.
        """
        now = self._clock()
        for task, tally in zip(self._tasks, tallies, strict=True):
            task.begin(tally, now)
        if now >= self._next:
            self._update(tallies)
        pairs = zip(self._tasks, tallies, strict=True)
        return ExpectedEnd.of_all(task.end for task, tally in pairs if tally.is_open)

    def _update(self, tallies: Sequence[Tally]) -> None:
        """Predict the ends of tasks of which something has ended since."""
        pairs = zip(self._tasks, tallies, strict=True)
        due = [(task, tally) for task, tally in pairs if task.is_due(tally)]
        if not due:
            return
        # What is imported once counts for all of them.
        import psyrun.planning.open_work  # noqa: F401

        before = time.process_time()
        for task, tally in due:
            if len(self._tasks) == 1 and task.task.profile == LOCAL:
                task.n_at_once = max(1, self.n_cores // task.task.plan.pool_size)
            task.update(tally, self._clock())
        spent = time.process_time() - before
        self._next = self._clock() + max(_PAUSE, spent / _SHARE)

    def forget(self) -> None:
        """Remove what was kept, as the run ends."""
        for task in self._tasks:
            forget(task.round)


@dataclass(frozen=True)
class _Moment:
    """How far a task was; `seconds` are those of evaluations, if they are known."""

    at: float
    n_ended: int
    seconds: float | None
    n_places: int


@dataclass
class _TaskEnd:
    """When one task will be done."""

    task: TaskRun
    end: ExpectedEnd | None = None
    n_at_once: int = 0
    _seen: list[_Moment] = field(default_factory=list)
    _n_last: int = -1
    _data: RoundData | None = None
    _used: list[tuple[float, float]] = field(default_factory=list)

    @property
    def round(self) -> Round:
        return self.task.layout.round(self.task.plan.round)

    def begin(self, tally: Tally, now: float) -> None:
        """Note how far it is before anything of it has ended."""
        n_ended = tally.done + tally.failed
        if not self._seen or n_ended == self._seen[0].n_ended == 0:
            self._seen = [_Moment(now, n_ended, None if n_ended else 0.0, 0)]

    def is_due(self, tally: Tally) -> bool:
        """Whether something has ended since the last prediction."""
        n_ended = tally.done + tally.failed
        return n_ended not in (self._n_last, self._seen[0].n_ended)

    def update(self, tally: Tally, now: float) -> None:
        """Predict its end."""
        self._n_last = n_ended = tally.done + tally.failed
        # Whatever is wrong with it, the run goes on.
        try:
            is_small = self._is_small()
            end = self._by_model(n_ended, now) if is_small else None
        except Exception:
            is_small, end = False, None
        if not is_small:
            self._seen.append(_Moment(now, n_ended, None, 0))
            end = by_speed([(m.at, m.n_ended) for m in self._seen], tally.total)
        self.end = end
        if end is not None:
            end.save(self.round)

    def _is_small(self) -> bool:
        counts = DivisionCounts.load(self.round)
        return counts is not None and counts.n_items <= _LARGEST

    def _by_model(self, n_ended: int, now: float) -> ExpectedEnd | None:
        from psyrun.estimate import Range
        from psyrun.planning.open_work import Outlook, Pace

        if self._data is None:
            self._data = round_of_task(self.task.task, self.round)
        found = Outlook.of(self._data, self.task.layout, self.task.plan)
        self.n_at_once = max(self.n_at_once, found.n_running)
        seconds = float(found.evaluated.seconds.sum())
        seconds += sum(float(block.elapsed.sum()) for block in found.blocks)
        self._note_efficiency(
            _Moment(now, n_ended, seconds, found.n_places(self.n_at_once))
        )
        efficiency = Range(*efficiency_of(self._used[-_N_WINDOWS:]))
        return found.end(Pace(self.n_at_once, efficiency))

    def _note_efficiency(self, this: _Moment) -> None:
        """Compare the time of workers with that of evaluations since the last time."""
        last = self._seen[-1]
        n_places = (max(last.n_places, this.n_places) + this.n_places) / 2
        if this.n_ended - last.n_ended < _FEWEST_ENDS * n_places:
            return
        if last.seconds is not None and this.seconds is not None and n_places:
            spent = this.seconds - last.seconds
            self._used.append((spent, n_places * (this.at - last.at)))
        self._seen.append(this)


def efficiency_of(
    used: Sequence[tuple[float, float]],
) -> tuple[float, float, float]:
    """Return the part of their time that workers have spent with evaluations.

    Parameters
    ----------
    used : sequence of (float, float)
        For each of some times the seconds of evaluations, and those of all workers.

    Returns
    -------
    value, low, high : float
        In all, and the least and the most of these times. A single one, in which jobs
        began, tells little of the others: its square root is the most then.
    """
    if not used:
        return 1.0, 1.0, 1.0
    seconds = [sum(each) for each in zip(*used, strict=True)]
    parts = [_part(*each) for each in used]
    most = max(parts) if len(parts) > 1 else parts[0] ** 0.5
    return _part(*seconds), min(parts), most


def _part(spent: float, had: float) -> float:
    return min(1.0, max(_LEAST_EFFICIENCY, spent / had if had > 0 else 1.0))


def by_speed(
    seen: Sequence[tuple[float, int]], total: int, now: float | None = None
) -> ExpectedEnd | None:
    """Return when all is done if it goes on as fast as up to now.

    Parameters
    ----------
    seen : sequence of (float, int)
        At some moments, in seconds, how many were done; the last one is now.
    total : int
        How many there are.
    now : float, optional
        The time in seconds since the epoch.

    Returns
    -------
    ExpectedEnd or None
        The interval is between the speed of all the time and that of its last half,
        and a tenth wider. None where nothing was done meanwhile.
    """
    now = time.time() if now is None else now
    at, n_done = seen[-1]
    half = next(place for place in seen if place[0] >= (seen[0][0] + at) / 2)
    speeds = [
        (n_done - n) / (at - moment)
        for moment, n in (seen[0], half)
        if at > moment and n_done > n
    ]
    if not speeds or n_done >= total:
        return None
    left = [(total - n_done) / speed for speed in speeds]
    return ExpectedEnd(
        end=now + left[-1],
        earliest=now + (1 - _MARGIN) * min(left),
        latest=now + (1 + _MARGIN) * max(left),
        made=now,
        fits=False,
    )


def expected_end(path: Path, name: str) -> ExpectedEnd | None:
    """Return when all assignments of a task that is run will be evaluated.

    It is predicted from those that have ended, which takes a moment; the run of a task
    does that itself, see `psyrun.workdir.expected_end`. None if that is not known. The
    task file is run if the space cannot be loaded without.
    """
    from psyrun.planning.open_work import Outlook
    from psyrun.results.assignments import round_data

    layout = layout_of(path.parent, name)
    plan = Plan.load(layout)
    if plan is None or DivisionCounts.load(layout.round(plan.round)) is None:
        return None
    data = round_data(layout.round(plan.round), path)
    return Outlook.of(data, layout, plan).end()

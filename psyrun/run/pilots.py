"""Pilots: assignments that are evaluated beforehand, as a run of a part of a space."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from psyrun.errors import PsyrunError, RunningError
from psyrun.estimate import Failure
from psyrun.planning.checks import check_imports, check_project_folder
from psyrun.planning.desired import PlanOptions
from psyrun.planning.pilots import KnownCosts
from psyrun.planning.prepare import TaskRun, load_tasks
from psyrun.pspace.columns import Indices
from psyrun.queue.ledger import QueueReport
from psyrun.run.controller import Controller, RunOutcome
from psyrun.run.display import Display, choose_display
from psyrun.run.early_snakemake import EarlySnakemake
from psyrun.run.guard import Guard
from psyrun.run.log import RunLog
from psyrun.run.own_folders import remove_all_abandoned
from psyrun.run.session import check_limits, check_site_arguments, lock
from psyrun.run.summary import Summary, has_failed_assignments
from psyrun.scheduler.commands import check_programs
from psyrun.scheduler.immediate import LOCAL
from psyrun.tasks.loading import Task, load_task
from psyrun.utils.console import warn
from psyrun.utils.numbers import text_of_numbers
from psyrun.utils.text import counted
from psyrun.utils.typing import override
from psyrun.workdir.expected_end import ExpectedEnd
from psyrun.workdir.layout import PROCESS, SPLIT
from psyrun.workdir.plan import arguments_in
from psyrun.workdir.progress import Tally, finished_blocks

MOST_PILOTS = 16
BUDGET = 300.0
"""Seconds."""
_NEARLY = 0.95  # of a time limit; what is ended by it may be told a little sooner
_ALLOWANCE = 10.0  # seconds beyond the budget, in which Snakemake starts and ends


@dataclass(frozen=True)
class PilotOptions:
    """What ``psy plan`` was asked for.

    Attributes
    ----------
    n_pilots : int
        Most assignments whose cost is known, rows that are there included.
    budget : float
        For how many seconds pilots may be evaluated, in each place at the same time.
    jobs : int or None
        How many are evaluated at the same time on this machine, or how many jobs may
        be in a queue.
    is_local : bool
        Whether they are evaluated on this machine, also if the task has a queue.
    """

    n_pilots: int = MOST_PILOTS
    budget: float = BUDGET
    jobs: int | None = None
    is_local: bool = False


@dataclass(frozen=True)
class Foreseen:
    """What is known of a task after pilots were evaluated.

    Attributes
    ----------
    run : TaskRun
        The task, no longer locked.
    task : Task
        The task as its file is, also if its pilots were evaluated elsewhere.
    known : KnownCosts
        What all rows, and failures of pilots, tell.
    n_before, n_most : int
        How many costs were known before, and how many were to be known at most.
    place : str
        Where the pilots were evaluated.
    is_spent : bool
        Whether there is no time left for further pilots.
    status : int
        Exit status of the pilots' runs: 0, 1 if jobs failed for another reason than
        an assignment, or 130 if they were interrupted.
    """

    run: TaskRun
    task: Task
    known: KnownCosts
    n_before: int
    n_most: int
    place: str
    is_spent: bool
    status: int

    @property
    def failed(self) -> list[Failure]:
        """The pilots that failed by themselves, or as the task file has it."""
        return [each for each in self.known.failures if not self._is_cut_off(each)]

    @property
    def cut_off(self) -> list[Failure]:
        """The pilots that were ended as the budget was spent."""
        return list(filter(self._is_cut_off, self.known.failures))

    def _is_cut_off(self, failure: Failure) -> bool:
        limit = self.task.timeout
        is_sooner = limit is None or failure.seconds < _NEARLY * limit
        return failure.timed_out and is_sooner


def foresee(
    path: Path, options: PilotOptions, early: EarlySnakemake | None = None
) -> Foreseen:
    """Evaluate pilots of a task, as far as they are needed.

    Parameters
    ----------
    path : Path
        The task file.
    early : EarlySnakemake or None
        A Snakemake whose import has begun.

    Raises
    ------
    PsyrunError
        If the task is not usable, or run by somebody else.
    """
    check_limits()
    guard = Guard()
    base = PlanOptions(is_local=options.is_local)
    (run,) = load_tasks([path], base)
    guard.tasks_are_loaded()
    lock(run)
    try:
        remove_all_abandoned()
        run.decide(warn)
        _check(run)
        return _Pilots(run, options, guard, early).evaluate()
    finally:
        run.release()


def _check(run: TaskRun) -> None:
    """Refuse a task where pilots would disturb what is there."""
    name = run.name
    if run.refusal is not None:
        raise PsyrunError(run.refusal)
    if run.current.has_unknown_rows:
        raise PsyrunError(
            f"task {name!r}: {run.task.resultfile} is there, but nothing is known of "
            f"its rows. Take them over with 'psy run --continue {name}', or move the "
            "file away."
        )
    if queued := QueueReport.of(run.layout).text:
        raise RunningError(
            f"task {name!r}: {queued}. Go on with 'psy run "
            f"{arguments_in(run.layout)}', or end them with 'psy kill {name}'."
        )


@dataclass
class _Pilots:
    """The rounds of pilots of one task, which is locked."""

    run: TaskRun
    options: PilotOptions
    guard: Guard
    early: EarlySnakemake | None
    tried: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.base = self.run.options
        self.left = self.options.budget

    @property
    def is_here(self) -> bool:
        return self.run.profile == LOCAL

    @property
    def at_once(self) -> int | None:
        """How many pilots are evaluated at once; None for all."""
        return (self.options.jobs or 1) if self.is_here else None

    @property
    def place(self) -> str:
        if self.is_here:
            return "on this machine"
        return f"in the queue ({type(self.run.task.scheduler).__name__})"

    def evaluate(self) -> Foreseen:
        """Evaluate pilots until they tell enough, or as many as there may be."""
        known = KnownCosts.of(self.run).with_success
        n_before, status, is_spent = len(known.evaluated), 0, False
        while not status and not known.is_sure and (n := self._n_next(known)):
            rows = known.next(n, self.tried)
            at_once = self.at_once
            fitting = known.that_fit(rows, self.left, at_once=at_once)
            is_spent = len(fitting) < len(rows)
            if not len(fitting):
                break
            status = self._evaluate(fitting)
            before, known = known, self._known().with_failures(known)
            self._spend(known, fitting)
            if self.left <= 0 or len(known.evaluated) == len(before.evaluated):
                is_spent |= self.left <= 0
                break
        run, most = self.run, self.options.n_pilots
        task = load_task(run.task.path) if self.options.is_local else run.task
        place = self.place
        return Foreseen(run, task, known, n_before, most, place, is_spent, status)

    def _n_next(self, known: KnownCosts) -> int:
        """Return how many pilots are evaluated next, 0 if there are enough."""
        n, most = len(known.evaluated), self.options.n_pilots
        first = -(-most // 2) - n
        return min(most - n, first if first > 0 else -(-most // 4))

    def _known(self) -> KnownCosts:
        self.run.options = self.base
        self.run.decide(warn)
        return KnownCosts.of(self.run)

    def _spend(self, known: KnownCosts, rows: Indices) -> None:
        """Take what pilots have cost from what is left of the budget."""
        found = known.evaluated
        seconds = found.seconds[np.isin(found.rows, rows)]
        if self.at_once is None:
            self.left -= float(seconds.max(initial=0))
        else:
            self.left -= float(seconds.sum()) / min(self.at_once, len(rows))

    def _evaluate(self, rows: Indices) -> int:
        """Evaluate some assignments; return 0, or the exit status that ends all."""
        run = self.run
        text = text_of_numbers(rows.tolist())
        run.options = replace(self.base, part=(text,), limit=self.left)
        run.decide(warn)
        self.tried |= set(rows.tolist())
        if not (run.decision.split or run.decision.blocks):
            return 0
        check_imports(run.task)
        check_site_arguments(run, ())
        check_project_folder()
        check_programs(run.task.scheduler.PROGRAMS)
        run.settle_earlier_jobs(warn)
        run.accept()
        which = "more pilot" if len(self.tried) > len(rows) else "pilot"
        told = counted(len(rows), which)
        display = choose_display(is_quiet=False)
        try:
            display.line(f"{run.name}: {told}, evaluated {self.place}")
            for remark in [*run.mended, *run.remarks]:
                display.line(remark)
            run.mended.clear()
            run.remarks.clear()
            with RunLog.begin({run.name: run.layout}, "terminal") as log:
                log.begins()
                shown = _WithoutJobs(log.display(display))
                outcome = self._launch(shown)
                status = self._summarised(outcome, shown, log)
                log.end(status)
        finally:
            display.close()
        return status

    def _launch(self, display: Display) -> RunOutcome:
        if not self.is_here:
            self.guard.leave_queues_alone()
        stop_at = time.time() + self.left + _ALLOWANCE
        early, self.early = self.early, None
        controller = Controller(
            [self.run],
            display,
            stop_at if self.is_here else float("inf"),
            self.guard.look,
            early,
        )
        last = PROCESS if self.run.decision.blocks else SPLIT
        outcome = controller.run(jobs=self.options.jobs, extra=(), last_step=last)
        display.progress(outcome.tally)
        display.close()
        return outcome

    def _summarised(self, outcome: RunOutcome, display: Display, log: RunLog) -> int:
        """Say what went wrong, except with assignments, and return the exit status."""
        if outcome.is_out_of_time:
            self.left = 0.0
            return 0
        failures, is_cut_off = outcome.failures, False
        if not outcome.was_interrupted:
            if failures and all(map(has_failed_assignments, failures)):
                return 0
            is_cut_off = not outcome.status and not self._is_finished()
            if not outcome.status and not is_cut_off:
                return 0
        with log.summing_up():
            summary = Summary(outcome, [self.run])
            return summary.show(display, is_partial=not is_cut_off)

    def _is_finished(self) -> bool:
        plan = self.run.plan
        round_ = self.run.layout.round(plan.round)
        return len(finished_blocks(round_, plan.block_ext)) == plan.n_blocks


class _WithoutJobs(Display):
    """Shows what another display does, except for jobs: each is one assignment."""

    def __init__(self, inner: Display) -> None:
        self.interval = inner.interval
        self._inner = inner

    @override
    def job(self, mark: str, name: str) -> None:
        pass

    @override
    def line(self, text: str) -> None:
        self._inner.line(text)

    @override
    def progress(self, tally: Tally, end: ExpectedEnd | None = None) -> None:
        self._inner.progress(tally, end)

    @override
    def close(self) -> None:
        self._inner.close()

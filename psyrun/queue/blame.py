"""Which assignment has ended a job, if it was one, and what is left to do then."""

from __future__ import annotations

import secrets
import signal
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from psyrun.errors import PsyrunError
from psyrun.queue.ledger import Batch
from psyrun.queue.script import JobTrace
from psyrun.scheduler.jobs import Cause, Ending
from psyrun.steps.command import StepCommand
from psyrun.workdir.attempts import Attempts, Evaluating, JobTraces, suspect
from psyrun.workdir.division import Division, DivisionCounts
from psyrun.workdir.failures import describe_end_of_job
from psyrun.workdir.journal import Journal
from psyrun.workdir.layout import PROCESS, Round
from psyrun.workdir.plan import Plan

# Of the time limit of its job: an assignment that began this early had all of it.
_EARLY = 0.1

# By these a process ends for what it does itself; by others, somebody ends it.
_FAULTS = {
    128 + number
    for number in (
        *(signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT),
        *(
            signal.SIGSYS,
            signal.SIGTRAP,
            signal.SIGXCPU,
            signal.SIGXFSZ,
            signal.SIGKILL,
        ),
    )
}
_UNSURE = 128 + signal.SIGKILL
"""The exit status after a signal that both people and systems out of memory send."""


def is_by_assignment(ending: Ending) -> bool:
    """Whether a job ended for what its assignments do, so that others may succeed.

    Cancelled jobs and those whose node failed are not meant, nor those that found
    out themselves that they cannot go on.
    """
    if ending.cause in (Cause.MEMORY, Cause.TIME):
        return True
    return ending.cause is Cause.FAILED and ending.exit_status in _FAULTS


@dataclass(frozen=True)
class EndedJob:
    """A process job that has ended in a queue.

    Attributes
    ----------
    job : str
        What the job tells of itself, in its journals for example.
    origin : str
        The job whose rest it went on with; the job itself if there is none.
    minutes : int or None
        Its time limit, where that is known.
    """

    round: Round
    block: int
    job: str
    origin: str
    trace: JobTrace
    minutes: int | None = None

    @classmethod
    def of(cls, batch: Batch, position: int) -> EndedJob | None:
        """Return a job of an array; None if it is no process job."""
        step = StepCommand.parse(batch.intent.commands[position])
        if step is None or step.step != PROCESS or step.block is None:
            return None
        return cls(
            round=step.round,
            block=int(step.block),
            job=batch.job(position),
            origin=batch.origin(position),
            trace=batch.trace(position),
            minutes=batch.intent.minutes,
        )

    def settle(self, ending: Ending) -> tuple[int, ...] | None:
        """Record which assignments have ended the job; return them.

        Where it is not known which it was of several, they are evaluated one at a
        time from now on. None is returned where the job has achieved nothing, so
        that another one like it would not either.
        """
        if not is_by_assignment(ending):
            return None
        traces = JobTraces.find(self.round, self.block, self.job)
        blamed = self._at_fault(traces.evaluating, ending)
        is_narrowed = False
        if blamed:
            since = {one.index: one.since for one in traces.evaluating}
            self._record({index: since[index] for index in blamed}, ending)
        if blamed or ending.cause is not Cause.TIME:
            at = [one.index for one in traces.evaluating]
            is_narrowed = suspect(self.round, self.block, blamed or at)
        is_progress = blamed or is_narrowed or traces.n_recorded
        return tuple(blamed) if is_progress else None

    @property
    def progress(self) -> int:
        """A number that grows with all that this job and those before achieve."""
        past = Attempts.find(self.round, self.block, self.origin)
        n_open = len(past.suspects - past.settled)
        return 2 * len(past.done | past.settled) + n_open

    def is_all_settled(self, plan: Plan) -> bool:
        """Whether some assignments have failed, and all others have a row."""
        past = Attempts.find(self.round, self.block, self.origin)
        if plan.accept_failures or not past.settled:
            return False
        # Others import this module who do without NumPy.
        from psyrun.steps.block_work import BlockWork

        division = Division.load(self.round)
        return BlockWork.of(self.round, division, plan, self.block, past).is_done

    def _at_fault(self, evaluating: Iterable[Evaluating], ending: Ending) -> list[int]:
        at = list(evaluating)
        if ending.cause is Cause.TIME:
            early = 60 * (self.minutes or 0) * _EARLY
            return [a.index for a in at if a.after is not None and a.after <= early]
        if len(at) != 1:
            return []
        known = Attempts.find(self.round, self.block, self.origin).suspects
        is_sure = ending.exit_status != _UNSURE or ending.cause is Cause.MEMORY
        return [one.index for one in at if is_sure or one.index in known]

    def _record(self, since: Mapping[int, float | None], ending: Ending) -> None:
        """Record assignments as failed, in a journal that no job writes to.

        There is when each was begun with, where that is known.
        """
        points = self._points(since)
        # Who looks into the same end of a job twice, writes two.
        path = self.round.journal_of_queue(self.block, secrets.token_hex(6))
        journal = Journal(path, self._session)
        for index, parameters in points.items():
            failure = describe_end_of_job(ending.text, parameters)
            start, lasted = self._time_of(since[index], ending)
            journal.failure(index, start, lasted, 0, failure)
        journal.close()

    def _time_of(self, since: float | None, ending: Ending) -> tuple[float, float]:
        """Return when an evaluation began that the job's end cut off, and its length.

        If it is not known when the job ended, it is the present, and 0.
        """
        ended = self.trace.ended
        if ended is None and ending.cause is Cause.TIME and self.minutes is not None:
            begun = self.trace.started
            ended = None if begun is None else begun + 60 * self.minutes
        if since is None or ended is None or ended <= since:
            return time.time(), 0.0
        return since, ended - since

    def _points(self, indices: Iterable[int]) -> dict[int, Mapping[str, Any]]:
        from psyrun.pspace.absent import given

        found: dict[int, Mapping[str, Any]] = {index: {} for index in indices}
        # Values of the user's classes may not be there without the task file.
        with suppress(PsyrunError):
            space = Division.load(self.round).space
            found = {index: given(space, index) for index in found}
        return found

    @property
    def _session(self) -> dict[str, Any]:
        counts = DivisionCounts.load(self.round)
        return {
            "host": self.trace.host,
            "job": self.job,
            "pid": 0,
            "fingerprint": "" if counts is None else counts.fingerprint,
            "failed_before": 0,
            "cut_off_before": 0,
            "queued_as": self.job,
            "origin": self.origin,
        }

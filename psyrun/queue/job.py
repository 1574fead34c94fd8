"""A job on its way through a queue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from psyrun.errors import FailedAssignmentsError, OutOfTimeError
from psyrun.queue.blame import EndedJob
from psyrun.queue.ledger import Batch
from psyrun.queue.script import EXPLAINED
from psyrun.queue.site import QueuedTask
from psyrun.scheduler.base import Scheduler
from psyrun.scheduler.jobs import Ending, JobId
from psyrun.steps.command import StepCommand
from psyrun.steps.not_started import record_not_started
from psyrun.utils.files import write_json
from psyrun.workdir.hanging import forget
from psyrun.workdir.layout import Round
from psyrun.workdir.lock import (
    break_lock,
    live_holder,
    remove_stale_lock,
)
from psyrun.workdir.plan import DEFAULT_PYTHON
from psyrun.workdir.step_note import step_note


@dataclass(eq=False)
class QueuedJob:
    """A job that is to be brought through a queue.

    Attributes
    ----------
    command, step
        Its shell command, as a text and taken apart.
    outputs : sequence of str
        The files that it makes.
    values : dict of str to object
        The scheduler's arguments.
    attempt : int
        How many jobs for the same files have ended for want of resources.
    batch : Batch or None
        The array in which it was submitted, at `position`.
    is_adopted : bool
        Whether an earlier run submitted it.
    origin : str
        The job with whose rest it goes on, as that tells of itself; empty if none.
    progress : int
        How far the jobs for the same files have come, see `EndedJob.progress`.
    local_status : int or None
        The exit status of its command if that has ended on this machine.
    gone_since : float or None
        When it was noticed that the queue does not know it any more.
    owner : object
        What whoever wants the job done knows it by.
    """

    task: QueuedTask
    command: str
    step: StepCommand
    outputs: Sequence[str]
    values: dict[str, Any]
    attempt: int = 0
    batch: Batch | None = None
    position: int = -1
    is_adopted: bool = False
    origin: str = ""
    progress: int = 0
    local_status: int | None = None
    gone_since: float | None = None
    owner: Any = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Name of the job, such as ``area:process:3``."""
        return self.task.layout.job(self.step.step, self.step.block)

    @property
    def array_name(self) -> str:
        """Name of the array that it belongs to."""
        return self.task.layout.job(self.step.step)

    @property
    def target(self) -> str:
        """What the job is for, as one text."""
        return "\n".join(self.outputs)

    @property
    def id(self) -> JobId | None:
        """What the queue calls the job; None if it did not take it yet."""
        return None if self.batch is None else self.batch.ids.get(self.position)

    @property
    def round(self) -> Round:
        """The round that it works on."""
        return self.step.round

    @property
    def round_number(self) -> int:
        """The number of that."""
        return self.step.round_number

    @property
    def is_done(self) -> bool:
        """Whether all its files are there; they appear whole or not at all."""
        return all(Path(output).exists() for output in self.outputs)

    @property
    def is_at_work(self) -> bool:
        """Whether the job renews its lock, whatever its queue says."""
        if self.batch is None:
            return False
        holder = live_holder(self._lock)
        return holder is not None and holder.job == self.batch.job(self.position)

    def release_lock(self) -> None:
        """Remove the lock of the job after its end, if it left one."""
        if self.batch is not None:
            job = self.batch.job(self.position)
            break_lock(self._lock, job)
            forget(self.round.hanging_of(self.step.name), job)

    def remove_stale_lock(self) -> None:
        """Remove the lock of a process that worked on the same, if that is gone."""
        remove_stale_lock(self._lock)

    @property
    def _lock(self) -> Path:
        return self.round.lock(self.step.name)

    def record_failure(self, ending: Ending) -> None:
        """Record a bad ending of which the job itself could not tell."""
        kind, message, status = "JobEnded", f"the job {ending.text}", 2
        if self._has_not_started() or self.has_come_to_end:
            return
        if self.local_status is not None:
            message, status = f"it ended with {ending.text}", 1
        if self.batch is not None:
            message, status = f"the job ended in the queue: {ending.text}", 1
            if ending.exit_status == 2:
                # It never began, and was cancelled.
                message, status = f"the job {ending.text}, and was cancelled", 2
            if self.has_all_settled:
                kind = FailedAssignmentsError.__name__
        record = {"type": kind, "message": message, "exit_status": status}
        write_json(self.round.error(self.step.name), record)
        with self.step.log.open("a", encoding="utf-8") as log:
            log.write(f"{message}\n")

    def _has_not_started(self) -> bool:
        """Record why its Python did not start the step; whether that is the cause."""
        is_here = self.local_status is not None
        if not is_here and self.batch is None:
            return False
        python = self.task.plan.python
        if python == DEFAULT_PYTHON and self.batch is not None:
            # That of the run that submitted it, which may be an earlier one.
            python = self.batch.python
        return record_not_started(self.step, python, is_here=is_here)

    @property
    def has_come_to_end(self) -> bool:
        """Whether its command failed by itself, and has said why."""
        if self.local_status is not None:
            return self.local_status in EXPLAINED
        return self.batch is not None and self.batch.trace(self.position).is_explained

    @property
    def ended(self) -> EndedJob | None:
        """The job, if it was submitted and evaluates assignments."""
        return None if self.batch is None else EndedJob.of(self.batch, self.position)

    @property
    def has_all_settled(self) -> bool:
        """Whether each of its assignments has a row or has failed."""
        ended = self.ended
        return ended is not None and ended.is_all_settled(self.task.plan)

    def prepare_next(self, *, is_repeated: bool) -> None:
        """Make it a job that is to be submitted once more.

        It goes on with the rest; with `is_repeated`, it also tries again what failed.
        """
        assert self.batch is not None
        self.origin = "" if is_repeated else self.batch.origin(self.position)
        self.progress = 0 if is_repeated else self.progress
        self._keep_log()
        self.batch, self.gone_since, self.is_adopted = None, None, False

    def _keep_log(self) -> None:
        """Move the log of an attempt away, so that the next one does not replace it."""
        log = self.step.log
        kept = (log.with_name(f"{log.stem}.attempt-{n}.log") for n in count(1))
        with suppress(FileNotFoundError):
            log.replace(next(path for path in kept if not path.exists()))

    @property
    def is_out_of_time(self) -> bool:
        """Whether the job stopped as the rest would have taken too long."""
        if not self.has_come_to_end:
            return False
        note = step_note(self.round.error(self.step.name))
        return note is not None and note.get("type") == OutOfTimeError.__name__


def by_scheduler(items: Iterable[QueuedJob]) -> list[tuple[Scheduler, list[QueuedJob]]]:
    """Put jobs together that one question to a queue can be about."""
    kinds: dict[type[Scheduler], list[QueuedJob]] = {}
    for item in items:
        kinds.setdefault(type(item.task.scheduler), []).append(item)
    return [(some[0].task.scheduler, some) for some in kinds.values()]

"""A job on its way through a queue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psyrun.files import write_json
from psyrun.layout import Round, TaskLayout
from psyrun.lock import break_lock
from psyrun.plan import Plan
from psyrun.queue.arguments import arguments
from psyrun.queue.ledger import Batch, Ledger
from psyrun.scheduler.base import Ending, JobId, Scheduler
from psyrun.stepcommand import StepCommand


@dataclass(frozen=True, eq=False)
class QueuedTask:
    """A task whose jobs go to a queue.

    Attributes
    ----------
    layout : TaskLayout
        Its paths.
    plan : Plan
        The plan that is followed.
    scheduler : Scheduler
        How the queue is spoken to.
    scheduler_args : mapping of str to object
        What the task asks for; functions take the name of a job.
    retries : int
        How often a job that was given too little is given more.
    """

    layout: TaskLayout
    plan: Plan
    scheduler: Scheduler
    scheduler_args: Mapping[str, Any]
    retries: int

    @property
    def ledger(self) -> Ledger:
        """What was submitted for the task."""
        return Ledger(self.layout)

    def values(self, step: str, block: str | None) -> dict[str, Any]:
        """Return the scheduler's arguments for a job.

        Raises
        ------
        SchedulerError
            If they are not accepted.
        """
        args = self.scheduler_args
        return arguments(self.scheduler, args, self.plan, step, block)


@dataclass(eq=False)
class Item:
    """A job that is to be brought through a queue.

    Attributes
    ----------
    task : QueuedTask
        Its task.
    command : str
        Its shell command.
    step : StepCommand
        The same, taken apart.
    outputs : sequence of str
        The files that it makes.
    values : dict of str to object
        The scheduler's arguments.
    attempt : int
        How many jobs for the same files have ended for want of resources.
    batch : Batch or None
        The array in which it was submitted.
    position : int
        Its position in that.
    is_adopted : bool
        Whether an earlier run submitted it.
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
        return Round(Path(self.step.arguments[1]).parent)

    @property
    def round_number(self) -> int:
        """The number of that."""
        return int(self.round.folder.name.removeprefix("round-"))

    @property
    def is_done(self) -> bool:
        """Whether all its files are there; they appear whole or not at all."""
        return all(Path(output).exists() for output in self.outputs)

    def release_lock(self) -> None:
        """Remove the lock of the job after its end, if it left one."""
        if self.batch is not None:
            step = "-".join(filter(None, [self.step.step, self.step.block]))
            break_lock(self.round.lock(step), self.batch.job(self.position))

    def tell(self, ending: Ending) -> None:
        """Leave word of an ending of which the job itself could not tell."""
        message = f"the job ended in the queue: {ending.text}"
        step = "-".join(filter(None, [self.step.step, self.step.block]))
        record = {"type": "JobEnded", "message": message, "exit_status": 1}
        write_json(self.round.error(step), record)
        with self.step.log.open("a", encoding="utf-8") as log:
            log.write(f"{message}\n")


def by_scheduler(items: Iterable[Item]) -> list[tuple[Scheduler, list[Item]]]:
    """Put jobs together that one question to a queue can be about."""
    kinds: dict[type[Scheduler], list[Item]] = {}
    for item in items:
        kinds.setdefault(type(item.task.scheduler), []).append(item)
    return [(some[0].task.scheduler, some) for some in kinds.values()]

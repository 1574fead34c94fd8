"""What all steps share: the command line, the plan, the task and the lock."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from psyrun.errors import PsyrunError
from psyrun.evaluate import own_traceback
from psyrun.files import read_json, write_json
from psyrun.layout import MERGE, PROCESS, SPLIT, Round, TaskLayout
from psyrun.lock import Lock
from psyrun.plan import Plan
from psyrun.random_state import RandomStates
from psyrun.rounds import RoundData, store_with
from psyrun.store import Store
from psyrun.tasks import Task, load_task


@dataclass(frozen=True)
class Context:
    """A task that was imported once, for all jobs that follow.

    Attributes
    ----------
    task : Task
        The task.
    random_states : RandomStates
        The random generators that its import made.
    """

    task: Task
    random_states: RandomStates

    @classmethod
    def load(cls, taskfile: str) -> Context | None:
        """Import a task; None if that fails, so that the job tells of it."""
        try:
            return cls(load_task(Path(taskfile)), RandomStates.find())
        except PsyrunError:
            return None


@dataclass(frozen=True)
class Job:
    """One job of a plan.

    Attributes
    ----------
    plan : Plan
        The accepted plan.
    round : Round
        Paths of the round that the job belongs to.
    context : Context or None
        The task, if it was imported already.
    """

    plan: Plan
    round: Round
    context: Context | None = None

    @classmethod
    def of(cls, space: Path, context: Context | None) -> Job:
        """Find the plan that a frozen space belongs to.

        Raises
        ------
        PsyrunError
            If there is none, or another one has taken its place.
        """
        state = space.parent.parent / "state.json"
        record = read_json(state)
        if record is None:
            raise PsyrunError(
                f"{state}: there is no plan yet. Start the task with 'psy run'."
            )
        plan = Plan.from_json(record, str(state))
        round_ = TaskLayout.of(plan.workdir, plan.task).round(plan.round)
        if round_.space != space:
            raise PsyrunError(
                f"{space}: another plan has taken the place of this one. "
                "Start the task again with 'psy run'."
            )
        return cls(plan, round_, context)

    @cached_property
    def layout(self) -> TaskLayout:
        """Paths of the task."""
        return TaskLayout.of(self.plan.workdir, self.plan.task)

    @cached_property
    def imported(self) -> Context:
        """The imported task."""
        if self.context is not None:
            return self.context
        task = load_task(Path(self.plan.taskfile))
        return Context(task, RandomStates.find())

    @property
    def task(self) -> Task:
        """The task."""
        return self.imported.task

    def store(self, ext: str) -> Store:
        """Return the task's store if it is for files named `ext`, else one that is."""
        return store_with(ext, self.task.store)

    @cached_property
    def data(self) -> RoundData:
        """What the round knows."""
        return RoundData(self.round, self.store(self.plan.block_ext))

    def lock(self, step: str) -> Lock:
        """Return the lock of a step."""
        name = step.replace("-", ":")
        return Lock(self.round.lock(step), f"{self.plan.task}:{name}")


def run(arguments: list[str], context: Context | None = None) -> int:
    """Run one step.

    Parameters
    ----------
    arguments : list of str
        ``split SPACE``, ``process SPACE BLOCK`` or ``merge SPACE``, where
        SPACE is the path of the frozen space.
    context : Context, optional
        The task, if it was imported already.

    Returns
    -------
    int
        Exit status: 0 if all went well, 1 if assignments failed, 2 if the
        user has to change something.
    """
    step, space, *rest = arguments
    note = Round(Path(space).parent).error("-".join([step, *rest]))
    note.unlink(missing_ok=True)
    try:
        _run(step, Path(space), rest, context)
    except PsyrunError as error:
        return _fail(note, str(error), error.exit_status)
    except MemoryError as error:
        return _fail(note, own_traceback(error).strip(), 1)
    except OSError as error:
        return _fail(note, f"{error}. Mend the cause, then run again.", 2)
    return 0


def _fail(note: Path, message: str, status: int) -> int:
    """Say why a step failed, in its log and to whoever shows it to the user."""
    print(message, file=sys.stderr)
    with suppress(OSError):
        write_json(note, {"message": message, "exit_status": status})
    return status


def _run(step: str, space: Path, rest: list[str], context: Context | None) -> None:
    job = Job.of(space, context)
    if step == SPLIT:
        from psyrun.steps.split import split

        split(job)
    elif step == PROCESS:
        from psyrun.steps.process import process

        process(job, int(rest[0]))
    elif step == MERGE:
        from psyrun.steps.merge import merge

        merge(job)
    else:
        raise PsyrunError(f"unknown step {step!r}; allowed: split, process, merge.")

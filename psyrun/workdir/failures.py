"""Failed assignments: what is known of each, and what they have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psyrun.errors import message_of
from psyrun.utils.files import read_json
from psyrun.utils.text import describe_exit, describe_parameters, one_line, shortened
from psyrun.utils.tracebacks import own_traceback, place
from psyrun.workdir import journal
from psyrun.workdir.consistent_reads import retry_while_changing
from psyrun.workdir.division import DivisionCounts
from psyrun.workdir.journal import Entry
from psyrun.workdir.layout import Round, TaskLayout
from psyrun.workdir.plan import Plan
from psyrun.workdir.progress import finished_blocks

_LONGEST_CAUSE = 300  # characters


@dataclass(frozen=True)
class Failure:
    """An assignment that has no row, because its last evaluation failed.

    Attributes
    ----------
    index : int
        Position of the assignment in the frozen space.
    type : str
        Name of the exception's class, ``WorkerDied`` where the process ended.
    message : str
        Text of the exception.
    where : str
        Innermost frame of the traceback, as tracebacks print it, or how the
        process ended; empty if neither is known.
    traceback : str
        Traceback of the user's code.
    parameters : mapping of str to str
        Short texts of the assignment's values.
    duration : float or None
        How long the evaluation took, in seconds, where that is known.
    peak : int or None
        Largest resident memory of its process, in KiB, where that is known.
    host : str
        Name of the machine; empty where it is not known.
    is_accepted : bool
        Whether the result goes without the assignment.
    """

    index: int
    type: str
    message: str
    where: str
    traceback: str
    parameters: Mapping[str, str]
    duration: float | None = None
    peak: int | None = None
    host: str = ""
    is_accepted: bool = False

    @property
    def cause(self) -> str:
        """Type and text of the exception on one line, cut where it is long."""
        text = " ".join(f"{self.type}: {self.message}".split()).removesuffix(":")
        return shortened(text, _LONGEST_CAUSE)

    @property
    def values(self) -> str:
        """The parameters on one line."""
        return one_line(self.parameters)

    @property
    def place(self) -> str:
        """Where it failed, such as ``psy-tasks/task_a.py:7 in execute``."""
        return place(self.where)


def failures_of_task(layout: TaskLayout) -> list[Failure]:
    """Return the failed assignments of a task's last round.

    Nothing is unpickled and no task file is run.

    Parameters
    ----------
    layout : TaskLayout
        Paths of the task.

    Returns
    -------
    list of Failure
        In the order of the space.

    Raises
    ------
    PsyrunError
        If what was recorded is not usable.
    """
    plan = Plan.load(layout)
    if plan is None:
        return []
    return retry_while_changing(lambda: failures_of(layout.round(plan.round)))


def failures_of(round_: Round) -> list[Failure]:
    """Return the failed assignments of a round.

    Parameters
    ----------
    round_ : Round
        Paths of the round.

    Returns
    -------
    list of Failure
        In the order of the space: those of journals, and those that finished
        blocks go without.

    Raises
    ------
    FileNotFoundError
        If a journal was removed meanwhile.
    """
    accepted = _accepted(round_)
    found = {index: _failure(index, told) for index, told in accepted.items()}
    recorded = list(_recorded(round_).items())
    told = journal.failures(entry for _, (entry, _) in recorded)
    sessions = journal.failures(session for _, (_, session) in recorded)
    for (index, (entry, _)), failure, session in zip(
        recorded, told, sessions, strict=True
    ):
        measured = {"duration": entry.duration, "peak": entry.peak}
        whole = {**failure, **measured, "host": session.get("host")}
        found[index] = _failure(index, whole, is_accepted=index in accepted)
    return [found[index] for index in sorted(found)]


def _accepted(round_: Round) -> dict[int, dict[str, Any]]:
    counts = DivisionCounts.load(round_)
    blocks = set() if counts is None else finished_blocks(round_, counts.ext)
    records = [read_json(round_.failed(block)) or {} for block in blocks]
    return {int(index): told for r in records for index, told in r.items()}


def _recorded(round_: Round) -> dict[int, tuple[Entry, Entry]]:
    """Return the last failure of each assignment without a row, and its session."""
    rows: set[int] = set()
    failed: dict[int, tuple[Entry, Entry]] = {}
    for path in sorted(round_.journals.glob("*.journal")):
        session = None
        for entry in journal.scan(path):
            if entry.kind == journal.SESSION:
                session = entry
            elif entry.kind == journal.ROW:
                rows.add(entry.index)
            elif session is not None:
                before = failed.get(entry.index)
                if before is None or before[0].start <= entry.start:
                    failed[entry.index] = (entry, session)
    return {index: failed[index] for index in failed.keys() - rows}


def _failure(index: int, told: dict[str, Any], *, is_accepted: bool = True) -> Failure:
    return Failure(
        index=index,
        type=told["type"],
        message=told["message"],
        where=told["where"],
        traceback=told["traceback"],
        parameters=told["parameters"],
        # A worker that died has left neither.
        duration=told.get("duration") or None,
        peak=told.get("peak") or None,
        host=told.get("host") or "",
        is_accepted=is_accepted,
    )


def describe_failure(
    error: BaseException, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what is recorded of a failed assignment, ready for JSON."""
    text = own_traceback(error)
    frames = [line.strip() for line in text.splitlines() if line.startswith('  File "')]
    return {
        "type": type(error).__name__,
        "message": message_of(error),
        "traceback": text,
        "where": frames[-1] if frames else "",
        "parameters": describe_parameters(parameters),
    }


def describe_death(
    code: int, pid: int, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what is recorded of an assignment that ended its worker.

    Parameters
    ----------
    code : int
        Exit status of the worker, or the negative number of a signal.
    pid : int
        The worker.
    parameters : mapping
        The assignment.
    """
    cause = describe_exit(code)
    message = f"the worker process ended with {cause} during the evaluation"
    return {
        "type": "WorkerDied",
        "message": message,
        "traceback": f"{message} (pid {pid}).\n",
        "where": cause,
        "parameters": describe_parameters(parameters),
    }

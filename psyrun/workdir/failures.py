"""Failed assignments: the record of each."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from psyrun.errors import message_of, visible
from psyrun.utils.files import damaged
from psyrun.utils.records import RecordedTypeError, of_kind, read_record
from psyrun.utils.text import (
    describe_exit,
    describe_parameters,
    limit_text,
    parameters_text,
    rough_duration,
    shortened,
)
from psyrun.utils.tracebacks import (
    FRAME,
    dumped_traceback,
    innermost_frame,
    place,
    user_traceback,
)
from psyrun.workdir import frames, journal
from psyrun.workdir.consistent_reads import retry_while_changing
from psyrun.workdir.damage import check_division
from psyrun.workdir.division import DivisionCounts
from psyrun.workdir.journal import Entry
from psyrun.workdir.layout import Round, TaskLayout
from psyrun.workdir.plan import Plan
from psyrun.workdir.progress import Failures, finished_blocks

_LONGEST_CAUSE = 300  # characters
TIMED_OUT = "TimedOut"
"""Type of the failure of an assignment that took longer than it was allowed to."""


@dataclass(frozen=True)
class Failure:
    """An assignment that has no row, because its last evaluation failed.

    Attributes
    ----------
    index : int
        Position of the assignment in the frozen space.
    type, message : str
        Class and text of the exception; the class is ``WorkerDied`` where the
        process ended, ``TimedOut`` where it took longer than `timeout`, or the budget
        of pilots, allows, and ``JobEnded`` where the whole job ended.
    where : str
        Innermost frame in a file of the user, as tracebacks print it, or how the
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
        Whether the result lacks the assignment.
    attempt : int
        How many evaluations of it have failed, as far as that is known.
    start : float or None
        When the evaluation began, in seconds since the epoch, where that and its
        duration are known.
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
    attempt: int = 1
    start: float | None = None

    @property
    def cause(self) -> str:
        """Type and text of the exception on one line, cut where it is long."""
        text = " ".join(f"{self.type}: {self.message}".split()).removesuffix(":")
        return shortened(text, _LONGEST_CAUSE)

    @property
    def values(self) -> str:
        """The parameters on one line."""
        return parameters_text(self.parameters)

    @property
    def place(self) -> str:
        """Where it failed, such as ``psy-tasks/task_a.py:7 in execute``."""
        return place(self.where)

    @property
    def line(self) -> str:
        """The same without the function; or how the process ended."""
        return place(self.where, with_function=False)


@dataclass(frozen=True)
class Outcomes:
    """What became of the assignments of a round, as far as failures tell.

    Attributes
    ----------
    failures : list of Failure
        The failed assignments, in their order.
    in_journals : collection of int
        Assignments with a row in a journal, which have not failed.
    """

    failures: list[Failure]
    in_journals: Collection[int] = ()


def failures_of_task(layout: TaskLayout) -> list[Failure]:
    """Return the failed assignments of a task's last round, in their order."""
    plan = Plan.load(layout)
    if plan is None:
        return []
    return retry_while_changing(lambda: failures_of(layout.round(plan.round)))


def failures_of(round_: Round) -> list[Failure]:
    """Return the failed assignments of a round, in their order; see `outcomes_of`."""
    return outcomes_of(round_).failures


def outcomes_of(round_: Round) -> Outcomes:
    """Return the failed assignments of a round, and others in the same journals.

    Some failures are in journals, others listed beside finished blocks. Raises
    `FileNotFoundError` if a journal was removed meanwhile.
    """
    check_division(round_)
    counts = DivisionCounts.load(round_)
    blocks = set() if counts is None else finished_blocks(round_, counts.ext)
    accepted = {i: r for b in blocks for i, r in accepted_failures(round_, b).items()}
    found = {i: _failure(i, record) for i, record in accepted.items()}
    last_failures, in_journals = _recorded(round_)
    recorded = list(last_failures.items())
    failures = journal.failures(last.entry for _, last in recorded)
    sessions = journal.failures(last.session for _, last in recorded)
    for (index, last), failure, session in zip(
        recorded, failures, sessions, strict=True
    ):
        record = {**failure, **measured(last.entry), "host": session.get("host")}
        found[index] = replace(
            _failure(index, record, is_accepted=index in accepted),
            attempt=last.attempt,
        )
    return Outcomes([found[index] for index in sorted(found)], in_journals)


def accepted_failures(round_: Round, block: int) -> dict[int, dict[str, Any]]:
    """Return the records of the failures that a block's store file lacks."""
    path = round_.failed(block)
    record = read_record(path, Failures) or {}
    if not all(i.isdecimal() and _is_sound(record[i]) for i in record):
        raise damaged(path, "has other entries than expected")
    return {int(index): failure for index, failure in record.items()}


def _is_sound(failure: Mapping[str, Any]) -> bool:
    texts = ("type", "message", "where", "traceback")
    try:
        of_kind([failure[name] for name in texts], list[str])
        of_kind(failure["parameters"], dict[str, str])
        of_kind(
            [failure.get(name) for name in ("start", "duration", "peak")],
            list[float | None],
        )
        of_kind(failure.get("host"), str | None)
    except (KeyError, RecordedTypeError):
        return False
    return True


def measured(failure: Entry) -> dict[str, float]:
    """Return what is recorded of a failure beside its cause, ready for JSON."""
    return {
        "start": failure.start,
        "duration": failure.duration,
        "peak": failure.peak,
    }


class _LastFailure(NamedTuple):
    """The last failure of an assignment, its session, and how many there were."""

    entry: Entry
    session: Entry
    attempt: int


def _recorded(round_: Round) -> tuple[dict[int, _LastFailure], Collection[int]]:
    """Return the last failure of each assignment without a row, and those with one."""
    rows: dict[int, float] = {}
    withdrawn: set[tuple[int, float]] = set()
    failed: dict[int, tuple[Entry, Entry]] = {}
    starts: dict[int, set[float]] = {}
    for path in round_.all_journals():
        session = None
        for entry in journal.scan(path):
            if entry.kind == frames.SESSION:
                session = entry
            elif entry.kind == frames.ROW:
                rows[entry.index] = max(entry.start, rows.get(entry.index, 0.0))
            elif session is not None:
                if entry.kind == frames.WITHDRAWAL:
                    withdrawn.add((entry.index, entry.start))
                starts.setdefault(entry.index, set()).add(entry.start)
                before = failed.get(entry.index)
                if before is None or before[0].start <= entry.start:
                    failed[entry.index] = (entry, session)
    there = dict(rows.items() - withdrawn) if withdrawn else rows
    failures = {
        index: _LastFailure(*failed[index], len(starts[index]))
        for index in failed.keys() - there.keys()
    }
    return failures, there.keys()


def _failure(
    index: int, record: dict[str, Any], *, is_accepted: bool = True
) -> Failure:
    # Not known of some jobs that died. Former versions recorded when a worker was found
    # dead as the start, and did not list that of what was accepted.
    duration = record.get("duration") or None
    return Failure(
        index=index,
        type=record["type"],
        message=visible(record["message"]),
        where=_where(record),
        traceback=visible(record["traceback"]),
        parameters=record["parameters"],
        start=None if duration is None else record.get("start"),
        duration=duration,
        peak=record.get("peak") or None,
        host=record.get("host") or "",
        is_accepted=is_accepted,
    )


def _where(record: Mapping[str, Any]) -> str:
    where: str = record["where"]
    # Former versions recorded frames in libraries.
    return innermost_frame(record["traceback"]) if FRAME.fullmatch(where) else where


def describe_failure(
    error: BaseException, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what is recorded of a failed assignment, ready for JSON."""
    text = user_traceback(error)
    return {
        "type": type(error).__name__,
        "message": message_of(error),
        "traceback": text,
        "where": innermost_frame(text),
        "parameters": describe_parameters(parameters),
    }


def describe_death(
    code: int, pid: int, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what is recorded of an assignment that ended its worker.

    `code` is the exit status of the worker, or the negative number of a signal.
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


def describe_timeout(
    limit: float,
    stack: str,
    parameters: Mapping[str, Any],
    *,
    is_of_budget: bool = False,
) -> dict[str, Any]:
    """Return what is recorded of an assignment that was ended as it took too long.

    `limit` are the seconds that it may take, and `stack` is what `faulthandler` wrote
    of its process; empty if it could not. The limit is `timeout`, or else what is left
    of the budget of pilots.
    """
    allowed = f"timeout = {limit_text(limit)}"
    if is_of_budget:
        allowed = f"{rough_duration(limit)}, what was left of the budget of 'psy plan'"
    message = f"took longer than {allowed}"
    frames = dumped_traceback(stack)
    head = "Traceback (most recent call last):\n" if frames else ""
    return {
        "type": TIMED_OUT,
        "message": message,
        "traceback": f"{head}{frames}{TIMED_OUT}: {message}\n",
        "where": innermost_frame(frames),
        "parameters": describe_parameters(parameters),
    }


def describe_end_of_job(cause: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is recorded of an assignment that ended its whole job.

    `cause` says in a few words why the queue ended it.
    """
    message = f"{cause}, which ended the whole job"
    return {
        "type": "JobEnded",
        "message": message,
        "traceback": f"{message}.\n",
        "where": cause,
        "parameters": describe_parameters(parameters),
    }

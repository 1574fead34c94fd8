"""A worker process: evaluates assignments and records each."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any, NoReturn, Protocol, TypeAlias

from psyrun.errors import PsyrunError, RecordError, ResultError, one_line
from psyrun.steps.work_queue import WorkQueue
from psyrun.utils.copying import own_values
from psyrun.utils.process import die_with, leave, say
from psyrun.utils.random_state import RandomStates
from psyrun.utils.text import text_of
from psyrun.utils.tracebacks import own_place, own_traceback
from psyrun.workdir.failures import describe_failure
from psyrun.workdir.in_flight import InFlightTable
from psyrun.workdir.journal import Journal

# What JSON keeps as it is: the keys of a round are agreed on in a file.
_KEYS = (str, int, float, type(None))
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_BYTES_PER_PEAK = 1024 if sys.platform == "darwin" else 1


class WorkerExit(IntEnum):
    """Exit statuses that are no assignment's fault (as in sysexits.h)."""

    NO_RECORD = 74
    """The journal could not be written."""
    NO_TIME = 75
    """The next assignment would not end before the job's wall time."""
    TOO_MANY_FAILURES = 76
    """Going on was hopeless."""
    NO_SPACE = 77
    """The journal could not be written, as the disk is full."""


Execute: TypeAlias = Callable[..., Any]
Setup: TypeAlias = Callable[[int], Mapping[str, Any]]
Functions: TypeAlias = tuple[Execute, Setup | None]


class IndexList(Protocol):
    """What is needed of the list of assignments."""

    def __getitem__(self, position: int, /) -> Any:
        """Return the assignment at a position."""


class AssignmentList(Protocol):
    """What is needed of a frozen space."""

    def __getitem__(self, index: int, /) -> dict[str, Any]:
        """Return one assignment."""


@dataclass(frozen=True)
class Evaluation:
    """What the workers of one process job have to do.

    Attributes
    ----------
    space : AssignmentList
        The frozen space.
    indices : sequence of int, or ndarray
        The assignments that positions stand for.
    supply : WorkQueue
        Hands out ranges of positions.
    execute : callable
        The user's function.
    setup : callable or None
        Called as ``setup(proc_id)`` in each worker; returns extra arguments.
    again : callable or None
        Returns `execute` and `setup` from a new import of the task, for a
        worker that cannot use those that it inherited.
    exclude : sequence of str
        Keys left out of the rows.
    check : callable
        Raises `PsyrunError` if a row cannot be kept.
    is_hopeless : callable
        Asked before the first assignment and after each failure: whether to stop.
    journal : callable
        Path of the journal of a worker.
    session : mapping
        What to note at the start of each journal.
    deadline : float
        When the job's wall time is over, in seconds since the epoch.
    random_states : RandomStates
        The random generators that workers inherit.
    """

    space: AssignmentList
    indices: IndexList
    supply: WorkQueue
    execute: Execute
    setup: Setup | None
    exclude: Sequence[str]
    check: Callable[[Mapping[str, Any]], None]
    journal: Callable[[int], Path]
    session: Mapping[str, Any]
    again: Callable[[], Functions] | None = None
    is_hopeless: Callable[[], bool] = lambda: False
    deadline: float = float("inf")
    random_states: RandomStates = field(default_factory=RandomStates.find)


class _SetupError(Exception):
    """The user's `setup` raised, which is the cause of this one."""


class Worker:
    """A worker process.

    Parameters
    ----------
    work : Evaluation
        What is to be done.
    number : int
        Number of the worker in its job, from 0.
    slots : InFlightTable
        Where to note what is evaluated.
    causes : ExitMessages
        Where to tell the job why this worker cannot work.
    parent : int
        The process of the job.
    intact : int
        Up to which byte the worker's journal is known to be intact.
    """

    def __init__(
        self,
        work: Evaluation,
        number: int,
        slots: InFlightTable,
        causes: ExitMessages,
        parent: int,
        intact: int = 0,
    ) -> None:
        self._intact = intact
        self._work = work
        self._number = number
        self._slots = slots
        self._causes = causes
        self._parent = parent
        self._longest = 0.0

    def live(self, rest: range) -> NoReturn:
        """Evaluate a range that is left, then what is supplied, and exit."""
        code = 1
        try:
            self._live(rest)
            code = 0
        except OSError as error:
            say(f"cannot record results: {error}")
            self._causes.tell(self._number, str(error))
            self._slots.clear(self._number)
            code = (
                WorkerExit.NO_SPACE
                if error.errno in _NO_SPACE
                else WorkerExit.NO_RECORD
            )
        except BaseException as error:
            cause = error.__cause__ if isinstance(error, _SetupError) else error
            say(own_traceback(cause))
            if isinstance(error, RecordError):
                # Else the job would take it for a death during the evaluation.
                self._slots.clear(self._number)
            self._causes.tell(self._number, _told(error))
        finally:
            leave(code)

    def _live(self, rest: range) -> None:
        die_with(self._parent)
        self._work.random_states.renew()
        if self._work.again is not None:
            # Those among the parameters are to stay as they are.
            before = RandomStates.find()
            execute, setup = self._work.again()
            self._work = replace(self._work, execute=execute, setup=setup)
            RandomStates.find().without(before).renew()
        extras = self._set_up()
        session = {**self._work.session, "pid": os.getpid()}
        journal = Journal(self._work.journal(self._number), session, self._intact)
        self._evaluate(rest, extras, journal)
        for positions in self._work.supply.take():
            self._evaluate(positions, extras, journal)
        journal.close()

    def _set_up(self) -> dict[str, Any]:
        if self._work.setup is None:
            return {}
        try:
            return dict(self._work.setup(self._number) or {})
        except BaseException as error:
            # Elsewhere an OSError means that records could not be written.
            raise _SetupError from error

    def _evaluate(
        self, positions: range, extras: dict[str, Any], journal: Journal
    ) -> None:
        work, clock, wall_clock = self._work, time.perf_counter, time.time
        for position in positions:
            index = int(work.indices[position])
            self._slots.set(self._number, index, position, positions.stop)
            parameters = work.space[index]
            start, begun = wall_clock(), clock()
            self._stop_if_pointless(start)
            try:
                result = work.execute(**own_values(parameters), **extras)
                row = row_of(parameters, result, work.exclude)
            # Ctrl-C does not interrupt workers: all that is raised is the user's.
            except BaseException as error:
                lasted = clock() - begun
                self._fail(journal, index, start, lasted, parameters, error)
            else:
                lasted = clock() - begun
                self._keep(journal, index, start, lasted, parameters, row)
            self._longest = max(self._longest, lasted)
        self._slots.clear(self._number)

    def _stop_if_pointless(self, now: float) -> None:
        if os.getppid() != self._parent:
            os._exit(1)
        if self._longest and now + self._longest > self._work.deadline:
            self._stop(WorkerExit.NO_TIME)

    def _keep(
        self,
        journal: Journal,
        index: int,
        start: float,
        lasted: float,
        parameters: Mapping[str, Any],
        row: Mapping[str, Any],
    ) -> None:
        try:
            self._work.check(row)
            journal.row(index, start, lasted, _peak(), row)
        except (OSError, RecordError):
            raise
        except Exception as error:
            self._fail(journal, index, start, lasted, parameters, error)

    def _fail(
        self,
        journal: Journal,
        index: int,
        start: float,
        lasted: float,
        parameters: Mapping[str, Any],
        error: BaseException,
    ) -> None:
        failure = describe_failure(error, parameters)
        journal.failure(index, start, lasted, _peak(), failure)
        say(f"assignment {index}:\n{failure['traceback']}")
        if self._work.is_hopeless():
            self._stop(WorkerExit.TOO_MANY_FAILURES)

    def _stop(self, code: WorkerExit) -> NoReturn:
        self._slots.clear(self._number)
        leave(code)


def row_of(
    parameters: Mapping[str, Any], result: Any, exclude: Iterable[str]
) -> dict[str, Any]:
    """Return the row of an assignment.

    Parameters
    ----------
    parameters : mapping
        The assignment.
    result : object
        What `execute` returned for it.
    exclude : iterable of str
        Keys left out.

    Raises
    ------
    ResultError
        If the result is no mapping, has keys that cannot name a column, or
        nothing is left of the row.
    """
    if not isinstance(result, Mapping):
        raise ResultError(
            f"execute returned {type(result).__name__}; it must return a dict of "
            "results, such as {'y': 1.0}."
        )
    for key in result:
        if not isinstance(key, _KEYS):
            raise ResultError(
                f"execute returned the key {text_of(key)} of type "
                f"{type(key).__name__}; results must have names, such as 'y'."
            )
    row = {**parameters, **result}
    for key in exclude:
        row.pop(key, None)
    if not row:
        raise ResultError(
            "nothing is left to save, as exclude_from_result takes all parameters and "
            "results away. Return a result that is not in it, or exclude less."
        )
    return row


def _told(error: BaseException) -> str:
    """Return for the user why a worker cannot work."""
    if isinstance(error, PsyrunError):
        return str(error)
    if not isinstance(error, _SetupError) or error.__cause__ is None:
        said = one_line(error)
        return f"a worker process failed: {said}. Its traceback is in the job's log."
    place = own_place(error.__cause__)
    said = f"`setup` raised {one_line(error.__cause__)}"
    return f"{place and f'{place}: '}{said}. Mend it there, then run again."


def _peak() -> int:
    """Return the largest resident memory of this process so far, in KiB."""
    return getrusage(RUSAGE_SELF).ru_maxrss // _BYTES_PER_PEAK


_LONGEST = 4000  # bytes; pipes take that at once


class ExitMessages:
    """A pipe from the workers of a job to it."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_blocking(end, False)

    def tell(self, worker: int, text: str) -> None:
        """Tell why a worker ends; called in the worker.

        Parameters
        ----------
        worker : int
            Its number.
        text : str
            One line.
        """
        line = f"{worker} {' '.join(text.split())}".encode(errors="backslashreplace")
        # The user's code may have closed the pipe, and a full one says enough.
        with suppress(OSError):
            os.write(self._write, line[:_LONGEST] + b"\n")

    def of(self, worker: int) -> str:
        """Return what a worker told at last; empty if that is nothing."""
        told = b""
        with suppress(BlockingIOError):
            told = os.read(self._read, 1 << 16)
        words = (
            line.partition(" ")
            for line in reversed(told.decode(errors="replace").splitlines())
        )
        return next((text for number, _, text in words if number == str(worker)), "")

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._read)
        os.close(self._write)

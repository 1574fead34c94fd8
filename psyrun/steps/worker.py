"""A worker process: evaluates assignments and records each."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from psyrun.errors import (
    IneffectiveExcludeWarning,
    PsyrunError,
    RecordError,
    ResultError,
    StoreError,
    one_line,
)
from psyrun.pspace.absent import Arguments
from psyrun.steps.exit_messages import ExitMessages, WorkerExit
from psyrun.steps.labels import Labels
from psyrun.steps.spawned import take_the_place_of_main
from psyrun.steps.timekeeper import die_with_stack
from psyrun.steps.work_queue import WorkQueue
from psyrun.store.values import base_value
from psyrun.tasks.paths import path_beside, taken_from
from psyrun.utils.copying import independent_values
from psyrun.utils.process.basics import log_line, prepare_forked_process
from psyrun.utils.process.code_watch import code_watch
from psyrun.utils.process.ending import leave
from psyrun.utils.process.memory import forget_peak, peak_memory
from psyrun.utils.process.offspring import adopt_orphans
from psyrun.utils.process.random_state import RandomStates
from psyrun.utils.text import text_of
from psyrun.utils.tracebacks import user_place, user_traceback
from psyrun.workdir.failures import describe_failure
from psyrun.workdir.in_flight import InFlightTable
from psyrun.workdir.journal import Journal
from psyrun.workdir.row_pickles import reading_error

if TYPE_CHECKING:
    from psyrun.pspace import ParameterSpace
    from psyrun.pspace.replicates import RandomSupply
    from psyrun.store.arrays import Indices

# What JSON keeps as it is: the keys of a round are agreed on in a file.
_KEYS = (str, int, float, type(None))
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_FORGET_PEAK = 0.001
"""Seconds after which the peak of memory begins anew: it takes some microseconds."""
_LOOK_AT_LOCK = 5.0  # seconds between looks

Execute: TypeAlias = Callable[..., Any]
Setup: TypeAlias = Callable[[int], Mapping[str, Any]]


@dataclass(frozen=True)
class Evaluation:
    """What the workers of one process job evaluate, and how.

    Attributes
    ----------
    indices : sequence of int, or ndarray
        The assignments that positions in `queue` stand for.
    setup : callable or None
        Called as ``setup(proc_id)`` in each worker; returns extra arguments.
    exclude : sequence of str
        Keys left out of the rows.
    check : callable
        Raises `PsyrunError` if a row cannot be kept.
    journal : callable
        Path of the journal of a worker.
    session : mapping
        What to note at the start of each journal.
    has_too_many_failures : callable
        Asked before the first assignment and after each failure: whether to stop.
    deadline : float
        When the job's wall time is over, in seconds since the epoch.
    random_states : RandomStates
        The random generators that workers inherit.
    enter : callable
        Called before `setup`, to take what the task file has left: its current folder
        and streams.
    record_loaded_code : callable
        Records which files of code were loaded since it was called last.
    holds_lock : callable
        Whether the job still has its lock.
    taskdir : Path
        Absolute folder of the task file, for what is only there.
    timeout : float or None
        How many seconds an evaluation may take.
    is_budget : bool
        Whether that is what is left of the budget of pilots, rather than what the task
        file allows.
    defers_killed : bool
        Whether what was evaluated by a worker that was killed is left for later.
    """

    space: ParameterSpace
    indices: Sequence[int] | Indices
    queue: WorkQueue
    execute: Execute
    setup: Setup | None
    exclude: Sequence[str]
    check: Callable[[Mapping[str, Any]], None]
    journal: Callable[[int], Path]
    session: Mapping[str, Any]
    has_too_many_failures: Callable[[], bool] = lambda: False
    deadline: float = float("inf")
    random_states: RandomStates = field(default_factory=RandomStates.find)
    record_loaded_code: Callable[[], None] = lambda: None
    enter: Callable[[], None] = lambda: None
    holds_lock: Callable[[], bool] = lambda: True
    taskdir: Path = Path()
    timeout: float | None = None
    is_budget: bool = False
    defers_killed: bool = False

    @property
    def needs_reader(self) -> bool:
        """Whether workers may read rows that a merge cannot."""
        return self.setup is not None


class _SetupError(Exception):
    """The user's `setup` raised, which is the cause of this one."""


class Worker:
    """A worker process of the job `parent`.

    `find_work` is called when the process is prepared. `reader` returns why the pickle
    of a row cannot be read; the worker itself reads it by default.
    """

    def __init__(
        self,
        find_work: Callable[[], Evaluation],
        number: int,
        in_flight: InFlightTable,
        messages: ExitMessages,
        parent: int,
        reader: Callable[[bytes], str] | None = None,
    ) -> None:
        self._find_work = find_work
        self._number = number
        self._in_flight = in_flight
        self._messages = messages
        self._parent = parent
        self._read_back = reader or reading_error
        self._longest = 0.0
        self._looked = time.time()
        self._peak_since = 0.0
        self._watch = code_watch()

    def run(self, rest: range) -> NoReturn:
        """Evaluate what an earlier worker left of a range, then the queue, and exit."""
        code = 1
        try:
            self._evaluate_all(rest)
            code = 0
        except StoreError as error:
            self._tell(error)
        except OSError as error:
            log_line(f"cannot record results: {error}")
            self._messages.send(self._number, str(error))
            self._in_flight.clear(self._number)
            is_full = error.errno in _NO_SPACE
            code = WorkerExit.NO_SPACE if is_full else WorkerExit.NO_RECORD
        except BaseException as error:
            self._tell(error)
        finally:
            self._leave(code)

    def _tell(self, error: BaseException) -> None:
        """Log an error that ends this worker, and send the job its cause."""
        cause = error.__cause__ if isinstance(error, _SetupError) else error
        log_line(user_traceback(cause))
        if isinstance(error, RecordError):
            # Else the job would take it for a death during the evaluation.
            self._in_flight.clear(self._number)
        self._messages.send(self._number, _exit_message(error))

    def _evaluate_all(self, rest: range) -> None:
        prepare_forked_process(self._parent)
        # What it starts lives as long as it does, however far it detaches itself.
        adopt_orphans()
        self._evaluation = self._find_work()
        self._unseen = frozenset(self._evaluation.exclude)
        self._watch.since = time.time()
        take_the_place_of_main()
        self._evaluation.enter()
        self._extras = self._set_up()
        if self._evaluation.timeout is not None:
            die_with_stack(self._messages.file)
        session = {**self._evaluation.session, "pid": os.getpid()}
        path = self._evaluation.journal(self._number)
        self._journal = Journal(path, session)
        self._labels = Labels()
        work = self._evaluation
        self._arguments = Arguments(work.execute, work.space)
        self._check_extras(self._arguments.supply)
        self._evaluate(rest)
        for positions in self._evaluation.queue.take(self._stop_if_lost):
            self._evaluate(positions)
        self._evaluation.record_loaded_code()
        self._journal.close()

    def _check_extras(self, supply: RandomSupply | None) -> None:
        """Refuse what would be given to `execute` twice."""
        for key in () if supply is None else supply.takes & self._extras.keys():
            raise PsyrunError(
                f"setup returns {key!r}, which execute gets from replicates in pspace; "
                "give it another name."
            )

    def _set_up(self) -> dict[str, Any]:
        if self._evaluation.setup is None:
            return {}
        try:
            return dict(self._evaluation.setup(self._number) or {})
        except BaseException as error:
            if self._moves_for(error):
                return self._set_up()
            # Elsewhere an OSError means that records could not be written.
            raise _SetupError from error

    def _evaluate(self, positions: range) -> None:
        work, extras = self._evaluation, self._extras
        clock, wall_clock = time.perf_counter, time.time
        labels, given = self._labels, self._arguments.of
        supply = self._arguments.supply
        for position in positions:
            index = int(work.indices[position])
            self._in_flight.set(self._number, index, position, positions.stop)
            parameters = work.space[index]
            start = wall_clock()
            if not 0 <= start - self._peak_since < _FORGET_PEAK:
                self._peak_since = start
                forget_peak()
            begun = clock()
            self._stop_if_pointless(start)
            self._watch.since = start
            labels.index = index
            try:
                arguments = independent_values(given(index, parameters))
                if supply is not None:
                    arguments = supply.added_to(arguments, parameters)
                result = work.execute(**arguments, **extras)
                row = row_of(parameters, result, work.exclude)
            # Ctrl-C does not interrupt workers: all that is raised is the user's.
            except BaseException as error:
                if self._moves_for(error):
                    self._evaluate(range(position, positions.stop))
                    return
                lasted = clock() - begun
                labels.end()
                self._record_failure(index, start, lasted, parameters, error)
            else:
                lasted = clock() - begun
                labels.end()
                if self._unseen:
                    self._look_for_excluded({*parameters, *result, *extras})
                self._record(index, start, lasted, parameters, row)
            if abs(wall_clock() - self._looked) > _LOOK_AT_LOCK:
                self._looked = wall_clock()
                # It may have been lost during a pause.
                self._stop_if_lost()
            self._longest = max(self._longest, lasted)
        self._in_flight.clear(self._number)

    def _moves_for(self, error: BaseException) -> bool:
        """Go to the folder of the task file if what an error misses is only there."""
        missed = path_beside(error, self._evaluation.taskdir)
        if missed is not None:
            log_line(taken_from(self._evaluation.taskdir, missed))
            os.chdir(self._evaluation.taskdir)
        return missed is not None

    def _look_for_excluded(self, keys: Collection[str]) -> None:
        """Say once what is to be left out of rows, but is not in the first one."""
        for key in sorted(self._unseen.difference(keys)):
            log_line(f"warning: exclude_from_result: {IneffectiveExcludeWarning(key)}")
        self._unseen = frozenset()

    def _stop_if_lost(self) -> None:
        if not self._evaluation.holds_lock():
            self._stop(WorkerExit.LOST_LOCK)

    def _stop_if_pointless(self, now: float) -> None:
        if os.getppid() != self._parent:
            os._exit(1)
        if self._longest and now + self._longest > self._evaluation.deadline:
            self._stop(WorkerExit.NO_TIME)

    def _record(
        self,
        index: int,
        start: float,
        lasted: float,
        parameters: Mapping[str, Any],
        row: Mapping[str, Any],
    ) -> None:
        try:
            self._evaluation.check(row)
            # First of all: no row may be there without what it was computed by.
            if self._watch.has_new:
                self._evaluation.record_loaded_code()
            self._journal.row(index, start, lasted, _peak(), row, self._read_back)
        except RecordError:
            raise
        except Exception as error:
            # A `StoreError` is about the row, any other `OSError` about the journal.
            if isinstance(error, OSError) and not isinstance(error, StoreError):
                raise
            self._record_failure(index, start, lasted, parameters, error)

    def _record_failure(
        self,
        index: int,
        start: float,
        lasted: float,
        parameters: Mapping[str, Any],
        error: BaseException,
    ) -> None:
        failure = describe_failure(error, self._arguments.of(index, parameters))
        self._journal.failure(index, start, lasted, _peak(), failure)
        log_line(f"assignment {index}:\n{failure['traceback']}")
        if self._evaluation.has_too_many_failures():
            self._stop(WorkerExit.TOO_MANY_FAILURES)

    def _stop(self, code: WorkerExit) -> NoReturn:
        self._in_flight.clear(self._number)
        self._leave(code)

    def _leave(self, code: int) -> NoReturn:
        # Unless the evaluation itself ended it: from now on its rows are whole.
        if self._in_flight.get(self._number) is None:
            self._in_flight.end(self._number, code)
        leave(code)


def row_of(
    parameters: Mapping[str, Any], result: Any, exclude: Iterable[str]
) -> dict[Any, Any]:
    """Return the row of an assignment, without the excluded keys.

    Raises `ResultError` if `result` is no mapping, has keys that cannot name a
    column, or nothing is left of the row.
    """
    if not isinstance(result, Mapping):
        raise ResultError(
            f"execute returned {type(result).__name__}; it must return a dict of "
            "results, such as {'y': 1.0}."
        )
    row: dict[Any, Any] = dict(parameters)
    row.update(_named(result))
    for key in exclude:
        row.pop(key, None)
    if not row:
        raise ResultError(
            "nothing is left to save, as exclude_from_result takes all parameters and "
            "results away. Return a result that is not in it, or exclude less."
        )
    return row


def _named(result: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
    try:
        # Nearly all keys are plain text.
        return [
            (key if type(key) is str else _column_name(key), value)
            for key, value in result.items()
        ]
    except ResultError:
        raise
    except Exception as error:
        # It is of a class of the user's.
        raise ResultError(
            f"execute returned {type(result).__name__}, which cannot be read as a dict "
            f"({one_line(error)}); return a dict of results, such as {{'y': 1.0}}."
        ) from error


def _column_name(key: object) -> str | int | float | None:
    """Return the key of a result as text or a number of Python's own."""
    name = base_value(key)
    if not isinstance(name, _KEYS) or name != name:
        raise ResultError(
            f"execute returned the key {text_of(key)} of type {type(key).__name__}; "
            "results must have names, such as 'y', or numbers of Python, as int() and "
            "float() make them."
        )
    return float(name) if isinstance(name, float) else name


def _exit_message(error: BaseException) -> str:
    if isinstance(error, PsyrunError):
        return str(error)
    if not isinstance(error, _SetupError) or error.__cause__ is None:
        return (
            f"a worker process failed: {one_line(error)}. Its traceback is in the "
            "job's log."
        )
    place = user_place(error.__cause__)
    cause = f"`setup` raised {one_line(error.__cause__)}"
    return f"{place and f'{place}: '}{cause}. Fix it there, then run again."


def _peak() -> int:
    """Return the largest resident memory of this evaluation, in KiB."""
    return peak_memory() // 1024

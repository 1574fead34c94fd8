"""Evaluation of the assignments of one process job, by worker processes.

The job's own process runs none of the user's code. It starts workers, which are
copies of it (forks) unless the import of the task did what a copy cannot have. They
take ranges of assignments, evaluate them and append a record of each to a
journal of their own. What a worker evaluates at the moment stands in memory
that it shares with the job, so that a worker that dies, by whatever cause, is
reported against that one assignment, and a new worker goes on with the next.
"""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, NoReturn

from psyrun.errors import (
    JobError,
    LostLockError,
    OutOfTimeError,
    PsyrunError,
    reason_of,
)
from psyrun.pspace.absent import Arguments
from psyrun.steps.exit_messages import ExitMessages, WorkerExit
from psyrun.steps.freshworker import FreshWorkers, Start
from psyrun.steps.row_reader import RowReader
from psyrun.steps.timekeeper import TimedOut, Timekeeper
from psyrun.steps.watchdog import Watchdog, Watched
from psyrun.steps.worker import Evaluation, Worker
from psyrun.utils.files import forget_checks
from psyrun.utils.process.basics import (
    end_threads,
    fork,
    holding_signals,
    log_line,
)
from psyrun.utils.process.ending import forget_parent, prepare_forks
from psyrun.utils.process.offspring import children, end_strays
from psyrun.utils.text import (
    assignment_text,
    counted,
    describe_exit,
)
from psyrun.workdir.failures import describe_death, describe_timeout
from psyrun.workdir.in_flight import InFlight, InFlightTable
from psyrun.workdir.journal import Journal, cut_torn

_TOO_MANY_FAILURES = (
    "stopped: more assignments failed than max_failures allows. What is done is kept: "
    "fix the cause, then run again."
)


def evaluate(
    evaluation: Evaluation,
    n_workers: int,
    in_flight: Path,
    fresh: FreshWorkers | None = None,
    watchdog: Watchdog | None = None,
    notify: Callable[[str], object] = log_line,
) -> list[int]:
    """Evaluate all assignments of a process job; with `fresh`, workers are no copies.

    A `watchdog` looks after the workers, and `notify` is called with a line that the
    user should see. Returns the assignments that were left for later, as their worker
    was killed (`Evaluation.defers_killed`).

    Assignments that raise, or that end their worker, are recorded and do not raise
    here. Raises `PsyrunError` if records could not be written or `setup` failed, and
    `JobError` if the workers stopped before the end, or did not begin, with too
    little time left or too many failures.
    """
    pool = _Pool(evaluation, n_workers, in_flight, fresh, notify)
    with nullcontext() if watchdog is None else watchdog.looking_after(pool.watched):
        pool.run()
    return pool.deferred


class _Pool:
    """The workers of one process job, as their parent sees them."""

    def __init__(
        self,
        evaluation: Evaluation,
        size: int,
        in_flight: Path,
        fresh: FreshWorkers | None,
        notify: Callable[[str], object],
    ) -> None:
        self._evaluation = evaluation
        self._notify = notify
        self._fresh = fresh
        self._size = size
        self._in_flight = InFlightTable(in_flight, size)
        self._messages = ExitMessages()
        self._workers: dict[int, int] = {}
        # Their processes by the numbers of the workers.
        self._readers: dict[int, int] = {}
        self._is_out_of_time = False
        self.deferred: list[int] = []
        limit = evaluation.timeout
        self._timekeeper = None if limit is None else Timekeeper(limit, self._slots)
        # What the import of the task started is there for all workers.
        self._not_ours = children()
        # Up to where journals were verified: workers may die by the thousand.
        self._intact: dict[int, int] = {}

    def run(self) -> None:
        # Other jobs of the run may have failed while this one was queued.
        self._check_failures()
        # The task file may have used them when it was imported.
        end_threads()
        prepare_forks()
        keeper = self._timekeeper
        try:
            with nullcontext() if keeper is None else keeper.at_work():
                self._run_all()
        finally:
            self._kill_all()
            self._in_flight.close()
            self._messages.close()
            if self._fresh is not None:
                self._fresh.close()
        if self._is_out_of_time:
            raise OutOfTimeError(
                "the job's wall time does not suffice for the rest. What is done is "
                "kept: run again for the rest."
            )

    def _run_all(self) -> None:
        self._start_all()
        while self._workers:
            pid, status = os.wait()
            if pid in self._workers:
                number = self._workers.pop(pid)
                self._readers.pop(number, None)
                self._end_strays()
                self._ended(number, pid, os.waitstatus_to_exitcode(status))

    def _slots(self) -> dict[int, InFlight | None]:
        """Return what each worker evaluates, in another thread."""
        workers = list(self._workers.items())
        return {pid: self._in_flight.get(number) for pid, number in workers}

    def watched(self) -> list[Watched]:
        """Return the workers as a watchdog looks after them, in another thread."""
        return [self._watched(pid, n) for pid, n in list(self._workers.items())]

    def _watched(self, pid: int, number: int) -> Watched:
        slot, planned = self._in_flight.get(number), self._in_flight.exit_status(number)
        reader = self._readers.get(number)
        helpers = () if reader is None else (reader,)
        return Watched(pid, helpers, (slot, planned), lambda: self._at(slot, planned))

    def _at(self, slot: InFlight | None, planned: int | None) -> str:
        """Return what a worker is at, in words."""
        if planned is not None:
            return "at its end, after its last assignment"
        if slot is None:
            first = "" if self._fresh is None else "in the import of the task file, "
            return f"{first}in `setup` or between two assignments"
        values = ""
        # They are the user's, and may not be fit for this.
        with suppress(Exception):
            values = f" ({assignment_text(self._evaluation.space[slot.index])})"
        return f"in assignment {slot.index}{values}"

    def _start_all(self) -> None:
        """Start as many workers as the system allows."""
        for number in range(self._size):
            try:
                self._start(number, range(0))
            except OSError as error:
                if not self._workers:
                    raise
                n_workers = counted(len(self._workers), "worker")
                self._notify(
                    f"a job goes on with {n_workers} instead of {self._size}: "
                    f"{reason_of(error)}"
                )
                return

    def _start(self, number: int, rest: range) -> None:
        """Start a worker; it begins with what its predecessor left."""
        self._in_flight.clear(number)
        if self._fresh is None:
            self._fork(number, rest)
            return
        # No reader of rows: a copy is not sure to read what a new process does.
        messages = self._messages.file
        start = Start(number, rest.start, rest.stop, os.getpid(), messages)
        self._workers[self._fresh.start(start)] = number

    def _fork(self, number: int, rest: range) -> None:
        parent = os.getpid()
        with suppress(OSError, ValueError):
            # What is in the buffers now must not be written by each copy.
            sys.stdout.flush()
            sys.stderr.flush()
        reader = RowReader.start() if self._evaluation.needs_reader else None
        with holding_signals():
            pid = fork()
            if pid == 0:
                self._be_worker(number, rest, parent, reader)
            self._workers[pid] = number
        if reader is not None:
            self._readers[number] = reader.pid
            reader.close()

    def _be_worker(
        self, number: int, rest: range, parent: int, reader: RowReader | None
    ) -> NoReturn:
        shared = (self._in_flight, self._messages)
        Worker(self._in_copy, number, *shared, parent, reader).run(rest)

    def _in_copy(self) -> Evaluation:
        """Do what is to be done in a copy of this process."""
        forget_parent()
        forget_checks()
        # What is there now need not be looked through at the end.
        gc.freeze()
        self._evaluation.random_states.renew()
        return self._evaluation

    def _ended(self, number: int, pid: int, code: int) -> None:
        lost = self._in_flight.get(number)
        has_worked = self._in_flight.exit_status(number) is not None
        code = self._status_of_work(number, code)
        if self._has_timed_out(number, pid, lost, has_worked=has_worked):
            return
        if lost is not None:
            self._has_lost(number, pid, lost, code)
        elif code == WorkerExit.NO_TIME:
            self._is_out_of_time = True
        elif code != 0 or not has_worked:
            raise self._error_of_worker(number, code)

    def _has_lost(self, number: int, pid: int, lost: InFlight, code: int) -> None:
        """Go on without an assignment whose worker has ended in it."""
        # Whatever the status: the user's code may end its process with any.
        if code == -signal.SIGKILL and self._evaluation.defers_killed:
            self._defer(lost.index, code)
        else:
            self._record_death(number, lost, pid, code)
            self._check_failures()
        self._start(number, range(lost.position + 1, lost.end))

    def _error_of_worker(self, number: int, code: int) -> PsyrunError:
        """Return why a worker has ended the job, by its exit status."""
        if code == WorkerExit.TOO_MANY_FAILURES:
            return JobError(_TOO_MANY_FAILURES)
        if code == WorkerExit.LOST_LOCK:
            return LostLockError(
                "the job was suspended, and another run has taken it over meanwhile. "
                "What was recorded here is kept."
            )
        if code in (WorkerExit.NO_RECORD, WorkerExit.NO_SPACE):
            is_full = code == WorkerExit.NO_SPACE
            message = self._messages.last_of(number) or "see the job's log"
            cause = os.strerror(errno.ENOSPC) if is_full else message
            return PsyrunError(
                f"{self._evaluation.journal(number)}: results could not be recorded: "
                f"{cause}. What was recorded is kept: fix the cause, then run again."
            )
        if code < 0:
            return JobError(
                f"a worker process ended with {describe_exit(code)} in `setup` or "
                "between two assignments. What is done is kept: run again for the rest."
            )
        return PsyrunError(
            self._messages.last_of(number)
            or f"a worker process ended with {describe_exit(code)} while it was "
            "set up. Fix `setup` or the task file, then run again."
        )

    def _has_timed_out(
        self, number: int, pid: int, lost: InFlight | None, *, has_worked: bool
    ) -> bool:
        """Whether a worker ended because of the time limit; then another goes on."""
        if self._timekeeper is None:
            return False
        # Only of this one: another may be about to write its own.
        stack = self._messages.take_stack() if self._timekeeper.is_late(pid) else ""
        late = self._timekeeper.take(pid)
        if late is None or has_worked:
            return False
        if lost == late.slot:
            self._record_timeout(number, late, stack)
            self._check_failures()
            self._start(number, range(lost.position + 1, lost.end))
        else:
            # It came to its end at that moment: the next one is not to blame.
            rest = range(0) if lost is None else range(lost.position, lost.end)
            self._start(number, rest)
        return True

    def _record_timeout(self, number: int, late: TimedOut, stack: str) -> None:
        limit, is_budget = self._evaluation.timeout, self._evaluation.is_budget
        assert limit is not None
        parameters = self._passed(late.slot.index)
        failure = describe_timeout(limit, stack, parameters, is_of_budget=is_budget)
        self._record_failure(number, late.slot.index, failure, late.lasted)
        log_line(f"assignment {late.slot.index}:\n{failure['traceback']}")

    def _status_of_work(self, number: int, code: int) -> int:
        """Return the exit status of a worker, whatever ended it after its work."""
        planned = self._in_flight.exit_status(number)
        if planned is None:
            return code
        if planned != code:
            log_line(
                f"worker {number} ended with {describe_exit(code)} after its last "
                "assignment, in what it still had to do"
            )
        return planned

    def _check_failures(self) -> None:
        if self._evaluation.has_too_many_failures():
            raise JobError(_TOO_MANY_FAILURES)

    def _defer(self, index: int, code: int) -> None:
        self.deferred.append(index)
        values = assignment_text(self._passed(index))
        self._notify(
            f"the process of assignment {index} ({values}) ended with "
            f"{describe_exit(code)}; it is tried again when the others of its job are "
            "done."
        )

    def _record_death(self, number: int, lost: InFlight, pid: int, code: int) -> None:
        failure = describe_death(code, pid, self._passed(lost.index))
        self._record_failure(number, lost.index, failure)
        log_line(f"assignment {lost.index}: {failure['message']}")

    def _passed(self, index: int) -> Mapping[str, Any]:
        """Return what `execute` was called with for an assignment."""
        work = self._evaluation
        return Arguments(work.execute, work.space).of(index, work.space[index])

    def _record_failure(
        self,
        number: int,
        index: int,
        failure: dict[str, Any],
        lasted: float | None = None,
    ) -> None:
        """Record the failure of an assignment whose worker is dead.

        Without `lasted`, its evaluation began where the last record of its worker ends.
        """
        path, now = self._evaluation.journal(number), time.time()
        # Nobody else writes to it, and its writer is dead.
        last = cut_torn(path, self._intact.get(number, 0))
        self._intact[number] = last.end
        if lasted is None:
            lasted = 0.0 if last.until is None else max(0.0, now - last.until)
        journal = Journal(path, self._evaluation.session)
        journal.failure(index, now - lasted, lasted, 0, failure)
        journal.close()

    def _kill_all(self) -> None:
        for pid in self._workers:
            os.kill(pid, signal.SIGKILL)
        for pid in self._workers:
            os.waitpid(pid, 0)
        self._workers.clear()
        self._readers.clear()
        self._end_strays()

    def _end_strays(self) -> None:
        """End what workers started that have ended."""
        end_strays({*self._not_ours, *self._workers, *self._readers.values()})

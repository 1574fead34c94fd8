"""Evaluation of the assignments of one process job, by worker processes.

The job's own process runs none of the user's code. It forks workers, which
take ranges of assignments from a pipe, evaluate them and append a record of
each to a journal of their own. What a worker evaluates at the moment stands
in memory that it shares with the job, so that a worker that dies, by whatever
cause, is reported against that one assignment, and a new worker goes on with
the next.
"""

from __future__ import annotations

import mmap
import os
import signal
import struct
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any, NoReturn, Protocol

from psyrun.errors import PsyrunError, ResultError
from psyrun.journal import Journal
from psyrun.random_state import RandomStates

_RANGE = struct.Struct("<QQ")
_SLOT = struct.Struct("<qQ")
_IDLE = -1
# A worker that could not write its journal is not to blame on an assignment.
_EXIT_NO_RECORD = 74  # EX_IOERR of sysexits.h

_BYTES_PER_PEAK = 1024 if sys.platform == "darwin" else 1


class Space(Protocol):
    """What is needed of a frozen space."""

    def __getitem__(self, index: int, /) -> dict[str, Any]:
        """Return one assignment."""


@dataclass(frozen=True)
class Work:
    """What the workers of one process job have to do.

    Attributes
    ----------
    space : Space
        The frozen space.
    indices : sequence of int
        Positions of the assignments to evaluate.
    execute : callable
        The user's function.
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
    """

    space: Space
    indices: Sequence[int]
    execute: Callable[..., Any]
    setup: Callable[[int], Mapping[str, Any] | None] | None
    exclude: Sequence[str]
    check: Callable[[Mapping[str, Any]], None]
    journal: Callable[[int], Path]
    session: Mapping[str, Any]
    random_states: RandomStates = field(default_factory=RandomStates.find)


def evaluate(work: Work, pool_size: int) -> None:
    """Evaluate all assignments of a process job.

    Parameters
    ----------
    work : Work
        What to evaluate, and how.
    pool_size : int
        Number of worker processes.

    Raises
    ------
    PsyrunError
        If records could not be written or `setup` failed. Assignments that
        raise, or that end their worker, are recorded and do not raise here.
    """
    if len(work.indices):
        _Pool(work, min(pool_size, len(work.indices))).run()


class _Pool:
    """The workers of one process job, as their parent sees them."""

    def __init__(self, work: Work, size: int) -> None:
        self._work = work
        self._slots = mmap.mmap(-1, size * _SLOT.size)
        self._size = size
        self._workers: dict[int, int] = {}
        self._ranges, self._write_end = os.pipe()

    def run(self) -> None:
        _fill(self._write_end, len(self._work.indices), self._size)
        os.close(self._write_end)
        try:
            for slot in range(self._size):
                self._start(slot, range(0))
            while self._workers:
                pid, status = os.wait()
                if pid in self._workers:
                    slot = self._workers.pop(pid)
                    self._ended(slot, pid, os.waitstatus_to_exitcode(status))
        finally:
            self._kill_all()
            os.close(self._ranges)
            self._slots.close()

    def _start(self, slot: int, rest: range) -> None:
        """Fork a worker; it begins with what its predecessor left."""
        _SLOT.pack_into(self._slots, slot * _SLOT.size, _IDLE, 0)
        parent = os.getpid()
        with warnings.catch_warnings():
            # Threads of numerical libraries handle forks by themselves.
            warnings.simplefilter("ignore", DeprecationWarning)
            sys.stdout.flush()
            sys.stderr.flush()
            pid = os.fork()
        if pid == 0:
            _Worker(self._work, slot, self._slots, self._ranges, parent).live(rest)
        self._workers[pid] = slot

    def _ended(self, slot: int, pid: int, code: int) -> None:
        position, end = _SLOT.unpack_from(self._slots, slot * _SLOT.size)
        if code == 0 and position == _IDLE:
            return
        if code == _EXIT_NO_RECORD:
            raise PsyrunError(
                f"{self._work.journal(slot)}: results could not be recorded; see the "
                "log above for the cause. What was recorded is kept: mend the cause, "
                "then run again."
            )
        if position == _IDLE:
            raise PsyrunError(
                f"a worker process ended with {_describe(code)} while it was set up; "
                "see the log above, mend `setup` or the task file, then run again."
            )
        self._record_death(slot, position, pid, code)
        self._start(slot, range(position + 1, end))

    def _record_death(self, slot: int, position: int, pid: int, code: int) -> None:
        index = int(self._work.indices[position])
        cause = _describe(code)
        message = f"the worker process ended with {cause} during the evaluation"
        failure = {
            "type": "WorkerDied",
            "message": message,
            "traceback": f"{message} (pid {pid}).\n",
            "where": cause,
            "parameters": describe_parameters(self._work.space[index]),
        }
        print(f"assignment {index}: {message}", file=sys.stderr, flush=True)
        journal = Journal(self._work.journal(slot), self._work.session)
        journal.failure(index, time.time(), 0.0, 0, failure)
        journal.close()

    def _kill_all(self) -> None:
        for pid in self._workers:
            os.kill(pid, signal.SIGKILL)
        for pid in self._workers:
            os.waitpid(pid, 0)


class _Worker:
    """A worker process."""

    def __init__(
        self, work: Work, slot: int, slots: mmap.mmap, ranges: int, parent: int
    ) -> None:
        self._work = work
        self._slot = slot
        self._slots = slots
        self._ranges = ranges
        self._parent = parent

    def live(self, rest: range) -> NoReturn:
        code = 1
        try:
            self._live(rest)
            code = 0
        except OSError as error:
            print(f"cannot record results: {error}", file=sys.stderr)
            code = _EXIT_NO_RECORD
        except BaseException:
            print(own_traceback(sys.exception()), file=sys.stderr)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _live(self, rest: range) -> None:
        die_with(self._parent)
        self._work.random_states.renew()
        extras = dict((self._work.setup and self._work.setup(self._slot)) or {})
        path = self._work.journal(self._slot)
        path.parent.mkdir(parents=True, exist_ok=True)
        journal = Journal(path, {**self._work.session, "pid": os.getpid()})
        try:
            self._evaluate(rest, extras, journal)
            for positions in _take(self._ranges):
                self._evaluate(positions, extras, journal)
        finally:
            journal.close()
        self._note(_IDLE, 0)

    def _note(self, position: int, end: int) -> None:
        _SLOT.pack_into(self._slots, self._slot * _SLOT.size, position, end)

    def _evaluate(
        self, positions: range, extras: dict[str, Any], journal: Journal
    ) -> None:
        work, clock, parent = self._work, time.perf_counter, self._parent
        execute, space, indices = work.execute, work.space, work.indices
        for position in positions:
            if os.getppid() != parent:
                os._exit(1)
            self._note(position, positions.stop)
            index = int(indices[position])
            parameters = space[index]
            start, begun = time.time(), clock()
            try:
                result = execute(**parameters, **extras)
                row = row_of(parameters, result, work.exclude)
                work.check(row)
            except (Exception, SystemExit) as error:
                lasted = clock() - begun
                failure = describe_failure(error, parameters)
                print(f"assignment {index}:\n{failure['traceback']}", file=sys.stderr)
                journal.failure(index, start, lasted, _peak(), failure)
            else:
                journal.row(index, start, clock() - begun, _peak(), row)


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
        If the result is no mapping.
    """
    if not isinstance(result, Mapping):
        raise ResultError(
            f"execute returned {type(result).__name__}; it must return a dict of "
            "results, such as {'y': 1.0}."
        )
    row = {**parameters, **result}
    for key in exclude:
        row.pop(key, None)
    return row


def _fill(pipe: int, count: int, workers: int) -> None:
    """Write ranges that cover ``range(count)`` into a pipe, large ones first.

    Each takes its share of what is left, by half (guided self-scheduling), so
    there are O(workers · log count) of them: few enough for a pipe's buffer.
    """
    begin = 0
    while begin < count:
        size = max(1, -(-(count - begin) // (2 * workers))) if workers > 1 else count
        end = min(count, begin + size)
        os.write(pipe, _RANGE.pack(begin, end))
        begin = end


def _take(pipe: int) -> Iterator[range]:
    # A read of a few bytes from a pipe is atomic, so workers can share it.
    while piece := os.read(pipe, _RANGE.size):
        yield range(*_RANGE.unpack(piece))


def _peak() -> int:
    """Return the largest resident memory of this process so far, in KiB."""
    return getrusage(RUSAGE_SELF).ru_maxrss // _BYTES_PER_PEAK


def _describe(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"signal {-code}"


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends (Linux only).

    Elsewhere a worker notices between two assignments.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1  # prctl(2)
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def own_traceback(error: BaseException | None) -> str:
    """Return a traceback without the frames of psyrun at its top."""
    if error is None:
        return ""
    frames = error.__traceback__
    package = f"{Path(__file__).parent}{os.sep}"
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(package):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames))


def describe_failure(
    error: BaseException, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what is recorded of a failed assignment, ready for JSON."""
    text = own_traceback(error)
    frames = [line.strip() for line in text.splitlines() if line.startswith('  File "')]
    return {
        "type": type(error).__name__,
        "message": str(error),
        "traceback": text,
        "where": frames[-1] if frames else "",
        "parameters": describe_parameters(parameters),
    }


def describe_parameters(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return short texts of an assignment's values."""
    import reprlib

    return {key: reprlib.repr(value) for key, value in parameters.items()}

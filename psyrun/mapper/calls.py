"""The calls of a function, in this process or in several."""

from __future__ import annotations

import os
import pickle
import sys
import time
import uuid
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, TypeVar

from psyrun.errors import JobError, PsyrunError, one_line
from psyrun.pspace import ParameterSpace
from psyrun.pspace.absent import Arguments, without
from psyrun.pspace.replicates import RandomSupply
from psyrun.utils.copying import independent_values
from psyrun.utils.process.random_state import RandomStates
from psyrun.utils.progress import Bar, Lines, Progress, has_bar
from psyrun.utils.text import text_of
from psyrun.utils.tracebacks import user_traceback

Function = Callable[..., Mapping[str, Any]]
Row = dict[str, Any]
_T = TypeVar("_T")

_MUST = "; it must return a dictionary of results, for example {'y': 1.0}."
_LOOK = 0.1  # seconds between two looks at the progress
_renewed_for = ""


@dataclass(frozen=True)
class Call:
    """A call of a function for one point of a space.

    Attributes
    ----------
    point : dict
        The parameters.
    left_out : frozenset of str
        Those that the point lacks, and the function need not be given.
    supply : RandomSupply or None
        What the function gets beside them, if the space has replicates.
    """

    fn: Function
    point: Row
    left_out: frozenset[str] = frozenset()
    supply: RandomSupply | None = None

    @property
    def _arguments(self) -> Mapping[str, Any]:
        return without(self.point, self.left_out)

    def __str__(self) -> str:
        values = ", ".join(f"{k}={text_of(v)}" for k, v in self._arguments.items())
        return f"{name_of(self.fn)}({values})"

    def evaluate(self) -> Row:
        """Return parameters and results.

        An exception of the function gets a note with the parameters.
        """
        arguments = independent_values(self._arguments)
        if self.supply is not None:
            arguments = self.supply.added_to(arguments, self.point)
        try:
            result: object = self.fn(**arguments)
        except Exception as error:
            error.add_note(f"raised in the call {self}")
            raise
        if not isinstance(result, Mapping):
            kind = type(result).__name__
            raise JobError(f"{self} returned a value of type {kind}{_MUST}")
        return self.point | dict(result)


def name_of(fn: Function) -> str:
    """Return what a function is called."""
    while isinstance(fn, partial):
        fn = fn.func
    return str(getattr(fn, "__qualname__", type(fn).__name__))


def evaluated(fn: Function, pspace: ParameterSpace) -> Iterator[tuple[int, Row]]:
    """Yield positions and rows, evaluated in this process one after the other."""
    return ((i, call.evaluate()) for i, call in _calls(fn, pspace))


def _calls(fn: Function, pspace: ParameterSpace) -> Iterator[tuple[int, Call]]:
    arguments = Arguments(fn, pspace)
    for row, point in enumerate(pspace.iterate()):
        yield row, Call(fn, point, arguments.left_out(row), arguments.supply)


def evaluated_apart(
    fn: Function, pspace: ParameterSpace, *, keeps_rows: bool = False, **options: Any
) -> Iterator[tuple[int, Row]]:
    """Yield positions and rows as they come from several processes (joblib).

    The first error of the function is raised. If the caller `keeps_rows`, that is when
    the calls that had begun by then have ended, and no others are begun.
    """
    calls = _Calls(fn, pspace)
    failure: _Failure | None = None
    outcomes = iter(_outcomes(calls, options))
    for position, outcome in outcomes:
        if not isinstance(outcome, _Failure):
            yield position, outcome
            continue
        calls.are_over = True
        failure = failure or outcome
        if not keeps_rows:
            _cancel(outcomes)
            break
    if failure is not None:
        raise failure.as_raised_here()


def _cancel(outcomes: Iterator[object]) -> None:
    """End the calls that are going on."""
    with warnings.catch_warnings():
        # That is what is meant.
        warnings.simplefilter("ignore")
        if isinstance(outcomes, Generator):
            outcomes.close()


class _Calls:
    """The calls for the points of a space, up to the one where it is enough."""

    def __init__(self, fn: Function, pspace: ParameterSpace) -> None:
        self._fn = fn
        self._pspace = pspace
        self.are_over = False

    def __iter__(self) -> Iterator[tuple[int, Call]]:
        for each in _calls(self._fn, self._pspace):
            if self.are_over:
                return
            yield each


def _outcomes(
    calls: _Calls, options: dict[str, Any]
) -> Iterable[tuple[int, Row | _Failure]]:
    from joblib import Parallel, delayed

    try:
        parallel = Parallel(return_as="generator_unordered", **options)
    except ValueError:
        # Not all backends know how, nor does joblib 1.3.
        parallel = Parallel(**options)
    caller, outcome = (os.getpid(), uuid.uuid4().hex), delayed(_outcome)
    found: Iterable[tuple[int, Row | _Failure]] = parallel(
        outcome(caller, position, call) for position, call in calls
    )
    return found


def _outcome(
    caller: tuple[int, str], position: int, call: Call
) -> tuple[int, Row | _Failure]:
    """Evaluate, with random numbers that no other worker of the call shares."""
    global _renewed_for
    parent, name = caller
    is_apart = os.getpid() != parent
    if is_apart and name != _renewed_for:
        RandomStates.find().renew()
        _renewed_for = name
    try:
        if is_apart:
            return position, _evaluate_apart(call)
        return position, call.evaluate()
    except Exception as error:
        return position, _Failure.of(error, call, is_apart=is_apart)


def _evaluate_apart(call: Call) -> Row:
    """Evaluate in a worker, which has no say in when the program ends."""
    try:
        return call.evaluate()
    except SystemExit as error:
        # It would end the program, perhaps with status 0 and without results.
        raise JobError(f"{call} raised {one_line(error)}{_MUST}") from error


@dataclass(frozen=True)
class _Failure:
    """An exception on its way from a worker, where it leaves all but itself."""

    error: Exception
    notes: list[str]
    traceback: str = ""

    @classmethod
    def of(cls, error: Exception, call: Call, *, is_apart: bool) -> _Failure:
        notes = getattr(error, "__notes__", [])
        if not is_apart:
            return cls(error, notes)
        is_theirs = not isinstance(error, PsyrunError)
        traceback = user_traceback(error) if is_theirs else ""
        if not _survives(error):
            error = JobError(f"{call} raised {one_line(error)}.")
        return cls(error, notes, traceback)

    def as_raised_here(self) -> Exception:
        there = getattr(self.error, "__notes__", [])
        for note in self.notes:
            if note not in there:
                self.error.add_note(note)
        if self.traceback:
            self.error.__cause__ = _WorkerTracebackError(self.traceback)
        return self.error


class _WorkerTracebackError(Exception):
    """Shows as the traceback in the worker."""

    def __str__(self) -> str:
        return f"\n\n{self.args[0]}"


def _survives(error: Exception) -> bool:
    """Whether an exception can be sent to another process and read there."""
    return any(_can_be_copied(error, dump) for dump in (pickle.dumps, _dump_by_value))


def _can_be_copied(error: Exception, dump: Callable[[Exception], bytes]) -> bool:
    try:
        pickle.loads(dump(error))
    except Exception:
        return False
    return True


def _dump_by_value(error: Exception) -> bytes:
    """Pickle it with its class, which only the main program may have, as joblib."""
    try:
        cloudpickle = import_module("cloudpickle")
    except ImportError:
        # Joblib up to 1.5 brings it.
        cloudpickle = import_module("joblib.externals.cloudpickle")
    dumped: bytes = cloudpickle.dumps(error)
    return dumped


def with_progress(
    rows: Iterator[_T], total: int, *, is_shown: bool, n_before: int = 0
) -> Iterator[_T]:
    """Show on standard error how many rows there are, if that `is_shown`."""
    return _showing(rows, n_before, total) if is_shown and sys.stderr else rows


def _showing(rows: Iterator[_T], n_done: int, total: int) -> Iterator[_T]:
    progress: Progress
    if has_bar(sys.stderr):
        progress = Bar(sys.stderr)
    else:
        progress = Lines(partial(print, file=sys.stderr), pause=2.0, at_once=True)
    next_look = time.monotonic() + _LOOK
    try:
        progress.update(n_done, 0, total)
        for row in rows:
            n_done += 1
            if time.monotonic() >= next_look or n_done == total:
                progress.update(n_done, 0, total)
                next_look = time.monotonic() + _LOOK
            yield row
    finally:
        progress.update(n_done, 0, total)
        progress.close()

"""Evaluate a function on every point of a parameter space.

The function takes the parameters as keyword arguments and returns a dictionary of
results. What comes back has a column for each parameter and then one for each
result. A result with the name of a parameter takes its place; a result that some
rows lack is nan there.
"""

from __future__ import annotations

import math
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import IneffectiveExcludeWarning, JobError, one_line
from psyrun.pspace import ParameterSpace
from psyrun.pspace.matching import match_stored
from psyrun.pspace.param import select
from psyrun.store import AutodetectStore, Store
from psyrun.store.registry import store_for
from psyrun.utils.copying import independent_values
from psyrun.utils.former import warn_former, warn_user
from psyrun.utils.process.random_state import RandomStates
from psyrun.utils.text import text_of

Function = Callable[..., Mapping[str, Any]]
Row = dict[str, Any]

# An append may rewrite the whole file: let it take a tenth of the time at most.
_APPEND_SHARE = 0.1
_MUST = "; it must return a dictionary of results, for example {'y': 1.0}."
_OUTCOME = ""  # no parameter has this name
_renewed_for = ""


def map_pspace(
    fn: Function, pspace: ParameterSpace, exclude: Sequence[str] | None = ()
) -> dict[str, list[Any]]:
    """Evaluate a function on a parameter space, one point after the other.

    Parameters
    ----------
    fn : callable
        Takes the parameters as keyword arguments, returns a mapping of results.
    pspace : ParameterSpace
        Where to evaluate the function; `n` points.
    exclude : sequence of str, optional
        Parameters and results to leave out of what is returned.

    Returns
    -------
    dict of str to list
        Parameters, then results; `n` values each, in the order of the space.

    Raises
    ------
    JobError
        If the function returns something else than a mapping.

    Examples
    --------
    >>> from psyrun import Param
    >>> from psyrun.utils.example import square
    >>> map_pspace(square, Param(x=[1, 2, 3]))
    {'x': [1, 2, 3], 'y': [1, 4, 9]}
    """
    rows = (_evaluate(fn, point) for point in pspace.iterate())
    return _tabulate(rows, pspace.keys(), exclude)


def map_pspace_parallel(
    fn: Function,
    pspace: ParameterSpace,
    n_jobs: int = -1,
    backend: str | None = None,
    exclude: Sequence[str] | None = (),
) -> dict[str, list[Any]]:
    """Evaluate a function on a parameter space in several processes (joblib).

    Each worker process starts with random numbers of its own, for `random` and
    `numpy.random`, however it was started.

    Parameters
    ----------
    fn : callable
        Takes the parameters as keyword arguments, returns a mapping of results.
        With ``backend="multiprocessing"`` it has to be importable from a module.
    pspace : ParameterSpace
        Where to evaluate the function; `n` points.
    n_jobs : int, optional
        Number of processes; -1 for as many as there are processors. With 1 the
        function is evaluated in this process.
    backend : str, optional
        How joblib runs them: ``'loky'``, its default, ``'multiprocessing'`` or
        ``'threading'``. Threads share the random numbers of this process.
    exclude : sequence of str, optional
        Parameters and results to leave out of what is returned.

    Returns
    -------
    dict of str to list
        Parameters, then results; `n` values each, in the order of the space.

    Raises
    ------
    JobError
        If the function returns something else than a mapping.
    """
    rows = _in_parallel(fn, pspace, n_jobs=n_jobs, backend=backend)
    return _tabulate(rows, pspace.keys(), exclude)


def map_pspace_hdd_backed(
    fn: Function,
    pspace: ParameterSpace,
    filename: str | os.PathLike[str],
    store: Store | None = None,
    return_data: bool = True,
    pool_size: int = 1,
    exclude: Sequence[str] | None = (),
    append_interval: float = 5.0,
) -> dict[str, list[Any]] | None:
    """Evaluate what a file lacks of a parameter space, and append it there.

    Points that the file has rows for are not evaluated again. What an interrupt
    or an error in the function finds evaluated is appended before it is raised
    again, so that the next call goes on from there.

    Parameters
    ----------
    fn : callable
        Takes the parameters as keyword arguments, returns a mapping of results.
    pspace : ParameterSpace
        Where to evaluate the function; `n` points.
    filename : path-like
        The data file; it need not exist.
    store : Store, optional
        Reads and writes the file. By default the one of the file's extension.
    return_data : bool, optional
        Whether to read the results back and return them.
    pool_size : int, optional
        Number of processes that evaluate, with joblib if it is more than one.
    exclude : sequence of str, optional
        Parameters and results to leave out of the file. Points are then
        recognized by the other parameters.
    append_interval : float, optional
        Shortest time between two appends, in seconds. It grows with the time
        that an append takes.

    Returns
    -------
    dict of str to list, or None
        Parameters, then results; `n` values each, in the order of the space. The
        file has rows in the order of their evaluation, and may have more.

    Raises
    ------
    JobError
        If the function returns something else than a mapping.
    StoreError
        If the file cannot be read or written, or cannot hold a value.

    Notes
    -----
    Points are recognized by the values of their parameters in the file, so a
    function should not return another value under the name of a parameter.
    """
    if store is None or isinstance(store, AutodetectStore):
        store = store_for(filename)
    old = store.load(filename) if Path(filename).exists() else {}
    names = _as_names(exclude)
    compared = [key for key in pspace.keys() if key not in names]  # noqa: SIM118
    places = match_stored(pspace, old, compared)
    todo = np.flatnonzero(places < 0)
    unseen = set(names)
    n_old = max((len(column) for column in old.values()), default=0)
    places[todo] = n_old + np.arange(len(todo))
    with _Appender(store, filename, compared, append_interval) as appender:
        for row in _rows(fn, select(pspace, todo), pool_size):
            unseen.difference_update(row)
            appender.add({k: v for k, v in row.items() if k not in names})
    if len(todo):
        _warn_ineffective(unseen)
    return _read(store, filename, places, compared) if return_data else None


class _Appender:
    """Rows on their way to a file."""

    def __init__(
        self,
        store: Store,
        filename: str | os.PathLike[str],
        keys: Sequence[str],
        interval: float,
    ) -> None:
        self._store, self._filename, self._keys = store, filename, keys
        self._interval = interval
        self._rows: list[Row] = []
        self._next = time.monotonic() + interval

    def __enter__(self) -> _Appender:
        return self

    def __exit__(self, *exception: object) -> None:
        self._append()

    def add(self, row: Row) -> None:
        """Take a row; append it now or later."""
        self._store.check(row)
        self._rows.append(row)
        if time.monotonic() >= self._next:
            self._append()

    def _append(self) -> None:
        if not self._rows:
            return
        start = time.monotonic()
        self._store.append(self._filename, _tabulate(self._rows, self._keys))
        self._rows = []
        end = time.monotonic()
        self._next = end + max(self._interval, (end - start) / _APPEND_SHARE)


def _read(
    store: Store,
    filename: str | os.PathLike[str],
    places: NDArray[np.int64],
    keys: Sequence[str],
) -> dict[str, list[Any]]:
    if not len(places):
        return {key: [] for key in keys}
    columns = store.load(filename)
    ordered = [*keys, *(key for key in columns if key not in set(keys))]
    rows = places.tolist()
    return {key: [columns[key][row] for row in rows] for key in ordered}


def _evaluate(fn: Function, point: Row) -> Row:
    result: object = fn(**independent_values(point))
    if not isinstance(result, Mapping):
        kind = type(result).__name__
        raise JobError(f"{_call(fn, point)} returned a value of type {kind}{_MUST}")
    return point | dict(result)


def _call(fn: Function, point: Row) -> str:
    name = getattr(fn, "__qualname__", repr(fn))
    values = ", ".join(f"{k}={text_of(v)}" for k, v in point.items())
    return f"{name}({values})"


def _rows(fn: Function, pspace: ParameterSpace, n_processes: int) -> Iterator[Row]:
    """Yield rows as they are evaluated, in the order of the space."""
    if n_processes == 1:
        yield from (_evaluate(fn, point) for point in pspace.iterate())
        return
    # With an error, joblib would give up the rows that it has.
    options = {"n_jobs": n_processes, "return_as": "generator"}
    for outcome in _in_parallel(partial(_outcome, fn), pspace, **options):
        if isinstance(outcome[_OUTCOME], Exception):
            raise outcome[_OUTCOME]
        yield outcome[_OUTCOME]


def _evaluate_apart(fn: Function, point: Row) -> Row:
    """Evaluate in a worker, which has no say in when the program ends."""
    try:
        return _evaluate(fn, point)
    except SystemExit as error:
        # It would end the program, perhaps with status 0 and without results.
        raise JobError(f"{_call(fn, point)} raised {one_line(error)}{_MUST}") from error


def _outcome(fn: Function, /, **point: Any) -> Row:
    try:
        return {_OUTCOME: _evaluate_apart(fn, point)}
    except Exception as error:
        return {_OUTCOME: error}


def _in_parallel(fn: Function, pspace: ParameterSpace, **options: Any) -> Iterable[Row]:
    from joblib import Parallel, delayed

    call = (os.getpid(), uuid.uuid4().hex)
    evaluate = delayed(_evaluate_in_worker)
    rows: Iterable[Row] = Parallel(**options)(
        evaluate(call, fn, point) for point in pspace.iterate()
    )
    return rows


def _evaluate_in_worker(call: tuple[int, str], fn: Function, point: Row) -> Row:
    """Evaluate, with random numbers that no other worker of the call shares."""
    global _renewed_for
    parent, name = call
    if os.getpid() != parent and name != _renewed_for:
        RandomStates.find().renew()
        _renewed_for = name
    if os.getpid() != parent:
        return _evaluate_apart(fn, point)
    return _evaluate(fn, point)


def _tabulate(
    rows: Iterable[Row], keys: Iterable[str], exclude: Sequence[str] | None = ()
) -> dict[str, list[Any]]:
    """Turn rows into columns; `keys` come first."""
    columns: dict[str, list[Any]] = {key: [] for key in keys}
    n_rows = 0
    for n_rows, row in enumerate(rows, start=1):
        for key in row:
            if key not in columns:
                columns[key] = [math.nan] * (n_rows - 1)
        for key, column in columns.items():
            column.append(row.get(key, math.nan))
    names = _as_names(exclude)
    if n_rows:
        _warn_ineffective(names - columns.keys())
    return {key: column for key, column in columns.items() if key not in names}


def _warn_ineffective(names: Iterable[str]) -> None:
    """Warn of names that were to be left out, but were not there."""
    for name in sorted(names):
        warn_user(IneffectiveExcludeWarning(name))


def _as_names(exclude: Sequence[str] | None) -> set[str]:
    return {exclude} if isinstance(exclude, str) else set(exclude or ())


def get_result(
    fn: Function, params: Mapping[str, Any], exclude: Sequence[str] | None = None
) -> Row:
    """Evaluate a function at one point, as psyrun 0.8 let one do.

    Parameters
    ----------
    fn : callable
        Takes the parameters as keyword arguments, returns a mapping of results.
    params : mapping of str to object
        The parameters.
    exclude : sequence of str, optional
        Parameters and results to leave out of what is returned.

    Returns
    -------
    dict of str to object
        Parameters and results.
    """
    warn_former("psyrun.mapper.get_result", "{**params, **fn(**params)}")
    names, row = _as_names(exclude), _evaluate(fn, dict(params))
    _warn_ineffective(names - row.keys())
    return {key: value for key, value in row.items() if key not in names}

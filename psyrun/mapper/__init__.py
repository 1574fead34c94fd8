"""Evaluate a function on every point of a parameter space.

The function takes the parameters as keyword arguments and returns a dictionary of
results. What comes back has a column for each parameter and then one for each
result. A result with the name of a parameter takes its place; a result that some
rows lack is nan there. An exception of the function gets a note with the parameters
of the call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psyrun.mapper.calls import (
    Call,
    Function,
    Row,
    evaluated,
    evaluated_apart,
    with_progress,
)
from psyrun.mapper.columns import as_names, tabulate, warn_ineffective
from psyrun.mapper.file import DataFile
from psyrun.pspace import ParameterSpace
from psyrun.store import Store
from psyrun.utils.files import Filename
from psyrun.utils.former import warn_former


def map_pspace(
    fn: Function,
    pspace: ParameterSpace,
    exclude: Sequence[str] | None = (),
    *,
    progress: bool = False,
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
    progress : bool, optional
        Whether to show on standard error how far it is: with a bar on a terminal,
        with a few lines elsewhere.

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
    rows = with_progress(evaluated(fn, pspace), len(pspace), is_shown=progress)
    return tabulate((row for _, row in rows), pspace.keys(), exclude)


def map_pspace_parallel(
    fn: Function,
    pspace: ParameterSpace,
    n_jobs: int = -1,
    backend: str | None = None,
    exclude: Sequence[str] | None = (),
    *,
    progress: bool = False,
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
    progress : bool, optional
        Whether to show on standard error how far it is: with a bar on a terminal,
        with a few lines elsewhere.

    Returns
    -------
    dict of str to list
        Parameters, then results; `n` values each, in the order of the space.

    Raises
    ------
    JobError
        If the function returns something else than a mapping.
    """
    if n_jobs == 1:
        rows = evaluated(fn, pspace)
    else:
        rows = evaluated_apart(fn, pspace, n_jobs=n_jobs, backend=backend)
    found = dict(with_progress(rows, len(pspace), is_shown=progress))
    return tabulate((found[i] for i in sorted(found)), pspace.keys(), exclude)


def map_pspace_hdd_backed(
    fn: Function,
    pspace: ParameterSpace,
    filename: Filename,
    store: Store | None = None,
    return_data: bool = True,
    pool_size: int = 1,
    exclude: Sequence[str] | None = (),
    append_interval: float = 5.0,
    *,
    n_jobs: int | None = None,
    progress: bool = False,
    renew: bool | None = None,
) -> dict[str, list[Any]] | None:
    """Evaluate what a file lacks of a parameter space, and append it there.

    Points that the file has rows for are not evaluated again. What an interrupt
    or an error in the function finds evaluated is appended before it is raised
    again, so that the next call goes on from there: only calls that were going on
    then are made again.

    A hidden file beside `filename` records which version of the function rows come
    from, see Notes.

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
        What `n_jobs` was called in psyrun 0.8.
    exclude : sequence of str, optional
        Parameters and results to leave out of the file. Points are then
        recognized by the other parameters.
    append_interval : float, optional
        Shortest time between two appends, in seconds. It grows with the time
        that an append takes.
    n_jobs : int, optional
        Number of processes that evaluate, with joblib if it is not 1; -1 for as many
        as there are processors. Rows are appended as they come, and brought into
        the order of the space at the end.
    progress : bool, optional
        As for `map_pspace`.
    renew : bool, optional
        What to do with rows that the function returned before it was changed: True
        evaluates them again, after which they leave the file; False keeps them. By
        default they are kept with a warning.

    Returns
    -------
    dict of str to list, or None
        Parameters, then results; `n` values each, in the order of the space. The
        file has the rows of one call after those of another, and may have more.

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

    A function is changed if its source is, comments and formatting aside, or that of
    functions and classes that it uses and no library has; or a number or text that it
    takes from outside. What lists, arrays and files hold does not count.
    """
    file = DataFile(fn, pspace, filename, store, exclude, renew)
    file.fill(
        pool_size if n_jobs is None else n_jobs,
        append_interval,
        shows_progress=progress,
    )
    return file.read() if return_data else None


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
    names, row = as_names(exclude), Call(fn, dict(params)).evaluate()
    warn_ineffective(names - row.keys())
    return {key: value for key, value in row.items() if key not in names}

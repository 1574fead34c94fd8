"""The special variables of a task file, and what each may be."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from psyrun.backend import Backend, DistributeBackend
from psyrun.scheduler import ImmediateRun, Scheduler

if TYPE_CHECKING:
    from psyrun.pspace import ParameterSpace
    from psyrun.store import Store


def _pickle_store() -> Store:
    from psyrun.store import PickleStore

    return PickleStore()


@dataclass(frozen=True, kw_only=True, eq=False)
class Config:
    """The special variables of a task file.

    Only `pspace` and `execute` must be set. Paths are relative to the folder
    in which ``psy`` runs; a ``~`` in front is the home folder.

    Attributes
    ----------
    pspace : ParameterSpace
        The assignments to evaluate, such as ``Param(x=[1, 2, 3])``.
    execute : callable
        Evaluates one assignment: takes its parameters as keyword arguments and
        returns a mapping of result names to values.
    setup : callable, optional
        Called once in every process as ``setup(proc_id)``, with numbers from 0
        to ``pool_size - 1``. It returns a mapping of further keyword arguments
        for `execute`.
    store : Store, default PickleStore()
        How results are written. A store, its class, or its filename extension.
        If only `resultfile` is set, its extension decides.
    resultfile : Path, default ``<workdir>/<task>/result<extension>``
        Where the results are written to.
    workdir : Path, default ``psy-work``
        Folder for intermediary files; each task has a folder of its own in it.
    max_jobs : int, default 100
        Most process jobs to submit, at least 1.
    min_items : int, default 1
        Fewest assignments that a process job gets, at least 1.
    pool_size : int, default 1
        Number of processes in a process job, at least 1.
    backend : Backend, default DistributeBackend()
        How assignments are shared out among jobs. A backend, or its class.
    scheduler : Scheduler, default ImmediateRun()
        What jobs are submitted to. A scheduler, its class, or its name.
    scheduler_args : mapping of str to object, default ``{}``
        Arguments that the scheduler takes, such as a time limit. A function is
        called with the name of a job and returns the value for it.
    exclude_from_result : tuple of str, default ``()``
        Names of parameters and results that are not written to the result.
    python : str, default the running interpreter
        Python interpreter that jobs run with.
    file_dep : tuple of Path, default ``()``
        Files and folders on whose content the results depend.
    max_failures : int, optional
        How many assignments may fail before a run is stopped as hopeless. By
        default any number may.
    retries : int, default 0
        How often a job that used up its memory or its time, or whose machine
        failed, is submitted again; with twice the memory or time each time.
    overwrite_dirty : bool, default True
        Whether results of an earlier version of the task are replaced. If not,
        ``psy run`` refuses and says so.
    """

    pspace: ParameterSpace
    execute: Callable[..., Mapping[str, Any]]
    setup: Callable[[int], Mapping[str, Any]] | None = None
    store: Store = field(default_factory=_pickle_store)
    resultfile: Path | None = None
    workdir: Path = Path("psy-work")
    max_jobs: int = 100
    min_items: int = 1
    pool_size: int = 1
    backend: Backend = field(default_factory=DistributeBackend)
    scheduler: Scheduler = field(default_factory=ImmediateRun)
    scheduler_args: Mapping[str, Any] = field(default_factory=dict)
    exclude_from_result: tuple[str, ...] = ()
    python: str = sys.executable
    file_dep: tuple[Path, ...] = ()
    max_failures: int | None = None
    retries: int = 0
    overwrite_dirty: bool = True


class Setting(NamedTuple):
    """A value of a special variable, and who set it.

    Attributes
    ----------
    value : object
        The value as it was written.
    where : str
        File, or ``'command line'``, for messages.
    """

    value: Any
    where: str


SPECIAL_NAMES = frozenset(Config.__dataclass_fields__)
"""Names of all special variables."""

"""From task files to accepted plans and Snakefiles."""

from __future__ import annotations

import secrets
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psyrun import __version__
from psyrun.decide import decide
from psyrun.errors import PsyrunError, RunningError, StoreError, TaskError
from psyrun.files import read_json, write_json, write_text
from psyrun.fingerprint import fingerprint
from psyrun.layout import TaskLayout, record_of_task, shipped
from psyrun.lock import Holder, Lock, holder_of, running_jobs
from psyrun.observe import observe
from psyrun.plan import Decision, Plan, Wanted
from psyrun.scheduler import ImmediateRun
from psyrun.snakefile import DEFAULT_PYTHON, check_path, environment, render
from psyrun.tasks import Task, load_task

_PATIENCE = 10.0  # seconds that jobs of a killed run are given to end


@dataclass(frozen=True)
class Options:
    """What the user asked for on the command line.

    Attributes
    ----------
    keep_going : bool
        Whether outdated rows are kept (``--continue``).
    accept_failures : bool
        Whether assignments that failed are gone without.
    max_failures : int or None
        How many assignments may fail, if that is not left to the task file.
    token : str
        Name for a new merge.
    """

    keep_going: bool = False
    accept_failures: bool = False
    max_failures: int | None = None
    token: str = field(default_factory=lambda: secrets.token_hex(4))

    @property
    def overrides(self) -> dict[str, Any]:
        """Special variables that take the place of those of the task file."""
        is_given = self.max_failures is not None
        return {"max_failures": self.max_failures} if is_given else {}


@dataclass
class Prepared:
    """A task for which it is decided what to do.

    Attributes
    ----------
    task : Task
        The task.
    layout : TaskLayout
        Its paths.
    decision : Decision
        What to do.
    options : Options
        What the user asked for.
    lock : Lock or None
        The lock of the task, once it is started.
    """

    task: Task
    layout: TaskLayout
    decision: Decision
    options: Options
    lock: Lock | None = None

    @property
    def plan(self) -> Plan:
        """The plan to follow."""
        return self.decision.plan

    def render(self) -> None:
        """Write the Snakefile, unless a run of the task is using it now."""
        if self.lock is None and holder_of(self.layout.lock) is not None:
            return
        template = shipped("workflow", "task.smk.template").read_text(encoding="utf-8")
        write_text(self.layout.snakefile, render(self.plan, template))
        write_text(self.layout.environment, environment(__version__))

    def start(self, *, insist: bool = False) -> str | None:
        """Lock the task and accept its plan.

        Parameters
        ----------
        insist : bool
            Whether the plan must still be the one that was made before, as
            Snakemake has read it already.

        Returns
        -------
        str or None
            A remark for the user, where a lock was taken over.

        Raises
        ------
        RunningError
            If somebody else runs the task.
        PsyrunError
            If the task changed since it was decided what to do.
        """
        lock = Lock(self.layout.lock, f"task {self.task.name!r}")
        former = lock.acquire()
        try:
            self._wait_for_jobs_of_killed_run()
            decision = _decide(self.task, self.options)
            if insist and decision != self.decision:
                raise PsyrunError(
                    f"task {self.task.name!r} was worked on by another run meanwhile. "
                    "Run again."
                )
            # Jobs of a killed run may have come to their ends meanwhile.
            self.decision = decision
            write_json(self.layout.state, self.plan.as_json())
            _note_where(self.task)
            _make_folder_for_result(self.task)
        except BaseException:
            lock.release()
            raise
        self.lock = lock
        self.render()
        return None if former is None else _taken_over(self.task.name, former)

    def _wait_for_jobs_of_killed_run(self) -> None:
        """Jobs end with their controller, but it takes them a moment."""
        deadline = time.monotonic() + _PATIENCE
        while jobs := running_jobs(self.layout):
            if time.monotonic() > deadline:
                job, holder = next(iter(jobs.items()))
                name = self.task.name
                raise RunningError(
                    f"task {name!r}: its run ended, but its job {job} is still run by "
                    f"{holder}. Wait for it, or stop it with 'psy kill {name}'."
                )
            time.sleep(0.1)

    def release(self) -> None:
        """Give the lock back."""
        if self.lock is not None:
            self.lock.release()
            self.lock = None


def _taken_over(name: str, former: Holder) -> str:
    return f"task {name!r}: taking over from {former}, which ended without a word."


def _make_folder_for_result(task: Task) -> None:
    """Find out before the work whether its result can be written.

    Raises
    ------
    TaskError
        If it cannot.
    """
    try:
        Path(task.resultfile).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TaskError(
            f"{task.path}: the folder of resultfile {str(task.resultfile)!r} cannot be "
            f"made ({error.strerror}). Choose another one."
        ) from error


def _note_where(task: Task) -> None:
    """Record where the task works, so that others needn't import it to know."""
    folder = record_of_task(task.taskdir, task.name).parent
    record = {
        "workdir": str(task.workdir),
        "resultfile": str(task.resultfile),
        "file_dep": [str(path) for path in task.file_dep],
    }
    # A convenience: a folder that cannot be written to must not stop a run.
    with suppress(OSError, StoreError):
        if not folder.exists():
            write_text(folder / ".gitignore", "*\n")
        write_json(record_of_task(task.taskdir, task.name), record)


def prepare(path: Path, options: Options) -> Prepared:
    """Load a task and decide what is to be done for it; change nothing.

    Parameters
    ----------
    path : Path
        The task file.
    options : Options
        What the user asked for.

    Raises
    ------
    TaskError
        If the task file is not usable.
    PsyrunError
        If what is on disk cannot be read.
    """
    task = load_task(path, options.overrides)
    _check_available(task)
    _check_places(task)
    _check_parameters(task)
    layout = TaskLayout.of(task.workdir, task.name)
    return Prepared(task, layout, _decide(task, options), options)


def _check_available(task: Task) -> None:
    """Refuse what cannot be run yet.

    Raises
    ------
    TaskError
        If jobs would have to be submitted to a queue.
    """
    if not isinstance(task.scheduler, ImmediateRun):
        raise TaskError(
            f"{task.path}: scheduler is {type(task.scheduler).__name__}, but jobs "
            "can't be submitted to a queue yet. Use ImmediateRun, the default, to run "
            "the task on this machine."
        )


def _check_parameters(task: Task) -> None:
    """Find out before the work whether the store can hold the parameters.

    Raises
    ------
    TaskError
        If it cannot hold those of the first assignment.
    """
    excluded = task.exclude_from_result
    first = {k: v for k, v in task.pspace[0].items() if k not in excluded}
    try:
        task.store.check(first)
    except StoreError as error:
        raise TaskError(f"{task.path}: pspace: {error}") from error


def _check_places(task: Task) -> None:
    """Refuse places that cannot work.

    Raises
    ------
    TaskError
        If there is no such Python, or psyrun would write into a folder on
        whose content the task depends.
    """
    if shutil.which(task.python) is None:
        raise TaskError(
            f"{task.path}: python is {task.python!r}, which is no program. Give the "
            "path of a Python in which psyrun is installed."
        )
    workdir = task.workdir.resolve()
    for path in task.file_dep:
        if path.resolve() in [workdir, *workdir.parents]:
            raise TaskError(
                f"{task.path}: file_dep holds {str(path)!r}, which contains the work "
                f"folder {str(task.workdir)!r} and so changes with each run. Name the "
                "files or folders in it that count."
            )


def _decide(task: Task, options: Options) -> Decision:
    wanted = _wanted(task, options)
    return decide(wanted, observe(task, wanted), keep_going=options.keep_going)


def refusal(prepared: Prepared) -> str | None:
    """Return why outdated rows may not be replaced, None where they may."""
    if not prepared.decision.is_dirty or prepared.task.overwrite_dirty:
        return None
    name = prepared.task.name
    return (
        f"{prepared.task.path}: changed since its results were computed, and "
        "overwrite_dirty is False. Keep them and add what is missing with "
        f"'psy run --continue {name}', or remove them with 'psy clean {name}'."
    )


def _wanted(task: Task, options: Options) -> Wanted:
    workdir, resultfile, path = str(task.workdir), str(task.resultfile), str(task.path)
    check_path(workdir, "workdir", path)
    check_path(resultfile, "resultfile", path)
    return Wanted(
        task=task.name,
        taskfile=path,
        workdir=workdir,
        fingerprint=_fingerprint(task),
        n_items=len(task.pspace),
        backend=task.backend,
        max_jobs=task.max_jobs,
        min_items=task.min_items,
        pool_size=task.pool_size,
        accept_failures=options.accept_failures,
        max_failures=task.max_failures,
        ext=task.store.ext,
        resultfile=resultfile,
        python=DEFAULT_PYTHON if task.python == sys.executable else task.python,
        overwrite_dirty=task.overwrite_dirty,
        token=options.token,
    )


def _fingerprint(task: Task) -> str:
    cache = TaskLayout.of(task.workdir, task.name).digests
    digests: dict[str, str] = read_json(cache) or {}
    before = dict(digests)
    found = fingerprint(task.path, task.conf_path, task.file_dep, Path.cwd(), digests)
    if digests != before:
        write_json(cache, digests)
    return found

"""The entry of Snakemake: what ``workflow/Snakefile`` asks psyrun for.

Whoever starts Snakemake, the same happens: tasks are loaded, it is decided
what to do, each task is locked and its plan accepted, and one Snakefile for
each task is included. `psy run` does all but the last itself, and names the
Snakefiles in the configuration. Plain Snakemake reads them before it locks
anything, so the decisions are made once more under the locks.
"""

from __future__ import annotations

import atexit
import os
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakemake_interface_common.exceptions import WorkflowError

from psyrun.errors import PsyrunError
from psyrun.queue.past_jobs import forget_submissions
from psyrun.run.backups import link_backups
from psyrun.run.forkservers import ForkServers
from psyrun.run.lock_watch import LockWatch, of_text
from psyrun.run.own_folders import mark, remove_abandoned
from psyrun.run.snakemake import SNAKEFILES
from psyrun.run.threads import settings_of_servers
from psyrun.run.unreadable_records import remove_unreadable_records
from psyrun.scheduler.immediate import LOCAL
from psyrun.scheduler.slurm.commands import OwnJob
from psyrun.tasks.discovery import find_tasks, select
from psyrun.utils.environment import CONTROLLED_VARIABLE, TMPDIR_VARIABLE
from psyrun.utils.process.isolation import restore_safe_path
from psyrun.utils.streams import keep_own_rights
from psyrun.utils.users import name_for_libraries
from psyrun.workdir.holder import correct_time
from psyrun.workdir.layout import TaskLayout, TaskRecord
from psyrun.workdir.notices import take_notices
from psyrun.workdir.plan import Plan
from psyrun.workdir.progress import is_merged

if TYPE_CHECKING:
    from psyrun.planning.prepare import TaskRun

_RANDOM = "abcdefgh"  # as `tempfile` ends its names, in length


class Workflow:
    """The tasks of one Snakemake process.

    Parameters
    ----------
    is_main_process : bool
        Whether this process controls the run; other ones only run one job.
    own_folders : collection of Path
        Where Snakemake keeps files of its own while it runs.

    Raises
    ------
    WorkflowError
        If a task is not usable or its outdated rows may not be replaced.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        is_main_process: bool,
        own_folders: Collection[Path] = (),
    ) -> None:
        self._tasks: list[TaskRun] = []
        self._servers: ForkServers | None = None
        keep_own_rights()
        remove_unreadable_records()
        os.environ.update(name_for_libraries())
        restore_safe_path()
        if not _restore_temporary_folder() and is_main_process:
            _mark(own_folders)
        _use_python_of_this_process()
        if SNAKEFILES not in config and is_main_process:
            with _errors_without_traceback():
                self._plan(config)
            paths = [task.layout.snakefile for task in self._tasks]
            plans = [task.plan for task in self._tasks]
        else:
            paths = [Path(path) for path in config.get(SNAKEFILES) or _recorded(config)]
            plans = [Plan.required(TaskLayout(path.parent)) for path in paths]
        if is_main_process:
            for plan in plans:
                correct_times(plan)
        self._watch: LockWatch | None = None
        self._results = {Path(plan.resultfile) for plan in plans}
        self.targets = [target for plan in plans for target in _targets(plan)]
        # Snakemake takes relative paths as relative to the including file.
        self.snakefiles = [str(path.resolve()) for path in paths]

    def _plan(self, config: Mapping[str, Any]) -> None:
        # `psy run` has planned already, and Snakemake starts sooner without these.
        from psyrun.planning.checks import check_imports
        from psyrun.planning.desired import PlanOptions
        from psyrun.planning.prepare import load_tasks

        options = PlanOptions(
            keep_going=_is_true(config.get("psy_continue", False)),
            accept_failures=_is_true(config.get("psy_accept_failures", False)),
            move_aside=_is_true(config.get("psy_move_aside", False)),
        )
        paths = _taskfiles(config).values()
        # Which executor there will be is not known before it starts.
        self._tasks = load_tasks(paths, options, site_scheduler=None)
        for task in self._tasks:
            task.preview(_warn)
            if not task.decision.is_done:
                check_imports(task.task)
        for task in self._tasks:
            if why := task.refusal:
                raise PsyrunError(why)
            task.render()
            task.forget_incomplete()

    def start(self, workflow: Any) -> None:
        """Lock the tasks, accept their plans and start their fork servers."""
        atexit.register(self.stop)
        OwnJob.of_environment()
        link_backups(self._results)
        tasks = [task for task in self._tasks if not task.decision.is_done]
        # psyrun's executor has it.
        scheduler = getattr(workflow.executor_settings, "scheduler", None)
        for task in tasks:
            task.site_scheduler = scheduler or ""
            with _errors_without_traceback():
                _accept(task)
        locks = [task.lock for task in tasks if task.lock is not None]
        held = {lock.path: lock.token for lock in locks}
        # Those of `psy run`, if it has started this process.
        held.update(of_text(os.environ.get(CONTROLLED_VARIABLE, "")))
        self._watch = LockWatch(held, self._remove_sockets)
        self._watch.start()
        if not tasks:
            return
        # A task for a queue need not be imported here.
        local = [task for task in tasks if task.profile == LOCAL]
        self._servers = ForkServers(
            ((t.layout.folder, t.plan.taskfile, t.plan.python) for t in local),
            settings_of_servers(local, workflow.resource_settings.cores),
        )
        os.environ.update(self._servers.environment)

    def _remove_sockets(self) -> None:
        if self._servers is not None:
            self._servers.remove_folder()

    def stop(self, *, is_done: bool = False) -> None:
        """End what `start` began; `is_done` says whether Snakemake has succeeded."""
        if is_done:
            for task in self._tasks:
                # What was submitted is of no interest any more. What was done may
                # have been something else, though, such as a rule of the user's.
                if is_merged(task.layout, task.plan):
                    forget_submissions(task.layout, task.plan.round)
        if self._watch is not None:
            self._watch.stop()
        if self._servers is not None:
            self._servers.stop()
            self._servers = None
        for task in self._tasks:
            if task.lock is not None and not task.lock.is_lost:
                for line in take_notices(task.layout):
                    _warn(line)
            task.release()


def _accept(task: TaskRun) -> None:
    """Lock a task and accept its plan, which Snakemake has read already.

    Raises
    ------
    PsyrunError
        If the plan would be another one now.
    """
    plan_read = task.decision
    task.acquire()
    task.decide(_warn)
    task.settle_earlier_jobs(_warn)
    for remark in [*task.mended, *task.remarks]:
        _warn(remark)
    if task.decision != plan_read:
        raise PsyrunError(
            f"task {task.name!r} was worked on by another run meanwhile. Run again."
        )
    task.accept()


def _warn(text: str) -> None:
    print(text, file=sys.stderr)


@contextmanager
def _errors_without_traceback() -> Iterator[None]:
    """Have Snakemake show an error of ours without a traceback."""
    try:
        yield
    except PsyrunError as error:
        raise WorkflowError(str(error)) from None


def _use_python_of_this_process() -> None:
    """Let ``python3`` in the rules be the Python that Snakemake runs in."""
    folder = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", os.defpath)
    if path.split(os.pathsep)[0] != folder:
        os.environ["PATH"] = os.pathsep.join([folder, path])


def folders_of(workflow: Any) -> list[Path]:
    """Return the folders in which Snakemake keeps files of its own while it runs."""
    with suppress(AttributeError):
        cache = Path(workflow.sourcecache.runtime_cache_path)
        return [Path(workflow.snakemake_tmp_dir), cache]
    return []


def _mark(folders: Collection[Path]) -> None:
    """Have folders of Snakemake be removed by the next one if this is killed."""
    for folder in folders:
        with suppress(OSError, PsyrunError):
            prefix = folder.name[: -len(_RANDOM)]
            remove_abandoned(folder.parent, prefix)
            mark(folder)


def _restore_temporary_folder() -> bool:
    """Use the user's folder again, now that Snakemake has made what it needs itself.

    Returns whether it had to be restored.
    """
    former = os.environ.pop(TMPDIR_VARIABLE, None)
    if former is not None:
        os.environ["TMPDIR"] = former
        if not former:
            del os.environ["TMPDIR"]
        tempfile.tempdir = None
    return former is not None


def _taskfiles(config: Mapping[str, Any]) -> dict[str, Path]:
    taskdir = Path(config.get("psy_taskdir", "psy-tasks"))
    names = config.get("psy_tasks", [])
    if isinstance(names, str):
        names = names.replace(",", " ").split()
    if names:
        return select(taskdir, names)
    return find_tasks(taskdir, all_are_meant=True)


def _is_true(value: object) -> bool:
    return str(value).lower() in ("true", "1", "yes")


def _recorded(config: Mapping[str, Any]) -> list[Path]:
    """Return the Snakefiles that the controlling process wrote."""
    records = {
        name: TaskRecord.load(path.parent, name)
        for name, path in _taskfiles(config).items()
    }
    return [
        TaskLayout.of(record.workdir, name).snakefile
        for name, record in records.items()
        if record is not None
    ]


def correct_times(plan: Plan) -> None:
    """Correct times of the future, as where the clock of the machine was set back.

    To Snakemake, jobs that make something from such files fail.
    """
    round_ = TaskLayout.of(plan.workdir, plan.task).round(plan.round)
    correct_time(round_.space)
    for block in range(plan.n_blocks):
        correct_time(round_.block(block, plan.block_ext))


def _targets(plan: Plan) -> list[str]:
    """Return the files that show that a plan was followed to its end."""
    round_ = TaskLayout.of(plan.workdir, plan.task).round(plan.round)
    return [plan.resultfile, str(round_.merge_mark(plan.merge))]

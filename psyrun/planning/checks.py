"""What must be true of a task before anything of it is run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from psyrun.errors import PsyrunError, SchedulerError, StoreError, TaskError
from psyrun.planning.places import check_apart
from psyrun.pspace.equality import check_comparable
from psyrun.pspace.replicates import check_no_generators
from psyrun.queue.site import time_limit
from psyrun.scheduler.immediate import LOCAL
from psyrun.tasks.discovery import Refuse, task_path
from psyrun.tasks.loading import Task, load_task
from psyrun.tasks.paths import hints
from psyrun.tasks.storable import check_parameters
from psyrun.utils.checksums import name_beside
from psyrun.utils.files import make_folder
from psyrun.utils.process.isolation import isolated
from psyrun.utils.text import limit_text
from psyrun.workdir.layout import PROCESS, TaskLayout, TaskRecord, record_of_task
from psyrun.workdir.plan import DEFAULT_PYTHON, Plan
from psyrun.workdir.result_file import (
    KEPT,
    is_foreign,
    is_result,
    original_of_result,
)

# Without the current folder, which has no psyrun to be found.
_IMPORT = "import sys; sys.path = [p for p in sys.path if p]; import psyrun.steps"
_TIMEOUT = 60.0  # seconds for an import, which may be from a slow network drive


def check(task: Task) -> None:
    """Refuse a task with `TaskError` whose Python, file_dep or store cannot work."""
    if shutil.which(task.python) is None:
        raise TaskError(
            f"{task.path}: python is {task.python!r}, which is no program. Give the "
            "path of a Python in which psyrun is installed."
        )
    check_apart(task)
    _check_place(task)
    _check_file_dep(task)
    _hint_at_paths(task)
    check_storable(task)
    _warn_of_incomparable(task)
    _warn_of_timeout(task)


def _warn_of_timeout(task: Task) -> None:
    """Warn where the queue ends a whole job before one evaluation is ended."""
    if task.timeout is None:
        return
    with suppress(SchedulerError):
        name = TaskLayout.of(task.workdir, task.name).job(PROCESS, 0)
        minutes = time_limit(
            task.scheduler, task.scheduler.validate(task.scheduler_args, name)
        )
        if minutes is not None and task.timeout > 60 * minutes:
            warnings.warn(
                f"{task.path}: timeout = {limit_text(task.timeout)} is longer than the "
                f"time limit of a job ({limit_text(60 * minutes)}), which ends all of "
                "it. Make it shorter, or raise the time limit.",
                UserWarning,
                stacklevel=2,
            )


def _warn_of_incomparable(task: Task) -> None:
    """Warn, before the first run, of parameters whose rows cannot be found again."""
    if TaskLayout.of(task.workdir, task.name).state.exists():
        return
    try:
        check_comparable(task.pspace.leaves())
    except PsyrunError as error:
        text = f"{task.path}: pspace: {error} Until then, no run can go on with rows"
        warnings.warn(
            f"{text} of another space, as 'psy run --continue' does.",
            UserWarning,
            stacklevel=2,
        )


def check_project_folder() -> None:
    """Refuse a current folder in which Snakemake cannot work."""
    project = Path.cwd()
    if {"{", "}"}.intersection(str(project)):
        raise PsyrunError(
            f"{project}: the path of the project folder must not contain '{{' or "
            "'}', which have a meaning for Snakemake. Rename or move the folder."
        )
    folder = project / ".snakemake"
    try:
        folder.mkdir(exist_ok=True)
        cause = None if os.access(folder, os.W_OK | os.X_OK) else "no permission"
    except OSError as error:
        cause = error.strerror
    if cause is not None:
        raise PsyrunError(
            f"{folder}: cannot be written to ({cause}), but Snakemake needs it. Run "
            "'psy' in a folder that you may write to, such as a copy of the project."
        )


def check_imports(task: Task) -> None:
    """Refuse a Python of the task's own in which psyrun is not installed.

    The one on the nodes of a cluster may be another, and is not checked.
    """
    is_ours = task.python in (sys.executable, DEFAULT_PYTHON)
    if is_ours or task.scheduler.PROFILE != LOCAL:
        return
    try:
        subprocess.run(
            [task.python, "-c", _IMPORT],
            env=isolated(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=_TIMEOUT,
        )
    except subprocess.CalledProcessError as error:
        printed = error.stderr.decode(errors="replace").splitlines()
        cause = f" ({printed[-1].strip()})" if printed else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        cause = f" ({error})"
    else:
        return
    raise TaskError(
        f"{task.path}: python is {task.python!r}, which cannot import psyrun{cause}. "
        f"Install it there with '{task.python} -m pip install psyrun', or choose a "
        "Python that has it."
    )


def make_folder_for_result(task: Task) -> None:
    """Find out before the work whether its result can be written."""
    path = Path(task.resultfile)
    folder = Path(os.path.realpath(path)).parent
    if path.is_symlink() and not folder.is_dir():
        raise TaskError(
            f"{task.path}: resultfile {str(path)!r} is a link into {str(folder)!r}, "
            "where there is no such folder. Make it, or mend the link."
        )
    try:
        make_folder(path.parent)
    except OSError as error:
        raise TaskError(
            f"{task.path}: the folder of resultfile {str(task.resultfile)!r} cannot be "
            f"made ({error.strerror}). Choose another one."
        ) from error


def check_result(task: Task, last: Plan | None, now: Plan, *, may_move: bool) -> None:
    """Refuse a plan whose result would take the place of a file of the user's own.

    That is no reason if it is to be moved aside, unless it is another task's. Where
    the plan before had the same result, it was looked at then. What has come there
    since is set aside by the merge.
    """
    path = task.resultfile
    layout = TaskLayout.of(task.workdir, task.name)
    original = original_of_result(layout, path)
    if original is not None and path.exists():
        raise TaskError(
            f"{task.path}: resultfile {str(path)!r} is the result of {original}, of "
            "which this work folder is a copy. Choose another resultfile."
        )
    if last is not None and os.path.realpath(last.resultfile) == os.path.realpath(path):
        return
    if may_move or now.keep == "result" or not is_foreign(layout, path):
        return
    if any(is_result(other, path) for other in _others(task)):
        # That task has another result now, or is gone; this one is set aside.
        return
    raise TaskError(
        f"{task.path}: resultfile {str(path)!r} exists, and there is no record of "
        "psyrun having written it. Choose another resultfile, or move the file away: "
        f"'psy run --move-aside {now.arguments}' renames it to "
        f"{name_beside(path, KEPT).name!r}. If it is a result of this task, 'psy run "
        f"--continue {now.arguments}' adds to it."
    )


def _others(task: Task) -> Iterator[TaskLayout]:
    """Yield the work folders of the other tasks, as far as they are known."""
    with suppress(OSError):
        for folder in sorted(task.workdir.iterdir()):
            yield TaskLayout(folder)
    pattern = record_of_task(task.taskdir, "*")
    for path in sorted(pattern.parent.glob(pattern.name)):
        with suppress(StoreError, OSError):
            found = TaskRecord.load(task.taskdir, path.stem)
            if found is not None:
                yield TaskLayout.of(found.workdir, path.stem)


def check_storable(task: Task) -> None:
    """Refuse a task with `TaskError` whose store cannot hold its parameters."""
    try:
        check_no_generators(task.pspace.leaves())
    except PsyrunError as error:
        raise TaskError(f"{task.path}: pspace: {error}") from error
    try:
        check_parameters(task.pspace, task.store, task.exclude_from_result)
    except StoreError as error:
        raise TaskError(f"{task.path}: pspace: {error}") from error


def _hint_at_paths(task: Task) -> None:
    """Say what is read from beside the task file, or could be meant to be."""
    written = (Path(each) for each in vars(task.module).get("file_dep") or ())
    for hint in hints(task.path, written):
        warnings.warn(hint, UserWarning, stacklevel=2)


def _check_place(task: Task) -> None:
    """Refuse a folder that the library of the store cannot find its files in."""
    folder = str(Path.cwd())
    is_utf8 = folder == folder.encode(errors="ignore").decode()
    if task.store.ext == ".h5" and not is_utf8:
        raise TaskError(
            f"{task.path}: HDF5 takes paths in UTF-8 only, but the project folder is "
            f"{folder!r}. Rename the folder, or choose another store."
        )


def _check_file_dep(task: Task) -> None:
    workdir = Path(os.path.realpath(task.workdir))
    result = os.path.realpath(task.resultfile)
    for path in task.file_dep:
        if os.path.realpath(path) == result:
            raise TaskError(
                f"{task.path}: file_dep holds {str(path)!r}, which is the resultfile, "
                "and so would be replaced. Choose another resultfile."
            )
        if Path(os.path.realpath(path)) in [workdir, *workdir.parents]:
            raise TaskError(
                f"{task.path}: file_dep holds {str(path)!r}, which contains the work "
                f"folder {str(task.workdir)!r} and so changes with each run. Name the "
                "files or folders in it that count."
            )


def check_results(tasks: Sequence[Task], refuse: Refuse) -> list[Task]:
    """Return the tasks whose results no other task writes; refuse the others.

    Of the other tasks in their folders, the records of their last runs are read, as
    their files may take long to import.
    """
    writers: dict[str, list[Task]] = {}
    for task in tasks:
        writers.setdefault(os.path.realpath(task.resultfile), []).append(task)
    others = {
        result: path
        for path, result in _recorded_results(tasks)
        if result in writers and _writes(path, result)
    }
    refused: set[Task] = set()
    for result, found in writers.items():
        last, paths = found[-1], {task.path for task in found}
        paths |= {others[result]} if result in others else set()
        if rivals := sorted(paths - {last.path}):
            error = _shared_result(last, rivals[0])
            for task in found:
                refuse(task.path, error)
            refused.update(found)
    return [task for task in tasks if task not in refused]


def check_work_folder(task: Task, last: Plan | None, now: Plan) -> None:
    """Refuse a plan that would replace the results of a task of another folder.

    `last` is the plan that was accepted last in the same work folder.
    """
    if last is None or last.fingerprint == now.fingerprint:
        return
    other = Path(last.taskfile)
    if not other.exists() or other.samefile(task.path) or _is_elsewhere(other, task):
        return
    raise TaskError(
        f"{task.path}: the results in {str(task.workdir / task.name)!r} are those of "
        f"{other}, which has the same name. Rename one of the tasks, or set another "
        f"workdir in {task.taskdir / 'psy-conf.py'}."
    )


def _is_elsewhere(other: Path, task: Task) -> bool:
    """Whether a file is that of the project from which this one was copied."""
    project = Path.cwd().resolve()
    workdir = task.workdir.resolve()
    return workdir.is_relative_to(project) and not other.resolve().is_relative_to(
        project
    )


def _recorded_results(tasks: Sequence[Task]) -> Iterator[tuple[Path, str]]:
    """Yield where the other tasks of the folders wrote their results last."""
    now = {task.path for task in tasks}
    for taskdir in {task.taskdir for task in tasks}:
        pattern = record_of_task(taskdir, "*")
        for record in sorted(pattern.parent.glob(pattern.name)):
            path = task_path(taskdir, record.stem)
            if path in now or not path.is_file():
                continue
            # Records are a convenience: a damaged one must not stop other tasks.
            with suppress(StoreError, OSError):
                found = TaskRecord.load(taskdir, record.stem)
                if found is not None and found.resultfile:
                    yield path, os.path.realpath(found.resultfile)


def _writes(path: Path, result: str) -> bool:
    """Whether a task still has the result that was recorded."""
    try:
        task = load_task(path, with_space=False)
    except PsyrunError:
        return True
    return os.path.realpath(task.resultfile) == result


def _shared_result(task: Task, other: Path) -> TaskError:
    return TaskError(
        f"{other} and {task.path}: both write the resultfile "
        f"{str(task.resultfile)!r}. Set another one in one of the two, or leave "
        "resultfile out of both and of psy-conf.py."
    )

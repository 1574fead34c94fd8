"""A plan is recorded as the one that is followed, and with it what it is of."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from psyrun.errors import StoreError
from psyrun.planning.assessment import Assessment
from psyrun.planning.checks import make_folder_for_result
from psyrun.planning.hints import unlisted_files
from psyrun.tasks.changes import record_accepted
from psyrun.tasks.loading import Task
from psyrun.tasks.provenance import record_provenance
from psyrun.utils.checksums import keep_beside
from psyrun.utils.files import write_json, write_text
from psyrun.utils.text import counted, listed
from psyrun.workdir.description import Description
from psyrun.workdir.layout import TaskLayout, record_of_task
from psyrun.workdir.merged_rows import forget_lost
from psyrun.workdir.origin import note_taskfile
from psyrun.workdir.plan import Plan
from psyrun.workdir.progress import changed_result, told_of_change
from psyrun.workdir.result_file import KEPT, is_foreign
from psyrun.workdir.snakemake_records import forget_missing

Remark: TypeAlias = Callable[[str], object]
"""Is called with a line that the user should know."""


def accept(
    task: Task, found: Assessment, opened: frozenset[str], remark: Remark
) -> None:
    """Record the plan that was decided on, and make room for what it writes.

    Parameters
    ----------
    opened : frozenset of str
        Files that were opened when the task was loaded.

    Raises
    ------
    PsyrunError
        If the folder of the result cannot be made.
    """
    layout = TaskLayout.of(task.workdir, task.name)
    plan = found.decision.plan
    if found.rerun is not None:
        # Without a plan, the next run evaluates them again all the same.
        found.rerun.record(layout, plan.fingerprint)
    plan.save(layout)
    _record_version(task, layout, found, opened, remark)
    note_where(task)
    note_taskfile(layout, task.path)
    describe(task, layout)
    make_folder_for_result(task)
    _forget_lost_rows(layout, plan, remark)
    if found.decision.merge:
        _keep_changed_result(layout, plan, remark)
        _move_foreign_result(layout, plan, remark)
    forget_missing(layout.folder, [task.resultfile])


def note_where(task: Task) -> None:
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


def describe(task: Task, layout: TaskLayout) -> None:
    """Record what the task file says of the results, which may be there already."""
    Description(task.dims, task.coords, task.attrs).save(layout)


def _record_version(
    task: Task,
    layout: TaskLayout,
    found: Assessment,
    opened: frozenset[str],
    remark: Remark,
) -> None:
    version, fingerprint = found.version, found.decision.plan.fingerprint
    version.remember(layout.source)
    parts = version.source.parts
    record_provenance(layout.provenance, fingerprint, parts, task.taskdir)
    unlisted = unlisted_files(task, version.source, opened)
    folder, path = layout.versions, layout.version
    new = record_accepted(version, fingerprint, folder, path, unlisted)
    if new:
        verb = "is" if len(new) == 1 else "are"
        remark(
            f"{task.name}: {listed(new)} {verb} read but {verb} not in file_dep; "
            "rows are not outdated by a change of that"
        )


def _forget_lost_rows(layout: TaskLayout, plan: Plan, remark: Remark) -> None:
    """Have blocks made again whose rows are gone, as the result was changed."""
    n_lost = forget_lost(layout.round(plan.round), plan.block_ext)
    if n_lost:
        blocks = counted(n_lost, "block")
        remark(
            f"{layout.name}: the result had the only copy of its rows; {blocks} are "
            "evaluated again"
        )


def _keep_changed_result(layout: TaskLayout, plan: Plan, remark: Remark) -> None:
    """Move a result aside that is not what was written, and that a merge replaces.

    It may have been damaged, but also edited on purpose.
    """
    path = Path(plan.resultfile)
    problem = changed_result(layout, path)
    if problem:
        kept = keep_beside(path)
        remark(
            f"{layout.name}: {told_of_change(path, problem)} It is kept as {kept}, "
            "and merged again"
        )


def _move_foreign_result(layout: TaskLayout, plan: Plan, remark: Remark) -> None:
    """Move a file of the user's own aside that a merge replaces."""
    path = Path(plan.resultfile)
    # All rows of a result that is continued are in the new one.
    if plan.keep != "result" and is_foreign(layout, path):
        remark(f"{path}: is kept as {keep_beside(path, KEPT)}")

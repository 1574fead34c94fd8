"""Rows of a task, also while it runs."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, overload

from psyrun.errors import PsyrunError, StoreError, did_you_mean
from psyrun.store.base import Store
from psyrun.store.registry import store_for, store_named, store_with
from psyrun.store.rows import Columns
from psyrun.tasks.project import TASKDIR, project_above
from psyrun.utils.files import Filename
from psyrun.workdir.consistent_reads import (
    consistent_pieces,
    is_concurrent_change,
    retry_while_changing,
)
from psyrun.workdir.damage import check_division
from psyrun.workdir.division import DivisionCounts
from psyrun.workdir.journal import Entry
from psyrun.workdir.layout import MERGE, TaskLayout, layout_of, record_of_task
from psyrun.workdir.plan import Plan, never_run
from psyrun.workdir.progress import changed_result, told_of_change
from psyrun.workdir.row_pickles import UnreadableRowError

if TYPE_CHECKING:
    from psyrun.workdir.rows import RoundData

_PACKAGE = Path(__file__).parents[1]
_told: set[tuple[Path, int]] = set()
_T = TypeVar("_T")
Stores: TypeAlias = Callable[[str], Store]
"""Returns the store for an extension."""
PiecesOf: TypeAlias = "Callable[[RoundData], Iterator[dict[str, Any]]]"


@overload
def load(
    task_or_path: Filename,
    partial: bool = False,
    taskdir: Filename | None = None,
    *,
    as_: None = None,
    columns: Sequence[str] | None = None,
    where: Mapping[str, Any] | None = None,
    costs: bool = False,
    former: bool = False,
    tidy: None = None,
) -> dict[str, Any]: ...
@overload
def load(
    task_or_path: Filename,
    partial: bool = False,
    taskdir: Filename | None = None,
    *,
    as_: Literal["arrow", "pandas", "polars", "xarray"],
    columns: Sequence[str] | None = None,
    where: Mapping[str, Any] | None = None,
    costs: bool = False,
    former: bool = False,
    tidy: str | None = None,
) -> Any: ...
def load(
    task_or_path: Filename,
    partial: bool = False,
    taskdir: Filename | None = None,
    *,
    as_: str | None = None,
    columns: Sequence[str] | None = None,
    where: Mapping[str, Any] | None = None,
    costs: bool = False,
    former: bool = False,
    tidy: str | None = None,
) -> Any:
    """Return the result of a task, or the rows of a data file.

    Parameters
    ----------
    task_or_path : path-like
        Name of a task, its work folder (``psy-work/<task>``), or a data file, for
        which `partial` and `taskdir` do not matter.
    partial : bool, default False
        Whether to return all rows that there are so far, in the order of the
        space, rather than those of the result file. A run that is going on is
        not disturbed.
    taskdir : path-like, optional
        Folder of the task files. By default ``psy-tasks`` in the project folder,
        which is the current one or one above it. With this argument, the paths of
        a task are relative to the current folder, as with ``psy --taskdir``.
    as_ : {None, "xarray", "pandas", "polars", "arrow"}
        The form of the result. With ``"xarray"`` it is a Dataset, whose dimensions
        are those of the space.
    columns : sequence of str, optional
        The columns to return, in this order; by default all of them.
    where : dict of str to object, optional
        For some parameters the value, or a list of values, that the rows to return
        have. Rows of assignments that are no longer in the space are left out.
    costs : bool, default False
        Whether to add columns with what each row has cost: ``cost_start`` (time,
        UTC), ``cost_duration`` (seconds), ``cost_peak_memory`` (of the worker, bytes),
        ``cost_host``, ``cost_attempt`` (1 for the first), ``cost_version`` (begin of a
        fingerprint), and, with replicates, ``cost_seed`` (digits). What is not known
        is NaT, nan, an empty text or zero.
    former : bool, default False
        Whether to add rows that are no longer in the result, but still on disk, and a
        column ``row_status`` that tells what each row is: ``current``; ``older``, of
        an assignment of the space, but made by another version of the task than the
        one that was run last; or ``former``, of an assignment that is not in the space
        of the result any more. Columns that some rows lack are nan in them. The
        dimension of a Dataset is ``assignment`` then.
    tidy : str, optional
        For pandas only: an axis of results that are arrays. The data frame has a row
        for each place along it.

    Returns
    -------
    dict of str to sequence, or what `as_` names
        The columns, as the store of the task loads them; none at all if
        `partial` and nothing is finished yet.

    Raises
    ------
    PsyrunError
        If there is no such task or file, the task was never run or has no
        result yet, or a file cannot be read; if there is no such form, column,
        parameter or value; or if the library of a form is not installed.
    """
    if costs or former or any(each is not None for each in (as_, columns, where, tidy)):
        wanted = (as_, columns, where, tidy, costs, former)
        return _load_as(wanted, task_or_path, partial, taskdir)
    found = find(task_or_path, taskdir)
    if isinstance(found, Path):
        return store_for(found).load(found)
    return found.rows_so_far() if partial else found.result()


def _load_as(
    wanted: tuple[Any, ...],
    task_or_path: Filename,
    partial: bool,
    taskdir: Filename | None,
) -> Any:
    from psyrun.results.forms import Request, loaded_as, source_of

    request = Request(*wanted)
    request.check()
    found, so_far = find_rows(task_or_path, partial, taskdir)
    return retry_while_changing(
        lambda: loaded_as(source_of(found, request, so_far), request)
    )


def find_rows(
    task_or_path: Filename, partial: bool, taskdir: Filename | None
) -> tuple[RecordedTask | Path, bool]:
    """Return as `find` does, but a task by its result file, too; see `load`.

    After it comes whether all rows so far are wanted, which makes no difference to
    files.
    """
    found = find(task_or_path, taskdir)
    if isinstance(found, Path):
        return _task_of(found) or found, False
    return found, partial


def _task_of(path: Path) -> RecordedTask | None:
    """Return the task whose result a file in its work folder is, None of others."""
    layout = TaskLayout(path.absolute().parent)
    with suppress(PsyrunError):
        plan = Plan.load(layout)
        if plan is not None:
            task = RecordedTask(layout, _root(layout.folder, plan))
            if os.path.realpath(task.resultfile) == os.path.realpath(path):
                return task
    return None


def _joined(pieces: Iterator[Columns], store: Store) -> dict[str, Any]:
    return store.concatenate(list(pieces))


def write_partial(
    task_or_path: Filename, target: Filename, taskdir: Filename | None
) -> int:
    """Write all rows that a task has so far, in the order of the space.

    The extension of `target`, which may exist, chooses the store. `taskdir` is as
    for `load`. Returns the number of rows; if there are none, `target` is left as it
    was.
    """
    found = find_task(task_or_path, taskdir)
    path = Path(target)
    if path.resolve() == found.resultfile.resolve():
        raise PsyrunError(
            f"{target}: is the result file of the task, which only 'psy run' writes. "
            "Choose another name."
        )
    from psyrun.results.partial import with_costs

    return with_costs(found, path)


@dataclass(frozen=True)
class RecordedTask:
    """The records of a task; their paths are relative to `root`, the project folder."""

    layout: TaskLayout
    root: Path

    @property
    def plan(self) -> Plan:
        """The plan that was accepted last."""
        plan = Plan.load(self.layout)
        if plan is None:
            name = self.layout.name
            raise PsyrunError(f"task {name!r}: {never_run(name)}")
        return plan

    @property
    def resultfile(self) -> Path:
        """Where its result is, or will be."""
        return self.root / self.plan.resultfile

    def result(self) -> dict[str, Any]:
        """Return the rows of the result file."""
        return self.read_result(lambda store, path: store.load(path))

    def rows_so_far(self) -> dict[str, Any]:
        """Return all rows that there are so far, in the order of the space."""
        return self.with_pieces(
            lambda pieces, stores, ext: _joined(pieces, stores(ext))
        )

    def read_result(self, read: Callable[[Store, Path], _T]) -> _T:
        """Return what a function makes of the result file, given its store."""
        plan, path = self.plan, self.resultfile
        if not path.exists():
            raise PsyrunError(
                f"{path}: there is no result yet. Finish it with 'psy run "
                f"{plan.arguments}', or take the rows so far with --partial "
                "(partial=True)."
            )
        self._warn_if_changed(plan)
        return with_stores(
            plan.taskfile, lambda stores: read(stores(plan.result_ext), path), self.root
        )

    def _warn_if_changed(self, plan: Plan) -> None:
        """Say it if the result file is not the one that was written."""
        if self.layout.round(plan.round).lock(MERGE).exists():
            # It is being written.
            return
        problem = ""
        with suppress(StoreError):
            problem = changed_result(self.layout, Path(plan.resultfile), self.root)
        if problem and not self._was_told_of(self.resultfile):
            warn_caller(
                f"{told_of_change(self.resultfile, problem)} 'psy run "
                f"{plan.arguments}' writes it again, and keeps this file beside it."
            )

    @staticmethod
    def _was_told_of(path: Path) -> bool:
        """Whether this process was told already that a file was changed as it is."""
        change = (path.absolute(), path.stat().st_mtime_ns)
        if change in _told:
            return True
        _told.add(change)
        return False

    def with_pieces(
        self,
        use: Callable[[Iterator[Columns], Stores, str], _T],
        pieces_of: PiecesOf | None = None,
    ) -> _T:
        """Return what a function makes of all rows there are so far.

        It is called with the rows in pieces, a function that returns the store
        for an extension, and the extension of the store that the rows come
        from; once more if a run changes the files meanwhile. Rows that cannot be
        read are left out with a warning. What `pieces_of` makes of the data of a
        round is taken instead of all of its rows.
        """
        try:
            return self._with_pieces(use, pieces_of)
        except UnreadableRowError:
            # Now the task file was run, on which they may have depended.
            skipped: dict[int, str] = {}
            found = self._with_pieces(
                use, pieces_of, lambda row, cause: skipped.setdefault(row.index, cause)
            )
        _warn_of(self.plan, skipped)
        return found

    def _with_pieces(
        self,
        use: Callable[[Iterator[Columns], Stores, str], _T],
        pieces_of: PiecesOf | None,
        on_unreadable: Callable[[Entry, str], object] | None = None,
    ) -> _T:
        def once(stores: Stores) -> _T:
            plan = self.plan
            for number in (plan.round, *plan.keep_rounds, *plan.superseded):
                round_ = self.layout.round(number)
                check_division(round_)
                counts = DivisionCounts.load(round_)
                if counts is not None:
                    pieces = consistent_pieces(
                        round_, stores(counts.ext), on_unreadable, pieces_of
                    )
                    return use(pieces, stores, counts.ext)
            ext = plan.result_ext
            if plan.keep == "result":
                return use(stores(ext).pieces(self.resultfile), stores, ext)
            return use(iter(()), stores, ext)

        return retry_while_changing(
            lambda: with_stores(self.plan.taskfile, once, self.root)
        )


def _warn_of(plan: Plan, skipped: Mapping[int, str]) -> None:
    first = min(skipped)
    others = f" (and {len(skipped) - 1} more)" if len(skipped) > 1 else ""
    warn_caller(
        f"task {plan.task!r}: assignment {first}{others} is left out: {skipped[first]} "
        f"'psy run --continue {plan.arguments}' evaluates it again."
    )


def warn_caller(text: str) -> None:
    """Warn in the place from which psyrun was called."""
    frame, level = sys._getframe(), 1
    while frame.f_back and Path(frame.f_code.co_filename).is_relative_to(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, UserWarning, stacklevel=level)


def find(task_or_path: Filename, taskdir: Filename | None) -> RecordedTask | Path:
    """Return a task by its name or work folder, or a data file; see `load`."""
    root = Path()
    if taskdir is None:
        root = project_above() or root
        taskdir = root / TASKDIR
    return _found(task_or_path, root, Path(taskdir))


def find_task(task: Filename, taskdir: Filename | None) -> RecordedTask:
    """Return a task by its name or work folder; see `load`.

    Raises `PsyrunError` if there is none.
    """
    found = find(task, taskdir)
    if isinstance(found, Path):
        raise PsyrunError(
            f"{found}: is neither a task nor the work folder of one. Name one, such as "
            "'square' or 'psy-work/square'."
        )
    return found


def _found(task_or_path: Filename, root: Path, taskdir: Path) -> RecordedTask | Path:
    text, path = os.fspath(task_or_path), Path(task_or_path)
    if path.name == text and _is_task(taskdir, text):
        folder = layout_of(taskdir, text).folder
        return RecordedTask(TaskLayout(root / folder), root)
    if path.is_file():
        return path
    layout = TaskLayout(path)
    plan = Plan.load(layout)
    if plan is None:
        known = [file.stem.removeprefix("task_") for file in taskdir.glob("task_*.py")]
        raise PsyrunError(
            f"{text}: there is no task, work folder or data file of that name."
            f"{did_you_mean(text, known)} See all tasks with 'psy list'."
        )
    return RecordedTask(layout, _root(path, plan))


def _is_task(taskdir: Path, name: str) -> bool:
    # The file of a task may be gone while its rows are still there.
    taskfile = taskdir / f"task_{name}.py"
    return taskfile.is_file() or record_of_task(taskdir, name).is_file()


def _root(folder: Path, plan: Plan) -> Path:
    """Return the project folder that a work folder belongs to."""
    workdir = Path(plan.workdir)
    if workdir.is_absolute() or ".." in workdir.parts:
        return Path()
    return folder.absolute().parents[len(workdir.parts)]


def with_stores(
    taskfile: Filename, read: Callable[[Stores], _T], root: Path = Path()
) -> _T:
    """Return what `read` makes of a function that returns the store for an extension.

    If that fails, the task file is run, as a store may be known to it alone, or
    values be of classes that it defines. Its path is relative to `root`, the project
    folder, in which it is run.
    """
    try:
        return read(store_named)
    except (PsyrunError, ImportError, AttributeError) as error:
        if is_concurrent_change(error):
            raise
    from psyrun.tasks.loading import load_task

    # Only where that is another one: other threads have the same current folder.
    with nullcontext() if root == Path() else chdir(root):
        store = load_task(Path(taskfile), with_space=False).store
    return read(lambda ext: store_with(ext, store))

"""How far a task is, read from what its runs recorded.

`status_of` runs no task file and does without NumPy: a hundred thousand rows are
counted from small files and the headers of journals.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from psyrun.errors import PsyrunError
from psyrun.pspace.space import enough_for
from psyrun.queue.ledger import QueueReport
from psyrun.results.load import with_stores
from psyrun.run.controller_job import is_submitted
from psyrun.scheduler.jobs import Ending
from psyrun.tasks.module import check_syntax
from psyrun.utils.files import read_json
from psyrun.utils.text import counted
from psyrun.workdir import journal
from psyrun.workdir.division import Counts
from psyrun.workdir.failures import Failure, failures_of
from psyrun.workdir.layout import PROCESS, Round, TaskLayout, layout_of, record_of_task
from psyrun.workdir.lock import Holder, holder_of, running_jobs
from psyrun.workdir.plan import Plan, accepted_plan
from psyrun.workdir.progress import RoundProgress, finished_blocks, is_merged
from psyrun.workdir.reading import patiently
from psyrun.workdir.run_record import RunRecord
from psyrun.workdir.slots import cut_off

if TYPE_CHECKING:
    from psyrun.pspace import ParameterSpace
    from psyrun.workdir.rows import RoundData


State: TypeAlias = Literal[
    "new", "running", "queued", "done", "incomplete", "outdated", "unreadable"
]
"""What can be said of a task in a word, see `TaskStatus`."""


_COARSE = 0.1  # seconds that the times of files may lag behind the clock


@dataclass(frozen=True)
class Numbers:
    """Numbers of one round.

    Attributes
    ----------
    n_items : int
        Assignments in the space.
    n_done : int
        Those whose row is kept.
    n_failed : int
        Those whose last evaluation failed, and that have no row.
    n_blocks : int
        Process jobs.
    n_blocks_done : int
        Those that wrote their store file.
    n_former : int
        Rows from before that are no longer in the space.
    n_older : int
        Rows in the space that another version of the task computed.
    """

    n_items: int
    n_done: int
    n_failed: int
    n_blocks: int
    n_blocks_done: int
    n_former: int
    n_older: int


@dataclass(frozen=True)
class TaskStatus:
    """How far a task is.

    Attributes
    ----------
    name : str
        Name of the task.
    state : str
        ``new``: was never run. ``running``: somebody runs it. ``queued``: jobs
        of it are in a queue, and nobody watches them. ``done``: the result is
        there. ``outdated``: its source changed since it was run.
        ``unreadable``: its source or its records cannot be read.
        ``incomplete``: everything else.
    remark : str
        Who runs it, or what cannot be read.
    numbers : Numbers or None
        Its numbers; None where the space was not divided yet.
    kept : str
        Which rows are taken over when the space is divided, such as ``220 rows
        kept``; empty once that is done, and where there are none.
    ended : tuple of (str, Ending)
        Jobs that a queue has ended, by name, and why.
    """

    name: str
    state: State
    remark: str = ""
    numbers: Numbers | None = None
    kept: str = ""
    ended: tuple[tuple[str, Ending], ...] = ()


def status_of(path: Path, name: str) -> TaskStatus:
    """Return how far a task is.

    Parameters
    ----------
    path : Path
        The task file.
    name : str
        Name of the task.
    """
    layout = layout_of(path.parent, name)
    status = TaskStatus(name, "new")
    try:
        plan = accepted_plan(layout)
        if plan is None:
            check_syntax(path)
        else:
            state: State = "done" if is_merged(layout, plan) else "incomplete"
            status = replace(status, state=state, numbers=_numbers(layout, plan))
            kept = "" if status.numbers is not None else _kept(layout, plan)
            if state != "done":
                kept = ", ".join(filter(None, [kept, _superseded(layout, plan)]))
            status = replace(status, kept=kept)
            if _fingerprint(path, layout) != plan.fingerprint:
                status = replace(status, state="outdated")
        return _with_holder(status, layout)
    except (PsyrunError, OSError) as error:
        remark = " ".join(str(error).split())
        return replace(status, state="unreadable", remark=remark)


def _with_holder(status: TaskStatus, layout: TaskLayout) -> TaskStatus:
    queue = QueueReport.of(layout)
    status = replace(status, ended=queue.ended)
    record = RunRecord.load(layout)
    holder = holder_of(layout.lock)
    if holder is not None:
        where = record.whereabouts if record is not None else ""
        if _is_being_stopped(layout, holder):
            where = "being stopped by 'psy kill'"
        remark = ", ".join(filter(None, [f"by {holder}", where, queue.text]))
        return replace(status, state="running", remark=remark)
    if record is not None and record.is_waiting:
        waits = "the controller waits"
        if not is_submitted(record):
            waits = f"its submission was cut off; 'psy run {status.name}' goes on"
        remark = ", ".join(filter(None, [waits, queue.text]))
        return replace(status, state="queued", remark=remark)
    if queue.text:
        remark = f"{queue.text}, watched by nobody; 'psy run {status.name}' goes on"
        return replace(status, state="queued", remark=remark)
    # Jobs of this machine may live on when their controller was killed.
    for worker in running_jobs(layout).values():
        return replace(status, state="running", remark=f"by {worker}")
    return status


def _is_being_stopped(layout: TaskLayout, holder: Holder) -> bool:
    """Whether a request to stop is younger than the lock: it may be left over."""
    try:
        return layout.stop.stat().st_mtime > holder.since - _COARSE
    except FileNotFoundError:
        return False


def _fingerprint(path: Path, layout: TaskLayout) -> str:
    from psyrun.tasks.fingerprint import fingerprint

    conf_path = path.parent / "psy-conf.py"
    record: dict[str, Any] = read_json(record_of_task(path.parent, layout.name)) or {}
    return fingerprint(
        path,
        conf_path if conf_path.is_file() else None,
        record.get("file_dep", []),
        Path.cwd(),
        read_json(layout.digests),
    )


def _kept(layout: TaskLayout, plan: Plan) -> str:
    """Return which rows wait for their place in a round that is not divided yet."""
    if plan.keep == "result":
        # To count them takes a store, which may be the user's own.
        return f"rows of {plan.resultfile} kept"
    n_rows = _n_rows(layout, plan.keep_rounds)
    return f"{counted(n_rows, 'row')} kept" if n_rows else ""


def _superseded(layout: TaskLayout, plan: Plan) -> str:
    """Return which rows are there that the run is to replace."""
    n_rows = _n_rows(layout, plan.superseded)
    if not n_rows:
        return ""
    rows = counted(n_rows, "row")
    return f"{rows} by an earlier version, there until all is computed again"


def _n_rows(layout: TaskLayout, numbers: Iterable[int]) -> int:
    """Return how many rows rounds have."""
    n_rows = 0
    for round_ in map(layout.round, numbers):
        counts = Counts.load(round_)
        if counts is not None:
            n_rows += RoundProgress(round_).look().done + counts.n_former
    return n_rows


def _numbers(layout: TaskLayout, plan: Plan) -> Numbers | None:
    round_ = layout.round(plan.round)
    counts = Counts.load(round_)
    if counts is None:
        return None
    tally = RoundProgress(round_).look()
    return Numbers(
        n_items=counts.n_items,
        n_done=tally.done,
        n_failed=tally.failed,
        n_blocks=counts.n_blocks,
        n_blocks_done=len(finished_blocks(round_, counts.ext)),
        n_former=counts.n_former,
        n_older=counts.n_older,
    )


@dataclass(frozen=True)
class Details:
    """The assignments behind the numbers of a task.

    Attributes
    ----------
    space : ParameterSpace
        The space that was divided, or that of the task file if none was.
    failures : sequence of Failure
        Assignments that failed.
    missing : sequence of int
        Assignments that were not evaluated yet while nobody runs the task,
        ascending.
    running : sequence of int
        Assignments that running jobs have begun with or hold, ascending.
    queued : sequence of int
        Assignments that wait for a job, ascending.
    interrupted : sequence of int
        Those of `missing` that were being evaluated when their job was ended,
        ascending.
    """

    space: ParameterSpace
    failures: Sequence[Failure] = ()
    missing: Sequence[int] = ()
    running: Sequence[int] = ()
    queued: Sequence[int] = ()
    interrupted: Sequence[int] = ()


def details_of(path: Path, name: str) -> Details:
    """Return which assignments of a task failed, and which are not evaluated.

    Parameters
    ----------
    path : Path
        The task file. It is run if the space was not divided yet, or holds
        values of classes that the task file defines.
    name : str
        Name of the task.

    Raises
    ------
    PsyrunError
        If the task file or what was recorded is not usable.
    """
    return patiently(lambda: _details_of(path, name))


def _details_of(path: Path, name: str) -> Details:
    layout = layout_of(path.parent, name)
    plan = accepted_plan(layout)
    if plan is None or Counts.load(layout.round(plan.round)) is None:
        from psyrun.tasks.loading import load_task

        space = load_task(path).pspace
        return Details(space, missing=range(len(space)))
    data = round_data(layout.round(plan.round), path)
    failures = failures_of(data.round)
    space = data.division.space
    with enough_for(space, path):
        others = _others(data, failures)
    jobs = running_jobs(layout)
    if not jobs and holder_of(layout.lock) is None:
        return Details(
            space, failures, missing=others, interrupted=_interrupted(data, others)
        )
    held = _held(data, plan, jobs)
    running = [index for index in others if index in held]
    queued = [index for index in others if index not in held]
    return Details(space, failures, running=running, queued=queued)


def _others(data: RoundData, failures: Iterable[Failure]) -> list[int]:
    """Return the assignments that have no row and did not fail."""
    import numpy as np

    is_open = np.ones(len(data.division.space), dtype=bool)
    is_open[data.known()] = False
    is_open[[failure.index for failure in failures]] = False
    found: list[int] = np.flatnonzero(is_open).tolist()
    return found


def round_data(round_: Round, path: Path) -> RoundData:
    """Return what a divided round knows, with its space loaded.

    Parameters
    ----------
    round_ : Round
        Paths of the round.
    path : Path
        The task file, which is run if the space cannot be loaded without.

    Raises
    ------
    PsyrunError
        If the space cannot be loaded.
    """
    from psyrun.workdir.rows import RoundData

    counts = Counts.load(round_)
    ext = "" if counts is None else counts.ext
    data = with_stores(path, lambda stores: RoundData(round_, stores(ext)))
    with_stores(path, lambda stores: data.division)
    return data


def interrupted_with(round_: Round, path: Path, block: int) -> list[Mapping[str, Any]]:
    """Return what a job was evaluating when it was ended.

    Parameters
    ----------
    round_ : Round
        Paths of its round.
    path : Path
        The task file, which is run if the space cannot be loaded without.
    block : int
        Number of the block.

    Returns
    -------
    list of mapping
        Parameters of the assignments, in the order of the space.

    Raises
    ------
    PsyrunError
        If the space cannot be loaded.
    """
    known = journal.latest(round_.journals_of(block))
    indices = [index for index in cut_off(round_.slots(block)) if index not in known]
    if not indices:
        return []
    space = round_data(round_, path).division.space
    return [space[index] for index in sorted(indices)]


def _interrupted(data: RoundData, missing: Iterable[int]) -> list[int]:
    """Return the assignments that jobs were at which were ended."""
    paths = data.round.journals.glob("*.slots")
    at = {index for path in paths for index in cut_off(path)}
    return sorted(at.intersection(missing))


def _held(data: RoundData, plan: Plan, jobs: Iterable[str]) -> set[int]:
    """Return the assignments that running jobs evaluate now or will."""
    steps = (job.partition(":") for job in jobs)
    blocks = [int(block) for step, _, block in steps if step == PROCESS]
    if plan.fetches:
        slots = (cut_off(data.round.slots(block)) for block in blocks)
        return {index for indices in slots for index in indices}
    return {int(i) for block in blocks for i in data.division.indices(block)}

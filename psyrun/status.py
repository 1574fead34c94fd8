"""How far a task is, read from what its runs recorded.

`status_of` runs no task file and does without NumPy: a hundred thousand rows are
counted from small files and the headers of journals.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from psyrun import journal
from psyrun.backend.base import equal_ranges
from psyrun.errors import PsyrunError
from psyrun.files import damaged, read_json
from psyrun.layout import Round, TaskLayout, record_of_task
from psyrun.lock import Holder, holder_of, live_holders
from psyrun.plan import Plan

State: TypeAlias = Literal[
    "new", "running", "done", "incomplete", "outdated", "unreadable"
]
"""What can be said of a task in a word, see `TaskStatus`."""


@dataclass(frozen=True)
class Counts:
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
    """

    n_items: int
    n_done: int
    n_failed: int
    n_blocks: int
    n_blocks_done: int
    n_former: int


@dataclass(frozen=True)
class TaskStatus:
    """How far a task is.

    Attributes
    ----------
    name : str
        Name of the task.
    state : str
        ``new``: was never run. ``running``: somebody runs it. ``done``: the
        result is there. ``outdated``: its source changed since it was run.
        ``unreadable``: its source or its records cannot be read.
        ``incomplete``: everything else.
    remark : str
        Who runs it, or what cannot be read.
    counts : Counts or None
        Its numbers; None where the space was not divided yet.
    """

    name: str
    state: State
    remark: str = ""
    counts: Counts | None = None


def read_record(path: Path) -> Any:
    """Return what a JSON file of a run holds, or None where there is no such file.

    Raises
    ------
    PsyrunError
        If it is damaged.
    """
    try:
        return read_json(path)
    except ValueError as error:
        raise damaged(path, f"is not JSON ({error})") from error


def layout_of(taskdir: Path, name: str, default: str = "psy-work") -> TaskLayout:
    """Return the paths of a task without running its file.

    Parameters
    ----------
    taskdir : Path
        Folder of the task files.
    name : str
        Name of the task.
    default : str
        The work folder of a task that has no record.
    """
    record = read_record(record_of_task(taskdir, name)) or {"workdir": default}
    return TaskLayout.of(record["workdir"], name)


def running_jobs(layout: TaskLayout) -> dict[str, Holder]:
    """Return who runs the jobs of a task, by job, such as ``process:3``."""
    return {
        name.replace("-", ":"): holder
        for round_ in layout.rounds().values()
        for name, holder in live_holders(round_.locks).items()
    }


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
        if plan is not None:
            state: State = "done" if is_merged(layout, plan) else "incomplete"
            status = replace(status, state=state, counts=_counts(layout, plan))
            if _fingerprint(path, layout) != plan.fingerprint:
                status = replace(status, state="outdated")
    except (PsyrunError, OSError) as error:
        remark = " ".join(str(error).split())
        status = replace(status, state="unreadable", remark=remark)
    return _with_holder(status, layout)


def _with_holder(status: TaskStatus, layout: TaskLayout) -> TaskStatus:
    # Jobs may live on when their controller was killed.
    holders = [holder_of(layout.lock), *running_jobs(layout).values()]
    for holder in filter(None, holders):
        return replace(status, state="running", remark=f"by {holder}")
    return status


def accepted_plan(layout: TaskLayout) -> Plan | None:
    """Return the plan that was accepted last, None for a task that is new.

    Raises
    ------
    PsyrunError
        If it was written by another version of psyrun.
    """
    record = read_record(layout.state)
    return None if record is None else Plan.from_json(record, str(layout.state))


def is_merged(layout: TaskLayout, plan: Plan) -> bool:
    """Whether the result of a plan is there, and nothing is open."""
    round_ = layout.round(plan.round)
    merged = read_record(round_.merged) or {}
    return (
        merged.get("merge") == plan.merge
        and merged.get("into") == plan.resultfile
        and Path(plan.resultfile).exists()
        and len(_finished_blocks(round_, plan)) == plan.n_blocks
    )


def _finished_blocks(round_: Round, plan: Plan) -> set[int]:
    present = {path.name for path in round_.blocks.glob(f"*{plan.block_ext}")}
    return {b for b in range(plan.n_blocks) if f"{b}{plan.block_ext}" in present}


def _fingerprint(path: Path, layout: TaskLayout) -> str:
    from psyrun.fingerprint import fingerprint

    conf_path = path.parent / "psy-conf.py"
    record: dict[str, Any] = read_record(record_of_task(path.parent, layout.name)) or {}
    return fingerprint(
        path,
        conf_path if conf_path.is_file() else None,
        record.get("file_dep", []),
        Path.cwd(),
        read_record(layout.digests),
    )


def _counts(layout: TaskLayout, plan: Plan) -> Counts | None:
    round_ = layout.round(plan.round)
    split = read_record(round_.division)
    if split is None or not round_.space.exists():
        return None
    ranges = equal_ranges(split["n_open"], split["n_blocks"])
    finished = _finished_blocks(round_, plan)
    n_done, n_failed = split["n_items"] - split["n_open"], 0
    for block, (begin, end) in enumerate(ranges):
        if block in finished:
            failed = len(read_record(round_.failed(block)) or [])
            done = end - begin - failed
        else:
            done, failed = _recorded(round_.journals_of(block))
        n_done, n_failed = n_done + done, n_failed + failed
    return Counts(
        n_items=split["n_items"],
        n_done=n_done,
        n_failed=n_failed,
        n_blocks=split["n_blocks"],
        n_blocks_done=len(finished),
        n_former=split["n_former"],
    )


def _recorded(journals: Iterable[Path]) -> tuple[int, int]:
    """Return how many assignments have a row, and how many only failed."""
    known = journal.latest(journals)
    n_rows = sum(entry.kind == journal.ROW for entry in known.values())
    return n_rows, len(known) - n_rows

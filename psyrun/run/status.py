"""How far a task is, read from what its runs recorded.

`status_of` runs no task file and does without NumPy: a hundred thousand rows are
counted from small files and the headers of journals.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from psyrun.errors import PsyrunError
from psyrun.queue.ledger import Ledger, QueueReport
from psyrun.queue.waiting import waiting_of
from psyrun.scheduler.jobs import Ending
from psyrun.steps.not_started import NOT_STARTED
from psyrun.tasks.module import check_syntax
from psyrun.utils.text import counted
from psyrun.workdir.damage import check_division
from psyrun.workdir.division import DivisionCounts
from psyrun.workdir.expected_end import ExpectedEnd
from psyrun.workdir.hanging import Hanging, hanging
from psyrun.workdir.holder import Holder
from psyrun.workdir.layout import TaskLayout, TaskRecord, layout_of
from psyrun.workdir.lock import live_holder, running_jobs
from psyrun.workdir.origin import original_of
from psyrun.workdir.plan import Plan, arguments_in
from psyrun.workdir.progress import RoundProgress, finished_blocks, is_merged
from psyrun.workdir.run_record import RunRecord
from psyrun.workdir.step_note import step_note

if TYPE_CHECKING:
    from psyrun.tasks.version import Version

State: TypeAlias = Literal[
    "new",
    "running",
    "queued",
    "done",
    "incomplete",
    "edited",
    "outdated",
    "unreadable",
]
"""See `TaskStatus`."""

_CLOCK_TOLERANCE = 0.1  # seconds that the times of files may lag behind the clock


@dataclass(frozen=True)
class AssignmentCounts:
    """Numbers of one round.

    Attributes
    ----------
    n_done : int
        Assignments that have a row.
    n_failed : int
        Assignments whose last evaluation failed, and that have no row.
    n_former : int
        Rows of assignments that are no longer in the space.
    n_older : int
        Rows in the space that another version of the task computed.
    n_left_out : int
        Rows of before that are on disk, but not in the result.
    n_not_chosen : int
        Assignments without a row that no run was to evaluate yet.
    is_of_pilots : bool
        Whether the last run evaluated pilots.
    """

    n_items: int
    n_done: int
    n_failed: int
    n_blocks: int
    n_blocks_done: int
    n_former: int
    n_older: int
    n_left_out: int
    n_not_chosen: int = 0
    is_of_pilots: bool = False


@dataclass(frozen=True)
class TaskStatus:
    """How far a task is.

    Attributes
    ----------
    state : str
        ``new``: was never run. ``running``: somebody runs it. ``queued``: jobs
        of it are in a queue, and nobody watches them. ``done``: the result is
        there. ``outdated``: what makes its rows changed since it was run.
        ``edited``: only its space did.
        ``unreadable``: its source or its records cannot be read.
        ``incomplete``: everything else, also if a part is done that was chosen.
    remark : str
        Who runs it, or what cannot be read.
    numbers : AssignmentCounts or None
        Its numbers; None where the space was not divided yet.
    kept : str
        Which rows are taken over when the space is divided, such as ``220 rows
        kept``; empty once that is done, and where there are none.
    ended : tuple of (str, Ending)
        Jobs that a queue has ended, by name, and why.
    hanging : tuple of Hanging
        Processes of its jobs that seem to hang.
    changed : str
        What changed since it was run, as far as that is known.
    expected : ExpectedEnd or None
        When its evaluations will be done, as whoever runs it expects.
    waits : str
        Why its jobs in a queue wait, and when they start, as the queue said last.
    """

    name: str
    state: State
    remark: str = ""
    numbers: AssignmentCounts | None = None
    kept: str = ""
    ended: tuple[tuple[str, Ending], ...] = ()
    hanging: tuple[Hanging, ...] = ()
    changed: str = ""
    expected: ExpectedEnd | None = None
    waits: str = ""

    @property
    def is_going_on(self) -> bool:
        """Whether somebody runs it, or jobs of it are in a queue."""
        return self.state in ("running", "queued")

    @property
    def remarks(self) -> list[str]:
        """When it will be done, who runs it, and why jobs wait, as far as it is known.

        Of an unreadable one, what cannot be read.
        """
        end = "" if self.expected is None else f"done at about {self.expected.text()}"
        waits = f"waiting ({self.waits})" if self.waits else ""
        return list(filter(None, [end, self.remark, waits]))


def status_of(path: Path, name: str) -> TaskStatus:
    """Return how far the task of a task file is."""
    layout = layout_of(path.parent, name)
    status = TaskStatus(name, "new")
    try:
        plan = Plan.load(layout)
        if plan is None:
            check_syntax(path)
        else:
            state: State = "done" if is_merged(layout, plan) else "incomplete"
            status = replace(status, state=state, numbers=_numbers(layout, plan))
            found = tuple(hanging(layout.round(plan.round)))
            status = replace(status, hanging=found)
            kept = "" if status.numbers is not None else _kept(layout, plan)
            if state != "done":
                before = [kept, _superseded(layout, plan), _rerun(plan)]
                kept = ", ".join(filter(None, before))
            status = replace(status, kept=kept)
            if status.numbers is not None and status.numbers.n_not_chosen:
                status = replace(status, state="incomplete")
            version = _version(path, layout, plan.seeding)
            if not version.is_one_of(plan.names, is_former=plan.is_former):
                changed = _changed(version, plan.fingerprint, layout)
                status = replace(status, state="outdated", changed=changed)
            elif not plan.is_former and plan.space_source != version.space_text:
                changed = _changed(version, plan.space_source, layout)
                status = replace(status, state="edited", changed=changed)
        return _with_holder(status, layout)
    except (PsyrunError, OSError) as error:
        remark = " ".join(str(error).split())
        return replace(status, state="unreadable", remark=remark)


def _with_holder(status: TaskStatus, layout: TaskLayout) -> TaskStatus:
    queue = QueueReport.of(layout)
    waiting = waiting_of(layout, queue)
    waits = "" if waiting is None else waiting.text()
    status = replace(status, ended=queue.ended, waits=waits)
    record = RunRecord.load(layout)
    # In a copy, that is who runs the original.
    is_copy = original_of(layout) is not None
    holder = None if is_copy else live_holder(layout.lock)
    if holder is not None:
        where = record.whereabouts if record is not None else ""
        if _is_being_stopped(layout, holder):
            where = "being stopped by 'psy kill'"
        remark = ", ".join(filter(None, [f"by {holder}", where, queue.text]))
        status = replace(status, state="running", remark=remark)
        return replace(status, expected=_expected(layout, holder))
    if record is not None and record.is_waiting:
        waits = "the controller waits"
        ledger = Ledger(record.home, record.home.controllers)
        if ended := ledger.ending_of(record.job):
            remark = f"its controller ended ({ended.text})"
            remark += f"; {_who_goes_on(layout)}"
            return replace(status, remark=remark)
        if not ledger.has_submitted(record.job):
            waits = f"its submission was cut off; {_who_goes_on(layout)}"
        remark = ", ".join(filter(None, [waits, queue.text]))
        return replace(status, state="queued", remark=remark)
    if queue.text:
        remark = f"{queue.text}, watched by nobody; {_who_goes_on(layout)}"
        return replace(status, state="queued", remark=remark)
    # Jobs of this machine may live on when their controller was killed.
    for _, worker in [] if is_copy else running_jobs(layout):
        return replace(status, state="running", remark=f"by {worker}")
    remark = _why_not_started(layout) if status.state == "incomplete" else ""
    return replace(status, remark=remark)


def _who_goes_on(layout: TaskLayout) -> str:
    return f"'psy run {arguments_in(layout)}' goes on"


def _expected(layout: TaskLayout, holder: Holder) -> ExpectedEnd | None:
    """Return when a task will be done, if its run has said so."""
    plan = Plan.load(layout)
    if plan is None:
        return None
    return ExpectedEnd.load(layout.round(plan.round), holder.since)


def _why_not_started(layout: TaskLayout) -> str:
    """Return why the job that failed last did not begin, empty if it did."""
    plan = Plan.load(layout)
    if plan is None:
        return ""
    notes = layout.round(plan.round).errors.glob("[!.]*.json")
    last = max(notes, key=lambda path: path.stat().st_mtime, default=None)
    note = None if last is None else step_note(last)
    if note is None or note.get("type") != NOT_STARTED:
        return ""
    return f"jobs did not start: {note['message']}"


def _is_being_stopped(layout: TaskLayout, holder: Holder) -> bool:
    """Whether a request to stop is younger than the lock: it may be left over."""
    try:
        return layout.stop.stat().st_mtime > holder.since - _CLOCK_TOLERANCE
    except FileNotFoundError:
        return False


def _version(path: Path, layout: TaskLayout, seeding: str) -> Version:
    from psyrun.tasks.version import known_digests, version_of_file

    conf_path = path.parent / "psy-conf.py"
    record = TaskRecord.load(path.parent, layout.name)
    return version_of_file(
        path,
        conf_path if conf_path.is_file() else None,
        () if record is None else record.file_dep,
        layout.source,
        layout.loaded,
        digests=known_digests(layout.digests),
        resultfile=Path(record.resultfile) if record and record.resultfile else None,
        seeding=seeding,
    )


def _changed(version: Version, fingerprint: str, layout: TaskLayout) -> str:
    from psyrun.tasks.changes import changes_since, clause

    folder, path = layout.versions, layout.version
    return clause(changes_since(version, fingerprint, folder, path))


def _kept(layout: TaskLayout, plan: Plan) -> str:
    """Return which rows wait for their place in a round that is not divided yet."""
    if plan.keep == "result":
        # To count them takes a store, which may be the user's own.
        return f"rows of {plan.resultfile} kept"
    valid = [n for n in plan.keep_rounds if _is_valid(layout, plan, n)]
    n_rows = _n_rows(layout, valid)
    return f"{counted(n_rows, 'row')} kept" if n_rows else ""


def _is_valid(layout: TaskLayout, plan: Plan, number: int) -> bool:
    """Whether the rows of a round are those of the version that a plan is for."""
    counts = DivisionCounts.load(layout.round(number))
    return plan.keeps_all is not False or (
        counts is not None and counts.fingerprint in plan.names
    )


def _superseded(layout: TaskLayout, plan: Plan) -> str:
    """Return which rows are there that the run is to replace."""
    older = [n for n in plan.keep_rounds if not _is_valid(layout, plan, n)]
    n_rows = _n_rows(layout, [*older, *plan.superseded])
    if not n_rows:
        return ""
    rows = counted(n_rows, "row")
    return f"{rows} of before, in the result until all is computed again"


def _rerun(plan: Plan) -> str:
    """Return what is being evaluated again although its rows were valid."""
    if plan.rerun is None:
        return ""
    what = f" {shlex.quote(plan.rerun)}" if plan.rerun else ""
    return f"rows of --rerun{what} in the result until all is computed again"


def _n_rows(layout: TaskLayout, numbers: Iterable[int]) -> int:
    """Return how many rows rounds have."""
    n_rows = 0
    for round_ in map(layout.round, numbers):
        counts = DivisionCounts.load(round_)
        if counts is not None:
            n_rows += RoundProgress(round_).tally().done + counts.n_former
    return n_rows


def _numbers(layout: TaskLayout, plan: Plan) -> AssignmentCounts | None:
    round_ = layout.round(plan.round)
    check_division(round_)
    counts = DivisionCounts.load(round_)
    if counts is None:
        return None
    tally = RoundProgress(round_).tally()
    n_whole = counts.n_items if counts.n_whole is None else counts.n_whole
    return AssignmentCounts(
        n_items=n_whole,
        n_done=tally.done,
        n_failed=tally.failed,
        n_blocks=counts.n_blocks,
        n_blocks_done=len(finished_blocks(round_, counts.ext)),
        n_former=counts.n_former,
        n_older=counts.n_older,
        n_left_out=counts.n_left_out if is_merged(layout, plan) else 0,
        n_not_chosen=n_whole - counts.n_items,
        is_of_pilots=plan.is_of_pilots,
    )

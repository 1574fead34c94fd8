"""What is found on disk of a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psyrun.counts import Counts
from psyrun.errors import PsyrunError, TaskError
from psyrun.files import read_json
from psyrun.layout import Round, TaskLayout
from psyrun.merges import MergeRecord
from psyrun.plan import Known, Plan, Wanted
from psyrun.progress import RoundProgress, finished_blocks
from psyrun.tasks import Task

if TYPE_CHECKING:
    from psyrun.rounds import RoundData


def observe(task: Task, wanted: Wanted) -> Known:
    """Return what is found on disk of a task.

    Parameters
    ----------
    task : Task
        The task.
    wanted : Wanted
        What it asks for.

    Raises
    ------
    PsyrunError
        If records are damaged or of another version of psyrun.
    """
    layout = TaskLayout.of(wanted.workdir, wanted.task)
    has_result = Path(wanted.resultfile).exists()
    record = read_json(layout.state)
    plan = None if record is None else Plan.from_json(record, str(layout.state))
    is_split = plan is not None and Counts.load(layout.round(plan.round)) is not None
    rounds = layout.rounds().items()
    occupied = tuple(n for n, r in rounds if r.blocks.exists() or r.journals.exists())
    known = Known(plan, is_split, has_result=has_result, occupied=occupied)
    if plan is not None and is_split:
        known = _with_progress(known, plan, layout.round(plan.round))
    return _with_source(known, task, wanted, layout)


def _with_progress(known: Known, plan: Plan, round_: Round) -> Known:
    missing = set(range(plan.n_blocks)) - finished_blocks(round_, plan.block_ext)
    merged = MergeRecord.load(round_)
    return replace(
        known,
        missing_blocks=tuple(sorted(missing)),
        merged=None if merged is None else merged.merge,
        merged_into=merged.into if merged and merged.stands(round_) else "",
    )


def _with_source(known: Known, task: Task, wanted: Wanted, layout: TaskLayout) -> Known:
    """Find out where rows could be taken over from."""
    keep, keep_round = "", 0
    if known.plan is not None and known.is_split:
        keep, keep_round = "round", known.plan.round
    elif known.plan is not None and _is_there(layout, known.plan):
        keep, keep_round = "round", known.plan.keep_round
    elif known.has_result:
        keep = "result"
    source = layout.round(keep_round)
    return replace(
        known,
        keep=keep,
        keep_round=keep_round,
        count_open=lambda: _count_open(task, source),
        count_failed=lambda: RoundProgress(source).look().failed,
        count_new=lambda: _count_new(task, _old_rows(task, wanted, keep, source)),
    )


def _is_there(layout: TaskLayout, plan: Plan) -> bool:
    """Whether the round that a plan takes rows from still exists."""
    source = layout.round(plan.keep_round)
    return plan.keep == "round" and Counts.load(source) is not None


def _data(task: Task, round_: Round) -> RoundData:
    from psyrun.rounds import RoundData, store_with

    counts = Counts.load(round_)
    ext = task.store.ext if counts is None else counts.ext
    return RoundData(round_, store_with(ext, task.store))


def _count_open(task: Task, round_: Round) -> int:
    data = _data(task, round_)
    return len(data.division.space) - len(data.known())


def _old_rows(
    task: Task, wanted: Wanted, keep: str, round_: Round
) -> Mapping[str, Any]:
    if keep == "result":
        return task.store.load(wanted.resultfile)
    return _data(task, round_).parameters()


def _count_new(task: Task, old: Mapping[str, Any]) -> int:
    from psyrun.pspace import match_rows

    try:
        return int((match_rows(task.pspace, old) < 0).sum())
    except PsyrunError as error:
        raise TaskError(f"{task.path}: {error}") from error

"""What is found on disk of a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from psyrun.errors import PsyrunError, TaskError
from psyrun.planning.decide import Current, Desired
from psyrun.tasks.loading import Task
from psyrun.workdir.division import DivisionCounts
from psyrun.workdir.layout import Round, TaskLayout
from psyrun.workdir.plan import Plan
from psyrun.workdir.progress import MergeRecord, RoundProgress, finished_blocks

if TYPE_CHECKING:
    from psyrun.workdir.rows import RoundData


def current_state(task: Task, wanted: Desired) -> Current:
    """Return what is found on disk of a task.

    Parameters
    ----------
    task : Task
        The task.
    wanted : Desired
        What it asks for.

    Raises
    ------
    PsyrunError
        If records are damaged or of another version of psyrun.
    """
    layout = TaskLayout.of(wanted.workdir, wanted.task)
    has_result = Path(wanted.resultfile).exists()
    plan = Plan.load(layout)
    is_split = (
        plan is not None and DivisionCounts.load(layout.round(plan.round)) is not None
    )
    rounds = layout.rounds().items()
    occupied = tuple(n for n, r in rounds if r.blocks.exists() or r.journals.exists())
    known = Current(plan, is_split, has_result=has_result, occupied=occupied)
    if plan is not None and is_split:
        known = _with_progress(known, plan, layout.round(plan.round))
    return _with_source(known, task, wanted, layout)


def _with_progress(known: Current, plan: Plan, round_: Round) -> Current:
    missing = set(range(plan.n_blocks)) - finished_blocks(round_, plan.block_ext)
    merged = MergeRecord.load(round_)
    return replace(
        known,
        missing_blocks=tuple(sorted(missing)),
        merged=None if merged is None else merged.merge,
        merged_into=merged.into if merged and merged.is_complete(round_) else "",
    )


def _with_source(
    known: Current, task: Task, wanted: Desired, layout: TaskLayout
) -> Current:
    """Find out where rows could be taken over from."""
    made_by = _rounds_with_rows(known, layout)
    returned = (n for n, made in made_by.items() if made == wanted.fingerprint)
    last = 0 if known.plan is None else known.plan.round
    return replace(
        known,
        keep="round" if made_by else "result" if known.has_result else "",
        keep_rounds=tuple(made_by),
        returned=next(returned, 0),
        count_open=lambda number: _count_open(task, layout.round(number)),
        count_failed=lambda: RoundProgress(layout.round(last)).tally().failed,
        count_new=lambda numbers: _count_new(task, wanted, layout, numbers),
    )


def _rounds_with_rows(known: Current, layout: TaskLayout) -> dict[int, str]:
    """Return the rounds that rows can be taken from, and the fingerprint of each."""
    plan = known.plan
    if plan is None:
        return {}
    numbers = (plan.round,) if known.is_split else plan.keep_rounds
    if known.merged is None:
        numbers = (*numbers, *plan.superseded)
    found = {number: DivisionCounts.load(layout.round(number)) for number in numbers}
    return {n: counts.fingerprint for n, counts in found.items() if counts is not None}


def _data(task: Task, round_: Round) -> RoundData:
    from psyrun.store.registry import store_with
    from psyrun.workdir.rows import RoundData

    counts = DivisionCounts.load(round_)
    ext = task.store.ext if counts is None else counts.ext
    return RoundData(round_, store_with(ext, task.store))


def _count_open(task: Task, round_: Round) -> int:
    data = _data(task, round_)
    return len(data.division.space) - len(data.with_row())


def _count_new(
    task: Task, wanted: Desired, layout: TaskLayout, numbers: Sequence[int]
) -> int:
    from psyrun.workdir.reuse import from_result, from_rounds

    columns = {} if numbers else task.store.load(wanted.resultfile)
    rounds = [_data(task, layout.round(number)).points() for number in numbers]
    try:
        if numbers:
            found = from_rounds(task.pspace, rounds)
        else:
            found = from_result(task.pspace, columns, task.exclude_from_result)
    except PsyrunError as error:
        raise TaskError(f"{task.path}: {error}") from error
    return int((found.rows < 0).sum())

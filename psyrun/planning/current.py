"""The current state of a task: what is found on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from psyrun.errors import PsyrunError
from psyrun.planning.states import Current, Desired, KeptRows, RowNumbers, RowSource
from psyrun.tasks.loading import Task
from psyrun.workdir.damage import check_division
from psyrun.workdir.division import DivisionCounts
from psyrun.workdir.layout import Round, TaskLayout
from psyrun.workdir.merged_rows import lost_blocks
from psyrun.workdir.plan import Plan
from psyrun.workdir.progress import MergeRecord, RoundProgress, finished_blocks

if TYPE_CHECKING:
    from psyrun.pspace import ParameterSpace
    from psyrun.store.arrays import Indices
    from psyrun.workdir.rows import RoundData


def _ignore(*_: object) -> None:
    pass


def current_state(
    task: Task, desired: Desired, *, refuses_damage: bool = False
) -> Current:
    """Return what is found on disk of a task.

    Raises `PsyrunError` if records are damaged or of another version of psyrun.
    Damaged blocks count as gone, or, with `refuses_damage`, raise it when rows are
    counted.
    """
    on_damaged = None if refuses_damage else _ignore
    data = partial(round_data, task, on_damaged=on_damaged)
    layout = TaskLayout.of(desired.workdir, desired.task)
    plan = Plan.load(layout)
    last = None if plan is None else layout.round(plan.round)
    rounds = layout.rounds().items()
    for _, round_ in rounds:
        check_division(round_)
    current = Current(
        plan,
        is_split=last is not None and DivisionCounts.load(last) is not None,
        has_result=Path(desired.resultfile).exists(),
        occupied_rounds=tuple(
            n
            for n, r in rounds
            if any(f.exists() for f in (r.blocks, r.finished, r.journals))
        ),
        has_marks=last is not None and _has_marks(last, desired),
        count_open=lambda number: _count_open(data(layout.round(number))),
        count_rows=lambda kept: _count_rows(
            task, desired, kept, [data(layout.round(n)) for n in kept.rounds], {}
        ),
    )
    if plan is None or last is None:
        return current
    counts = DivisionCounts.load(last)
    is_part = counts is not None and counts.n_whole is not None
    current = replace(current, is_part=is_part)
    progress = RoundProgress(last)
    current = replace(current, count_failed=lambda: progress.tally().failed)
    if current.is_split:
        current = _with_progress(current, plan, last)
    return replace(current, sources=_sources(current, plan, layout))


def _has_marks(round_: Round, desired: Desired) -> bool:
    # Without NumPy where it is not needed.
    if not round_.replaced.exists():
        return False
    from psyrun.workdir.replaced import has_replaced

    return has_replaced(round_, desired.names)


def with_rerun(
    task: Task, desired: Desired, current: Current, marks: Mapping[int, Indices]
) -> Current:
    """Return what there is if some rows were marked to be evaluated again."""
    layout = TaskLayout.of(desired.workdir, desired.task)

    def count_rows(kept: KeptRows) -> RowNumbers:
        rounds = [round_data(task, layout.round(number)) for number in kept.rounds]
        return _count_rows(task, desired, kept, rounds, marks)

    return replace(current, count_rows=count_rows)


def _count_rows(
    task: Task,
    desired: Desired,
    kept: KeptRows,
    rounds: Sequence[RoundData],
    marks: Mapping[int, Indices],
) -> RowNumbers:
    # Without NumPy where it is not needed.
    from psyrun.planning.counting import count_rows

    return count_rows(task, desired, kept, rounds, marks)


def known_fingerprints(layout: TaskLayout) -> Iterator[str]:
    """Yield the fingerprints of the last plan and of the rows on disk."""
    plan = Plan.load(layout)
    if plan is not None:
        yield plan.fingerprint
        yield from plan.also
        for round_ in layout.rounds().values():
            counts = DivisionCounts.load(round_)
            if counts is not None:
                yield counts.fingerprint


def has_parameter(layout: TaskLayout, key: str) -> bool:
    """Return whether a space that was evaluated before may have a parameter."""
    from psyrun.workdir.division import Division

    try:
        return any(
            key in Division.load(round_).space.keys()  # noqa: SIM118
            for round_ in layout.rounds().values()
            if DivisionCounts.load(round_) is not None
        )
    except PsyrunError:
        # What is damaged is told of, or mended, elsewhere.
        return True


def _with_progress(current: Current, plan: Plan, round_: Round) -> Current:
    counts = DivisionCounts.load(round_)
    missing = set(range(plan.n_blocks)) - finished_blocks(round_, plan.block_ext)
    missing |= lost_blocks(round_, plan.block_ext)
    merged = MergeRecord.load(round_)
    return replace(
        current,
        n_left_out=0 if counts is None else counts.n_left_out,
        n_others=0 if counts is None else counts.n_older + counts.n_former,
        missing_blocks=tuple(sorted(missing)),
        merged=_last_merge(plan, round_, merged),
        merged_into="" if merged is None else _merged_into(merged, round_),
        described=None if merged is None else merged.described,
    )


def _merged_into(merged: MergeRecord, round_: Round) -> str:
    is_there = not merged.problem_of_result(Path(merged.into), quick_in=round_)
    return merged.into if merged.is_complete(round_) and is_there else ""


def _last_merge(plan: Plan, round_: Round, merged: MergeRecord | None) -> str | None:
    if merged is not None:
        return merged.merge
    # Else Snakemake would take the merge for done, whose record is lost.
    return plan.merge if round_.merge_mark(plan.merge).exists() else None


def _sources(current: Current, plan: Plan, layout: TaskLayout) -> dict[int, RowSource]:
    """Return the rounds that rows can be taken from, the newest first."""
    found = {}
    for number, round_ in reversed(layout.rounds().items()):
        counts = DivisionCounts.load(round_)
        if number > plan.round or counts is None:
            continue
        if number in plan.superseded and current.merged is not None:
            # What replaces these rows is there.
            continue
        space = counts.space_source
        if number == plan.round and not (plan.part and counts.n_whole is None):
            space = plan.space_source
        is_complete = MergeRecord.load(round_) is not None
        found[number] = RowSource(counts.fingerprint, space, is_complete)
    return found


def _count_open(data: RoundData) -> int:
    return len(data.division.space) - len(data.with_row())


def whole_space(task: Task, desired: Desired, current: Current) -> ParameterSpace:
    """Return the space that a part is to be chosen from.

    It is not sampled again as long as its source is the same.
    """
    layout = TaskLayout.of(desired.workdir, desired.task)
    for number in current.own_rounds or current.rounds:
        if desired.is_same_space(current.sources[number]):
            return round_data(task, layout.round(number)).division.whole_space
    return task.pspace


def round_data(
    task: Task,
    round_: Round,
    on_damaged: Callable[[int, str], object] | None = _ignore,
) -> RoundData:
    """Return the rows of a round; damaged blocks count as gone, or are refused."""
    from psyrun.store.registry import store_with
    from psyrun.workdir.rows import RoundData

    counts = DivisionCounts.load(round_)
    ext = task.store.ext if counts is None else counts.ext
    # The split says which rows these are, when it leaves them out.
    return RoundData(round_, store_with(ext, task.store), _ignore, on_damaged)

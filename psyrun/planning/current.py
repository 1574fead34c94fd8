"""The current state of a task: what is found on disk."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from psyrun.errors import PsyrunError, StoreError, TaskError
from psyrun.planning.states import Current, Desired, KeptRows, RowNumbers, RowSource
from psyrun.tasks.loading import Task
from psyrun.workdir.damage import check_division
from psyrun.workdir.division import DivisionCounts
from psyrun.workdir.layout import Round, TaskLayout
from psyrun.workdir.merged_rows import lost_blocks
from psyrun.workdir.plan import Plan
from psyrun.workdir.progress import MergeRecord, RoundProgress, finished_blocks
from psyrun.workdir.result_file import is_in_work_folder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from psyrun.pspace import ParameterSpace
    from psyrun.pspace.tolerance import KnownAs
    from psyrun.store.arrays import Indices
    from psyrun.store.rows import ColumnDict
    from psyrun.workdir.rows import RoundData
    from psyrun.workdir.rows_there import RowsThere


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


class IncomparableError(TaskError):
    """Values of a space cannot be compared with those of the rows that are there."""


def _count_rows(
    task: Task,
    desired: Desired,
    kept: KeptRows,
    rounds: Sequence[RoundData],
    marks: Mapping[int, Indices],
) -> RowNumbers:
    from psyrun.pspace.candidates import Candidates
    from psyrun.workdir.reuse import from_rounds

    known_as = task.known_as
    if not rounds:
        return _count_in_result(task, desired, known_as)
    whole = rounds[0].division.whole_space if kept.same_space else task.pspace
    there, names = _rows_there(desired, kept, rounds, marks), desired.names
    is_current = there.valid(names)
    if not kept.same_space:
        there = there.with_defaults(known_as)
    among = Candidates.of(whole, desired.part, there.points)
    there, space, is_chosen = there.among(among), among.space, among.is_chosen
    if not kept.same_space:
        space = known_as.as_in(space, there.points)
    try:
        found = from_rounds(
            space, there, names, keeps_all=kept.keeps_all, is_chosen=is_chosen
        )
        has_row, is_open = found.rows >= 0, _are_open(found.rows, is_chosen)
        n_redone, n_rerun = _count_again(space, there, desired, kept, is_open)
    except PsyrunError as error:
        raise IncomparableError(f"{task.path}: {error}") from error
    if is_open.any() and not kept.same_space:
        _warn_of_misses(task, space, there, rounds)
    # Those that are marked stay as they are where they are not chosen.
    n_kept = _count_current(there.of_versions(names), found.rows[has_row])
    n_open, n_older = int(is_open.sum()), int(has_row.sum()) - n_kept
    n_items = n_open + n_kept + n_older
    return RowNumbers(
        n_items=n_items,
        n_open=n_open,
        n_kept=n_kept,
        n_older=n_older,
        n_redone=n_redone,
        n_former=len(found.former),
        n_left_out=_count_left_out(kept, rounds, is_current, found.used),
        n_rerun=n_rerun,
        is_part=is_chosen is not None
        and (n_items < len(whole) or n_older > 0 or there.replaced is not None),
    )


def _rows_there(
    desired: Desired,
    kept: KeptRows,
    rounds: Sequence[RoundData],
    marks: Mapping[int, Indices],
) -> RowsThere:
    from psyrun.workdir.rows_there import rows_of_rounds

    return rows_of_rounds(
        [(data, fingerprint_of(data)) for data in rounds],
        same_space=kept.same_space,
        may_stay=[number in kept.all_of for number in kept.rounds],
        replaced=_replaced(desired, kept, rounds, marks),
    )


def _are_open(rows: Indices, is_chosen: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Return which assignments are to be evaluated, given the rows that they have."""
    is_open: NDArray[np.bool_] = rows < 0
    return is_open if is_chosen is None else is_open & is_chosen


def whole_space(task: Task, desired: Desired, current: Current) -> ParameterSpace:
    """Return the space that a part is to be chosen from.

    It is not sampled again as long as its source is the same.
    """
    layout = TaskLayout.of(desired.workdir, desired.task)
    for number in current.own_rounds or current.rounds:
        if desired.is_same_space(current.sources[number]):
            return round_data(task, layout.round(number)).division.whole_space
    return task.pspace


def _count_current(is_current: NDArray[np.bool_], rows: Indices) -> int:
    return len(rows) if is_current.all() else int(is_current[rows].sum())


def _count_left_out(
    kept: KeptRows,
    rounds: Sequence[RoundData],
    is_current: NDArray[np.bool_],
    used: Indices,
) -> int:
    """Return how many current rows of the last round are not taken over.

    Rows of before that, which are left out as well, were told of then.
    """
    newest = kept.rounds.index(max(kept.rounds))
    begin = sum(data.n_rows for data in rounds[:newest])
    of_last = is_current[begin : begin + rounds[newest].n_rows]
    used = used - begin
    n_used = int(of_last[used[(used >= 0) & (used < len(of_last))]].sum())
    return int(of_last.sum()) - n_used


def _count_again(
    space: ParameterSpace,
    there: RowsThere,
    desired: Desired,
    kept: KeptRows,
    is_open: NDArray[np.bool_],
) -> tuple[int, int]:
    """Return how many assignments are evaluated that have an older, or a marked row."""
    names, n_redone, n_rerun = desired.names, 0, 0
    if not kept.keeps_all and not there.valid(names).all():
        n_redone = _count_open_with_row(space, there, names, is_open)
    if there.replaced is not None:
        before = replace(there, replaced=None)
        n_rerun = _count_open_with_row(space, before, names, is_open) - n_redone
    return n_redone, n_rerun


def _count_open_with_row(
    space: ParameterSpace,
    there: RowsThere,
    names: frozenset[str],
    is_open: NDArray[np.bool_],
) -> int:
    """Return for how many assignments that are to be evaluated there is any row."""
    from psyrun.workdir.reuse import from_rounds

    all_rows = from_rounds(space, there, names, keeps_all=True).rows
    return int((is_open & (all_rows >= 0)).sum())


def _replaced(
    desired: Desired,
    kept: KeptRows,
    rounds: Sequence[RoundData],
    marks: Mapping[int, Indices],
) -> list[NDArray[np.bool_]]:
    """Return which rows of each round are evaluated again."""
    import numpy as np

    from psyrun.workdir.replaced import places_of, replaced_in

    names = () if kept.takes_replaced else desired.names
    found = [replaced_in(data, names) for data in rounds]
    for number, data, is_marked in zip(kept.rounds, rounds, found, strict=True):
        if number in marks:
            is_marked |= np.isin(places_of(data), marks[number])
    return found


def _count_in_result(task: Task, desired: Desired, known_as: KnownAs) -> RowNumbers:
    from psyrun.workdir.reuse import from_result

    columns, excluded = _result(task), task.exclude_from_result
    from psyrun.pspace.candidates import Candidates

    among = Candidates.of(task.pspace, desired.part)
    try:
        found = from_result(among.space, columns, excluded, known_as)
    except PsyrunError as error:
        raise TaskError(f"{task.path}: {error}") from error
    n_older = int((found.rows >= 0).sum())
    n_open = int(_are_open(found.rows, among.is_chosen).sum())
    return RowNumbers(
        n_open + n_older,
        n_open,
        n_older=n_older,
        n_former=len(found.former),
        is_part=among.is_chosen is not None,
    )


def _warn_of_misses(
    task: Task, space: ParameterSpace, there: RowsThere, rounds: Sequence[RoundData]
) -> None:
    """Say why rows may not have been found that a user expects to be."""
    _warn_of_rounding(task, space, there.points)
    _warn_of_hypercube(task, [data.division.space for data in rounds])


def _warn_of_hypercube(task: Task, former: Sequence[ParameterSpace]) -> None:
    from psyrun.pspace.samplers import resized_hypercube

    if sizes := resized_hypercube(task.pspace, former):
        warnings.warn(
            f"{task.path}: a Latin hypercube of {sizes[1]} points has none of the "
            f"{sizes[0]} of before, so that their rows are left out. Sobol and Halton "
            "keep them when they get larger.",
            UserWarning,
            stacklevel=2,
        )


def _warn_of_rounding(
    task: Task, space: ParameterSpace, points: Sequence[ParameterSpace]
) -> None:
    from psyrun.pspace.tolerance import nearly_equal_keys

    for key, (wanted, there) in nearly_equal_keys(space, points).items():
        if key not in task.match:
            warnings.warn(
                f"{task.path}: pspace has {key} {wanted!r}, where rows of before have "
                f"{there!r}: these are different assignments. If they are not, set "
                f"match = {{{key!r}: 1e-9}}.",
                UserWarning,
                stacklevel=2,
            )


def fingerprint_of(data: RoundData) -> str:
    """Return the version that the blocks of a round are computed with."""
    counts = DivisionCounts.load(data.round)
    return "" if counts is None else counts.fingerprint


def _result(task: Task) -> ColumnDict:
    """Return the columns of a result whose rows are to be kept.

    A file of the user's own in its place is refused.
    """
    layout = TaskLayout.of(task.workdir, task.name)
    try:
        columns = task.store.load(task.resultfile)
    except StoreError as error:
        if is_in_work_folder(layout, task.resultfile):
            raise
        cause = str(error).removeprefix(f"{task.resultfile}: ").partition(";")[0]
        raise _not_continued(task, cause) from error
    keys = task.pspace.keys()
    if columns and not set(keys).intersection(columns):
        raise _not_continued(task, f"has none of the parameters {', '.join(keys)}")
    return columns


def _not_continued(task: Task, cause: str) -> TaskError:
    return TaskError(
        f"{task.path}: resultfile {str(task.resultfile)!r} cannot be continued: it "
        f"{cause}. Choose another resultfile, or move the file away."
    )


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

"""What is to be done for a task, decided from values alone.

`decide` compares the desired state of a task with the current one, and returns the
plan to follow. The rows of its decision table stand in
``docs/explanation/up-to-date.md``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from psyrun.planning.states import Current, Desired, KeptRows, RowNumbers, RowSource
from psyrun.workdir.plan import Plan


@dataclass(frozen=True)
class Decision:
    """What to do.

    Attributes
    ----------
    plan : Plan
        The plan to follow.
    split : bool
        Whether the space is to be frozen and divided.
    blocks : tuple of int
        The process jobs to run.
    merge : bool
        Whether to merge.
    is_dirty : bool
        Whether rows of an older version of the task would be replaced, or jobs of
        such a version cancelled.
    rows : RowNumbers or None
        The rows of a new round; None if the last one goes on.
    describes : bool
        Whether it merges only to have the result say what the task file says now.
    """

    plan: Plan
    split: bool = False
    blocks: tuple[int, ...] = ()
    merge: bool = False
    is_dirty: bool = False
    rows: RowNumbers | None = None
    describes: bool = False

    @property
    def is_done(self) -> bool:
        """Whether everything is up to date."""
        return not (self.split or self.blocks or self.merge)


def decide(desired: Desired, current: Current, *, keep_going: bool) -> Decision:
    """Decide what is to be done; `keep_going` keeps outdated rows (``--continue``)."""
    last = current.plan
    if desired.is_fresh:
        return _new_round(desired, current, KeptRows())
    if desired.rerun is not None:
        rounds = current.own_rounds or current.rounds
        kept = _kept(desired, current, rounds, keeps_all=keep_going)
        return _new_round(desired, current, kept)
    if (
        last is not None
        and desired.is_same_code(last)
        and desired.is_same_space(RowSource(last.fingerprint, last.space_source))
    ):
        if _is_of_other_part(desired, current, last):
            return _with_other_part(desired, current, last, keep_going=keep_going)
        return _with_same_source(desired, current, last, keep_going=keep_going)
    # The replacement of older rows was given up, unless it replaced them.
    rounds = current.own_rounds or (current.rounds if keep_going else ())
    kept = _kept(desired, current, rounds, keeps_all=keep_going)
    return _new_round(desired, current, kept)


def _kept(
    desired: Desired, current: Current, rounds: tuple[int, ...], *, keeps_all: bool
) -> KeptRows:
    """Return what is taken over from some rounds, or else from the result."""
    if not rounds:
        # Nothing is known of the version that wrote a result.
        is_kept = keeps_all and current.has_result
        return KeptRows("result" if is_kept else "", keeps_all=keeps_all)
    # A space is not sampled again as long as its source is the same.
    same = [n for n in rounds if desired.is_same_space(current.sources[n])]
    ordered = tuple(dict.fromkeys([*same[:1], *rounds]))
    all_of = _rounds_of_result(desired, current, rounds)
    return KeptRows("round", ordered, keeps_all, bool(same), all_of)


def _rounds_of_result(
    desired: Desired, current: Current, rounds: tuple[int, ...]
) -> tuple[int, ...]:
    """Return the rounds whose rows are those of the result, or were evaluated since.

    What these have replaced, or left out, is not to come back unnoticed.
    """
    found = []
    for number in rounds:
        found.append(number)
        is_last = current.plan is not None and number == current.plan.round
        if current.sources[number].is_complete:
            break
        is_to_be_result = is_last and not _is_after_pilots(current)
        # To count takes long for many rows.
        if is_to_be_result and current.count_open(number) <= _n_settled(
            desired, current
        ):
            break
    return tuple(found)


def _is_after_pilots(current: Current) -> bool:
    """Whether the last plan was for pilots, whose rows no result has yet."""
    return current.plan is not None and current.plan.is_of_pilots


def _n_settled(desired: Desired, current: Current) -> int:
    """Return how many open assignments of the last round have no row of before."""
    # A run of another part leaves that in the result of what has failed.
    return 0 if desired.part else current.count_failed()


def _is_of_other_part(desired: Desired, current: Current, last: Plan) -> bool:
    """Whether a plan is for another part of the space than is desired.

    Also if that is not known any more.
    """
    is_known = not current.is_split or current.is_part == bool(last.part)
    return desired.part != last.part or not is_known


def _with_other_part(
    desired: Desired, current: Current, last: Plan, *, keep_going: bool
) -> Decision:
    """Decide where the last run was to evaluate another part of the same space."""
    is_given_up = keep_going and _is_given_up(current, last)
    if is_given_up or not current.is_split:
        # Jobs that are there do not fit.
        alone = replace(current, has_jobs=False)
        found = _with_same_source(desired, alone, last, keep_going=keep_going)
        number = current.next_round
        return replace(found, plan=replace(found.plan, round=number))
    as_before = replace(desired, part=last.part)
    if not (current.is_part or last.part or current.missing_blocks):
        # All is there that was to be.
        return _with_same_source(as_before, current, last, keep_going=keep_going)
    is_finished = current.merged is not None and not current.missing_blocks
    is_kept = keep_going or not desired.overwrite_dirty or not is_finished
    keeps_all = keep_going or (last.keeps_all is not False and is_kept)
    kept = _kept(desired, current, current.own_rounds, keeps_all=keeps_all)
    rows = current.count_rows(kept)
    if rows.n_open or current.missing_blocks:
        return _new_round(desired, current, kept, rows)
    return _with_same_source(as_before, current, last, keep_going=keep_going)


def _with_same_source(
    desired: Desired, current: Current, last: Plan, *, keep_going: bool
) -> Decision:
    own = current.own_rounds
    if keep_going and _is_given_up(current, last):
        kept = _kept(desired, current, current.rounds, keeps_all=True)
        is_rerun = last.rerun is not None
        return _new_round(desired, current, replace(kept, takes_replaced=is_rerun))
    if not current.is_split:
        return _before_split(desired, current, last, keep_going=keep_going)
    if current.has_marks and not keep_going:
        # Whoever has marked them was ended before there was a plan.
        kept = _kept(desired, current, own, keeps_all=last.keeps_all is not False)
        # Those of them that are not in the part wait for another run.
        rows = current.count_rows(kept)
        if rows.n_open or not desired.part:
            return _new_round(replace(desired, rerun=""), current, kept, rows)
    if _is_to_divide_anew(desired, current, last):
        others = tuple(n for n in own if n != last.round)
        rounds, keeps_all = (last.round, *others), last.keeps_all is not False
        kept = KeptRows("round", rounds, keeps_all, True, (last.round,))
        return _new_round(desired, current, kept)
    return _in_same_round(desired, current, last, keep_going=keep_going)


def _before_split(
    desired: Desired, current: Current, last: Plan, *, keep_going: bool
) -> Decision:
    """Decide where the space of the last plan was not divided yet."""
    if current.has_jobs:
        return _all_steps(_renewed(last, desired, last.merge))
    if not (last.keep or keep_going):
        return _new_round(desired, current, KeptRows())
    keeps_all = keep_going or last.keeps_all is not False
    kept = _kept(desired, current, current.own_rounds, keeps_all=keeps_all)
    if last.all_of is not None:
        kept = replace(kept, all_of=last.all_of)
    return _new_round(
        desired, current, replace(kept, takes_replaced=last.takes_replaced)
    )


def _in_same_round(
    desired: Desired, current: Current, last: Plan, *, keep_going: bool
) -> Decision:
    """Decide where the blocks of the last plan stay as they are."""
    is_merged = current.merged == last.merge
    is_there = current.has_result and current.merged_into == desired.resultfile
    is_current = is_merged and is_there and not current.missing_blocks
    # Who may not replace rows has chosen to keep them.
    is_kept = keep_going or not desired.overwrite_dirty
    if is_current and last.keeps_all and current.n_others and not is_kept:
        kept = _kept(desired, current, current.own_rounds, keeps_all=False)
        return _new_round(desired, current, kept)
    describes = is_current and current.described not in (None, desired.described)
    is_to_merge = describes or not is_current
    merge = desired.token if is_merged and is_to_merge else last.merge
    return Decision(
        _renewed(last, desired, merge),
        blocks=current.missing_blocks,
        merge=is_to_merge,
        describes=describes,
    )


def _is_given_up(current: Current, last: Plan) -> bool:
    """Whether a run that was to leave rows out did not come to its end.

    Then the rows are to be kept after all: who wants the new ones would let it go
    on. After a run that failed, to continue is to try again.
    """
    leaves_out = not set(last.superseded).isdisjoint(current.rounds)
    leaves_out |= last.rerun is not None
    if last.keeps_all is False:
        leaves_out |= bool(current.n_left_out if current.is_split else last.keep_rounds)
    return leaves_out and (
        not current.is_split or current.count_open(last.round) > current.count_failed()
    )


def _is_to_divide_anew(desired: Desired, current: Current, last: Plan) -> bool:
    """Whether what is missing of a round is better divided among all jobs."""
    if current.has_jobs:
        # Those who evaluate it already are not to be disturbed.
        return False
    if current.merged is not None:
        # What a block had fetched is not known any more once it was merged.
        return last.fetches and bool(current.missing_blocks)
    if last.n_blocks == 0:
        # A random space: split saw another sample than whoever made the plan.
        return current.count_open(last.round) > 0
    if last.division != desired.division or last.block_ext != desired.ext:
        return bool(current.missing_blocks)
    # Work that was fetched by a job that died cannot be fetched again.
    n_settled = current.count_failed() if desired.accept_failures else 0
    return last.fetches and current.count_open(last.round) > n_settled


def _renewed(last: Plan, desired: Desired, merge: str) -> Plan:
    """Return a plan with what may change without a new division."""
    # The rows are where they are, whatever way leads there.
    settings = {**desired.settings, "workdir": last.workdir}
    also = tuple(dict.fromkeys((*desired.also, *last.also)))
    return replace(last, **settings, also=also, result_ext=desired.ext, merge=merge)


def _new_round(
    desired: Desired,
    current: Current,
    kept: KeptRows,
    rows: RowNumbers | None = None,
) -> Decision:
    """Decide to divide the space among jobs anew, with the rows that are kept."""
    rows = rows or _count_rows(desired, current, kept)
    found = _all_steps(_plan_of_new_round(desired, current, kept, rows))
    is_dirty = _is_dirty(desired, current, kept, rows)
    return replace(found, is_dirty=is_dirty, rows=rows)


def _plan_of_new_round(
    desired: Desired, current: Current, kept: KeptRows, rows: RowNumbers
) -> Plan:
    return Plan(
        **desired.settings,
        result_ext=desired.ext,
        round=current.next_round,
        division=desired.division,
        order=desired.order,
        fetches=desired.backend.fetches,
        n_blocks=desired.n_blocks(rows.n_open),
        block_ext=desired.ext,
        keep=kept.keep,
        keep_rounds=kept.rounds,
        superseded=tuple(n for n in current.rounds if n not in kept.rounds),
        keeps_all=kept.keeps_all,
        all_of=kept.all_of,
        same_space=kept.same_space,
        rerun=_rerun(desired, current, kept, rows),
        takes_replaced=kept.takes_replaced,
        also=desired.also,
        merge=desired.token,
        n_items=rows.n_items,
        part=desired.part if rows.is_part or desired.is_of_pilots else (),
    )


def _is_dirty(
    desired: Desired, current: Current, kept: KeptRows, rows: RowNumbers
) -> bool:
    """Whether a new round replaces rows of an older version, or cancels its jobs."""
    last = current.plan
    is_same = last is not None and desired.is_same_code(last)
    # Pilots of a version have not replaced rows of before.
    is_same &= not _is_after_pilots(current)
    if not kept.keep:
        is_there = bool(current.rounds) or current.has_result
        return is_there and not (is_same or desired.is_fresh)
    is_replaced = rows.n_redone > 0 and (not is_same or current.n_others > 0)
    # What jobs of an older version have begun would be lost with them.
    is_lost = current.has_jobs and not is_same and not kept.keeps_all
    return is_replaced or is_lost


def _count_rows(desired: Desired, current: Current, kept: KeptRows) -> RowNumbers:
    if kept.keep:
        return current.count_rows(kept)
    n_items = desired.n_items
    is_part = n_items < (desired.n_whole or 0)
    return RowNumbers(n_items, n_items, is_part=is_part)


def _rerun(
    desired: Desired, current: Current, kept: KeptRows, rows: RowNumbers
) -> str | None:
    """Return what a new round is to evaluate again, also if an earlier one was to."""
    last = current.plan
    if desired.part and desired.rerun is None and not rows.n_rerun:
        # It waits for a run of the part that has it.
        return None
    is_going_on = (
        desired.rerun is None
        and last is not None
        and desired.is_same_code(last)
        and current.merged is None
        and bool(kept.keep)
        and not kept.takes_replaced
    )
    found = last.rerun if is_going_on and last is not None else desired.rerun
    # What has waited while other parts were evaluated is not known by its words.
    return "" if found is None and rows.n_rerun else found


def _all_steps(plan: Plan) -> Decision:
    return Decision(plan, split=True, blocks=tuple(range(plan.n_blocks)), merge=True)

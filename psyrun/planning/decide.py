"""What is to be done for a task, decided from values alone.

`decide` compares the desired state of a task with the current one, and returns the
plan to follow. The rows of its decision table stand in
``docs/explanation/up-to-date.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

from psyrun.backend import Backend
from psyrun.tasks.config import DIVIDING
from psyrun.workdir.plan import Plan, TaskSettings


@dataclass(frozen=True)
class Desired(TaskSettings):
    """What a task asks for.

    Attributes
    ----------
    n_items : int
        Number of assignments in the space as it is evaluated now.
    backend : Backend
        How the space is shared out among jobs.
    max_jobs : int or None
        Most process jobs; None for any number.
    min_items : int
        Fewest assignments in each.
    ext : str
        File extension of the task's store, with its dot.
    token : str
        A name that no merge had before.
    """

    n_items: int
    backend: Backend
    max_jobs: int | None
    min_items: int
    ext: str
    token: str

    @property
    def division(self) -> str:
        """What a change of divides the missing assignments anew."""
        values = [getattr(self, name) for name in DIVIDING]
        return " ".join(v.name if isinstance(v, Backend) else str(v) for v in values)

    def n_blocks(self, n_items: int) -> int:
        """Return the number of blocks for `n_items` assignments."""
        if n_items == 0:
            return 0
        most = n_items if self.max_jobs is None else self.max_jobs
        return self.backend.n_blocks(n_items, most, self.min_items)

    @property
    def settings(self) -> dict[str, Any]:
        """What the plan has from the task as it is."""
        return {each.name: getattr(self, each.name) for each in fields(TaskSettings)}


@dataclass(frozen=True)
class Current:
    """What is found on disk of a task.

    Attributes
    ----------
    plan : Plan or None
        The plan that was accepted last.
    is_split : bool
        Whether its round has a frozen space.
    missing_blocks : tuple of int
        Blocks of its round that have no store file.
    merged : str or None
        Name of the last merge of its round, None where none has ended.
    merged_into : str
        Where that merge wrote to; empty if it did not end well, or the file is not
        what it wrote.
    has_result : bool
        Whether the desired result file exists.
    occupied_rounds : tuple of int
        Rounds in whose folders something was computed.
    rounds_with_rows : tuple of int
        Rounds that rows can be taken from, the newest first.
    returned_round : int
        The round among these that has the desired fingerprint, as a change was
        taken back; 0 if there is none.
    has_jobs : bool
        Whether jobs of its round are queued or running, to be adopted.
    count_open : callable
        Takes the number of a round, and returns how many of its assignments
        have no row yet.
    count_failed : callable
        Returns how many of the last round have failed.
    count_new : callable
        Takes numbers of rounds, none for the result file, and returns how many
        assignments of the desired space have no row there.
    """

    plan: Plan | None = None
    is_split: bool = False
    missing_blocks: tuple[int, ...] = ()
    merged: str | None = None
    merged_into: str = ""
    has_result: bool = False
    occupied_rounds: tuple[int, ...] = ()
    rounds_with_rows: tuple[int, ...] = ()
    returned_round: int = 0
    has_jobs: bool = False
    count_open: Callable[[int], int] = field(default=lambda number: 0)
    count_failed: Callable[[], int] = field(default=lambda: 0)
    count_new: Callable[[tuple[int, ...]], int] = field(default=lambda numbers: 0)

    def keeping(self, rounds: tuple[int, ...]) -> KeptRows:
        """Return the rows of some rounds; those of the result if there are none."""
        return KeptRows(
            "round" if rounds else "result" if self.has_result else "", rounds
        )

    @property
    def own_rounds(self) -> tuple[int, ...]:
        """Rounds with rows, without those that the last plan supersedes."""
        superseded = () if self.plan is None else self.plan.superseded
        return tuple(n for n in self.rounds_with_rows if n not in superseded)

    @property
    def next_round(self) -> int:
        """Number of a round in whose folder nothing was computed yet."""
        number = 1 if self.plan is None else self.plan.round + self.is_split
        occupied = self.occupied_rounds
        return number if number not in occupied else max(occupied) + 1


@dataclass(frozen=True)
class KeptRows:
    """The rows that a new round takes over, in the terms of `Plan`."""

    keep: str = ""
    rounds: tuple[int, ...] = ()
    same_space: bool = False


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
        Whether rows of an older version of the task would be thrown away.
    """

    plan: Plan
    split: bool = False
    blocks: tuple[int, ...] = ()
    merge: bool = False
    is_dirty: bool = False

    @property
    def is_done(self) -> bool:
        """Whether everything is up to date."""
        return not (self.split or self.blocks or self.merge)


def decide(desired: Desired, current: Current, *, keep_going: bool) -> Decision:
    """Decide what is to be done; `keep_going` keeps outdated rows (``--continue``)."""
    last = current.plan
    if last is not None and last.fingerprint == desired.fingerprint:
        return _with_same_code(desired, current, last, keep_going=keep_going)
    returned = current.returned_round
    kept = KeptRows()
    if keep_going:
        # The replacement of older rows was given up, unless it replaced them.
        kept = current.keeping(current.own_rounds or current.rounds_with_rows)
        if returned:
            others = tuple(n for n in kept.rounds if n != returned)
            kept = KeptRows("round", (returned, *others))
    elif returned:
        kept = KeptRows("round", (returned,), same_space=True)
    decision = _new_round(desired, current, kept)
    has_rows = bool(current.keeping(current.rounds_with_rows).keep)
    return replace(decision, is_dirty=has_rows and not kept.keep)


def _with_same_code(
    desired: Desired, current: Current, last: Plan, *, keep_going: bool
) -> Decision:
    own = current.own_rounds
    is_replacing = own != current.rounds_with_rows
    if keep_going and is_replacing and _is_given_up(current, last):
        return _new_round(desired, current, current.keeping(current.rounds_with_rows))
    if not current.is_split and current.has_jobs:
        return _all_steps(_renewed(last, desired, last.merge))
    if not current.is_split:
        takes_rows = bool(last.keep) or keep_going
        kept = current.keeping(own) if takes_rows else KeptRows()
        kept = replace(kept, same_space=last.same_space and kept.keep == "round")
        return _new_round(desired, current, kept)
    if _is_to_divide_anew(desired, current, last):
        kept = KeptRows("round", (last.round,), same_space=True)
        return _new_round(desired, current, kept)
    is_merged = current.merged == last.merge
    is_there = current.has_result and current.merged_into == desired.resultfile
    is_current = is_merged and is_there and not current.missing_blocks
    merge = desired.token if is_merged and not is_current else last.merge
    plan = _renewed(last, desired, merge)
    return Decision(plan, blocks=current.missing_blocks, merge=not is_current)


def _is_given_up(current: Current, last: Plan) -> bool:
    """Whether a run that was to replace rows did not come to its end.

    Then the rows are to be kept after all: who wants the new ones would let it go
    on. After a run that failed, to continue is to try again.
    """
    return (
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
    return replace(last, **settings, result_ext=desired.ext, merge=merge)


def _new_round(desired: Desired, current: Current, kept: KeptRows) -> Decision:
    plan = Plan(
        **desired.settings,
        result_ext=desired.ext,
        round=current.next_round,
        division=desired.division,
        fetches=desired.backend.fetches,
        n_blocks=desired.n_blocks(_n_open(desired, current, kept)),
        block_ext=desired.ext,
        keep=kept.keep,
        keep_rounds=kept.rounds,
        superseded=tuple(n for n in current.rounds_with_rows if n not in kept.rounds),
        same_space=kept.same_space,
        merge=desired.token,
        n_items=desired.n_items,
    )
    return _all_steps(plan)


def _all_steps(plan: Plan) -> Decision:
    return Decision(plan, split=True, blocks=tuple(range(plan.n_blocks)), merge=True)


def _n_open(desired: Desired, current: Current, kept: KeptRows) -> int:
    if kept.same_space:
        return current.count_open(kept.rounds[0])
    return current.count_new(kept.rounds) if kept.keep else desired.n_items

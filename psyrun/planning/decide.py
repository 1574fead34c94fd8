"""What is to be done for a task, decided from values alone.

`decide` compares what the task asks for with what is known to be done, and
returns the plan to follow. The rows of its decision table stand in
``docs/explanation/up-to-date.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from psyrun.backend import Backend
from psyrun.workdir.plan import Plan


def decide(wanted: Desired, known: Current, *, keep_going: bool) -> Decision:
    """Decide what is to be done for a task.

    Parameters
    ----------
    wanted : Desired
        What the task asks for.
    known : Current
        What is found on disk.
    keep_going : bool
        Whether outdated rows are kept and added to (``--continue``).

    Returns
    -------
    Decision
        The plan and its open steps.
    """
    last = known.plan
    if last is not None and last.fingerprint == wanted.fingerprint:
        return _same_code(wanted, known, last, keep_going=keep_going)
    source = _Source()
    if keep_going:
        # What was to be replaced has been given up, unless nothing replaced it.
        rounds = _own_rounds(known) or known.keep_rounds
        source = _Source(known.keep, _first(known.returned, rounds))
    elif known.returned:
        source = _Source("round", (known.returned,), same_space=True)
    decision = _new_round(wanted, known, _next_round(known), source)
    return replace(decision, is_dirty=bool(known.keep) and not source.keep)


@dataclass(frozen=True)
class _Source:
    """Where a new round takes rows from."""

    keep: str = ""
    rounds: tuple[int, ...] = ()
    same_space: bool = False


def _same_code(
    wanted: Desired, known: Current, last: Plan, *, keep_going: bool
) -> Decision:
    own = _own_rounds(known)
    if keep_going and own != known.keep_rounds and _is_second_thought(known, last):
        source = _Source("round", known.keep_rounds)
        return _new_round(wanted, known, _next_round(known), source)
    if not known.is_split and known.has_jobs:
        return Decision(
            _renewed(last, wanted, merge=last.merge),
            split=True,
            blocks=tuple(range(last.n_blocks)),
            merge=True,
        )
    if not known.is_split:
        keep = "round" if own else "result" if known.has_result else ""
        takes_rows = bool(last.keep) or keep_going
        source = _Source(keep, own, last.same_space and keep == "round")
        source = source if takes_rows else _Source()
        return _new_round(wanted, known, _next_round(known), source)
    if _is_to_divide_anew(wanted, known, last):
        source = _Source("round", (last.round,), same_space=True)
        return _new_round(wanted, known, _next_round(known), source)
    is_merged = known.merged == last.merge and known.merged_into == wanted.resultfile
    is_current = is_merged and known.has_result and not known.missing_blocks
    again = known.merged == last.merge and not is_current
    plan = _renewed(last, wanted, merge=wanted.token if again else last.merge)
    return Decision(plan, blocks=known.missing_blocks, merge=not is_current)


def _own_rounds(known: Current) -> tuple[int, ...]:
    """Return the rounds with rows, without those that the last plan supersedes."""
    superseded = () if known.plan is None else known.plan.superseded
    return tuple(n for n in known.keep_rounds if n not in superseded)


def _first(number: int, others: tuple[int, ...]) -> tuple[int, ...]:
    """Return a round, if there is one, before others."""
    return (number, *(n for n in others if n != number)) if number else others


def _is_second_thought(known: Current, last: Plan) -> bool:
    """Whether the rows that the last run was to replace are wanted after all.

    That is so if the run did not come to its end: who wants the new rows would
    let it go on. After a run that failed, to continue is to try again.
    """
    return not known.is_split or known.count_open(last.round) > known.count_failed()


def _next_round(known: Current) -> int:
    """Return the number of a round in whose folder nothing was computed yet."""
    number = 1 if known.plan is None else known.plan.round + known.is_split
    return number if number not in known.occupied else max(known.occupied) + 1


def _is_to_divide_anew(wanted: Desired, known: Current, last: Plan) -> bool:
    """Whether what is missing of a round is better divided among all jobs."""
    if known.has_jobs:
        # Those who evaluate it already are not to be disturbed.
        return False
    if known.merged is not None:
        # What a block had fetched is not known any more once it was merged.
        return last.fetches and bool(known.missing_blocks)
    if last.n_blocks == 0:
        # A random space: split saw another sample than whoever made the plan.
        return known.count_open(last.round) > 0
    if last.division != wanted.division or last.block_ext != wanted.ext:
        return bool(known.missing_blocks)
    # Work that was fetched by a job that died cannot be fetched again.
    n_settled = known.count_failed() if wanted.accept_failures else 0
    return last.fetches and known.count_open(last.round) > n_settled


def _renewed(last: Plan, wanted: Desired, merge: str) -> Plan:
    """Return the last plan with what may change without a new division."""
    return replace(
        last,
        taskfile=wanted.taskfile,
        pool_size=wanted.pool_size,
        accept_failures=wanted.accept_failures,
        max_failures=wanted.max_failures,
        resultfile=wanted.resultfile,
        result_ext=wanted.ext,
        python=wanted.python,
        merge=merge,
    )


def _new_round(
    wanted: Desired, known: Current, number: int, source: _Source
) -> Decision:
    plan = Plan(
        task=wanted.task,
        taskfile=wanted.taskfile,
        workdir=wanted.workdir,
        fingerprint=wanted.fingerprint,
        pool_size=wanted.pool_size,
        accept_failures=wanted.accept_failures,
        max_failures=wanted.max_failures,
        resultfile=wanted.resultfile,
        python=wanted.python,
        round=number,
        division=wanted.division,
        fetches=wanted.backend.fetches,
        n_blocks=wanted.n_blocks(_n_open(wanted, known, source)),
        block_ext=wanted.ext,
        result_ext=wanted.ext,
        keep=source.keep,
        keep_rounds=source.rounds,
        superseded=tuple(n for n in known.keep_rounds if n not in source.rounds),
        same_space=source.same_space,
        merge=wanted.token,
    )
    return Decision(plan, split=True, blocks=tuple(range(plan.n_blocks)), merge=True)


def _n_open(wanted: Desired, known: Current, source: _Source) -> int:
    if source.same_space:
        return known.count_open(source.rounds[0])
    return known.count_new(source.rounds) if source.keep else wanted.n_items


@dataclass(frozen=True)
class Desired:
    """What a task asks for.

    Attributes
    ----------
    task : str
        Name of the task.
    taskfile : str
        Its file, relative to the project folder where possible.
    workdir : str
        Folder for intermediate files.
    fingerprint : str
        Of all source that its rows depend on.
    n_items : int
        Number of assignments in the space as it is evaluated now.
    backend : Backend
        How the space is shared out among jobs.
    max_jobs, min_items : int
        Most process jobs, fewest assignments in each.
    pool_size : int
        Worker processes of each process job.
    accept_failures : bool
        Whether assignments that failed are gone without.
    max_failures : int or None
        How many assignments may fail before it is hopeless to go on.
    ext : str
        File extension of the task's store, with its dot.
    resultfile : str
        Where the result goes.
    python : str
        Command that starts Python for the jobs.
    overwrite_dirty : bool
        Whether outdated rows may be thrown away.
    token : str
        A name that no merge had before.
    """

    task: str
    taskfile: str
    workdir: str
    fingerprint: str
    n_items: int
    backend: Backend
    max_jobs: int
    min_items: int
    pool_size: int
    accept_failures: bool
    max_failures: int | None
    ext: str
    resultfile: str
    python: str
    overwrite_dirty: bool
    token: str

    @property
    def division(self) -> str:
        """What a change of divides the missing assignments anew."""
        return f"{self.backend.name} {self.max_jobs} {self.min_items}"

    def n_blocks(self, n_items: int) -> int:
        """Return the number of blocks for `n_items` assignments."""
        if n_items == 0:
            return 0
        return self.backend.n_blocks(n_items, self.max_jobs, self.min_items)


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
        Where that merge wrote to; empty if it did not end well.
    has_result : bool
        Whether the wanted result file exists.
    occupied : tuple of int
        Rounds in whose folders something was computed.
    keep : str
        Where rows can be taken over from, as in `Plan`.
    keep_rounds : tuple of int
        All rounds with rows, the newest first.
    returned : int
        The round among these that was made by what the task is again now; 0 if
        there is none.
    has_jobs : bool
        Whether jobs of its round are queued or running, to be adopted.
    count_open : callable
        Takes the number of a round, and returns how many of its assignments
        have no row yet.
    count_failed : callable
        Returns how many of the last round have failed.
    count_new : callable
        Takes numbers of rounds, none for the result file, and returns how many
        assignments of the wanted space have no row there.
    """

    plan: Plan | None = None
    is_split: bool = False
    missing_blocks: tuple[int, ...] = ()
    merged: str | None = None
    merged_into: str = ""
    has_result: bool = False
    occupied: tuple[int, ...] = ()
    keep: str = ""
    keep_rounds: tuple[int, ...] = ()
    returned: int = 0
    has_jobs: bool = False
    count_open: Callable[[int], int] = field(default=lambda number: 0)
    count_failed: Callable[[], int] = field(default=lambda: 0)
    count_new: Callable[[tuple[int, ...]], int] = field(default=lambda numbers: 0)


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
        Whether rows of an older state of the task would be thrown away.
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

"""What is to be done for a task, decided from values alone.

`decide` compares what the task asks for with what is known to be done, and
returns the plan to follow. The rows of its decision table stand in
``docs/explanation/up-to-date.md``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from psyrun.plan import Decision, Known, Plan, Wanted


def decide(wanted: Wanted, known: Known, *, keep_going: bool) -> Decision:
    """Decide what is to be done for a task.

    Parameters
    ----------
    wanted : Wanted
        What the task asks for.
    known : Known
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
    wanted: Wanted, known: Known, last: Plan, *, keep_going: bool
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


def _own_rounds(known: Known) -> tuple[int, ...]:
    """Return the rounds with rows, without those that the last plan supersedes."""
    superseded = () if known.plan is None else known.plan.superseded
    return tuple(n for n in known.keep_rounds if n not in superseded)


def _first(number: int, others: tuple[int, ...]) -> tuple[int, ...]:
    """Return a round, if there is one, before others."""
    return (number, *(n for n in others if n != number)) if number else others


def _is_second_thought(known: Known, last: Plan) -> bool:
    """Whether the rows that the last run was to replace are wanted after all.

    That is so if the run did not come to its end: who wants the new rows would
    let it go on. After a run that failed, to continue is to try again.
    """
    return not known.is_split or known.count_open(last.round) > known.count_failed()


def _next_round(known: Known) -> int:
    """Return the number of a round in whose folder nothing was computed yet."""
    number = 1 if known.plan is None else known.plan.round + known.is_split
    return number if number not in known.occupied else max(known.occupied) + 1


def _is_to_divide_anew(wanted: Wanted, known: Known, last: Plan) -> bool:
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


def _renewed(last: Plan, wanted: Wanted, merge: str) -> Plan:
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


def _new_round(wanted: Wanted, known: Known, number: int, source: _Source) -> Decision:
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


def _n_open(wanted: Wanted, known: Known, source: _Source) -> int:
    if source.same_space:
        return known.count_open(source.rounds[0])
    return known.count_new(source.rounds) if source.keep else wanted.n_items

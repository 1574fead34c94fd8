"""Evaluate the assignments of one block."""

from __future__ import annotations

import math
import os
import socket
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from psyrun.errors import (
    FailedAssignmentsError,
    JobError,
    StoreError,
    enough_memory_for,
)
from psyrun.pspace.absent import given
from psyrun.steps.block_work import BlockWork
from psyrun.steps.failure_limit import FailureLimit
from psyrun.steps.freshworker import FreshWorkers, Shared
from psyrun.steps.job import Job
from psyrun.steps.pool import evaluate
from psyrun.steps.row_check import RowCheck
from psyrun.steps.watchdog import Watchdog
from psyrun.steps.work_queue import PipeWorkQueue, WorkQueue
from psyrun.steps.worker import Evaluation
from psyrun.store.arrays import Indices
from psyrun.utils.environment import deadline
from psyrun.utils.files import check_all, link, make_folder
from psyrun.utils.process.basics import log_line
from psyrun.utils.process.state import enter_as_left
from psyrun.utils.text import counted, parameters_text
from psyrun.workdir import journal
from psyrun.workdir.attempts import Attempts, own_job
from psyrun.workdir.blocks import failed_of, write_block
from psyrun.workdir.costs import costs_of_source, failed_attempts
from psyrun.workdir.failures import accepted_failures, describe_failure
from psyrun.workdir.journal import Entry, Journal
from psyrun.workdir.layout import PROCESS
from psyrun.workdir.lock import is_held_in
from psyrun.workdir.merged_rows import empty_block
from psyrun.workdir.notices import leave_notice
from psyrun.workdir.row_sources import RowSource, chunks
from psyrun.workdir.second_names import forget_block, keep_block, put_list_back
from psyrun.workdir.unusable_journals import REPEATED, keep_unusable

_SHOWN = 10
_WORTH_WHILE = 8192  # bytes of the journals of a block


def process(job: Job, block: int, watchdog: Watchdog) -> None:
    """Evaluate what is missing of one block and write its store file.

    Raises `FailedAssignmentsError` if assignments failed. The others are kept in the
    journals.
    """
    with job.locked(f"{PROCESS}-{block}") as lock:
        # Whoever wants a block again removes its file first, as Snakemake does. So
        # this is a second job of a queue for the same block, or a late one, and the
        # journals may be gone already.
        if job.round.block(block, job.plan.block_ext).exists():
            log_line(f"block {block} is finished already; nothing is evaluated")
            return
        if _is_put_back(job, block):
            log_line(f"block {block} was finished before; nothing is evaluated")
            return
        have = None if job.plan.fetches else job.data.rows_of_result(block)
        if _is_in_result(job, block, have):
            log_line(f"block {block} stands in the result; nothing is evaluated")
            return
        make_folder(job.round.journals)
        _return_rows(job, block, lock.session)
        before = _attempts(job, block, have, lock.session)
        killed = _evaluate(job, block, before, watchdog, lock.session)
        # Workers know more than the merge: `setup` may have imported modules.
        recorded = _recorded(job, block, lock.session)
        failed = failed_of(recorded)
        n_rows = counted(len(recorded) - len(failed), "assignment")
        log_line(f"{n_rows} with a row, {len(failed)} failed")
        if failed and not job.plan.accept_failures:
            _report(failed, job.plan.arguments)
        _check_complete(job, block, before.done.union(recorded))
        fetches = job.plan.fetches
        attempts = _attempts_in_vain(job, block, before) + killed
        write_block(
            job.data,
            block,
            recorded,
            lists_rows=fetches,
            have=have,
            attempts=attempts,
        )
        _empty_journals(job, block, failed)


def _is_put_back(job: Job, block: int) -> bool:
    """Give a file its first name back, which was removed after it had the second.

    Failures are tried again, unless they are still accepted.
    """
    put_list_back(job.round, block, job.plan.block_ext)
    finished = job.round.finished_block(block, job.plan.block_ext)
    target = job.round.block(block, job.plan.block_ext)
    if not finished.exists() or job.data.rows_of_block(block) is None:
        return False
    if accepted_failures(job.round, block) and not job.plan.accept_failures:
        return False
    target.parent.mkdir(exist_ok=True)
    return link(finished, target)


def _return_rows(job: Job, block: int, session: str) -> None:
    """Have rows in a journal again whose block was removed to try its failures again.

    Its second name goes: the block that is written now is another one.
    """
    finished = job.round.finished_block(block, job.plan.block_ext)
    rows = job.data.rows_of_block(block) if finished.exists() else None
    if rows is None:
        return
    path = job.round.journal_of_reader(block, session)
    costs = costs_of_source(job.data, rows)
    hosts = {costs.hosts[number] for number in costs.columns["host"].tolist()}
    host = hosts.pop() if len(hosts) == 1 else ""
    returned = Journal(path, {**_session_of_reader(job, session), "host": host})
    written = finished.stat().st_mtime
    for part in chunks(np.arange(len(rows.indices))):
        columns = rows.take(part)
        known = costs.take(part).records().tolist()
        for place, index in enumerate(rows.indices[part].tolist()):
            row = {key: column[place] for key, column in columns.items()}
            start, duration, peak, *_ = known[place]
            if math.isnan(start):
                start, duration = written, 0.0
            returned.row(index, start, duration, peak, row)
    returned.close()
    forget_block(job.round, block, job.plan.block_ext)


def _is_in_result(job: Job, block: int, have: RowSource | None) -> bool:
    """Put a file in the place of a block, if the result has all of its rows.

    It is empty, unless blocks are to be kept.
    """
    merged = job.data.merged
    if merged is None:
        return False
    lacks = np.isin(job.data.division.indices(block), merged.lacks)
    if len(merged.lacks) if have is None else lacks.any():
        return False
    if have is not None and job.plan.keep_blocks:
        write_block(job.data, block, {}, lists_rows=False, have=have)
    else:
        empty_block(job.round, block, job.plan.block_ext)
    return True


def _attempts(job: Job, block: int, have: RowSource | None, session: str) -> Attempts:
    """Return what was done of a block before; `have` are rows of the result."""
    recorded = _recorded(job, block, session)
    found = Attempts.of(job.round, block, own_job()["origin"], recorded)
    done = [] if have is None else have.indices.tolist()
    return replace(found, done=found.done.union(done))


def _attempts_in_vain(job: Job, block: int, before: Attempts) -> Counter[int]:
    """Return how often assignments were tried before they had a row."""
    # Nearly always there are none, and to look for them takes a while.
    if not before.failed and not before.interrupted:
        return Counter()
    return failed_attempts(job.round.journals_of(block)) + Counter(before.interrupted)


def _empty_journals(job: Job, block: int, failed: Iterable[Entry]) -> None:
    """Have the rows of a finished block only once on disk, if that is worth while.

    Whoever kills the job now has Snakemake remove the block, so that it needs a second
    name first.
    """
    round_, ext = job.round, job.plan.block_ext
    paths = round_.journals_of(block)
    if sum(path.stat().st_size for path in paths) < _WORTH_WHILE:
        return
    check_all()
    if not keep_block(round_, block, ext):
        return
    kept = {entry.index for entry in failed}
    for path in paths:
        check_all()
        journal.forget_rows(path, kept)


def _recorded(job: Job, block: int, session: str) -> dict[int, Entry]:
    """Return what became of the assignments of a block.

    What has a row that cannot be read in this process is recorded as failed before,
    in a journal of its own: who wrote the row may still write to the other.
    """
    paths, unusable = job.round.journals_of(block), journal.Unusable()
    recorded = journal.latest(paths, verify=True, unusable=unusable)
    keep_unusable(job.round, unusable, REPEATED)
    unreadable = job.data.unreadable(recorded)
    if not unreadable:
        return recorded
    path = job.round.journal_of_reader(block, session)
    withdrawals = Journal(path, _session_of_reader(job, session))
    for row, cause in unreadable:
        error = StoreError(cause)
        failure = describe_failure(error, given(job.data.division.space, row.index))
        withdrawals.withdraw(row, failure)
        log_line(f"assignment {row.index}: {cause}")
    withdrawals.close()
    return journal.latest({*paths, path}, verify=True)


def _evaluate(
    job: Job,
    block: int,
    before: Attempts,
    watchdog: Watchdog,
    session: str,
) -> Counter[int]:
    """Evaluate what is missing; return how often workers were killed, and tried again.

    That is by assignment.
    """
    with enough_memory_for(job.data.division.space, job.plan.taskfile):
        portions = list(_portions(job, block, before))
    noted = _session(job, before, session)
    # A queue gives the next job more memory.
    n_tries = 1 if noted["queued_as"] else 1 + job.task.retries
    in_vain: Counter[int] = Counter()
    for n_left in reversed(range(n_tries)):
        killed = [
            index
            for portion in portions
            for index in _evaluate_portion(
                job, block, portion, watchdog, noted, defers_killed=n_left > 0
            )
        ]
        # One at a time, so that each has all memory that there is.
        portions = list(_own_portions(np.array(killed, np.int64), 1))
        in_vain.update(killed)
    return in_vain


def _evaluate_portion(
    job: Job,
    block: int,
    portion: _Portion,
    watchdog: Watchdog,
    session: Mapping[str, Any],
    *,
    defers_killed: bool,
) -> list[int]:
    """Evaluate a portion; return those of which the worker was killed."""
    shared = Shared(
        directory=str(Path.cwd()),
        folder=job.layout.folder,
        round_number=job.plan.round,
        block=block,
        indices=portion.indices,
        queue=portion.queue,
        session=session,
        controller=job.controller,
    )
    killed = evaluate(
        replace(evaluation_of(job, shared), defers_killed=defers_killed),
        portion.n_workers,
        job.round.in_flight(block, session["token"]),
        _fresh_workers(job, shared),
        watchdog,
        lambda text: leave_notice(job.layout, f"{job.plan.task}: {text}"),
    )
    portion.queue.close()
    return killed


def _fresh_workers(job: Job, shared: Shared) -> FreshWorkers | None:
    """Return what starts workers that are no copies, if copies could not go on."""
    obstacles = job.imported.obstacles
    if not obstacles:
        return None
    log_line(
        "each worker imports the task file by itself, as its import started or used "
        f"{obstacles}"
    )
    return FreshWorkers(shared)


def evaluation_of(job: Job, shared: Shared) -> Evaluation:
    """Return what the workers of a job evaluate."""
    task, block, session = job.task, shared.block, shared.session
    lock = job.round.lock(f"{PROCESS}-{block}")
    budget, timeout = job.plan.limit, task.timeout
    is_budget = budget is not None and (timeout is None or budget < timeout)
    return Evaluation(
        space=job.data.division.space,
        indices=shared.indices,
        queue=shared.queue,
        execute=task.execute,
        setup=task.setup,
        exclude=task.exclude_from_result,
        taskdir=Path(task.module.__file__ or task.path).parent,
        timeout=budget if is_budget else timeout,
        is_budget=is_budget,
        check=_row_check(job),
        has_too_many_failures=FailureLimit(
            job.layout, job.round, job.plan.max_failures
        ).is_exceeded,
        journal=lambda worker: job.round.journal(block, worker, session["token"]),
        session=session,
        deadline=deadline(),
        random_states=job.imported.random_states,
        record_loaded_code=job.record_loaded_code,
        enter=lambda: enter_as_left(task.module.__name__),
        holds_lock=lambda: is_held_in(lock, session["token"]) and job.is_controlled,
    )


class _Portion(NamedTuple):
    """Assignments that the workers of a job may take, by position in a queue."""

    indices: Indices
    queue: WorkQueue
    n_workers: int


def _portions(job: Job, block: int, before: Attempts) -> Iterator[_Portion]:
    """Yield what a job evaluates, one portion after the other."""
    plan, data = job.plan, job.data
    if plan.fetches and job.round.merged.exists():
        # It is not known any more what was fetched.
        raise JobError(
            f"{job.round.folder}: was merged already. Start the task with 'psy run "
            f"{plan.arguments}'."
        )
    work = BlockWork.of(job.round, data.division, plan, block, before)
    first, own, last = work.first, work.own, work.last
    if plan.pool_size == 1:
        # One at a time they are anyway.
        own = np.concatenate([first, own, last])
        first = last = own[:0]
    yield from _own_portions(first, 1)
    yield from _own_portions(own, plan.pool_size)
    if work.claims is not None and not work.claims.is_empty:
        yield _Portion(work.fetchable, work.claims, plan.pool_size)
    yield from _own_portions(last, 1)


def _own_portions(indices: Indices, n_workers: int) -> Iterator[_Portion]:
    """Yield the portion of some assignments; nothing if there are none."""
    if len(indices):
        n_workers = min(n_workers, len(indices))
        yield _Portion(indices, PipeWorkQueue(len(indices), n_workers), n_workers)


def _row_check(job: Job) -> RowCheck:
    division = job.data.division
    kept = division.kept_types, division.kept_large
    return RowCheck(job.data.store, job.round.keys, *kept)


def _session(job: Job, before: Attempts, token: str) -> dict[str, Any]:
    repeated = [] if job.plan.accept_failures else before.failed - before.settled
    return {
        "host": socket.gethostname(),
        "job": os.getpid(),
        "pid": os.getpid(),
        "token": token,
        "fingerprint": job.plan.fingerprint,
        "failed_before": len(repeated),
        "cut_off_before": len(before.interrupted),
        **own_job(),
    }


def _session_of_reader(job: Job, token: str) -> dict[str, Any]:
    session = _session(job, Attempts(), f"{token}-read")
    # Of no origin: what cannot be read is evaluated again, also by this job.
    return {**session, "queued_as": "", "origin": ""}


def _report(failed: list[Entry], arguments: str) -> None:
    """Log what failed and raise; `arguments` are those of ``psy run``."""
    log_line(f"{counted(len(failed), 'assignment')} failed:")
    for entry, failure in zip(failed, journal.failures(failed[:_SHOWN]), strict=False):
        values = parameters_text(failure["parameters"])
        text = f"({values}): {failure['type']}: {failure['message']}"
        log_line(f"  assignment {entry.index} {' '.join(text.split())}")
    raise FailedAssignmentsError(
        f"{counted(len(failed), 'assignment')} failed. The others are kept: fix the "
        f"cause, then 'psy run --continue {arguments}' evaluates only what failed."
    )


def _check_complete(job: Job, block: int, settled: Collection[int]) -> None:
    """Refuse to write a block with assignments missing.

    Their worker was killed before it could note that it began with them.
    """
    expected = [] if job.plan.fetches else job.data.division.indices(block)
    n_missing = len(set(map(int, expected)).difference(settled))
    if n_missing:
        raise JobError(
            f"{counted(n_missing, 'assignment')} without a row, as a worker was "
            "killed. Run again: only what is missing is evaluated then."
        )

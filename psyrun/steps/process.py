"""Evaluate the assignments of one block."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from psyrun.errors import (
    FailedAssignmentsError,
    JobError,
    StoreError,
    enough_memory_for,
)
from psyrun.steps.failure_limit import FailureLimit
from psyrun.steps.job import Job
from psyrun.steps.pool import evaluate
from psyrun.steps.row_check import RowCheck
from psyrun.steps.work_queue import ClaimWorkQueue, PipeWorkQueue, WorkQueue
from psyrun.steps.worker import Evaluation, Functions
from psyrun.store.arrays import Indices
from psyrun.tasks.loading import load_task
from psyrun.utils.environment import deadline
from psyrun.utils.files import explained, replacing, write_json
from psyrun.utils.process import log_line
from psyrun.utils.text import counted, parameters_text
from psyrun.workdir import journal
from psyrun.workdir.failures import describe_failure
from psyrun.workdir.in_flight import interrupted
from psyrun.workdir.journal import Entry, Journal
from psyrun.workdir.layout import PROCESS
from psyrun.workdir.rows import JournalRows, RoundData, chunks, rows_of

_SHOWN = 10


def process(job: Job, block: int) -> None:
    """Evaluate what is missing of one block and write its store file.

    Raises `FailedAssignmentsError` if assignments failed. The others are kept in the
    journals.
    """
    with job.lock(f"{PROCESS}-{block}"):
        # Whoever wants a block again removes its file first, as Snakemake does. So
        # this is a second job of a queue for the same block, or a late one, and the
        # journals may be gone already.
        if job.round.block(block, job.plan.block_ext).exists():
            log_line(f"block {block} is finished already; nothing is evaluated")
            return
        job.round.journals.mkdir(parents=True, exist_ok=True)
        _withdraw_unreadable(job, block)
        _evaluate(job, block)
        # Workers know more than the merge: `setup` may have imported modules.
        _withdraw_unreadable(job, block)
        recorded = journal.latest(job.round.journals_of(block), verify=True)
        failed = _failed(recorded)
        n_rows = counted(len(recorded) - len(failed), "assignment")
        log_line(f"{n_rows} with a row, {len(failed)} failed")
        if failed and not job.plan.accept_failures:
            _report(failed)
        _check_complete(job, block, recorded)
        write_block(job.data, block, recorded, lists_rows=job.plan.fetches)


def _withdraw_unreadable(job: Job, block: int) -> None:
    """Record as failed the assignments whose row cannot be read in this process."""
    recorded = journal.latest(job.round.journals_of(block), verify=True)
    for row, cause in job.data.unreadable(recorded):
        error = StoreError(cause)
        failure = describe_failure(error, job.data.division.space[row.index])
        add_to = Journal(row.path, session=None)
        add_to.withdraw(row, failure)
        add_to.close()
        log_line(f"assignment {row.index}: {cause}")


def _evaluate(job: Job, block: int) -> None:
    before = EarlierAttempt.find(job, block)
    with enough_memory_for(job.data.division.space, job.plan.taskfile):
        work = _fetched_work(job) if job.plan.fetches else _own_work(job, block, before)
    if not work.n_workers:
        return
    task = job.task
    evaluation = Evaluation(
        space=job.data.division.space,
        indices=work.indices,
        queue=work.queue,
        execute=task.execute,
        setup=task.setup,
        reload=_reloading(job) if job.imported.has_threads else None,
        exclude=task.exclude_from_result,
        taskdir=Path(task.module.__file__ or task.path).parent,
        check=_row_check(job),
        has_too_many_failures=FailureLimit(
            job.layout, job.round, job.plan.max_failures
        ).is_exceeded,
        journal=lambda worker: job.round.journal(block, worker),
        session=_session(job, before),
        deadline=deadline(),
        random_states=job.imported.random_states,
        record_loaded_code=job.record_loaded_code,
    )
    evaluate(evaluation, work.n_workers, job.round.in_flight(block))


@dataclass(frozen=True)
class EarlierAttempt:
    """What an earlier job of the same block left: numbers of assignments."""

    done: list[int]
    failed: list[int]
    interrupted: list[int]

    @classmethod
    def find(cls, job: Job, block: int) -> EarlierAttempt:
        """Read the journals, and which assignments were in flight."""
        recorded = journal.latest(job.round.journals_of(block), verify=True)
        done = [i for i, entry in recorded.items() if entry.kind == journal.ROW]
        failed = [i for i, entry in recorded.items() if entry.kind == journal.FAILURE]
        lost = interrupted(job.round.in_flight(block))
        return cls(done, failed, [i for i in lost if i not in recorded])


class _Work(NamedTuple):
    """The assignments that the workers of a job may take, by position in a queue."""

    indices: Indices
    queue: WorkQueue
    n_workers: int


def _fetched_work(job: Job) -> _Work:
    """Return the work of a job that fetches assignments until none is left."""
    plan, data = job.plan, job.data
    if job.round.merged.exists():
        # It is not known any more what was fetched.
        raise JobError(
            f"{job.round.folder}: was merged already. Start the task with 'psy run'."
        )
    indices = np.asarray(data.division.open, dtype=np.int64)
    n_workers = plan.n_blocks * plan.pool_size
    queue = ClaimWorkQueue(job.round.claims, len(indices), n_workers)
    return _Work(indices, queue, plan.pool_size)


def _own_work(job: Job, block: int, before: EarlierAttempt) -> _Work:
    """Return the work of a job with a part of the space of its own."""
    settled = before.done + (before.failed if job.plan.accept_failures else [])
    indices = np.asarray(job.data.division.indices(block), dtype=np.int64)
    indices = indices[~np.isin(indices, np.asarray(settled, dtype=np.int64))]
    n_workers = min(job.plan.pool_size, len(indices))
    return _Work(indices, PipeWorkQueue(len(indices), max(1, n_workers)), n_workers)


def _row_check(job: Job) -> RowCheck:
    division = job.data.division
    kept = division.kept_types, division.kept_large
    return RowCheck(job.data.store, job.round.keys, *kept)


def _reloading(job: Job) -> Callable[[], Functions]:
    """Return what imports the task in a worker, with all the threads that it needs."""

    def functions() -> Functions:
        task = load_task(Path(job.plan.taskfile))
        return task.execute, task.setup

    return functions


def _session(job: Job, before: EarlierAttempt) -> dict[str, Any]:
    repeated = [] if job.plan.accept_failures else before.failed
    return {
        "host": socket.gethostname(),
        "job": os.getpid(),
        "pid": os.getpid(),
        "fingerprint": job.plan.fingerprint,
        "failed_before": len(repeated),
        "cut_off_before": len(before.interrupted),
    }


def _failed(recorded: Mapping[int, Entry]) -> list[Entry]:
    entries = (recorded[index] for index in sorted(recorded))
    return [entry for entry in entries if entry.kind == journal.FAILURE]


def _report(failed: list[Entry]) -> None:
    log_line(f"{counted(len(failed), 'assignment')} failed:")
    for entry, failure in zip(failed, journal.failures(failed[:_SHOWN]), strict=False):
        values = parameters_text(failure["parameters"])
        text = f"({values}): {failure['type']}: {failure['message']}"
        log_line(f"  assignment {entry.index} {' '.join(text.split())}")
    raise FailedAssignmentsError(
        f"{counted(len(failed), 'assignment')} failed. The others are kept: fix the "
        "cause, then 'psy run --continue' evaluates only what failed."
    )


def _check_complete(job: Job, block: int, recorded: Mapping[int, Entry]) -> None:
    """Refuse to write a block with assignments missing.

    Their worker was killed before it could note that it began with them.
    """
    expected = [] if job.plan.fetches else job.data.division.indices(block)
    n_missing = sum(int(index) not in recorded for index in expected)
    if n_missing:
        raise JobError(
            f"{counted(n_missing, 'assignment')} without a row, as a worker was "
            "killed. Run again: only what is missing is evaluated then."
        )


def write_block(
    data: RoundData, block: int, recorded: Mapping[int, Entry], *, lists_rows: bool
) -> None:
    """Write what the journals of a block hold to its store file.

    Failures are listed beside it, and with `lists_rows` also the assignments with a
    row, even if none failed, as they are not those of the division.
    """
    data.round.blocks.mkdir(exist_ok=True)
    failed = _failed(recorded)
    source = JournalRows(rows_of(recorded), data.store)
    # An earlier job of this block may have accepted other failures.
    for path in (data.round.rows(block), data.round.failed(block)):
        path.unlink(missing_ok=True)
    if failed or lists_rows:
        target = data.round.rows(block)
        with explained(target), replacing(target) as path, path.open("wb") as file:
            np.save(file, source.indices)
    if failed:
        causes = zip(failed, journal.failures(failed), strict=True)
        accepted = {
            entry.index: {**cause, "duration": entry.duration, "peak": entry.peak}
            for entry, cause in causes
        }
        write_json(data.round.failed(block), accepted)
    with data.store.writer(str(data.round.block(block, data.store.ext))) as writer:
        for rows in chunks(np.arange(len(source.indices))):
            writer.append(source.take(rows))

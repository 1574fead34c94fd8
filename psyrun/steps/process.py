"""Evaluate the assignments of one block."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from psyrun.errors import FailedAssignmentsError, JobError, enough_memory_for
from psyrun.steps.failure_limit import FailureLimit
from psyrun.steps.job import Job
from psyrun.steps.pool import evaluate
from psyrun.steps.row_check import RowCheck
from psyrun.steps.work_queue import Share, divided_share, fetched_share
from psyrun.steps.worker import Evaluation, Functions
from psyrun.tasks.loading import load_task
from psyrun.utils.environment import deadline
from psyrun.utils.files import explained, replacing, write_json
from psyrun.utils.process import say
from psyrun.utils.text import counted, one_line
from psyrun.workdir import journal
from psyrun.workdir.in_flight import interrupted
from psyrun.workdir.journal import Entry
from psyrun.workdir.layout import PROCESS
from psyrun.workdir.rows import JournalRows, RoundData, chunks, rows_of

_SHOWN = 10


def process(job: Job, block: int) -> None:
    """Evaluate what is missing of one block and write its store file.

    Nothing is done if that file is there, since it is whole then.

    Parameters
    ----------
    job : Job
        The job.
    block : int
        Number of the block.

    Raises
    ------
    FailedAssignmentsError
        If assignments failed. The others are kept in the journals.
    """
    with job.lock(f"{PROCESS}-{block}"):
        # Whoever wants a block again removes its file first, as Snakemake does. So
        # this is a second job of a queue for the same block, or a late one, and the
        # journals may be gone already.
        if job.round.block(block, job.plan.block_ext).exists():
            say(f"block {block} is finished already; nothing is evaluated")
            return
        job.round.journals.mkdir(parents=True, exist_ok=True)
        before = EarlierAttempt.find(job, block)
        with enough_memory_for(job.data.division.space, job.plan.taskfile):
            share = _share(job, block, before)
        if share.n_workers:
            slots = job.round.in_flight(block)
            evaluate(_work(job, block, share, before), share.n_workers, slots)
        known = journal.latest(job.round.journals_of(block), verify=True)
        failed = [known[i] for i in sorted(known) if known[i].kind == journal.FAILURE]
        n_rows = counted(len(known) - len(failed), "assignment")
        say(f"{n_rows} with a row, {len(failed)} failed")
        if failed and not job.plan.accept_failures:
            _report(failed)
        _check_complete(job, block, known)
        write_block(job.data, block, known, lists_rows=job.plan.fetches)


@dataclass(frozen=True)
class EarlierAttempt:
    """What an earlier job of the same block left.

    Attributes
    ----------
    done : list of int
        Assignments with a row.
    failed : list of int
        Assignments that failed.
    cut_off : list of int
        Assignments whose evaluation was cut off when the job was killed.
    """

    done: list[int]
    failed: list[int]
    cut_off: list[int]

    @classmethod
    def find(cls, job: Job, block: int) -> EarlierAttempt:
        """Look into journals and slots."""
        known = journal.latest(job.round.journals_of(block), verify=True)
        done = [i for i, entry in known.items() if entry.kind == journal.ROW]
        failed = [i for i, entry in known.items() if entry.kind == journal.FAILURE]
        lost = [i for i in interrupted(job.round.in_flight(block)) if i not in known]
        return cls(done, failed, lost)


def _share(job: Job, block: int, before: EarlierAttempt) -> Share:
    if job.plan.fetches:
        return fetched_share(job.plan, job.data)
    accepted = before.failed if job.plan.accept_failures else []
    return divided_share(job.plan, job.data, block, [*before.done, *accepted])


def _work(job: Job, block: int, share: Share, before: EarlierAttempt) -> Evaluation:
    task = job.task
    return Evaluation(
        space=job.data.division.space,
        indices=share.indices,
        supply=share.supply,
        execute=task.execute,
        setup=task.setup,
        again=_importing_again(job) if job.imported.has_threads else None,
        exclude=task.exclude_from_result,
        check=RowCheck(job.data.store, job.round.keys, job.data.division.kept_types),
        is_hopeless=FailureLimit(job.layout, job.round, job.plan.max_failures),
        journal=lambda worker: job.round.journal(block, worker),
        session=_session(job, before),
        deadline=deadline(),
        random_states=job.imported.random_states,
    )


def _importing_again(job: Job) -> Callable[[], Functions]:
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
        "cut_off_before": len(before.cut_off),
    }


def _check_complete(job: Job, block: int, known: Mapping[int, Entry]) -> None:
    """Refuse to write a block with rows missing.

    Raises
    ------
    JobError
        If they are: their worker was killed before it could note what it was at.
    """
    expected = [] if job.plan.fetches else job.data.division.indices(block)
    n_missing = sum(int(index) not in known for index in expected)
    if n_missing:
        raise JobError(
            f"{counted(n_missing, 'assignment')} without a row, as a worker was "
            "killed. Run again: only what is missing is evaluated then."
        )


def _report(failed: list[Entry]) -> None:
    say(f"{counted(len(failed), 'assignment')} failed:")
    for entry, failure in zip(failed, journal.failures(failed[:_SHOWN]), strict=False):
        say(f"  assignment {entry.index} {describe(failure)}")
    raise FailedAssignmentsError(
        f"{counted(len(failed), 'assignment')} failed. The others are kept: mend the "
        "cause, then 'psy run --continue' evaluates only what failed."
    )


def describe(failure: Mapping[str, Any]) -> str:
    """Return parameters and cause of a failure on one line."""
    values = one_line(failure["parameters"])
    text = f"({values}): {failure['type']}: {failure['message']}"
    return " ".join(text.split())


def write_block(
    data: RoundData, block: int, known: Mapping[int, Entry], *, lists_rows: bool
) -> None:
    """Turn the journals of a block into its store file.

    Parameters
    ----------
    data : RoundData
        What the round knows.
    block : int
        Number of the block.
    known : mapping
        What the journals hold of each assignment. Failures are listed beside
        the file.
    lists_rows : bool
        Whether to list the assignments even if nothing failed, because they
        are not those that were divided beforehand.
    """
    data.round.blocks.mkdir(exist_ok=True)
    failed = [known[i] for i in sorted(known) if known[i].kind == journal.FAILURE]
    source = JournalRows(rows_of(known), data.store)
    # An earlier job of this block may have gone without other assignments.
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

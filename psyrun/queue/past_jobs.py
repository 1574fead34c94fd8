"""What the jobs of a round have asked a queue for, and what they have used of it.

As long as their array is in the ledger, that is read from there. Before it is removed,
what is worth keeping is put into a file of the round. A queue that counts what jobs use
is asked when somebody wants to know; once it has told of all jobs, that is kept, too.
Nothing depends on these records: what is lost of them is not known any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from psyrun.errors import PsyrunError
from psyrun.queue.ledger import Batch, Ledger
from psyrun.scheduler.jobs import JobId, Usage
from psyrun.scheduler.registry import installed
from psyrun.utils.files import write_json
from psyrun.utils.records import read_record
from psyrun.workdir.layout import Round, TaskLayout

_MIB = 2.0**20
_CLOCKS = 2.0  # seconds by which the times of a queue and of a job may differ


@dataclass(frozen=True)
class PastJob:
    """A job that was submitted, and may have ended.

    Attributes
    ----------
    key : str
        What the job tells of itself, such as in its locks.
    name : str
        Such as ``square:process:3``.
    id : int or str
        What the queue calls it.
    scheduler : str
        Class of the scheduler, as ``module:Class``.
    n_cores, memory_bytes, limit_seconds : int or float, or None
        What it asked for; None where it left that to the queue.
    per_core : bool
        Whether it asked for that much memory per core.
    started, ended : int or None
        When its command began and ended, in seconds since the epoch, by the clock of
        its machine; None if it has not, or the queue has ended it.
    usage : Usage or None
        What it has used, as the queue counts it.
    """

    key: str
    name: str
    id: JobId
    scheduler: str
    n_cores: int | None = None
    memory_bytes: float | None = None
    limit_seconds: float | None = None
    per_core: bool = False
    started: int | None = None
    ended: int | None = None
    usage: Usage | None = None

    @property
    def step(self) -> str:
        """The step that it does, such as ``process``."""
        return f"{self.name}:".split(":")[1] or self.name


@dataclass(frozen=True)
class _Kept:
    jobs: tuple[PastJob, ...] = ()


def past_jobs(layout: TaskLayout, number: int) -> list[PastJob]:
    """Return the jobs that were submitted for a round, the oldest first.

    Those of arrays whose records are damaged are left out.
    """
    kept = {job.key: job for job in _kept(layout.round(number))}
    found = dict(kept)
    with suppress(OSError, PsyrunError):
        for batch in Ledger(layout).batches():
            if batch.intent.round == number:
                found |= {job.key: job for job in _jobs_of(batch)}
    # What a queue has told of a job that has ended does not change any more.
    found |= {key: job for key, job in kept.items() if job.usage is not None}
    return list(found.values())


def forget_submissions(layout: TaskLayout, number: int) -> None:
    """Remove what was submitted for a round, and those before it, from the ledger.

    What its jobs have asked for is kept.
    """
    ledger = Ledger(layout)
    if any(batch.intent.round == number for batch in ledger.batches()):
        _keep(layout.round(number), past_jobs(layout, number))
    ledger.remove_round(number)


def with_usages(jobs: Sequence[PastJob], round_: Round | None = None) -> list[PastJob]:
    """Return jobs with what they have used, as far as their queues tell it.

    Only a scheduler that is installed is asked, as no code of others is to run for
    this. If it tells of all jobs, that is kept in `round_`.
    """
    asked = [job for job in jobs if job.usage is None]
    told: dict[str, Usage] = {}
    for target in dict.fromkeys(job.scheduler for job in asked):
        some = {job.id: job for job in asked if job.scheduler == target}
        for jobid, usage in _told(target, list(some)).items():
            if _can_be_of(some[jobid], usage):
                told[some[jobid].key] = usage
    found = [replace(job, usage=told.get(job.key, job.usage)) for job in jobs]
    if round_ is not None and told and all(job.usage for job in found):
        _keep(round_, found)
    return found


def _can_be_of(job: PastJob, usage: Usage) -> bool:
    """Whether a job can have run for so long; queues may give a number again."""
    if job.started is None or job.ended is None or usage.seconds is None:
        return True
    return usage.seconds >= job.ended - job.started - _CLOCKS


def _told(target: str, ids: list[JobId]) -> dict[JobId, Usage]:
    with suppress(PsyrunError):
        scheduler = installed(target)
        if scheduler is not None:
            return scheduler.get_usages(ids)
    return {}


def _jobs_of(batch: Batch) -> Iterator[PastJob]:
    intent, requested = batch.intent, _requested(batch)
    for position, jobid in batch.ids.items():
        trace = batch.trace(position)
        yield PastJob(
            key=batch.job(position),
            name=intent.names[position],
            id=jobid,
            scheduler=intent.scheduler,
            started=trace.started,
            ended=trace.ended,
            **requested,
        )


def _requested(batch: Batch) -> dict[str, Any]:
    """Return what each job of an array asks for."""
    intent = batch.intent
    limit = None if intent.minutes is None else 60.0 * intent.minutes
    resources: dict[str, int | str] = {}
    # Its arguments are as somebody may have changed them in the ledger.
    with suppress(PsyrunError, KeyError, TypeError, ValueError):
        scheduler = installed(intent.scheduler)
        if scheduler is not None:
            resources = scheduler.resources(intent.scheduler_args)
    cores = _number(resources.get("cpus_per_task", intent.scheduler_args.get("n_cpus")))
    of_job, of_core = (
        _number(resources.get(name)) for name in ("mem_mb", "mem_mb_per_cpu")
    )
    memory = of_job or (of_core and of_core * (cores or 1))
    return {
        "n_cores": cores,
        "memory_bytes": None if not memory else memory * _MIB,
        "limit_seconds": limit,
        "per_core": not of_job and bool(of_core),
    }


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def _kept(round_: Round) -> tuple[PastJob, ...]:
    with suppress(OSError, PsyrunError):
        record: _Kept | None = read_record(round_.jobs, _Kept)
        return () if record is None else record.jobs
    return ()


def _keep(round_: Round, jobs: Iterable[PastJob]) -> None:
    with suppress(OSError, PsyrunError):
        if round_.folder.is_dir():
            write_json(round_.jobs, {"jobs": [asdict(job) for job in jobs]})

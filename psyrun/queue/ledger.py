"""The record of what was submitted for a task.

Each array of jobs has a folder in ``<workdir>/<task>/queue``, named by its
key::

    array.json     what is about to be submitted; written before
    run.sh         what the jobs run
    commands       the command of each job
    ids.json       what the queue calls the jobs; written after
    <i>.out        what the job at position i printed, and its trace
    <i>.end.json   why it ended, where its trace does not tell that it ended well

So whoever continues a run knows of each job whether it was submitted, and an
array that was cut off between the two records is looked for in the queue.
"""

from __future__ import annotations

import secrets
import shutil
import socket
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from psyrun.errors import StoreError
from psyrun.queue.script import (
    COMMANDS,
    JobTrace,
    command,
    commands_of,
    python_of,
    write_script,
)
from psyrun.scheduler.jobs import Cause, Ending, JobArray, JobId
from psyrun.utils.environment import ORIGIN_VARIABLE
from psyrun.utils.files import damaged, make_folder, read_json, write_json
from psyrun.utils.process.interpreter import why_not_started
from psyrun.utils.records import RecordedTypeError, of_record, read_record
from psyrun.workdir.layout import TaskLayout

_RECORD, _IDS, _ENDING = "array.json", "ids.json", ".end.json"
JobKeys = frozenset[tuple[str, int]]
"""Jobs, as keys of arrays and positions."""


@dataclass(frozen=True)
class Intent:
    """What is to be submitted as one array.

    Attributes
    ----------
    names, targets, commands : tuple of str
        For each position the name of the job, the files that it makes, and its shell
        command.
    scheduler : str
        Class of the scheduler, as ``module:Class``.
    attempt : int
        How many jobs for the same targets have ended for want of resources.
    minutes : int or None
        Time limit of each job, where that is known.
    frozen_scheduler : str
        The scheduler itself, for whoever knows the task by its records only.
    origins : tuple of str
        For each position the job with whose rest it goes on, of which it is the
        continuation; empty for a job of its own. No texts at all stand for these.
    host : str
        Where it is submitted.
    since : float
        When, in seconds since the epoch.
    """

    name: str
    names: tuple[str, ...]
    targets: tuple[str, ...]
    commands: tuple[str, ...]
    round: int
    scheduler: str
    scheduler_args: Mapping[str, Any]
    attempt: int = 0
    minutes: int | None = None
    frozen_scheduler: str = ""
    origins: tuple[str, ...] = ()
    host: str = field(default_factory=socket.gethostname)
    since: float = field(default_factory=time.time)

    def as_json(self) -> dict[str, Any]:
        """Return what is recorded; arguments that JSON can't hold become texts."""
        plain = {
            name: value if isinstance(value, bool | int | float | str) else str(value)
            for name, value in self.scheduler_args.items()
        }
        return {**asdict(self), "scheduler_args": plain}


@dataclass(frozen=True)
class _EndingRecord:
    cause: Cause
    text: str
    exit_status: int | None = None


class BatchState(NamedTuple):
    """How a job stands, as far as it is recorded.

    `is_explained` says that the queue need not be asked any more why it ended.
    """

    has_started: bool
    ending: Ending | None
    is_explained: bool


@dataclass(frozen=True)
class Batch:
    """One array of jobs, as it is recorded in a folder named by its key."""

    folder: Path
    intent: Intent

    @property
    def key(self) -> str:
        """Text that the queue shows with each of the jobs."""
        return self.folder.name

    @cached_property
    def array(self) -> JobArray:
        """The jobs, for a scheduler."""
        intent = self.intent
        return JobArray(
            args=command(self.folder),
            name=intent.name,
            names=intent.names,
            folder=self.folder.absolute(),
            scheduler_args=intent.scheduler_args,
            key=self.key,
        )

    @property
    def is_submitted(self) -> bool:
        """Whether it is recorded what the queue calls the jobs."""
        return (self.folder / _IDS).exists()

    def note_ids(self, ids: Mapping[int, JobId]) -> None:
        """Record what the queue calls the jobs, by position."""
        record = {str(position): jobid for position, jobid in ids.items()}
        write_json(self.folder / _IDS, record)
        self.__dict__["ids"] = dict(ids)

    @cached_property
    def ids(self) -> dict[int, JobId]:
        """What the queue calls the jobs that it took, by position."""
        path = self.folder / _IDS
        record = read_record(path, dict[str, str | int]) or {}
        n_jobs = len(self.intent.targets)
        if not all(p.isdecimal() and int(p) < n_jobs for p in record):
            raise damaged(path, "has numbers of jobs that were not submitted")
        # They become arguments of commands, where others could be options.
        if not all(_is_id(jobid) for jobid in record.values()):
            raise _lost(self.folder)
        return {int(position): jobid for position, jobid in record.items()}

    @property
    def is_copied(self) -> bool:
        """Whether it was copied from another ledger, whose jobs these are."""
        own = self.folder / COMMANDS
        with suppress(OSError):
            there = commands_of(self.folder)
            return there is not None and there.stat().st_ino != own.stat().st_ino
        return False

    def forget_id(self, position: int) -> None:
        """Take a job for one that the queue does not have."""
        self.__dict__["ids"] = {p: i for p, i in self.ids.items() if p != position}

    def job(self, position: int) -> str:
        """Return what a job tells of itself, in its locks for example."""
        return f"{self.key}:{position}"

    def origin(self, position: int) -> str:
        """Return the job with whose rest a job goes on; that itself if none."""
        origins = self.intent.origins
        return (origins[position] if origins else "") or self.job(position)

    def trace(self, position: int) -> JobTrace:
        """Return what a job left."""
        return JobTrace.read(self.array.output(position))

    def has_results(self, position: int) -> bool:
        """Whether a job makes files, and all of them are there."""
        target = self.intent.targets[position]
        return bool(target) and all(Path(f).exists() for f in target.split("\n"))

    def note_ending(self, position: int, ending: Ending) -> None:
        """Record why a job ended, unless its trace tells that it ended well."""
        if ending.cause is not Cause.DONE or self.trace(position).ending != ending:
            write_json(self.folder / f"{position}{_ENDING}", ending._asdict())

    def ending(self, position: int) -> Ending | None:
        """Return why a job ended; None if it has not, as far as is known."""
        record = read_record(self.folder / f"{position}{_ENDING}", _EndingRecord)
        if record is not None:
            return Ending(record.cause, record.text, record.exit_status)
        return self.trace(position).ending

    @property
    def python(self) -> str:
        """The Python that stands for itself in the commands."""
        return python_of(self.folder)

    def with_cause(self, ending: Ending) -> Ending:
        """Return the ending of its only job with why psyrun was not started, if so."""
        why = why_not_started(self.python, self.trace(0).text)
        if not why or ending.cause is not Cause.FAILED:
            return ending
        return ending._replace(text=why.rstrip("."))

    def state(self, position: int) -> BatchState:
        """Return how a job stands."""
        names = [f"{position}{_ENDING}", self.array.output(position).name]
        return self._state(position, [n for n in names if (self.folder / n).exists()])

    def states(self) -> list[BatchState]:
        """Return how each of the jobs stands, by position.

        Of thousands of jobs, most files are not there yet: the folder is
        listed rather than each of them looked for.
        """
        try:
            files = {path.name for path in self.folder.iterdir()}
        except FileNotFoundError:
            files = set()
        return [self._state(position, files) for position in range(len(self.array))]

    def _state(self, position: int, files: Collection[str]) -> BatchState:
        output = self.array.output(position)
        trace = JobTrace.read(output) if output.name in files else JobTrace()
        is_recorded = f"{position}{_ENDING}" in files
        ending = self.ending(position) if is_recorded else trace.ending
        is_explained = is_recorded or trace.exit_status == 0
        return BatchState(bool(trace.host), ending, is_explained)

    def started(self) -> list[int]:
        """Return the positions of jobs that have started, as their traces show."""
        return [p for p, state in enumerate(self.states()) if state.has_started]

    def open(self) -> list[int]:
        """Return the positions of jobs that have not ended, as far as is known."""
        return [p for p, state in enumerate(self.states()) if state.ending is None]

    def remove(self) -> None:
        """Forget the array."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Ledger:
    """All that was submitted for a task, in `folder` if not with the task's jobs."""

    def __init__(self, layout: TaskLayout, folder: Path | None = None) -> None:
        self._folder = folder or layout.queue

    def batches(self) -> list[Batch]:
        """Return the arrays, the oldest first."""
        records = (path.parent for path in self._folder.glob(f"*/{_RECORD}"))
        found = [_load(folder) for folder in records]
        own = (batch for batch in found if batch and not batch.is_copied)
        return sorted(own, key=lambda batch: batch.intent.since)

    def has_submitted(self, job: str) -> bool:
        """Whether the queue is recorded to have taken a job, alone in its array."""
        return any(b.is_submitted and b.job(0) == job for b in self.batches())

    def ending_of(self, job: str) -> Ending | None:
        """Return why a job, alone in its array, ended; None if that is not known."""
        for batch in self.batches():
            if batch.job(0) == job:
                ending = batch.ending(0)
                return ending and batch.with_cause(ending)
        return None

    def begin(self, intent: Intent) -> Batch:
        """Record what is about to be submitted; raises `StoreError` if impossible."""
        key = secrets.token_hex(8)
        folder = self._folder / key
        try:
            make_folder(folder)
            cores = intent.scheduler_args.get("n_cpus")
            write_script(
                folder, key, _commands(intent), Path.cwd(), intent.minutes, cores
            )
        except OSError as error:
            raise StoreError(f"{folder}: {error.strerror}.") from error
        write_json(folder / _RECORD, intent.as_json())
        return Batch(folder, intent)

    def remove_round(self, number: int) -> None:
        """Forget what was submitted for a round and those before it.

        Jobs that may still be in the queue are not forgotten.
        """
        for batch in self.batches():
            if batch.intent.round <= number and not batch.open():
                batch.remove()


def _commands(intent: Intent) -> list[str]:
    """Return the commands of jobs; they are told what they go on with."""
    return [
        f"{ORIGIN_VARIABLE}={origin} {command}" if origin else command
        for command, origin in zip_longest(intent.commands, intent.origins)
    ]


def _load(folder: Path) -> Batch | None:
    try:
        record = read_json(folder / _RECORD)
    except StoreError as error:
        raise _lost(folder) from error
    if record is None:
        return None
    try:
        intent = of_record(Intent, record)
        if len({len(intent.names), len(intent.targets), len(intent.commands)}) > 1:
            raise RecordedTypeError("lists of different lengths")
        return Batch(folder, intent)
    except RecordedTypeError as error:
        raise _lost(folder) from error


def _is_id(jobid: JobId) -> bool:
    # A command of the queue is called with it.
    text = str(jobid)
    return bool(text) and text.isprintable() and not text.startswith("-")


def _lost(folder: Path) -> StoreError:
    """Return the error for an array whose record cannot be used."""
    ids: list[JobId] = []
    with suppress(AttributeError, StoreError):
        ids = [i for i in (read_json(folder / _IDS) or {}).values() if _is_id(i)]
    which = f" {', '.join(map(str, ids))}" if ids else f" that show {folder.name!r}"
    return StoreError(
        f"{folder / _RECORD}: is damaged; it tells of jobs in a queue, which may still "
        f"run. Cancel the jobs{which} first, with the queue's own command such as "
        f"'scancel'. Then delete the folder {folder}."
    )


def newest(batches: Iterable[Batch]) -> dict[str, tuple[Batch, int]]:
    """Return the last job submitted for each target; the oldest array comes first."""
    return {
        batch.intent.targets[position]: (batch, position)
        for batch in batches
        for position in batch.ids
    }


ArrayJob = tuple[Batch, int]
"""A job: its array and its position therein."""


@dataclass(frozen=True)
class QueueReport:
    """What is known of the jobs of a task in a queue.

    Attributes
    ----------
    n_queued, n_running : int
        Jobs that have not started, and jobs that have not ended.
    n_unsure : int
        Jobs that were to be submitted, of which it is not recorded whether they
        were: that was cut off, or is being done.
    ended : tuple of (str, Ending)
        Jobs that something else than their own command has ended, by name; of
        the jobs that were submitted for the same files only the last.
    """

    n_queued: int = 0
    n_running: int = 0
    n_unsure: int = 0
    ended: tuple[tuple[str, Ending], ...] = ()

    @classmethod
    def of(cls, layout: TaskLayout) -> QueueReport:
        """Read the ledger and the traces of a task's jobs."""
        queued = running = unsure = 0
        ended: dict[str, tuple[str, Ending]] = {}
        for batch in Ledger(layout).batches():
            intent = batch.intent
            for position, (has_started, ending, _) in enumerate(batch.states()):
                is_known = has_started or position in batch.ids
                if not is_known and batch.is_submitted:
                    # The queue took only some of the array.
                    continue
                ended.pop(intent.targets[position], None)
                if ending is None and has_started:
                    running += 1
                elif ending is None and is_known:
                    queued += 1
                elif ending is None:
                    unsure += 1
                elif ending.cause not in (Cause.DONE, Cause.FAILED):
                    ended[intent.targets[position]] = intent.names[position], ending
        return cls(queued, running, unsure, tuple(ended.values()))

    @property
    def text(self) -> str:
        """How many jobs queue and run, for people; empty if there are none."""
        found = []
        if self.n_queued:
            found.append(f"{self.n_queued} queued")
        if self.n_running:
            found.append(f"{self.n_running} running")
        if self.n_unsure:
            found.append(f"{self.n_unsure} perhaps queued")
        n_jobs = self.n_queued + self.n_running + self.n_unsure
        return f"{' and '.join(found)} job{'' if n_jobs == 1 else 's'}" if found else ""

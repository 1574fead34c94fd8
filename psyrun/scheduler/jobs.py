"""Jobs of a queue: what they are called, how they stand and why they ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

JobId: TypeAlias = int | str
"""What a queue calls a job; `submit` returns it, the other methods take it."""


class JobStatus(NamedTuple):
    """What a queue says about one job.

    Attributes
    ----------
    id : int or str
        The job, as `Scheduler.submit` returned it.
    status : str
        ``'Q'`` queued, ``'*Q'`` queued and waiting for another job, ``'R'``
        running, ``'Z'`` suspended, ``'D'`` ended, whether well or not.
    name : str
        The job's name.
    """

    id: JobId
    status: str
    name: str


class Cause(StrEnum):
    """Why a job ended."""

    DONE = "done"
    FAILED = "failed"
    """Its command ended with another exit status than 0."""
    MEMORY = "memory"
    """It used more memory than it had asked for."""
    TIME = "time"
    """It took longer than it had asked for."""
    NODE = "node"
    """The machine that it ran on failed, or it was preempted."""
    CANCELLED = "cancelled"
    VANISHED = "vanished"
    """The queue knows nothing of it and has no output of it."""


class Ending(NamedTuple):
    """Why a job ended, as its queue tells it.

    Attributes
    ----------
    cause : Cause
        Kind of the ending.
    text : str
        The ending in a few words, such as ``'cancelled by alice'``.
    exit_status : int or None
        Exit status of its command, where the queue knows it.
    """

    cause: Cause
    text: str
    exit_status: int | None = None


class Waiting(NamedTuple):
    """Why a queued job has not started, and when it will, as its queue tells it.

    Attributes
    ----------
    reason : str
        Why it waits, in a few words; empty if the queue does not say it.
    start : float or None
        When the queue expects it to start, in seconds since the epoch.
    """

    reason: str
    start: float | None = None


class Obstacle(NamedTuple):
    """What keeps a queued job from starting, other than that others come first.

    Attributes
    ----------
    text : str
        What it is, and what to do about it, in a few words.
    is_final : bool
        Whether the job can never start, as long as nobody changes it.
    """

    text: str
    is_final: bool


@dataclass(frozen=True)
class Usage:
    """What a job has used, and what it could have used, as its queue counts it.

    Each is None where the queue does not know it.

    Attributes
    ----------
    seconds : float or None
        How long it ran.
    cpu_seconds : float or None
        CPU time of all of its processes.
    peak_bytes : float or None
        The most memory that all of its processes together had at once.
    n_cores : int or None
        CPU cores that were reserved for it.
    memory_bytes : float or None
        Memory that was reserved for it.
    limit_seconds : float or None
        Its time limit.
    """

    seconds: float | None = None
    cpu_seconds: float | None = None
    peak_bytes: float | None = None
    n_cores: int | None = None
    memory_bytes: float | None = None
    limit_seconds: float | None = None


@dataclass(frozen=True)
class JobArray:
    """Jobs that run the same command for different positions.

    Attributes
    ----------
    args : tuple of str
        The command and its arguments; the job at position i gets ``str(i)``
        as one more argument. Positions count from 0.
    name : str
        Name of the whole array.
    names : tuple of str
        Name of the job at each position, for queues without arrays.
    folder : Path
        An existing folder of this array's own, which all machines can see.
        What the job at position i prints goes to ``<folder>/<i>.out``.
    scheduler_args : mapping of str to object
        Arguments for each of the jobs, as `Scheduler.validate` returned them.
    key : str
        Text that no other array has. A queue that can show a text with each
        job shows this one, so that the jobs can be found again.
    """

    args: tuple[str, ...]
    name: str
    names: tuple[str, ...]
    folder: Path
    scheduler_args: Mapping[str, Any]
    key: str

    def __len__(self) -> int:
        return len(self.names)

    def output(self, position: int) -> Path:
        """Return where the job at a position prints to."""
        return self.folder / f"{position}.out"

    def id_file(self, position: int) -> Path:
        """Return where it is noted what the queue calls the job at a position."""
        return self.folder / f"{position}.id"

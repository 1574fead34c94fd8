"""What is known of a run beside the costs of its assignments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from psyrun.backend import Backend
from psyrun.pspace.columns import Indices
from psyrun.pspace.space import ParameterSpace
from psyrun.scheduler import ImmediateRun, Scheduler
from psyrun.scheduler.limits import Limits
from psyrun.tasks.config import Config


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What a run is to do, and what it may use; see `Situation.of`.

    Attributes
    ----------
    space : ParameterSpace
        All assignments.
    n_left : int
        How many of them are to be evaluated.
    left : ndarray of int64, shape (n_left,), or None
        Which these are, as indices in the space; None if they are spread evenly.
    spent : float
        Seconds of the successful evaluations that the estimate is made from.
    scheduler : Scheduler
        Where the jobs go.
    scheduler_args : dict of str to object
        What the task asks for, named as it names it.
    values : dict of str to object
        What one of its process jobs asks for, as `Scheduler.validate` returns it.
    max_jobs, min_items, pool_size, order, backend, predict_times, timeout, rate
        As in `Config`.
    overhead : float
        Seconds that a job takes beside its evaluations.
    row_bytes : float or None
        Bytes on disk of a row of the result.
    cores : int or None
        Cores that a run on this machine uses at once; None in a queue.
    limits : Limits
        What the queue, or this machine, allows at most.
    """

    space: ParameterSpace
    n_left: int
    left: Indices | None = None
    spent: float = 0.0
    scheduler: Scheduler = field(default_factory=ImmediateRun)
    scheduler_args: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    max_jobs: int | None
    min_items: int
    pool_size: int
    order: str
    backend: Backend
    predict_times: bool = True
    timeout: float | None
    rate: float | None
    overhead: float = 1.0
    row_bytes: float | None = None
    cores: int | None = None
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def of(cls, task: Config, n_left: int, **known: Any) -> Situation:
        """Return the situation of a task.

        Parameters
        ----------
        task : Config
            Its special variables.
        n_left : int
            How many assignments are to be evaluated.
        **known
            The other attributes, as far as they are known. In a queue `values` are
            needed; on this machine `cores`.
        """
        found: dict[str, Any] = {
            "space": task.pspace,
            "scheduler": task.scheduler,
            "scheduler_args": task.scheduler_args,
            **{name: getattr(task, name) for name in _OF_TASK},
        }
        return cls(n_left=n_left, **{**found, **known})

    @property
    def is_queued(self) -> bool:
        """Whether jobs go to a queue."""
        return self.cores is None

    @property
    def n_cpus(self) -> int:
        """Cores that each process job reserves."""
        stated = self.values.get("n_cpus")
        return int(stated) if stated else self.pool_size

    def n_jobs(self, max_jobs: int | None, min_items: int) -> int:
        """Return the number of process jobs for what may be set."""
        most = self.n_left if max_jobs is None else max_jobs
        return self.backend.n_blocks(self.n_left, max(1, most), min_items)


_OF_TASK = (
    "max_jobs",
    "min_items",
    "pool_size",
    "order",
    "backend",
    "predict_times",
    "timeout",
    "rate",
)

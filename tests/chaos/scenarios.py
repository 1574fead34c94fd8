"""What happens to which task: all of it follows from one number."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from projects import Project

N_ASSIGNMENTS = 2_000
N_JOBS_AT_ONCE = 2

VICTIMS = ("worker", "job", "psy", "snakemake", "all", "plain")
BACKENDS = ("DistributeBackend", "LoadBalancingBackend")
STORES = (".pkl", ".npz", ".h5")

TASK = """\
import os
import time

from psyrun import Param
from psyrun.backend import {backend}
from psyrun.store.registry import store_named

pspace = Param(x=range({n_assignments}))
backend = {backend}
store = store_named("{store}")
max_jobs = 4
pool_size = {pool_size}


def execute(x):
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    file = os.open(f"calls/{{os.getpid()}}", flags)
    os.write(file, b"%d\\n" % x)
    os.close(file)
    time.sleep(0.001)
    return {{"root": x**0.5, "rest": x % 7}}
"""


@dataclass(frozen=True)
class Scenario:
    """What happens to one task.

    Attributes
    ----------
    number : int
        All else follows from this.
    """

    number: int

    @property
    def victim(self) -> str:
        return VICTIMS[self.number % 6]

    @property
    def backend(self) -> str:
        return BACKENDS[self.number // 6 % 2]

    @property
    def store(self) -> str:
        return STORES[(self.number + self.number // 12) % 3]

    @property
    def pool_size(self) -> int:
        return 1 + (self.number + self.number // 6 + self.number // 36) % 2

    @property
    def n_cores(self) -> int:
        return N_JOBS_AT_ONCE * self.pool_size

    @property
    def n_hit(self) -> int:
        """Most evaluations that one kill can cut off."""
        return {"worker": 1, "job": self.pool_size}.get(self.victim, self.n_cores)

    def __str__(self) -> str:
        backend = self.backend.removesuffix("Backend")
        return (
            f"{self.number:3} {self.victim:9} {backend:13} {self.store} "
            f"pool {self.pool_size}"
        )


def project_of(scenario: Scenario, folder: Path) -> Project:
    project = Project(folder)
    (folder / "calls").mkdir()
    text = TASK.format(
        backend=scenario.backend,
        store=scenario.store,
        pool_size=scenario.pool_size,
        n_assignments=N_ASSIGNMENTS,
    )
    project.write(text)
    return project

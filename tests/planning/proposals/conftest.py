"""Sweeps whose costs are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from psyrun import Param, Slurm
from psyrun.backend import DistributeBackend
from psyrun.estimate import Estimate, Evaluated, estimate
from psyrun.estimate.pilots import first_pilots
from psyrun.planning.proposals import Situation
from psyrun.pspace.space import ParameterSpace

Known = tuple[Estimate, Situation]
Sweep = Callable[..., Known]


def cost(point: dict[str, Any]) -> tuple[float, float]:
    """Return seconds and bytes of an assignment."""
    factor = {"euler": 1, "rk4": 4}[point["solver"]]
    return 1e-3 * factor * point["n"] ** 1.5, 1e8 + 2e3 * point["n"] ** 2


@pytest.fixture
def space() -> ParameterSpace:
    return (
        Param(solver=["euler", "rk4"])
        * Param(n=[16, 64, 256, 1024])
        * Param(trial=range(25))
    )


@pytest.fixture
def sweep(space) -> Sweep:
    """Return an estimate and a situation; arguments replace what is in the latter."""

    def make(scale: float = 1.0, n_pilots: int = 16, **known: Any) -> Known:
        rows = first_pilots(space, n_pilots)
        noise = np.exp(0.1 * np.random.default_rng(0).standard_normal(len(rows)))
        times, sizes = np.array([cost(space[i]) for i in rows.tolist()]).T
        seconds = scale * times * noise
        found = estimate(space, Evaluated.of(rows, seconds, sizes))
        assert isinstance(found, Estimate)
        values: dict[str, Any] = {
            "max_jobs": 100,
            "min_items": 1,
            "pool_size": 1,
            "order": "space",
            "backend": DistributeBackend(),
            "timeout": None,
            "rate": None,
            "spent": float(seconds.sum()),
            "n_left": len(space) - len(rows),
        }
        return found, Situation(space=space, **{**values, **known})

    return make


@pytest.fixture
def queued(sweep) -> Sweep:
    """Return the same of a task in a queue, with arguments for it."""

    def make(args: dict[str, Any] | None = None, **known: Any) -> Known:
        slurm, given = Slurm(), args or {}
        known.setdefault("values", slurm.validate(given, "t:process:0"))
        return sweep(scheduler=slurm, scheduler_args=given, **known)

    return make

"""Tasks whose costs are known: what models of costs are tried on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun import Param
from psyrun.pspace.space import ParameterSpace

Columns = Mapping[str, NDArray[Any]]
Formula = Callable[[Columns], NDArray[np.float64]]
MB = 2.0**20
BASE = 120 * MB  # of memory


@dataclass(frozen=True)
class KnownTask:
    """A space, and what each of its assignments costs.

    Attributes
    ----------
    space : callable
        Returns the space; random ones differ with the seed.
    seconds, memory : callable
        The true costs for columns of parameters, without noise; the memory above
        that of the process itself, in bytes.
    noise : float
        Standard deviation of the logarithm of the times.
    """

    space: Callable[[int], ParameterSpace]
    seconds: Formula
    memory: Formula = lambda columns: np.full(size(columns), 5 * MB)
    noise: float = 0.15

    def costs(
        self, space: ParameterSpace, seed: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return seconds and bytes of all assignments, with noise."""
        rng = np.random.default_rng([seed, 1])
        columns = {key: np.array(values) for key, values in space.build().items()}
        seconds = self.seconds(columns) * np.exp(rng.normal(0, self.noise, len(space)))
        memory = BASE + self.memory(columns)
        return seconds, memory * np.exp(rng.normal(0, 0.01, len(space)))


def size(columns: Columns) -> int:
    """Return the number of assignments."""
    return len(next(iter(columns.values())))


def of_levels(names: NDArray[Any], values: Mapping[str, float]) -> NDArray[np.float64]:
    """Return the number of each level."""
    return np.array([values[name] for name in names.tolist()])


_N = [10, 20, 40, 80, 160, 320, 640, 1000]
_SOLVERS = {"cg": 1.0, "gmres": 2.5, "lu": 6.0, "jacobi": 0.6}
_SIX = dict.fromkeys("abcdef", 1.0) | {"d": 30.0}
_LETTERS = [f"file{i:03}" for i in range(1000)]
_OF_FILE = dict(
    zip(_LETTERS, np.exp(np.random.default_rng(5).normal(0, 0.8, 1000)), strict=True)
)


def _random(seed: int) -> ParameterSpace:
    rng = np.random.default_rng(seed)
    return Param(
        n=np.exp(rng.uniform(np.log(10), np.log(3000), 1500)),
        tol=10 ** rng.uniform(-8, -2, 1500),
    )


def _depth_or_gamma(_: int) -> ParameterSpace:
    rest = Param(n=[100, 300, 1000, 3000]) * Param(seed=range(20))
    poly = Param(kernel=["poly"]) * Param(depth=range(1, 9)) * rest
    return poly + Param(kernel=["rbf"]) * Param(gamma=[0.1, 1.0, 10.0]) * rest


TASKS: dict[str, KnownTask] = {
    "n², solver": KnownTask(
        lambda _: Param(n=_N) * Param(solver=list(_SOLVERS)) * Param(seed=range(20)),
        lambda c: 1e-4 * c["n"] ** 2.0 * of_levels(c["solver"], _SOLVERS),
        lambda c: 8.0 * c["n"] ** 2,
    ),
    "a + b·n·m": KnownTask(
        lambda _: Param(n=range(10, 210, 10)) * Param(m=range(5, 105, 5)),
        lambda c: 2.0 + 0.002 * c["n"] * c["m"],
        lambda c: 1e4 * c["n"] * c["m"],
    ),
    "one of six levels 30-fold": KnownTask(
        lambda _: Param(x=np.linspace(0, 1, 20)) * Param(mode=list(_SIX)),
        lambda c: (1.0 + c["x"]) * of_levels(c["mode"], _SIX),
        lambda c: 20 * MB * of_levels(c["mode"], _SIX),
    ),
    "rare corner 40-fold": KnownTask(
        lambda _: Param(x=np.linspace(0, 1, 25)) * Param(y=np.linspace(0, 1, 25)),
        lambda c: np.where((c["x"] > 0.8) & (c["y"] > 0.8), 40.0, 1.0),
        lambda c: np.where((c["x"] > 0.8) & (c["y"] > 0.8), 400.0, 10.0) * MB,
    ),
    "constant": KnownTask(
        lambda _: Param(x=np.linspace(0, 1, 30)) * Param(y=list("abcd")),
        lambda c: np.full(size(c), 3.0),
    ),
    "a·n + b·m²": KnownTask(
        lambda _: Param(n=_N) * Param(m=[1, 2, 5, 10, 20, 50, 100]) * Param(k=range(9)),
        lambda c: 0.02 * c["n"] + 0.004 * c["m"] ** 2.0,
        lambda c: 1e5 * c["n"] + 2e4 * c["m"] ** 2.0,
    ),
    "heavy noise": KnownTask(
        lambda _: Param(n=_N) * Param(seed=range(100)),
        lambda c: 0.01 * c["n"],
        lambda c: 1e5 * c["n"],
        noise=1.0,
    ),
    "exponential": KnownTask(
        lambda _: Param(depth=range(1, 13)) * Param(width=[16, 32, 64, 128, 256]),
        lambda c: 0.01 * 1.6 ** c["depth"] * c["width"] ** 0.5,
        lambda c: 1e4 * c["depth"] * c["width"],
    ),
    "random space": KnownTask(
        _random,
        lambda c: 1e-3 * c["n"] ** 1.5 * c["tol"] ** -0.25,
        lambda c: 3e5 * c["n"],
    ),
    "1000 levels": KnownTask(
        lambda _: Param(file=_LETTERS) * Param(n=[10, 20, 40]),
        lambda c: 0.1 * c["n"] * of_levels(c["file"], _OF_FILE),
        lambda c: 20 * MB * of_levels(c["file"], _OF_FILE),
    ),
    "exponent by level": KnownTask(
        lambda _: Param(n=_N) * Param(order=["1", "2", "3"]) * Param(seed=range(20)),
        lambda c: 0.1 * (c["n"] / 10.0) ** c["order"].astype(float),
        lambda c: 1e4 * c["n"] * c["order"].astype(float),
    ),
    "absent parameters": KnownTask(
        _depth_or_gamma,
        lambda c: (
            1e-3
            * c["n"].astype(float)
            * np.where(c["kernel"] == "poly", np.nan_to_num(c["depth"]), 2.0)
        ),
        lambda c: 2e4 * c["n"].astype(float),
    ),
}
"""By name; of all but the rare corner 16 pilots tell enough."""

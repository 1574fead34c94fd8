"""How long it takes to find the rule of failures.

Prints for each kind of space the best time of three and the rule that was found: 80 %
of the assignments in a corner have failed, and 1 % of the others. The aim is under 0.5
s for 10⁶ rows of 5 axes.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from options import parse

from psyrun import Param
from psyrun.pspace import ParameterSpace
from psyrun.results.rules import find_rule

_N_TIMES = 3
_SOLVERS = ["euler", "rk2", "rk4", "rk45"]


def grid(n_rows: int) -> ParameterSpace:
    """Return a space of five axes."""
    sizes = (
        Param(n=range(50)) * Param(dt=np.linspace(0.1, 1, 10)) * Param(tol=range(20))
    )
    seeds = Param(seed=range(max(1, n_rows // 40_000)))
    return Param(solver=_SOLVERS) * sizes * seeds


def drawn(n_rows: int) -> ParameterSpace:
    """Return points that are drawn at random, with five parameters."""
    random = np.random.default_rng(0)
    columns = {key: random.random(n_rows) for key in ("n", "dt", "tol", "seed")}
    return Param(solver=random.choice(_SOLVERS, n_rows), **columns)


def failures(space: ParameterSpace) -> np.ndarray:
    """Return which assignments failed."""
    rows = np.arange(len(space))
    solver = space.gather("solver", rows, lambda column, rows: column.take(rows))
    n = space.gather("n", rows, lambda column, rows: column.take(rows)).astype(float)
    random = np.random.default_rng(1).random(len(rows))
    is_corner = (solver == "rk4") & (n >= np.quantile(n, 0.6))
    return np.flatnonzero(np.where(is_corner, random >= 0.2, random < 0.01))


def main() -> None:
    """Print a line for each kind of space."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    n_rows = parse(parser, rows=40_000).rows
    whole = grid(n_rows)
    half = np.arange(0, len(whole), 2)
    for name, space, known in (
        ("grid", whole, None),
        ("half of it evaluated", whole, half),
        ("drawn at random", drawn(n_rows), None),
    ):
        failed = failures(space)
        if known is not None:
            failed = failed[failed % 2 == 0]
        times = []
        for _ in range(_N_TIMES):
            start = time.perf_counter()
            rule = find_rule(space, failed, known)
            times.append(time.perf_counter() - start)
        print(f"{name:22} {len(space):9,} rows {min(times):6.2f} s  ", end="")
        print("no pattern" if rule is None else rule.sentence())


if __name__ == "__main__":
    main()

"""How well costs are predicted from pilots, on tasks whose costs are known.

Prints for each task the relative error of the total time and of the peak of memory, in
percent, median and 90 % quantile over repeats, and how often the interval of 90 % holds
the truth: of our model, and the errors of a random forest of scikit-learn (extra
``demo``) on the same pilots and on as many random ones. Each repeat draws other noise.
Then it prints how long it takes to predict the costs of 10⁶ assignments.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from options import parse

from psyrun import Param
from psyrun.estimate import (
    Estimate,
    Evaluated,
    Range,
    estimate,
    first_pilots,
    next_pilots,
)
from psyrun.pspace.space import ParameterSpace

sys.path.append(str(Path(__file__).parents[1] / "helpers"))
from known_costs import TASKS, KnownTask

N_FIRST = 8
Floats = NDArray[np.float64]


def pilots_of(
    space: ParameterSpace, seconds: Floats, memory: Floats, n: int, seed: int
) -> Evaluated:
    """Return n pilots: the first eight, then as many again as there are."""
    rows = first_pilots(space, min(n, N_FIRST))
    while len(rows) < n:
        known = Evaluated.of(rows, seconds[rows], memory[rows])
        more = next_pilots(space, known, min(len(rows), n - len(rows)), seed)
        rows = np.append(rows, more)
    return Evaluated.of(rows, seconds[rows], memory[rows])


def forest(space: ParameterSpace, rows: Any, known: Floats) -> Floats:
    """Return the costs of all assignments as a random forest predicts them."""
    from sklearn.ensemble import RandomForestRegressor

    columns = []
    for values in space.build().values():
        if isinstance(values[0], str):
            names = np.unique(values)
            columns += [(np.array(values) == name).astype(float) for name in names]
        else:
            columns.append(np.nan_to_num(np.array(values, float), nan=-1.0))
    x = np.column_stack(columns)
    model = RandomForestRegressor(100, random_state=0).fit(x[rows], known)
    found = model.predict(x)
    found[rows] = known
    return np.asarray(found)


def off(value: float, truth: float) -> float:
    """Return the relative error in percent."""
    return 100 * abs(value / truth - 1)


def holds(interval: Range, truth: float) -> bool:
    """Return whether an interval holds the truth."""
    return interval.low <= truth <= interval.high


def repeat(task: KnownTask, n: int, seed: int, is_compared: bool) -> list[float]:
    """Return errors and hits of the total and of the peak, and errors of forests."""
    space = task.space(seed)
    seconds, memory = task.costs(space, seed)
    pilots = pilots_of(space, seconds, memory, n, seed)
    found = estimate(space, pilots, seed)
    assert isinstance(found, Estimate)
    assert found.memory is not None
    total, peak = float(seconds.sum()), float(memory.max())
    most = found.memory.largest.cost
    answers = [
        off(found.time.total.value, total),
        holds(found.time.total, total),
        off(most.value, peak),
        holds(most, peak),
        found.time.total.high / found.time.total.low,
        found.time.fits,
    ]
    if is_compared:
        random = np.random.default_rng(seed).permutation(len(space))[:n]
        for rows in (pilots.rows, random):
            answers.append(off(forest(space, rows, seconds[rows]).sum(), total))
            answers.append(off(forest(space, rows, memory[rows]).max(), peak))
    return answers


def both(errors: Floats) -> str:
    """Return the median and the 90 % quantile."""
    return f"{np.median(errors):4.0f}/{np.quantile(errors, 0.9):<4.0f}"


def print_task(name: str, counts: Sequence[int], n: int, is_compared: bool) -> None:
    """Print the lines of one task."""
    for n_pilots in counts:
        rows = [repeat(TASKS[name], n_pilots, s, is_compared) for s in range(n)]
        answers = np.array(rows, float)
        time_, hit, peak, peak_hit, width, fits = answers[:, :6].T
        line = (
            f"{name:26} {n_pilots:3} {both(time_)} {100 * hit.mean():4.0f} "
            f"{np.median(width):6.2f} {100 * fits.mean():4.0f} "
            f"{both(peak)} {100 * peak_hit.mean():4.0f}"
        )
        if is_compared:
            line += "  " + " ".join(both(each) for each in answers[:, 6:].T)
        print(line, flush=True)


def print_speed() -> None:
    """Print how long predicting the costs of large spaces takes."""
    grid = Param(n=range(1, 101)) * Param(m=range(100)) * Param(k=range(100))
    rng = np.random.default_rng(0)
    spaces = {
        "grid of 10⁶": grid,
        "random space of 10⁶": Param(x=rng.random(10**6), y=rng.random(10**6)),
        "grid of 10⁸": grid * Param(s=range(100)),
    }
    for name, space in spaces.items():
        rows = first_pilots(space, 32)
        seconds = [1.0 + sum(space[row].values()) for row in rows.tolist()]
        start = time.process_time()
        found = estimate(space, Evaluated.of(rows, seconds))
        assert isinstance(found, Estimate) and found.time.fits
        print(f"{name:26} {time.process_time() - start:6.2f} s of CPU")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", help="names of tasks; without, all")
    parser.add_argument("--pilots", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--forest", action="store_true", help="compare with forests")
    args = parse(parser, repeats=2)
    print(f"{'':26}   n   total, %  hit  width fit     peak, %  hit", end="")
    print("  forest: total, peak; of random pilots: total, peak" * args.forest)
    for name in args.tasks or TASKS:
        print_task(name, args.pilots, args.repeats, args.forest)
    print_speed()


if __name__ == "__main__":
    main()

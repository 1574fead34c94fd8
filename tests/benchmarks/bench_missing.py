"""Compare `missing` of a million rows with building the two spaces.

Prints one line per kind of space: the time to build both spaces as dictionaries,
the time of `missing` and of `match_rows`, and the ratio that is to stay below 3.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from psyrun import Param
from psyrun.pspace import ParameterSpace, missing
from psyrun.pspace.matching import match_rows

N_ROWS = 1_000_000
SIDE = 1_000  # the square root of N_ROWS


def seconds(function: Callable[[], Any], repeats: int = 3) -> float:
    def once() -> float:
        start = time.perf_counter()
        function()
        return time.perf_counter() - start

    return min(once() for _ in range(repeats))


def grid(shift: int) -> ParameterSpace:
    radius = np.linspace(0.0, 1.0, SIDE)
    return Param(radius=radius) * Param(trial=range(shift, SIDE + shift))


def samples(shift: int) -> ParameterSpace:
    numbers = np.random.default_rng(0).random((N_ROWS, 2))
    numbers = np.roll(numbers, shift, axis=0)
    numbers[:shift] += 1.0
    return Param(a=numbers[:, 0], b=numbers[:, 1])


def one_array(shift: int) -> ParameterSpace:
    return Param(a=np.arange(shift, N_ROWS + shift) / 7.0)


def counted(shift: int) -> ParameterSpace:
    return Param(trial=range(shift, N_ROWS + shift))


def named(shift: int) -> ParameterSpace:
    names = [f"subject {i}" for i in range(shift, SIDE + shift)]
    return Param(name=names) * Param(trial=list(range(SIDE)))


def listed(shift: int) -> ParameterSpace:
    return Param(trial=list(range(shift, N_ROWS + shift)))


def report(make: Callable[[int], ParameterSpace]) -> float:
    new, old = make(7), make(0)
    build = seconds(lambda: (new.build(), old.build()))
    lacking = seconds(lambda: len(missing(new, old)))
    matched = seconds(lambda: match_rows(new, old))
    print(
        f"{make.__name__:10} build {build:6.3f} s   missing {lacking:6.3f} s   "
        f"match_rows {matched:6.3f} s   missing/build {lacking / build:5.2f}"
    )
    return lacking / build


if __name__ == "__main__":
    for kind in (grid, named, samples, one_array, counted, listed):
        report(kind)

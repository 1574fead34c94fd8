"""Compare `missing` of a million rows with building the two spaces.

Prints one line per kind of space: the time to build both spaces as dictionaries,
the time of `missing` and of `match_rows`, and the ratio that is to stay below 3.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from options import parse

from psyrun import Param
from psyrun.pspace import ParameterSpace, missing
from psyrun.pspace.matching import match_rows


def seconds(function: Callable[[], Any], repeats: int = 3) -> float:
    def once() -> float:
        start = time.perf_counter()
        function()
        return time.perf_counter() - start

    return min(once() for _ in range(repeats))


def grid(side: int, shift: int) -> ParameterSpace:
    radius = np.linspace(0.0, 1.0, side)
    return Param(radius=radius) * Param(trial=range(shift, side + shift))


def samples(side: int, shift: int) -> ParameterSpace:
    numbers = np.random.default_rng(0).random((side**2, 2))
    numbers = np.roll(numbers, shift, axis=0)
    numbers[:shift] += 1.0
    return Param(a=numbers[:, 0], b=numbers[:, 1])


def one_array(side: int, shift: int) -> ParameterSpace:
    return Param(a=np.arange(shift, side**2 + shift) / 7.0)


def counted(side: int, shift: int) -> ParameterSpace:
    return Param(trial=range(shift, side**2 + shift))


def named(side: int, shift: int) -> ParameterSpace:
    names = [f"subject {i}" for i in range(shift, side + shift)]
    return Param(name=names) * Param(trial=list(range(side)))


def listed(side: int, shift: int) -> ParameterSpace:
    return Param(trial=list(range(shift, side**2 + shift)))


def report(make: Callable[[int, int], ParameterSpace], side: int) -> float:
    new, old = make(side, 7), make(side, 0)
    build = seconds(lambda: (new.build(), old.build()))
    lacking = seconds(lambda: len(missing(new, old)))
    matched = seconds(lambda: match_rows(new, old))
    print(
        f"{make.__name__:10} build {build:6.3f} s   missing {lacking:6.3f} s   "
        f"match_rows {matched:6.3f} s   missing/build {lacking / build:5.2f}"
    )
    return lacking / build


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    text = "the square root of the number of rows"
    parser.add_argument("--side", type=int, default=1_000, help=text)
    args = parse(parser, side=100)
    for kind in (grid, named, samples, one_array, counted, listed):
        report(kind, args.side)


if __name__ == "__main__":
    main()

"""Points found by the structure of two spaces are those found row by row."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psyrun import Param
from psyrun.pspace import ParameterSpace, finding
from psyrun.pspace.equality import equal_rows, pair_rows
from psyrun.pspace.freezing import freeze, thaw
from psyrun.pspace.matching import count_unmatched, match_rows
from psyrun.pspace.param import select
from psyrun.pspace.rows import rows_where

nan = math.nan

VALUES = [0, 1, 2, 1.0, 0.5, nan, "x", None, True, (1, 2), np.array([1.0, 2.0])]


@st.composite
def params(draw: st.DrawFn, keys: str) -> ParameterSpace:
    size = draw(st.integers(0, 4))
    given_: dict = {}
    for key in keys:
        kind = draw(st.sampled_from(["list", "range", "scalar", "numbers"]))
        if kind == "range":
            start, step = draw(st.integers(-1, 2)), draw(st.sampled_from([1, 2, -1]))
            given_[key] = range(start, start + step * size, step)
        elif kind == "scalar":
            given_[key] = draw(st.sampled_from(VALUES[:9]))
        elif kind == "numbers":
            numbers = draw(st.lists(st.integers(0, 3), min_size=size, max_size=size))
            given_[key] = np.array(numbers, dtype=draw(st.sampled_from("if")))
        else:
            given_[key] = draw(
                st.lists(st.sampled_from(VALUES), min_size=size, max_size=size)
            )
    return Param(**given_)


@st.composite
def spaces(draw: st.DrawFn, keys: str, depth: int) -> ParameterSpace:
    kinds = ["param"]
    if depth:
        kinds += ["sum", "select", "slice", "difference", "shuffle", "where", "repeat"]
        kinds += ["zip"] if len(keys) > 1 else []
        kinds += ["product"] * 3 if len(keys) > 1 else []
    kind = draw(st.sampled_from(kinds))
    if kind == "param":
        return draw(params(keys))
    if kind == "product":
        order = draw(st.permutations(keys))
        cut = draw(st.integers(1, len(keys) - 1))
        parts = "".join(order[:cut]), "".join(order[cut:])
        left, right = (draw(spaces(part, depth - 1)) for part in parts)
        return left * right
    if kind == "zip":
        left, right = (draw(spaces(part, depth - 1)) for part in (keys[:1], keys[1:]))
        size = min(len(left), len(right))
        return left[:size].zip(right[:size])
    space = draw(spaces(keys, depth - 1))
    if kind == "shuffle":
        return space.shuffle(seed=draw(st.integers(0, 3)))[: draw(st.integers(0, 99))]
    if kind == "where":
        kept = draw(st.integers(0, 2**8))
        rows = rows_where(np.array([kept >> i % 8 & 1 for i in range(len(space))], "?"))
        return space.chosen(rows)
    if kind == "repeat":
        return space.repeat(2) if len(space) < 50 else space
    if kind == "sum":
        some = draw(st.sampled_from([keys, keys[:1], keys[-1:]]))
        return space + draw(spaces(some, depth - 1))
    if kind == "difference":
        return space - draw(spaces(draw(st.sampled_from([keys, keys[:1]])), depth - 1))
    if kind == "select" and len(space):
        rows = draw(st.lists(st.integers(0, len(space) - 1), max_size=12))
        return select(space, np.array(rows, dtype=np.int64))
    start = draw(st.integers(-3, 3))
    return space[start :: draw(st.sampled_from([1, 2, -1]))]


def row_by_row(new: ParameterSpace, old: ParameterSpace, keys: list[str]) -> list[int]:
    return pair_rows(*equal_rows([new, old], keys)).tolist()


@pytest.fixture(autouse=True)
def no_term_is_small(monkeypatch):
    monkeypatch.setattr(finding, "_FEW", 1)


KEYS = st.sampled_from(["ab", "abc", "abcd", "a"])


@settings(max_examples=120, deadline=None)
@given(st.data(), st.integers(1, 4))
def test_rows_are_those_that_are_found_row_by_row(data, depth):
    new = data.draw(spaces(data.draw(KEYS), depth))
    old = data.draw(spaces(data.draw(KEYS), depth))
    if data.draw(st.booleans()):
        old = thaw(freeze(old))
    keys = new.keys()
    if data.draw(st.booleans()):
        keys = keys[: data.draw(st.integers(0, len(keys)))]
    expected = row_by_row(new, old, keys)
    assert match_rows(new, old, keys).tolist() == expected
    assert count_unmatched(new, old, keys) == expected.count(-1)


def grid(*sizes: int) -> ParameterSpace:
    a, b, c = sizes
    return (
        Param(a=np.linspace(0, 1, a) if a > 1 else [0.0])
        * Param(b=range(b), unit="mV")
        * Param(c=[f"level {i}" for i in range(c)])
    )


class NoComparison(Exception):
    pass


@pytest.fixture
def most_compared(monkeypatch):
    """Let nobody compare more rows than a few."""

    def compared(spaces, keys):
        if sum(map(len, spaces)) > 2000:
            raise NoComparison
        return equal_rows(spaces, keys)

    monkeypatch.setattr(finding, "equal_rows", compared)


POINT = Param(a=[7.0], b=[1], unit=["mV"], c=["level 1"])
LARGE = grid(100, 50, 20)


@pytest.mark.parametrize(
    ("new", "old", "n_new"),
    [
        (grid(100, 51, 20), LARGE, 2000),
        (grid(100, 50, 20), grid(100, 51, 21), 0),
        (LARGE + POINT, grid(100, 50, 20), 1),
        (POINT + LARGE, grid(100, 50, 20), 1),
        (LARGE, grid(100, 50, 20) + POINT, 0),
        (LARGE + POINT + POINT, grid(100, 50, 20) + POINT, 1),
        (LARGE, grid(100, 50, 20)[1:], 1),
        (LARGE[::2], grid(100, 50, 20)[1:], 1),
        (LARGE, grid(100, 50, 20) - POINT, 0),
        (LARGE - Param(b=[0]), LARGE - Param(b=[0]), 0),
        (LARGE + grid(3, 90, 30), grid(3, 90, 30) + LARGE, 0),
        (Param(r=[0, 0]) * LARGE, Param(r=[0]) * LARGE, 100_000),
        (LARGE * Param(gain=[nan, 1.0]), LARGE, 100_000),
        (LARGE, Param(extra=[1, 2]) * LARGE, 0),
        (Param(a=range(10**6)) * Param(b=range(10**6)), Param(a=[10**5], b=[3]), -1),
    ],
)
def test_large_grids_are_matched_without_comparing_rows(new, old, n_new, most_compared):
    if n_new < 0:
        assert count_unmatched(new, old) == len(new) - 1
    else:
        assert count_unmatched(new, old) == n_new
        found = match_rows(new, old)
        assert np.count_nonzero(found < 0) == n_new
        there = found[found >= 0]
        assert len(np.unique(there)) == len(there)
        for row in np.flatnonzero(found >= 0)[::997].tolist():
            other = old[int(found[row])]
            # nan is not equal to itself
            expected = {key: str(other.get(key, nan)) for key in new[row]}
            assert {k: str(v) for k, v in new[row].items()} == expected

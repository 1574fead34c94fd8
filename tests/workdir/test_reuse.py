"""Which rows a space takes over, against a search that compares all with all."""

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Never

import numpy as np
import pytest

from psyrun.pspace import Param, ParameterSpace
from psyrun.pspace.param import select
from psyrun.workdir.left_out import evaluated_again, rows_left_out
from psyrun.workdir.reuse import ReusedRows, from_rounds
from psyrun.workdir.rows_there import RowsThere

VERSIONS = ("new", "old", "oldest")


def rows_there(*parts: Sequence[tuple[int, int]]) -> RowsThere:
    """Return rows of parts, each given by its parameter and its version."""
    points = [Param(x=[x for x, _ in part]) for part in parts]
    versions = np.array([version for part in parts for _, version in part], np.int64)
    return RowsThere(points, versions, VERSIONS)


def values(there: RowsThere, rows: Sequence[int]) -> list[tuple[int, int]]:
    found = [point["x"] for points in there.points for point in points.iterate()]
    return [(found[row], int(there.versions[row])) for row in rows]


def plainly(space: ParameterSpace, there: RowsThere) -> ReusedRows:
    """Return what a plain run takes."""
    return from_rounds(space, there, ["new"], keeps_all=False)


def random_case(seed: int) -> tuple[ParameterSpace, RowsThere]:
    rng = random.Random(seed)
    space = Param(x=[rng.randrange(8) for _ in range(rng.randrange(1, 9))])
    parts = [
        [(rng.randrange(8), rng.randrange(3)) for _ in range(rng.randrange(1, 9))]
        for _ in range(rng.randrange(1, 4))
    ]
    return space, rows_there(*parts)


@pytest.mark.parametrize("keeps_all", [False, True])
@pytest.mark.parametrize("seed", range(150))
def test_each_assignment_gets_a_row_of_its_own_if_there_is_one(
    seed: int, keeps_all: bool
) -> None:
    space, there = random_case(seed)
    found = from_rounds(space, there, ["new"], keeps_all=keeps_all)
    taken = found.rows[found.rows >= 0]
    assert len({*taken.tolist(), *found.former.tolist()}) == len(taken) + len(
        found.former
    )
    all_rows = values(there, range(len(there.versions)))
    for x in range(8):
        n_wanted = [point["x"] for point in space.iterate()].count(x)
        counts = [all_rows.count((x, version)) for version in range(3)]
        got = [values(there, taken.tolist()).count((x, v)) for v in range(3)]
        for version in range(3 if keeps_all else 1):
            assert got[version] == min(counts[version], n_wanted - sum(got[:version]))
        assert keeps_all or got[1:] == [0, 0]
    for index, row in enumerate(found.rows.tolist()):
        assert row < 0 or values(there, [row])[0][0] == space[index]["x"]


@pytest.mark.parametrize("seed", range(150))
def test_rows_outside_stay_once_for_each_assignment(seed: int) -> None:
    space, there = random_case(seed)
    found = from_rounds(space, there, ["new"], keeps_all=True)
    former = [x for x, _ in values(there, found.former.tolist())]
    assert former == list(found.former_points.get("x", []))
    all_rows = values(there, range(len(there.versions)))
    for x in set(range(8)) - {point["x"] for point in space.iterate()}:
        most = max(all_rows.count((x, version)) for version in range(3))
        assert (x in former) == (most > 0)
    assert not plainly(space, there).former.tolist()


@pytest.mark.parametrize("seed", range(150))
def test_what_is_left_out_is_all_that_is_not_there_otherwise(seed: int) -> None:
    space, there = random_case(seed)
    found = plainly(space, there)
    begin, left = 0, []
    lefts = rows_left_out(there, found)
    for points, rows in zip(there.points, lefts, strict=True):
        left += (rows + begin).tolist()
        begin += len(points)
    assert not set(left) & set(found.used.tolist())
    kept = values(there, [*found.used.tolist(), *left])
    starts = np.cumsum([0, *map(len, there.points)]).tolist()
    for start, end in pairwise(starts):
        part = values(there, range(start, end))
        for row in set(part):
            assert kept.count(row) >= part.count(row)


def test_other_parameters_are_other_assignments() -> None:
    there = RowsThere([Param(x=[1, 2], k=[3, 3])], np.zeros(2, np.int64), VERSIONS)
    assert plainly(Param(x=[1, 2]), there).rows.tolist() == [-1, -1]
    kept = from_rounds(Param(x=[2, 1]), there, ["new"], keeps_all=True)
    assert kept.rows.tolist() == [1, 0]


def test_the_same_space_needs_no_search() -> None:
    odd = Param(x=np.array([Odd(), Odd(), Odd()]))
    there = RowsThere(
        [Param(x=np.array([Odd(), Odd()]))],
        np.array([0, 1]),
        VERSIONS,
        np.array([0, 2]),
    )
    found = from_rounds(odd, there, ["new", "old"], keeps_all=False)
    assert found.rows.tolist() == [0, -1, 1]


class Odd:
    """It cannot be compared."""

    def __eq__(self, other: object) -> bool:
        raise ValueError

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("seed", range(100))
def test_rows_that_are_evaluated_again_are_as_if_they_were_not_there(seed: int) -> None:
    space, there = random_case(seed)
    again = np.random.default_rng(seed).random(len(there.versions)) < 0.4
    found = plainly(space, replace(there, replaced=again))
    assert not again[found.used].any()
    starts = there.starts
    others = [np.flatnonzero(~again[s:e]) for s, e in pairwise(starts)]
    parts = [select(p, o) for p, o in zip(there.points, others, strict=True)]
    same = plainly(space, RowsThere(parts, there.versions[~again], VERSIONS))
    rows = np.flatnonzero(~again)
    assert found.used.tolist() == rows[same.used].tolist()
    assert (found.rows >= 0).tolist() == (same.rows >= 0).tolist()


@pytest.mark.parametrize("seed", range(100))
def test_no_older_row_takes_the_place_of_one_that_is_evaluated_again(seed: int) -> None:
    space, there = random_case(seed)
    again = np.random.default_rng(seed).random(len(there.versions)) < 0.4
    found = from_rounds(space, replace(there, replaced=again), ["new"], keeps_all=True)
    assert not again[found.used].any()
    others = values(there, np.flatnonzero(~again).tolist())
    marked = [x for x, _ in values(there, np.flatnonzero(again).tolist())]
    taken = values(there, found.rows[found.rows >= 0].tolist())
    former = [x for x, _ in values(there, found.former.tolist())]
    wanted = [point["x"] for point in space.iterate()]
    for x in range(8):
        n_open = wanted.count(x)
        for version in range(3):
            n_taken = taken.count((x, version))
            assert n_taken == min(others.count((x, version)), n_open)
            n_open -= n_taken
            if version == 0:
                n_open = max(0, n_open - marked.count(x))
        if x not in wanted:
            assert (x in former) == any(other == x for other, _ in others)


def test_rows_that_are_evaluated_again_are_not_left_out_unless_nobody_does() -> None:
    there = rows_there([(1, 0), (2, 0), (3, 1), (4, 0)])
    there = replace(there, replaced=np.array([True, False, True, True]))
    space = Param(x=[1, 2, 3])
    found = plainly(space, there)
    assert found.rows.tolist() == [-1, 1, -1]
    # That of 3 is of another version, and 4 is not in the space.
    again = evaluated_again(space, there, ["new"])
    (left,) = rows_left_out(there, found, again)
    assert left.tolist() == [2, 3]


@pytest.mark.parametrize("seed", range(150))
def test_what_is_not_chosen_has_any_row_that_there_is(seed: int) -> None:
    space, there = random_case(seed)
    rng = np.random.default_rng(seed)
    again = rng.random(len(there.versions)) < 0.3
    there, chosen = replace(there, replaced=again), set(rng.permutation(8)[:4].tolist())
    wanted = [point["x"] for point in space.iterate()]
    is_chosen = np.array([x in chosen for x in wanted])
    found = from_rounds(space, there, ["new"], keeps_all=False, is_chosen=is_chosen)
    taken = found.rows[found.rows >= 0]
    assert len(set(taken.tolist())) == len(taken)
    assert not len(found.former)
    of_taken = [(row, *values(there, [row])[0]) for row in taken.tolist()]
    rows = list(enumerate(values(there, range(len(there.versions)))))
    for x in set(wanted):
        n_open = wanted.count(x)
        own = [(row, version) for row, (of, version) in rows if of == x]
        valid = [row for row, version in own if version == 0 and not again[row]]
        others = [own for own in own if own[0] not in valid]
        groups = [valid]
        if x not in chosen:
            groups += [[row for row, v in others if v == each] for each in range(3)]
        for group in groups:
            n_taken = sum(row in group for row, of, _ in of_taken if of == x)
            assert n_taken == min(len(group), n_open)
            n_open -= n_taken
        assert wanted.count(x) - n_open == sum(of == x for _, of, _ in of_taken)


def test_a_copy_of_a_row_and_the_row_are_one_evaluation() -> None:
    # The second part has the row that was copied to the first one, and others.
    there = replace(
        rows_there([(1, 0), (5, 0)], [(1, 0), (1, 0), (5, 0)]),
        starts_of_all=lambda: np.array([1.0, 4.0, 2.0, 1.0, 4.0]),
    )
    found = from_rounds(Param(x=[1, 5, 5, 1, 1]), there, ["new"], keeps_all=True)
    assert found.rows.tolist() == [0, 1, -1, 2, -1]


def test_equal_rows_are_copies_if_nobody_knows_when_they_were_made() -> None:
    there = replace(
        rows_there([(1, 0)], [(1, 0)]), starts_of_all=lambda: np.full(2, np.nan)
    )
    found = from_rounds(Param(x=[1, 1]), there, ["new"], keeps_all=True)
    assert found.rows.tolist() == [0, -1]


def test_rows_that_begin_at_the_same_time_are_two_if_they_differ() -> None:
    there = replace(
        rows_there([(1, 0)], [(1, 0), (2, 0), (2, 0)]),
        starts_of_all=lambda: np.array([1.0, 1.0, 1.0, 3.0]),
    )
    found = from_rounds(Param(x=[1, 1, 2, 2]), there, ["new"], keeps_all=True)
    assert found.rows.tolist() == [0, -1, 2, 3]


def test_times_are_not_read_where_they_do_not_matter() -> None:
    def fail() -> Never:
        raise AssertionError

    there = replace(rows_there([(1, 0)], [(2, 0), (3, 0)]), starts_of_all=fail)
    found = from_rounds(Param(x=[3, 1, 2, 4]), there, ["new"], keeps_all=True)
    assert found.rows.tolist() == [2, 0, 1, -1]

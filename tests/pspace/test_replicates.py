"""Replicates are a parameter, and give each assignment random numbers of its own."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from psyrun import Param, map_pspace, map_pspace_parallel
from psyrun.errors import PsyrunError
from psyrun.pspace import AmbiguousOperationError, ParameterSpace, replicates
from psyrun.pspace.absent import Arguments
from psyrun.pspace.axes import grid_of
from psyrun.pspace.freezing import freeze, thaw
from psyrun.pspace.param import select
from psyrun.pspace.replicates import Seeding, check_no_generators, seeding_of

SPACE = Param(x=[1.5, 2.0, 0.1], k=["a", "b", "c"]) * replicates(4, seed=7)
OPERATIONS: dict[str, Callable[[ParameterSpace], ParameterSpace]] = {
    "product": lambda s: Param(a=[1, 2]) * s,
    "sum": lambda s: Param(z=[1]) + s,
    "sum of two": lambda s: s + Param(x=[9, 8]) * replicates(2, seed=7),
    "difference": lambda s: s - Param(x=[1.5]),
    "where": lambda s: s.where(lambda x, replicate: x > replicate),
    "where on replicates": lambda s: s.where(lambda replicate: replicate > 1),
    "slice": lambda s: s[::2],
    "slice of a slice": lambda s: s[1:][::-1],
    "zip": lambda s: s.zip(Param(a=range(len(s)))),
    "zip of replicates": lambda s: Param(b=range(5)).zip(replicates(5, seed=7)),
    "derive": lambda s: s.derive(a=lambda x: 2 * x),
    "derive from all": lambda s: s.derive(a=lambda x, replicate: x + replicate),
    "derive from replicates": lambda s: s.derive(a=lambda replicate: -replicate),
    "shuffle": lambda s: s.shuffle(seed=3),
    "sample": lambda s: s.sample(5, seed=3),
    "repeat": lambda s: s.repeat(2),
    "selection": lambda s: select(s, np.array([3, 0])),
    "derive and select": lambda s: s.derive(a=lambda x: 2 * x).sample(3),
}


def numbers(space: ParameterSpace, row: int) -> Any:
    seeding = seeding_of(space)
    assert seeding is not None
    sequence = seeding.sequence(space[row])
    assert sequence is not None
    return np.random.default_rng(sequence).random(3).tolist()


def test_replicates_are_numbered() -> None:
    space = replicates(3, seed=1)
    assert space.build() == {"replicate": [0, 1, 2]}
    assert len(space) == 3
    assert replicates(10**12)[10**11] == {"replicate": 10**11}


def test_replicates_are_an_axis() -> None:
    grid = grid_of(SPACE)
    assert grid is not None
    assert [each.name for each in grid.dimensions] == ["x_k", "replicate"]
    assert grid.shape == (3, 4)


def test_they_show_how_they_were_made() -> None:
    assert repr(replicates(3)) == "replicates(3, seed=0)"
    space = Param(x=[1]) * replicates(2, seed=5, common=True)
    assert repr(space) == "Param(x=[1]) * replicates(2, seed=5, common=True)"
    assert seeding_of(eval(repr(space))) == Seeding(5, common=True)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_each_operation_keeps_the_seeding(operation: Any) -> None:
    space = operation(SPACE)
    assert seeding_of(space) == Seeding(7)
    assert seeding_of(thaw(freeze(space))) == Seeding(7)
    assert seeding_of(pickle.loads(pickle.dumps(space))) == Seeding(7)


def test_the_seeding_is_found_without_computing_a_difference() -> None:
    class Endless(ParameterSpace):
        def __len__(self) -> int:
            raise AssertionError("computed")

    assert seeding_of(SPACE - Endless(["x"])) == Seeding(7)


def test_spaces_without_replicates_have_no_seeding() -> None:
    assert seeding_of(Param(x=[1, 2])) is None
    assert seeding_of(Param(replicate=range(3), rng=[1] * 3)) is None


def test_random_numbers_are_those_of_the_formula() -> None:
    words = (891739531, 2515568293, 1850466193, 2471491308)
    sequence = np.random.SeedSequence(1, spawn_key=(*words, 3))
    expected = np.random.default_rng(sequence).random(3).tolist()
    space = Param(x=[1, 2]) * replicates(5, seed=1)
    assert numbers(space, 8) == expected
    assert sequence.generate_state(1, np.uint64).tolist() == [12189018055615214401]


@given(
    st.lists(st.sampled_from([0.1, 1, 2, 3, "a"]), min_size=1, unique=True),
    st.lists(st.sampled_from([0.1, 1, 2, 3, "a"]), min_size=1, unique=True),
    st.data(),
)
def test_random_numbers_depend_on_the_content_alone(
    values: list[Any], others: list[Any], data: st.DataObject
) -> None:
    one = Param(x=values) * replicates(3, seed=1)
    other = replicates(6, seed=1) * (Param(x=others) + Param(y=[1]) + Param(x=values))
    other = other.shuffle(seed=data.draw(st.integers(0, 5)))
    row = data.draw(st.integers(0, len(one) - 1))
    point = one[row]
    found = [i for i, p in enumerate(other) if {**point, "y": 0} == {**p, "y": 0}]
    assert found
    assert all(numbers(other, i) == numbers(one, row) for i in found)


def test_common_random_numbers_are_the_same_at_all_points() -> None:
    space = Param(x=range(3)) * replicates(4, seed=1, common=True)
    found = [numbers(space, row) for row in range(12)]
    assert found[:4] == found[4:8] == found[8:]
    assert len({each[0] for each in found}) == 4
    separate = Param(x=range(3)) * replicates(4, seed=1)
    assert len({numbers(separate, row)[0] for row in range(12)}) == 12


def test_other_seeds_give_other_numbers() -> None:
    first, second = (numbers(replicates(1, seed=seed), 0) for seed in (1, 2))
    assert first != second


def test_points_that_are_not_repeated_have_no_random_numbers() -> None:
    space = Param(z=[1]) + SPACE
    seeding = seeding_of(space)
    assert seeding is not None
    assert seeding.sequence(space[0]) is None


def of_all(x: Any, **values: Any) -> None:
    """Take whatever there is."""


class OfUnknown:
    """Does not tell what it takes."""

    __signature__ = 3

    def __call__(self, **values: Any) -> None:
        """Take whatever there is."""


def of_rng(x: Any, rng: Any) -> None:
    """Take a generator only."""


def of_default(x: Any, seed: int = 0, replicate: int = -1) -> None:
    """Take what there is, but not need it."""


def arguments(function: Any, space: ParameterSpace, row: int) -> dict[str, Any]:
    return dict(Arguments(function, space).all_of(row, space[row]))


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (of_all, {"replicate", "rng", "seed"}),
        (partial(of_all, k="a"), {"replicate", "rng", "seed"}),
        (of_rng, {"rng"}),
        (of_default, {"replicate", "seed"}),
        (OfUnknown(), {"replicate", "rng", "seed"}),
    ],
)
def test_functions_get_what_they_take(function: Any, names: set[str]) -> None:
    space = Param(x=[1, 2]) * replicates(3, seed=1)
    found = arguments(function, space, 4)
    assert found.keys() == {"x"} | names
    if "seed" in found:
        assert found["seed"] == Seeding(1).seed_of(space[4])
    if "rng" in found:
        assert found["rng"].random(3).tolist() == numbers(space, 4)


def test_points_that_are_not_repeated_are_called_without() -> None:
    space = Param(x=[1]) + Param(x=[1]) * replicates(1)
    assert arguments(of_all, space, 0) == arguments(of_default, space, 0) == {"x": 1}
    with pytest.raises(PsyrunError, match="needs 'rng', but this point is not"):
        arguments(of_rng, space, 0)


@pytest.mark.parametrize("function", [lambda x: None, lambda x, replicate: None])
def test_functions_that_take_no_random_numbers_are_refused(function: Any) -> None:
    space = Param(x=[1, 2]) * replicates(3)
    message = "takes neither 'rng', a random generator, nor 'seed'"
    with pytest.raises(PsyrunError, match=message):
        map_pspace(function, space)
    with pytest.raises(PsyrunError, match=message):
        map_pspace_parallel(function, space, n_jobs=2)


def streams(space: ParameterSpace, n: int) -> NDArray[np.float64]:
    seeding = seeding_of(space)
    assert seeding is not None
    found = [np.random.default_rng(seeding.sequence(p)).normal(size=n) for p in space]
    return np.array(found)


@pytest.mark.parametrize("common", [False, True])
def test_no_two_streams_correlate(common: bool) -> None:
    points = Param(n=range(1 if common else 20)) * Param(k=["a", "b"][: 2 - common])
    n, n_drawn = (800 if common else 20), 256
    drawn = streams(points * replicates(n, seed=3, common=common), n_drawn)
    matrix = np.atleast_2d(np.corrcoef(drawn)) * np.sqrt(n_drawn)
    pairs = matrix[np.triu_indices(len(drawn), 1)]
    # Of 319 600 pairs, as many standard normal numbers are that large.
    assert abs(pairs.mean()) < 4 / np.sqrt(len(pairs))
    assert abs(pairs.std() - 1) < 0.01
    assert np.abs(pairs).max() < 5.5
    assert abs((np.abs(pairs) > 1.96).mean() - 0.05) < 0.003


def test_neighbours_in_a_space_do_not_correlate() -> None:
    space = Param(x=np.linspace(0, 1, 2000)) * replicates(5, seed=0)
    first = streams(space, 4)
    for step in (1, 5, 50):
        for one, other in ((0, 0), (0, 1), (3, 2)):
            pair = first[step:, one], first[:-step, other]
            assert abs(np.atleast_2d(np.corrcoef(*pair))[0, 1]) < 4 / np.sqrt(
                len(first)
            )
    # The first numbers of all are spread evenly, too.
    counts = np.histogram(first[:, 0], np.array([-9, -1, -0.5, 0, 0.5, 1, 9]))[0]
    expected = 10_000 * np.array([0.1587, 0.1499, 0.1915, 0.1915, 0.1499, 0.1587])
    assert np.sum((counts - expected) ** 2 / expected) < 20.5


def test_no_two_of_many_assignments_share_a_seed() -> None:
    space = Param(x=range(5000)) * replicates(4)
    seeding = seeding_of(space)
    assert seeding is not None
    found = {
        int(s.generate_state(1, np.uint64)[0])
        for s in map(seeding.sequence, space)
        if s
    }
    assert len(found) == 20_000


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: replicates(0), "the number of replicates is 0; give 1 or more"),
        (lambda: replicates(2.5), "is 2.5; give a whole number"),  # type: ignore[arg-type]
        (lambda: replicates(2, seed=-1), "the seed is -1; give 0 or more"),
        (lambda: replicates(2, seed="a"), "the seed is 'a'; give a whole"),  # type: ignore[arg-type]
        (lambda: replicates(2, common=3), "common is 3; give True or False"),  # type: ignore[arg-type]
        (
            lambda: seeding_of(replicates(2) + replicates(2, seed=1)),
            "replicates with seed=0 and with seed=1; give all of them the same",
        ),
        (
            lambda: seeding_of(replicates(2) + replicates(2, common=True)),
            "seed=0 and with seed=0, common=True",
        ),
        (lambda: seeding_of(replicates(2) * Param(rng=1)), "parameter 'rng'.*rename"),
        (lambda: seeding_of(replicates(2) * Param(seed=1)), "parameter 'seed'.*rename"),
        (
            lambda: seeding_of(replicates(2) + Param(replicate=[1])),
            "another parameter 'replicate'",
        ),
        (
            lambda: seeding_of(
                Param(x=[1]).derive(replicate=lambda x: x) + replicates(2)
            ),
            "another parameter 'replicate'",
        ),
        (
            lambda: Seeding(0).sequence({"x": object(), "replicate": 0}),
            "parameter 'x' holds",
        ),
    ],
)
def test_bad_arguments_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(PsyrunError, match=message):
        make()


GENERATORS = {
    "SeedSequence": np.random.SeedSequence(1),
    "Generator": np.random.default_rng(1),
    "PCG64": np.random.PCG64(1),
    "RandomState": np.random.RandomState(1),
    "Random": random.Random(1),
}


@pytest.mark.parametrize("kind", GENERATORS)
def test_generators_are_refused_as_parameters(kind: str) -> None:
    space = Param(x=[1, 2]) * Param(source=["a", GENERATORS[kind]])
    message = f"parameter 'source' holds values of type {kind}, .*replicates"
    with pytest.raises(PsyrunError, match=message):
        check_no_generators(space.leaves())
    check_no_generators((Param(x=[1, "a", None]) * replicates(3)).leaves())


def test_replicates_of_replicates_are_ambiguous() -> None:
    with pytest.raises(AmbiguousOperationError, match="replicate"):
        replicates(2) * replicates(3)

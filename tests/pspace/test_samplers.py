"""Designs cover their ranges, nest where they say so, and refuse what they cannot."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from psyrun import Param
from psyrun.errors import PsyrunError, SpaceWarning
from psyrun.pspace import (
    Grid,
    Halton,
    LatinHypercube,
    ParameterSpace,
    Random,
    Sobol,
    integers,
    log,
    normal,
    uniform,
)
from psyrun.pspace.axes import grid_of
from psyrun.pspace.freezing import freeze, thaw
from psyrun.pspace.matching import count_unmatched
from psyrun.pspace.samplers import resized_hypercube

RANGES = {
    "x": uniform(-1, 3),
    "rate": log(1e-5, 1e-1),
    "layers": integers(1, 8),
    "noise": normal(10, 2),
    "kind": ["adam", "sgd", (1, 2), None],
    "version": 3,
}
FIXED = {
    "x": [0.6780610987956746, 0.09158794006064974],
    "rate": [0.00209176278932, 0.00113370951792],
    "z": [0.566015885445, -0.985320107802],
}
DESIGNS = [Sobol, Halton, LatinHypercube, Random]
DRAWN = pytest.mark.parametrize("design", DESIGNS)


@DRAWN
def test_points_are_spread_over_all_ranges(design: Any) -> None:
    space = design(256, RANGES, seed=1)
    columns = space.build()
    assert len(space) == 256
    assert space.keys() == list(RANGES)
    assert -1 <= min(columns["x"]) < -0.8 < 2.8 < max(columns["x"]) < 3
    assert 1e-5 <= min(columns["rate"]) < 2e-5 < 5e-2 < max(columns["rate"]) <= 1e-1
    assert abs(np.mean(np.log10(columns["rate"])) + 3) < 0.25
    assert set(columns["layers"]) == set(range(1, 9))
    assert {type(each) for each in columns["layers"]} == {int}
    assert abs(np.mean(columns["noise"]) - 10) < 0.5
    assert abs(np.std(columns["noise"]) - 2) < 0.4
    assert set(columns["kind"]) == set(RANGES["kind"])
    assert columns["version"] == [3] * 256
    counts = [columns["kind"].count(each) for each in RANGES["kind"]]
    assert min(counts) > 40


@DRAWN
def test_a_design_is_a_space_like_others(design: Any) -> None:
    space = design(16, RANGES, seed=1)
    for same in (design(16, seed=1, **RANGES), pickle.loads(pickle.dumps(space))):
        assert list(same) == list(space)
    assert list(thaw(freeze(space))) == list(space)
    assert space[3] == list(space)[3] == space[3:][0]
    assert list(design(16, RANGES, seed=2)) != list(space)
    (dimension,) = grid_of(space).dimensions
    assert dimension.keys == [key for key in RANGES if key != "version"]
    assert len(space * Param(k=[1, 2])) == 32
    assert len(space.where(lambda layers: layers > 4)) < 16
    assert count_unmatched(space, space.shuffle()) == 0


@pytest.mark.parametrize("design", [Sobol, Halton, Random])
@pytest.mark.parametrize("seed", [0, 7])
def test_a_larger_design_begins_with_a_smaller_one(design: Any, seed: int) -> None:
    small, large = (design(n, RANGES, seed=seed) for n in (512, 1024))
    assert list(large[:512]) == list(small)
    assert count_unmatched(large, small) == 512


def test_a_larger_latin_hypercube_has_other_points() -> None:
    small, large = (LatinHypercube(n, x=uniform(0, 1)) for n in (8, 16))
    assert count_unmatched(large, small) == 16


@pytest.mark.parametrize(
    "use",
    [
        lambda space: space,
        lambda space: space.derive(y=lambda x: -x),
        lambda space: space.derive(y=lambda x: -x, z=lambda y: -y) * Param(k=[1, 2]),
        lambda space: space.zip(Param(k=range(len(space)))),
        lambda space: Param(k=range(len(space))).zip(space).shuffle(),
        lambda space: space.where(lambda x: x > 0.1).derive(y=lambda x: 1 / x)[1:],
        lambda space: space.derive(y=lambda x: -x) - Param(y=[5]),
        lambda space: (space * Param(k=[1, 2])).derive(y=lambda x, k: k) + Param(k=[3]),
    ],
)
def test_a_resized_latin_hypercube_is_found_in_other_spaces(use: Any) -> None:
    small, large = (use(LatinHypercube(n, x=uniform(0, 1))) for n in (8, 16))
    for former in (small, thaw(freeze(small))):
        assert resized_hypercube(large, [former]) == (8, 16)
        assert resized_hypercube(small, [former]) is None


@pytest.mark.parametrize("n_points", [5, 49])
@pytest.mark.parametrize("strength", [1, 2])
def test_each_part_of_a_range_has_one_point(n_points: int, strength: int) -> None:
    if strength == 2 and n_points == 5:
        n_points = 25
    space = LatinHypercube(
        n_points, strength=strength, x=uniform(0, 1), y=uniform(0, n_points)
    )
    columns = space.build()
    cells = np.floor(np.array([columns["x"], columns["y"]]) * [[n_points], [1]])
    assert [sorted(each) for each in cells.tolist()] == [list(range(n_points))] * 2
    if strength == 2:
        side = round(n_points**0.5)
        assert len({(x // side, y // side) for x, y in cells.T.tolist()}) == n_points


def unit_points(space: ParameterSpace) -> Any:
    return np.array([space.build()[key] for key in ("x", "y")]).T


SQUARE = {"x": uniform(0, 1), "y": uniform(0, 1)}


def test_a_latin_hypercube_can_be_made_more_even() -> None:
    from scipy.spatial.distance import pdist
    from scipy.stats import qmc

    plain, exchanged, moved = (
        unit_points(LatinHypercube(32, SQUARE, optimization=how))
        for how in (None, "random-cd", "lloyd")
    )
    assert qmc.discrepancy(exchanged) < qmc.discrepancy(plain)
    assert pdist(moved).min() > pdist(plain).min()


def test_sobol_is_more_even_than_random() -> None:
    from scipy.stats import qmc

    def discrepancy(design: Any) -> float:
        return float(qmc.discrepancy(unit_points(design(128, SQUARE))))

    assert discrepancy(Sobol) < discrepancy(Random) / 5
    assert discrepancy(Halton) < discrepancy(Random) / 3


def test_without_a_scramble_the_first_point_has_the_lower_ends() -> None:
    space = Sobol(2, scramble=False, x=uniform(2, 4), k=integers(5, 8), z=normal(0, 1))
    assert space[0] | {"z": 0} == {"x": 2.0, "k": 5, "z": 0}
    assert space[1] == {"x": 3.0, "k": 7, "z": 0.0}


def test_random_points_take_no_memory() -> None:
    space = Random(10**12, x=uniform(0, 1), n=integers(1, 6), kind=["a", "b"])
    assert (
        space[10**11]
        == Random(10**11 + 1, x=uniform(0, 1), n=integers(1, 6), kind=["a", "b"])[-1]
    )
    assert len(freeze(space)) < 3000
    few = Random(9, x=uniform(0, 1))
    assert few.build()["x"] == [p["x"] for p in space[:9]]
    assert few.build()["x"] == Random(9, a=[1, 2], x=uniform(0, 1)).build()["x"]


def test_random_points_are_the_same_for_ever() -> None:
    """Else a sweep would be another one after an update."""
    found = Random(2, seed=1, x=uniform(0, 1), rate=log(1e-3, 1), z=normal(0, 1))
    assert found.build() == FIXED


def test_random_values_do_not_depend_on_each_other() -> None:
    n = 20_000
    columns = Random(n, x=uniform(0, 1), y=uniform(0, 1)).build()
    x, y = np.array(columns["x"]), np.array(columns["y"])
    pairs = [(x, y), (x[1:], x[:-1]), (x[7:], y[:-7])]
    assert all(abs(np.corrcoef(*pair)[0, 1]) < 5 / n**0.5 for pair in pairs)
    counts = np.bincount((x * 50).astype(int), minlength=50)
    assert ((counts - n / 50) ** 2 / (n / 50)).sum() < 50 + 5 * 10


def test_a_grid_has_evenly_spaced_values() -> None:
    space = Grid(
        5, x=uniform(0, 1), rate=log(1e-5, 1e-1), n=integers(1, 3), kind=["a"], v=7
    )
    assert isinstance(space, ParameterSpace)
    axes = {
        each.name: each.values(each.name).tolist() for each in grid_of(space).dimensions
    }
    assert axes == {
        "x": [0, 0.25, 0.5, 0.75, 1],
        "rate": [1e-5, 1e-4, 1e-3, 1e-2, 1e-1],
        "n": [1, 2, 3],
    }
    assert space[0] == {"x": 0.0, "rate": 1e-5, "n": 1, "kind": "a", "v": 7}
    assert Grid(3, n=integers(0, 100)).build() == {"n": [0, 50, 100]}
    assert Grid(1, x=uniform(0, 4)).build() == {"x": [2.0]}
    assert Grid(3, z=normal(5, 1)).build()["z"][1] == 5.0
    assert list(thaw(freeze(space))) == list(space)


ENDS = st.floats(-1e150, 1e150) | st.integers(-9, 9).map(lambda n: n / 7)


@given(low=ENDS, high=ENDS, n=st.integers(2, 40))
def test_values_are_within_their_ranges(low: float, high: float, n: int) -> None:
    assume(low < high)
    ranges = [uniform(low, high), *([log(low, high)] if low > 0 else [])]
    for each in ranges:
        levels = each.levels(n)
        assert len(levels) == n and levels == sorted(levels)
        assert (levels[0], levels[-1]) == (low, high)
        values = each.values(np.array([0, 1e-17, 0.3, 0.5, 1 - 2.0**-53, 1]))
        assert all(low <= value <= high for value in values)


@pytest.mark.parametrize("make", [uniform, log])
@pytest.mark.parametrize("ends", [(0.1, 0.46), (1 / 3, 2 / 3), (0.1, 0.7), (1e-5, 3)])
def test_a_grid_begins_and_ends_with_the_given_ends(
    make: Callable[[float, float], Any], ends: tuple[float, float]
) -> None:
    for n in (2, 3, 10):
        values = Grid(n, x=make(*ends)).build()["x"]
        assert (values[0], values[-1]) == ends


@pytest.mark.parametrize(
    "space",
    [
        Sobol(4, x=uniform(0, 1), k=[1, 2], v="a"),
        Halton(5, rate=log(1e-5, 1), seed=3, scramble=False),
        LatinHypercube(9, n=integers(1, 8), strength=2, optimization="random-cd"),
        Random(5, **{"two words": normal(0.5, 2)}),
        Grid(2, x=uniform(0, 1), y=[3, 4]),
    ],
)
def test_representations_can_be_evaluated(space: ParameterSpace) -> None:
    assert eval(repr(space)).build() == space.build()


def test_names_of_arguments_may_be_parameters() -> None:
    space = Sobol(4, {"seed": integers(1, 9), "n": [1, 2]}, seed=3)
    assert space.keys() == ["seed", "n"]
    assert repr(space) == "<Sobol of 4 points: seed=integers(1, 9), n=[1, 2]>"


# --- Bad input ----------------------------------------------------------------------

X = {"x": uniform(0, 1)}
BAD: list[tuple[Callable[[], Any], str]] = [
    (lambda: uniform(1, 1), r"uniform\(1.0, 1.0\): is empty; give the smaller number"),
    (lambda: uniform(2, 1), r"uniform\(2.0, 1.0\): is reversed; give the smaller"),
    (lambda: uniform(0, float("inf")), "give two finite numbers"),
    (lambda: uniform("a", 1), r"uniform\('a', 1\): give two finite numbers"),  # type: ignore[arg-type]
    (lambda: uniform(-1e308, 1e308), "is too wide"),
    (lambda: log(0, 1), r"log\(0.0, 1.0\): begins at 0.0, which has no logarithm"),
    (lambda: log(-1, 1), "which has no logarithm"),
    (lambda: log(1, 0.1), "is reversed"),
    (lambda: integers(8, 1), r"integers\(8, 1\): is empty; give the smaller number"),
    (lambda: integers(0.5, 1), "the ends are no whole numbers; use uniform"),  # type: ignore[arg-type]
    (lambda: integers(0, 2**60), r"has more than 2\*\*53 numbers"),
    (lambda: normal(0, 0), "the standard deviation is not above 0"),
    (lambda: Sobol(0, X), "Sobol: the number of points is 0; give 1 or more"),
    (lambda: Sobol(2**31, X), r"Sobol: 2147483648 points; there are 2\*\*30 at most"),
    (lambda: Sobol(4.0, X), "the number of points is 4.0; give a whole number"),  # type: ignore[arg-type]
    (lambda: Sobol(4, x=[]), "Sobol: 'x' has no values; give some, or a range"),
    (lambda: Sobol(4, x=1), "Sobol: no parameter has a range"),
    (lambda: Sobol(4, X, x=[1]), "Sobol: 'x' is given twice; give each parameter one"),
    (lambda: Sobol(4, X, seed=-1), "Sobol: the seed is -1; give 0 or more"),
    (lambda: Sobol(4, X, seed=None), "Sobol: the seed is None; give a whole number"),
    (lambda: Sobol(4, {f"x{i}": [1, 2] for i in range(22000)}), "Sobol: 22000 param"),
    (lambda: Halton(0, X), "Halton: the number of points is 0"),
    (lambda: Random(-1, X), "Random: the number of points is -1"),
    (lambda: Grid(0, X), "Grid: the number of values is 0"),
    (lambda: Grid(3), "Grid: no parameter has a range; give one such as x=uniform"),
    (lambda: Grid(3, x=1), "Grid: no parameter has a range"),
    (lambda: Random(3), "Random: no parameter has a range"),
    (lambda: Grid(2, X, x=[1]), "Grid: 'x' is given twice"),
    (lambda: LatinHypercube(9, X, strength=3), "strength is 3; give 1 or 2"),
    (
        lambda: LatinHypercube(9, X, optimization="best"),
        "give one of None, 'random-cd'",
    ),
    (
        lambda: LatinHypercube(9, X, optimization="lloyd"),
        "'lloyd' moves points in two or more dimensions; give another parameter",
    ),
    (
        lambda: LatinHypercube(2, SQUARE, optimization="lloyd"),
        "2 points are too few for optimization 'lloyd' with 2 parameters; take 3",
    ),
    (lambda: LatinHypercube(100, X, strength=2), r"no design .*take 121 \(11²\)"),
    (lambda: LatinHypercube(16, X, strength=2), r"take 25 \(5²\)"),
    (
        lambda: LatinHypercube(4, {k: [1, 2] for k in "abcde"}, strength=2),
        r"for 5 parameters; take 25 \(5²\)",
    ),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_input_gets_one_line(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(PsyrunError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def test_a_number_of_points_that_is_no_power_of_two_is_warned_of() -> None:
    message = "Sobol: 3 points are less balanced than a power of two, such as 2 or 4"
    with pytest.warns(SpaceWarning, match=message) as warned:
        assert len(Sobol(3, X)) == 3
    assert [each.filename for each in warned] == [__file__]


def test_without_scipy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.stats.qmc", None)
    with pytest.raises(PsyrunError, match=r"Sobol needs scipy. .*psyrun\[designs\]"):
        Sobol(4, X)
    assert len(Random(4, X)) == 4

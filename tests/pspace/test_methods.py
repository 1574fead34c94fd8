"""Spaces that are chosen, paired, derived and repeated, against lists of points."""

from __future__ import annotations

import math
import pickle
import re
import subprocess
import sys
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psyrun import Param
from psyrun.errors import PsyrunError, SpaceWarning
from psyrun.pspace import AmbiguousOperationError, ParameterSpace
from psyrun.pspace.freezing import freeze, thaw
from psyrun.pspace.param import UnequalLengthsError, select

Points = list[dict[str, Any]]
Pair = tuple[ParameterSpace, Points]

A, B = Param(a=range(10)), Param(b=[0.5, 1.5])
PAIRS = [
    A.zip(Param(k=range(10)).shuffle(seed=2)),
    (A * B).sample(8, seed=2).zip(Param(k=range(8))[::-1]),
    A[::2].zip(Param(k=range(5))),
]
TRILLION = Param(a=range(10**6)) * Param(b=range(10**6))


# --- Each operation ---------------------------------------------------------------


def test_zip_pairs_points_of_the_same_places() -> None:
    pairs = (A * B).zip(Param(k=range(20)))
    assert pairs[3] == {"a": 1, "b": 1.5, "k": 3}
    assert pairs.build()["k"] == list(range(20))
    assert Param(a=[1, 2]).zip(Param(b=["x", "y"])).build() == {
        "a": [1, 2],
        "b": ["x", "y"],
    }


def test_zip_repeats_a_single_point() -> None:
    assert A.zip(Param(k=5)).build()["k"] == [5] * 10
    assert Param(k=5).zip(A).keys() == ["k", "a"]
    assert A.zip(Param()) is A is Param().zip(A)


def test_where_keeps_points_in_their_order() -> None:
    found = (Param(n=range(4)) * Param(m=range(4))).where(lambda n, m: n > m + 1)
    assert list(found) == [{"n": 2, "m": 0}, {"n": 3, "m": 0}, {"n": 3, "m": 1}]


def test_where_may_take_parameters_of_factors_that_are_far_apart() -> None:
    space = Param(i=range(3)) * Param(j=range(4)) * Param(k=range(3)) * Param(u=[7, 8])
    found = space.where(lambda k, i: i == k)
    assert list(found) == [point for point in space if point["i"] == point["k"]]


def test_where_passes_nan_for_what_a_point_lacks() -> None:
    space = Param(kind="svm", c=[1.0, 2.0]) + Param(kind="tree", depth=[3])
    assert space.where(lambda c: math.isnan(c)).build()["kind"] == ["tree"]


@pytest.mark.parametrize(
    "condition",
    [
        lambda n: n > 5,
        lambda n: 5 < n < 12,
        lambda n: n in (3, 6),
        lambda n: n == np.mean(n),  # of an array, that is another function
        lambda n: np.max(n) == n,
        lambda n: math.sqrt(n) % 1 == 0,
        lambda n: (n > 2) & (n % 2 == 0),
        lambda n: n**40 > 15**40,  # beyond 64 bits
        lambda n: bool(n % 3),
        lambda n: np.bool_(n % 3 == 1),
        lambda **values: values["n"] > 5,
        lambda n, least=5: n > least,
        lambda n: np.isin(n, [7, 17]),
        lambda n: np.array(n in (7, 17)),
    ],
)
def test_where_gives_what_single_points_give(condition: Callable[..., Any]) -> None:
    expected = [n for n in range(20) if condition(n=n)]
    assert Param(n=range(20)).where(condition).build()["n"] == expected


@pytest.mark.parametrize(
    "condition",
    [
        lambda v: v <= 0.1,
        lambda v: v * 3 < 0.3,
        lambda v: v + v == 2 * v,
        lambda v: (v > 0) & (v + 100 > 100.01),
        lambda v: 1 - v == 1,
        lambda v: v * v + v > v,
        lambda v: np.less(v, 0.1),
    ],
)
@pytest.mark.parametrize(
    "dtype", ["f2", "f4", "f8", "i1", "u1", "i2", "i4", "i8", "u8", "?"]
)
def test_where_rounds_as_single_points_do(
    dtype: str, condition: Callable[..., Any]
) -> None:
    values = np.linspace(0, 1 if dtype[0] == "f" else 120, 1001).astype(dtype)
    space = Param(v=values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of integers that overflow
        found = space.where(condition)
        expected = [point for point in space if condition(**point)]
    assert list(found) == expected


def test_where_takes_values_of_any_type() -> None:
    space = Param(v=["level", "x", (1, 2), None, [3]])
    found = space.where(lambda v: v is not None and v[::-1] == v)
    assert found.build()["v"] == ["level", "x", [3]]


def test_where_does_not_look_at_other_factors() -> None:
    looked_at = set()

    def condition(a: Any) -> Any:
        looked_at.update(np.ravel(a).tolist())
        return a < 7

    huge = A * Param(b=range(10**8)) * Param(c=range(10**8))
    assert len(huge.where(condition)) == 7 * 10**16
    assert looked_at == set(range(10))


WIDE = Param(a=range(10)) * Param(c=range(10**8))


@pytest.mark.parametrize(
    ("other", "condition", "n_of_wide", "n_of_other"),
    [
        (Param(b=[1, 2]), lambda a: a < 5, 5, 0),
        (Param(b=[1, 2]), lambda a: not a >= 5, 5, 2),
        (Param(b=[1, 2]), lambda a, b: a < 5 or b == 2, 5, 1),
        (Param(b=[1]) * Param(d=[1, 2]), lambda a: a < 5, 5, 0),
        (Param(b=[1]) * Param(d=[1, 2]), lambda a: a != a, 0, 2),
        (Param(b=[1]) * Param(d=[1, 2]), lambda a, d: a < 5 or d > 1, 5, 1),
        (Param(b=[1, 2]) * Param(c=[-1]), lambda a, b: math.isnan(b) or b < 2, 10, 1),
        (Param(b=[1, 2]).zip(Param(d=[1, 2])), lambda a, d: d != d or d < 2, 10, 1),
        (Param(b=[]), lambda a: a < 5, 5, 0),
        (Param(b=[1, 2]) + Param(a=[1, 7]), lambda a: a < 5, 5, 1),
    ],
)
def test_terms_of_a_large_sum_may_lack_what_is_looked_at(
    other: ParameterSpace,
    condition: Callable[..., Any],
    n_of_wide: int,
    n_of_other: int,
) -> None:
    for terms in ((WIDE, other), (other, WIDE)):
        space = terms[0] + terms[1]
        found = space.where(condition)
        assert len(found) == n_of_wide * 10**8 + n_of_other
        assert found.keys() == space.keys()
        few = found[:n_of_other] if terms[0] is other else found[n_of_wide * 10**8 :]
        expected = (Param(a=[], c=[]) + other).where(condition) if n_of_other else ()
        assert is_same([*few], [*expected])


def test_derived_parameters_may_build_on_each_other() -> None:
    space = Param(n=[2, 3]).derive(k=lambda n: n**2, text=lambda k, n: f"{n}:{k}")
    assert space.build() == {"n": [2, 3], "k": [4, 9], "text": ["2:4", "3:9"]}
    assert type(space[0]["k"]) is int


def test_derived_parameters_stand_after_those_they_depend_on() -> None:
    space = (A * B * Param(c=[1])).derive(k=lambda a, b: a * b)
    assert space.keys() == ["a", "b", "k", "c"] == list(space[0])


def test_a_function_is_called_for_the_points_that_are_asked_for_only() -> None:
    called = []

    def product(a: int, b: int) -> int:
        called.append((a, b))
        return a * b

    space = TRILLION.derive(k=product)
    assert space[10**12 - 1]["k"] == 999_999**2
    some = space.shuffle(seed=1)[: 10**6 : 10**5]
    assert [point["k"] for point in some] == [p["a"] * p["b"] for p in some]
    frozen = freeze(space.sample(5))
    assert len(called) < 40
    assert list(thaw(frozen)) == list(space.sample(5))


def test_a_shuffle_has_each_point_once() -> None:
    space = A * B
    shuffled = space.shuffle(seed=1)
    assert sorted(map(str, shuffled)) == sorted(map(str, space))
    assert list(shuffled) != list(space)
    assert list(space.shuffle(seed=2)) != list(shuffled) == list(space.shuffle(seed=1))


def test_spaces_of_other_parameters_have_another_order() -> None:
    """Else pairs of two shuffled columns would be no random pairs."""
    one, other = Param(a=range(50)), Param(b=range(50))
    pairs = one.shuffle(seed=1).zip(other.shuffle(seed=1)).build()
    assert pairs["a"] != pairs["b"]


def test_a_larger_sample_begins_with_a_smaller_one() -> None:
    assert list(TRILLION.sample(100, seed=4))[:10] == list(TRILLION.sample(10, seed=4))
    assert list(TRILLION.sample(10, seed=4)) == list(TRILLION.shuffle(seed=4)[:10])
    assert len({str(point) for point in TRILLION.sample(1000)}) == 1000


def test_each_point_is_repeated_in_its_place() -> None:
    assert (A[:2] * B).repeat(2).build() == {
        "a": [0, 0, 0, 0, 1, 1, 1, 1],
        "b": [0.5, 0.5, 1.5, 1.5] * 2,
    }
    assert A.repeat(1) is A


@pytest.mark.parametrize(
    "space",
    [
        A.shuffle(seed=3),
        (A * B).sample(7),
        A.zip(Param(k=range(10, 20)).shuffle(seed=1)),
        A.shuffle(seed=3) * B,
        *PAIRS,
        *(pairs.shuffle(seed=1) for pairs in PAIRS),
        *(pairs.sample(3) for pairs in PAIRS),
        *(pairs[2:5].shuffle(seed=1)[1:] for pairs in PAIRS),
    ],
)
def test_short_representations_can_be_evaluated(space: ParameterSpace) -> None:
    if not repr(space).startswith("<"):
        assert eval(repr(space)).build() == space.build()


def test_a_shuffled_zip_is_shown_by_its_source() -> None:
    text = "(Param(a=range(0, 10)).zip(Param(k=range(0, 10)).shuffle(seed=2)))"
    assert repr(PAIRS[0].shuffle(seed=1)) == f"{text}.shuffle(seed=1)"


@pytest.mark.parametrize(
    "space",
    [
        TRILLION.where(lambda a: a % 3 > 0),
        TRILLION.shuffle(seed=3)[5:],
        TRILLION.derive(k=lambda a, b: a),
        TRILLION.zip(Param(k=range(10**12), text="long" * 30)),
        TRILLION.repeat(10**6),
    ],
)
def test_other_representations_say_the_size_and_the_parameters(
    space: ParameterSpace,
) -> None:
    assert str(len(space)) in repr(space)
    assert {"a", "b"} <= set(re.findall(r"\w+", repr(space)))
    assert len(repr(space)) < 120


# --- Compositions -----------------------------------------------------------------

NUMBERS = st.integers(-2, 3)


@st.composite
def params(draw: st.DrawFn) -> Pair:
    keys = draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=2, unique=True))
    size = draw(st.integers(0, 4))
    values = st.lists(NUMBERS | st.just("x"), min_size=size, max_size=size)
    columns = {key: draw(st.just(range(size)) | values) for key in keys}
    points = [{key: columns[key][i] for key in keys} for i in range(size)]
    return Param(**columns), points


def is_kept(**values: Any) -> bool:
    return len(str(values)) % 3 > 0


@st.composite
def changed(draw: st.DrawFn, pair: Pair) -> Pair:
    """Apply one operation to a space, and to the list of its points."""
    space, points = pair
    kinds = ["*", "+", "-", "zip", "where", "derive", "sample", "shuffle"]
    kind = draw(st.sampled_from([*kinds, "slice", "repeat"]))
    other, others = draw(params()) if kind in ("*", "+", "-", "zip") else pair
    if set(space.keys()) & set(other.keys()) and kind in ("*", "zip"):
        names = {key: f"{key}_" * len(space.keys()) for key in other.keys()}  # noqa: SIM118
        others = [{names[k]: v for k, v in point.items()} for point in others]
        other = Param(**{names[k]: v for k, v in other.build().items()})
    if kind == "*":
        other, others = other[:3], others[:3]
        return space * other, [a | b for a in points for b in others]
    if kind == "+":
        lacks = dict.fromkeys([*space.keys(), *other.keys()], math.nan)
        return space + other, [lacks | point for point in points + others]
    if kind == "-":
        gone = [point for point in points if point not in others]
        same = set(space.keys()) == set(other.keys())
        return (space - other, gone) if same else pair
    if kind == "zip":
        size = min(len(points), len(others))
        pairs = zip(points[:size], others[:size], strict=True)
        return space[:size].zip(other[:size]), [a | b for a, b in pairs]
    if kind == "where":
        key = draw(st.sampled_from(space.keys()))
        function = eval(f"lambda {key}: is_kept(v={key})", {"is_kept": is_kept})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that nothing is left
            found = space.where(function)
        return found, [point for point in points if is_kept(v=point[key])]
    if kind == "derive":
        keys = draw(st.sets(st.sampled_from(space.keys()), min_size=1, max_size=2))
        own = ", ".join(sorted(keys))
        function = eval(f"lambda {own}: str(({own},))")
        name = f"d{len(space.keys())}"
        if name in space.keys():  # noqa: SIM118
            return pair
        new = [{name: function(**{k: p[k] for k in keys})} for p in points]
        return space.derive(**{name: function}), [
            a | b for a, b in zip(points, new, strict=True)
        ]
    if kind in ("sample", "shuffle"):
        seed = draw(st.integers(0, 5))
        n = draw(st.integers(0, len(points))) if kind == "sample" else len(points)
        order = select(space, np.arange(len(points))).shuffle(seed=seed)
        numbers = [order._rows[i] for i in range(n)]  # type: ignore[attr-defined]
        found = (
            space.sample(n, seed=seed) if kind == "sample" else space.shuffle(seed=seed)
        )
        assert len(set(numbers)) == n
        return found, [points[i] for i in numbers]
    if kind == "slice":
        cut = draw(st.slices(12))
        return space[cut], points[cut]
    n = draw(st.integers(1, 2))
    return space.repeat(n), [point for point in points for _ in range(n)]


@st.composite
def compositions(draw: st.DrawFn) -> Pair:
    pair = draw(params())
    for _ in range(3):
        pair = draw(changed(pair)) if len(pair[1]) < 60 else pair
    return pair


def is_same(one: Points, other: Points) -> bool:
    return str([sorted(point.items()) for point in one]) == str(
        [sorted(point.items()) for point in other]
    )


@settings(max_examples=250, deadline=None)
@given(compositions())
def test_compositions_of_three_agree_with_lists(pair: Pair) -> None:
    space, points = pair
    assert len(space) == len(points)
    assert is_same(list(space), points)
    assert is_same([space[i] for i in range(len(points))], points)
    assert is_same([space[i - len(points)] for i in range(len(points))], points)
    assert space.build() == {k: [p[k] for p in space] for k in space.keys()} or points  # noqa: SIM118
    thawed = thaw(freeze(space))
    assert thawed.keys() == space.keys()
    assert is_same(list(thawed), points)
    assert is_same(list(pickle.loads(pickle.dumps(space[1:]))), points[1:])


# --- Large spaces -------------------------------------------------------------------


@pytest.mark.parametrize(
    "use",
    [
        lambda: TRILLION.sample(1000).build(),
        lambda: TRILLION.sample(10**11)[10**10],
        lambda: [TRILLION.shuffle()[i] for i in range(0, 10**12, 10**11)],
        lambda: TRILLION.where(lambda a: a % 3 > 0)[10**11],
        lambda: TRILLION.where(lambda b: b**2 < 50)[10**6],
        lambda: TRILLION.derive(k=lambda a, b: a - b)[10**11 :: 10**11].build(),
        lambda: TRILLION.zip(Param(k=range(10**12)))[10**11],
        lambda: TRILLION.repeat(1000)[10**14],
        lambda: pickle.dumps((TRILLION.shuffle(), TRILLION.sample(10**11))),
    ],
)
def test_a_trillion_points_take_little_memory(use: Callable[[], Any]) -> None:
    tracemalloc.start()
    use()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50e6


def test_random_orders_are_the_same_in_another_process() -> None:
    code = (
        "from psyrun import Param;"
        "T = Param(a=range(10**6)) * Param(b=range(10**6));"
        "print(list(T.sample(5, seed=7)), T[:99].shuffle()[5])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=True,
    )
    expected = f"{list(TRILLION.sample(5, seed=7))} {TRILLION[:99].shuffle()[5]}\n"
    assert found.stdout == expected


# --- Bad input ----------------------------------------------------------------------


def fails(*_: Any, n: Any) -> bool:
    raise ValueError("no\nway")


def bad_calls() -> Iterator[tuple[Callable[[], Any], str]]:
    space = Param(n=[1, 2, 3]) * Param(m=[1, 2])
    yield lambda: Param(a=[1, 2]).zip(Param(b=[1, 2, 3])), r"zip: .*\(a: 2, b: 3\)"
    yield lambda: A.zip([1]), r"zip: \[1\] is no space; give one, such as Param\("  # type: ignore[arg-type]
    yield lambda: Param().zip({}), r"zip: \{\} is no space"  # type: ignore[arg-type]
    yield lambda: A.zip(None), "zip: None is no space"  # type: ignore[arg-type]
    yield lambda: Param().where(max), "where: max .* such as lambda n: "
    yield lambda: Param().where(lambda: True), "takes no parameter of the space by na"
    yield lambda: Param().derive(k=max), "derive: k: max .* such as lambda n: "
    yield lambda: A.where(lambda a: np.array([a > 5])), "let it return True or False"
    yield lambda: A.where(lambda a: np.array(a)), "let it return True or False"
    yield lambda: space.zip(Param(k=range(6), n=3)), "zip: key `n` is a parameter"
    yield lambda: space.derive(m=lambda n: n), "derive: key `m` is a parameter"
    yield lambda: space.where(fails), r"where: fails .*: no way for n=1; let it"
    yield lambda: space.where(lambda n: n), r"returned 1 for n=1; let it return True"
    yield lambda: space.where(lambda n: None), r"returned None for n=1"
    yield lambda: space.where(lambda k, n: True), "takes 'k', but the space has n, m"
    yield lambda: space.where(lambda: True), "takes no parameter of the space by name"
    yield lambda: space.where(True), "where: True is no function; give one of"  # type: ignore[arg-type]
    yield lambda: space.where(max), "takes no parameter|does not tell its parameters"
    yield lambda: TRILLION.where(lambda a, b: a > b), r"1e\+12 points, of which 1e\+08"
    yield lambda: space.derive(k=5), "derive: k: 5 is no function"  # type: ignore[arg-type]
    yield lambda: space.derive(k=fails)[0], "derive: k: fails .* raised ValueError"
    yield lambda: freeze(TRILLION.derive(k=lambda a, b: a)), "derive: 'k' has 1e"
    yield lambda: space.sample(7), "sample: there are 6 points, and 7 are to be drawn"
    yield lambda: space.sample(-1), "the number of points is -1; give 0 or more"
    yield lambda: space.sample(1.5), "number of points is 1.5; give a whole number"  # type: ignore[arg-type]
    yield lambda: space.shuffle(seed="x"), "shuffle: the seed is 'x'; give a whole"  # type: ignore[arg-type]
    yield lambda: space.shuffle(seed=None), "shuffle: the seed is None; give a whole"  # type: ignore[arg-type]
    yield lambda: space.repeat(0), "repeat: the number of repeats is 0; give 1 or more"
    yield lambda: space.repeat(2.0), "number of repeats is 2.0; give a whole number"  # type: ignore[arg-type]


@pytest.mark.parametrize(("call", "message"), [*bad_calls()])
def test_bad_input_gets_one_line(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(PsyrunError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def test_errors_are_also_those_that_python_has_for_them() -> None:
    with pytest.raises(UnequalLengthsError):
        Param(a=[1, 2]).zip(Param(b=[1, 2, 3]))
    with pytest.raises(AmbiguousOperationError):
        Param(a=[1]).derive(a=lambda a: a)


def test_a_condition_that_leaves_nothing_is_warned_of() -> None:
    with pytest.warns(
        SpaceWarning, match=r"where: .*leaves none of the 10 points"
    ) as w:
        assert len(A.where(lambda a: a > 10)) == 0
    assert w[0].filename == __file__


def test_methods_leave_their_space_as_it_is() -> None:
    space = A * B
    before = list(space)
    for change in (space.shuffle, lambda: space.where(lambda a: a > 3)):
        change()
    space.derive(k=lambda a: a)
    assert list(space) == before
    assert space.keys() == ["a", "b"]


def test_operations_in_a_loop_do_not_nest() -> None:
    space = Param(a0=range(3))
    for i in range(1, sys.getrecursionlimit() + 10):
        space = space.zip(Param(**{f"a{i}": [7, 8, 9]}))
    assert (space[-1]["a0"], space[-1]["a9"]) == (2, 9)

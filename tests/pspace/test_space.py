"""The algebra of parameter spaces, against lists of dictionaries."""

from __future__ import annotations

import math
import pickle
import random
import sys
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psyrun import Param
from psyrun.errors import PsyrunError
from psyrun.pspace import AmbiguousOperationError, ParameterSpace, missing
from psyrun.pspace.freezing import freeze, thaw
from psyrun.pspace.param import select

Rows = list[dict]
Model = tuple[list[str], Rows]

TRILLION = Param(a=range(10**6)) * Param(b=range(10**6))


# --- The guide's examples -------------------------------------------------------


def test_scalars_are_repeated():
    space = Param(a=[1, 2, 3], b=[4, 5, 6], c=7)
    assert space.build() == {"a": [1, 2, 3], "b": [4, 5, 6], "c": [7, 7, 7]}


def test_a_product_combines_everything_and_its_left_operand_varies_slowest():
    space = Param(a=[1, 2, 3], b=[4, 5, 6]) * Param(c=[7, 8])
    assert space.build() == {
        "a": [1, 1, 2, 2, 3, 3],
        "b": [4, 4, 5, 5, 6, 6],
        "c": [7, 8, 7, 8, 7, 8],
    }


def test_a_sum_fills_absent_keys_with_nan():
    space = Param(a=[1, 2]) + Param(a=[2, 3], b=[4, 4])
    assert str(space.build()) == "{'a': [1, 2, 2, 3], 'b': [nan, nan, 4, 4]}"


def test_a_difference_removes_matching_points():
    space = Param(a=[1, 2, 3], b=[1, 2, 3]) - Param(a=[2])
    assert space.build() == {"a": [1, 3], "b": [1, 3]}


def test_a_difference_with_more_keys_in_the_subtrahend_is_ambiguous():
    with pytest.raises(AmbiguousOperationError) as error:
        Param(a=[1, 2, 3]) - Param(a=[2], c=[4])
    assert str(error.value) == "Key `c` not existent in minuend."


def test_the_error_is_shown_under_its_public_name():
    assert AmbiguousOperationError.__module__ == "psyrun.pspace"


def test_missing_ignores_keys_that_the_minuend_lacks():
    space = missing(Param(a=[1, 2, 3]), Param(a=[2], c=[4]))
    assert space.build() == {"a": [1, 3]}


def test_iterating_gives_one_dictionary_per_point():
    space = Param(a=[1, 2]) * Param(b=[3, 4])
    assert list(space.iterate()) == [
        {"a": 1, "b": 3},
        {"a": 1, "b": 4},
        {"a": 2, "b": 3},
        {"a": 2, "b": 4},
    ]


# --- What Param takes -----------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3],
        (1, 2, 3),
        range(1, 4),
        np.array([1, 2, 3]),
        iter([1, 2, 3]),
        (i for i in (1, 2, 3)),
        pd.Series([1, 2, 3], index=[7, 8, 9]),
        {1: "x", 2: "y", 3: "z"}.keys(),
        {"x": 1, "y": 2, "z": 3}.values(),
    ],
)
def test_any_iterable_gives_its_values_in_order(values):
    assert Param(a=values).build() == {"a": [1, 2, 3]}


@pytest.mark.parametrize(
    "scalar", ["text", b"bytes", None, 1.5, np.float64(2), {"k": 1}, dict, np.str_("x")]
)
def test_scalars_are_not_taken_apart(scalar):
    space = Param(a=[1, 2], s=scalar)
    assert space.build()["s"] == [scalar, scalar]


def test_an_array_without_axes_is_a_scalar():
    assert Param(a=np.array(3)).build() == {"a": [3]}


def test_only_scalars_make_one_point():
    assert Param(a=1, b="x").build() == {"a": [1], "b": ["x"]}


def test_an_empty_sequence_makes_a_space_without_points():
    assert Param(a=[], b=7).build() == {"a": [], "b": []}


def test_arrays_are_cut_along_their_first_axis():
    rows = Param(a=np.arange(6).reshape(3, 2)).build()["a"]
    assert [row.tolist() for row in rows] == [[0, 1], [2, 3], [4, 5]]


def test_equally_long_lists_as_values_stay_lists():
    assert Param(a=[[1, 2], [3, 4]]).build() == {"a": [[1, 2], [3, 4]]}


def test_values_come_out_as_their_container_gives_them():
    assert type(Param(a=np.array([0.5]))[0]["a"]) is np.float64
    assert type(Param(a=np.array([0.5])).build()["a"][0]) is np.float64
    for plain in (
        range(3),
        [1, 2],
        [True, 2],
        [0.5],
        [2**70, 1],
        [np.int64(1)],
        [1.0, 1],
    ):
        wanted = [type(value) for value in plain]
        space = Param(a=plain)
        assert [type(value) for value in space.build()["a"]] == wanted
        assert [type(point["a"]) for point in (*space, space[0])] == [
            *wanted,
            wanted[0],
        ]


def test_changing_what_was_passed_in_does_not_change_the_space():
    numbers, array = [1, 2], np.array([1, 2])
    space = Param(a=numbers, b=array)
    numbers[0] = array[0] = 9
    assert space.build() == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize("read", [lambda s: s[0], lambda s: next(s.iterate())])
def test_changing_a_row_of_an_array_in_place_does_not_change_the_space(read):
    space = Param(a=np.zeros((2, 3)))
    read(space)["a"][:] = 1.0
    assert not space[0]["a"].any()


def test_self_may_be_a_parameter():
    assert Param(**{"self": [1], "a b": [2]}).keys() == ["self", "a b"]


def test_ranges_may_be_longer_than_memory():
    assert len(Param(a=range(10**15))) == 10**15


def test_ranges_may_hold_integers_of_any_size():
    assert Param(a=range(10**30, 10**30 + 2)).build() == {"a": [10**30, 10**30 + 1]}


def test_unequal_lengths_are_named():
    with pytest.raises(PsyrunError, match=r"\(a: 2, b: 3\)") as error:
        Param(a=[1, 2], b=[1, 2, 3], c=4)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", [set, frozenset])
def test_sets_are_rejected_because_they_have_no_order(kind):
    with pytest.raises(PsyrunError, match=r"'a' is a .*set, which has no order"):
        Param(a=kind([1, 2]))


# --- Indexing, slicing, size ----------------------------------------------------


def test_indices_count_from_the_end_if_negative():
    space = Param(a=[1, 2, 3])
    assert space[-1] == {"a": 3}
    assert space[np.int64(1)] == {"a": 2}


@pytest.mark.parametrize("index", [3, -4, 10**30])
def test_indices_outside_of_the_space_raise(index):
    with pytest.raises(IndexError):
        Param(a=[1, 2, 3])[index]


def test_a_trillion_points_are_counted_indexed_and_sliced_at_once():
    start = time.process_time()
    assert len(TRILLION) == 10**12
    assert TRILLION[-2] == {"a": 999_999, "b": 999_998}
    middle = TRILLION[5 : 10**12 : 7][3:]
    assert middle[2] == {"a": 0, "b": 40}
    assert (TRILLION + TRILLION)[10**12] == {"a": 0, "b": 0}
    assert [p["b"] for p in TRILLION[::-1][:2]] == [999_999, 999_998]
    assert time.process_time() - start < 0.5


def test_a_slice_of_a_slice_refers_to_the_whole():
    space = TRILLION
    for _ in range(sys.getrecursionlimit() + 10):
        space = space[1:]
    assert space[0] == {"a": 0, "b": sys.getrecursionlimit() + 10}


def test_more_points_than_can_be_counted_raise():
    with pytest.raises(PsyrunError, match=r"1e\+24 points"):
        len(TRILLION * Param(c=range(10**12)))


def test_selected_points_may_repeat():
    space = select(Param(a=[1, 2, 3]), np.array([2, 0, 2]))
    assert space.build() == {"a": [3, 1, 3]}


# --- Algebra --------------------------------------------------------------------


def test_the_empty_space_is_neutral():
    space = Param(a=[1, 2])
    for result in (
        space * Param(),
        Param() * space,
        space + Param(),
        Param() + space,
        space - Param(),
    ):
        assert result.build() == {"a": [1, 2]}
    assert Param().build() == (Param() * Param()).build() == {}


def test_a_product_with_a_common_key_is_ambiguous():
    with pytest.raises(AmbiguousOperationError, match="`a`, `c` "):
        Param(a=[1], b=[1], c=[1]) * Param(c=[1], a=[2])


def test_other_operands_are_a_type_error():
    for operate in (lambda s: s * 3, lambda s: s + 1, lambda s: s - {}):
        with pytest.raises(TypeError, match="unsupported operand"):
            operate(Param(a=[1]))


def test_keys_keep_the_order_in_which_they_were_written():
    space = Param(z=[1], a=[1]) * (Param(m=[1]) + Param(k=[1], m=[1]))
    assert space.keys() == list(space.build()) == list(space[0]) == ["z", "a", "m", "k"]


def test_nothing_is_missing_from_spaces_without_common_keys():
    assert missing(Param(a=[1, 2]), Param(b=[1])).build() == {"a": [1, 2]}


def test_a_subtrahend_without_points_removes_nothing():
    assert len(Param(a=[1, 2]) - Param(a=[])) == 2


@pytest.mark.parametrize(
    "grow",
    [
        lambda space, i: space + Param(a=[i]),
        lambda space, i: space * Param(**{f"k{i}": [0]}),
        lambda space, i: space - Param(a=[-i]),
    ],
)
def test_operations_in_a_loop_do_not_nest(grow):
    space = Param(a=[0])
    for i in range(1, sys.getrecursionlimit() + 10):
        space = grow(space, i)
    assert space[-1]["a"] == space.build()["a"][-1]


def test_a_difference_is_taken_when_it_is_first_used():
    space = Param(a=[1, object()]) - Param(a=[1])
    with pytest.raises(PsyrunError, match="'a' holds values of type object"):
        len(space)


def test_errors_are_also_those_that_python_has_for_them():
    with pytest.raises(ValueError, match="not equally long"):
        Param(a=[1, 2], b=[1, 2, 3])
    with pytest.raises(RuntimeError):
        Param(a=[1]) * Param(a=[2])


def test_representations_are_short():
    large = Param(a=list(range(10**4)), b=range(10**4), c=np.zeros((10**4, 3)), d="x")
    spaces = [large, large * Param(e=[1]), large + large, large - Param(d="y")]
    spaces += [large[1:], Param(**{f"key{i}": [1] for i in range(100)})]
    assert all(len(repr(space)) < 130 for space in spaces)
    assert repr(Param(a=[1, 2], b=7, c="x")) == "Param(a=[1, 2], b=7, c='x')"
    assert repr(large[1:]) == "<Selection of 9999 points with keys a, b, c, d>"
    assert "points" not in repr(spaces[3])


@pytest.mark.parametrize(
    "space",
    [
        Param(a=[1, 2], b=7, c="x"),
        Param(**{"cores-per-socket": [1, 2], "class": "x", "two words": [0.5, None]}),
        Param(a=[math.inf, -math.inf, 1.0]),
        Param(a=np.array([1, 2]), b=range(3, 9, 3)),
        (Param(a=[1]) + Param(a=[2])) * Param(b=["x", "y"]),
        (Param(a=[1, 2, 3]) - Param(a=[2])) * Param(b=[4]),
        (Param(a=range(9)) * Param(b=[1, 2]))[2:12:3],
        Param(a=[1, 2]) + Param(),
    ],
)
def test_short_representations_can_be_evaluated(space):
    assert eval(repr(space)).build() == space.build()


def test_what_a_representation_leaves_out_is_never_evaluated_without_it():
    for space in (Param(a=list(range(100))), Param(a=np.zeros((2, 2)))):
        with pytest.raises(SyntaxError):
            eval(repr(space))


# --- Spaces of the user's own ---------------------------------------------------


class Triangle(ParameterSpace):
    """Pairs of which the second number is not above the first."""

    def __init__(self, n):
        super().__init__(["i", "j"])
        self.n = n

    def iterate(self):
        return ({"i": i, "j": j} for i in range(self.n) for j in range(i + 1))

    def __len__(self):
        return self.n * (self.n + 1) // 2


class Drawn(ParameterSpace):
    """Numbers that are drawn anew whenever they are asked for."""

    def keys(self):
        return ["x"]

    def iterate(self):
        return ({"x": random.random()} for _ in range(3))

    def __len__(self):
        return 3


class Tenfold(Param):
    def iterate(self):
        return (
            {key: 10 * value for key, value in p.items()} for p in super().iterate()
        )


class TooLong(Triangle):
    def __len__(self):
        return 7


def test_a_space_of_ones_own_needs_iterate_and_a_length_only():
    space = Triangle(3)
    assert space.build() == {"i": [0, 1, 1, 2, 2, 2], "j": [0, 0, 1, 0, 1, 2]}
    assert space[-1] == {"i": 2, "j": 2}
    assert space[:2].build() == {"i": [0, 1], "j": [0, 0]}
    assert (space * Param(k=[5, 6]))[1] == {"i": 0, "j": 0, "k": 6}
    assert (Param(i=[9]) + space)[1] == {"i": 0, "j": 0}
    assert (space - Param(i=[1, 2])).build() == {"i": [0], "j": [0]}
    assert missing(space, Param(i=[2], j=[1])).build()["j"] == [0, 0, 1, 0, 2]


def test_a_space_of_ones_own_may_change_the_points_of_another():
    space = Tenfold(a=[1, 2])
    assert list(space) == [{"a": 10}, {"a": 20}] == [space[0], space[1]]
    assert (space * Param(b=[1])).build() == {"a": [10, 20], "b": [1, 1]}


def test_a_space_of_ones_own_that_draws_numbers_is_asked_once():
    space = Drawn()
    points = space.build()
    assert [space[i]["x"] for i in range(3)] == points["x"]
    assert thaw(freeze(space * Param(a=[1]))).build()["x"] == points["x"]


def test_keys_of_a_space_of_ones_own_may_come_from_its_first_point():
    class Pair(ParameterSpace):
        def iterate(self):
            return iter([{"x": 1}, {"x": 2}])

        def __len__(self):
            return 2

    assert Pair().keys() == ["x"]
    assert (Pair() * Param(y=[3])).build() == {"x": [1, 2], "y": [3, 3]}


def test_a_space_of_ones_own_whose_length_is_wrong_says_so():
    with pytest.raises(PsyrunError, match="TooLong: iterate yields 6 points, but the"):
        TooLong(3)[0]


# --- Freezing -------------------------------------------------------------------


def test_frozen_spaces_hold_operands_rather_than_points():
    assert len(freeze(TRILLION[5:-5] + TRILLION)) < 2_000


def test_frozen_arrays_hold_their_random_values():
    numbers = np.random.default_rng().random(5)
    assert thaw(freeze(Param(a=numbers))).build()["a"] == numbers.tolist()


def test_a_frozen_difference_leaves_its_subtrahend_behind():
    frozen = freeze(Param(a=[1, 2, 3]) - Param(a=list(range(3, 10_000))))
    assert len(frozen) < 1_000
    assert thaw(frozen).build() == {"a": [1, 2]}


@pytest.mark.parametrize("space", [Param(a=[1]), Param() + TRILLION, Param()])
def test_what_cannot_be_pickled_is_named(space):
    with pytest.raises(PsyrunError, match=r"'f' .* type function .* module") as error:
        freeze(space * Param(f=[1, lambda: 1]))
    assert "\n" not in str(error.value)


def test_functions_of_modules_can_be_frozen():
    assert thaw(freeze(Param(f=[math.sin, random.random])))[0] == {"f": math.sin}


@pytest.mark.parametrize(
    "damaged", [b"", b"junk", pickle.dumps(3), freeze(TRILLION)[:-9]]
)
def test_what_is_no_frozen_space_is_said_to_be_none(damaged):
    with pytest.raises(PsyrunError, match="frozen"):
        thaw(damaged)


# --- Properties -----------------------------------------------------------------

numbers = st.integers(-2, 2) | st.sampled_from([math.nan, 0.5, 1.0, -0.0, True, 2**60])
values = numbers | st.sampled_from(["x", "", b"x", None, (1, math.nan), [1, 2]])
names = st.sampled_from(["a", "b", "c", "d"])


def same(left, right) -> bool:
    """Compare as the specification says, naively."""
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        pairs = zip(left, right, strict=False)
        return len(left) == len(right) and all(same(a, b) for a, b in pairs)
    return bool(left == right) or (left != left and right != right)


def same_rows(left: Rows, right: Rows) -> bool:
    keys = [list(row) for row in left] == [list(row) for row in right]
    pairs = zip(left, right, strict=False)
    return keys and all(same(a[key], b[key]) for a, b in pairs for key in a)


def without(minuend: Rows, subtrahend: Rows, keys: list[str]) -> Rows:
    def removed(row):
        return any(all(same(row[k], other[k]) for k in keys) for other in subtrahend)

    return [row for row in minuend if not removed(row)]


def container(draw, column: list):
    """Put a column into something that Param takes."""
    kinds = [list, tuple, iter]
    if all(type(v) is int for v in column):
        kinds.append(lambda c: np.array(c, dtype=np.int64))
    if all(type(v) is float for v in column):
        kinds.append(lambda c: np.array(c, dtype=np.float64))
    return draw(st.sampled_from(kinds))(column)


@st.composite
def leaves(draw) -> tuple[ParameterSpace, Model]:
    keys = draw(st.lists(names, max_size=3, unique=True))
    size = draw(st.integers(0, 3)) if keys else 0
    columns = {
        key: draw(
            st.lists(st.integers(-2, 2), min_size=size, max_size=size)
            | st.lists(values, min_size=size, max_size=size)
        )
        for key in keys
    }
    model = keys, [{k: columns[k][i] for k in keys} for i in range(size)]
    return Param(**{k: container(draw, columns[k]) for k in keys}), model


@st.composite
def expressions(draw, depth: int = 4) -> tuple[ParameterSpace, Model]:
    if depth == 0 or draw(st.integers(0, 5)) == 0:
        return draw(leaves())
    left = draw(expressions(depth=depth - 1))
    operation = draw(st.sampled_from(["*", "+", "-", "missing", "slice"]))
    if operation == "slice":
        return sliced(draw, *left)
    right = draw(expressions(depth=depth - 1 if operation == "*" else depth // 2))
    return OPERATIONS[operation](*left, *right)


def sliced(draw, space, model):
    cut = draw(st.slices(8))
    return space[cut], (model[0], model[1][cut])


def multiplied(left, left_model, right, right_model):
    (left_keys, left_rows), (right_keys, right_rows) = left_model, right_model
    if set(left_keys) & set(right_keys):
        with pytest.raises(AmbiguousOperationError):
            left * right
        return left, left_model
    if not (left_keys and right_keys):
        return left * right, left_model if left_keys else right_model
    if len(left_rows) * len(right_rows) > 300:
        left, left_rows, right, right_rows = (
            left[:15],
            left_rows[:15],
            right[:9],
            right_rows[:9],
        )
    rows = [a | b for a in left_rows for b in right_rows]
    return left * right, (left_keys + right_keys, rows)


def added(left, left_model, right, right_model):
    keys = list(dict.fromkeys(left_model[0] + right_model[0]))
    rows = [
        {key: row.get(key, math.nan) for key in keys}
        for row in left_model[1] + right_model[1]
    ]
    return left + right, (keys, rows)


def subtracted(left, left_model, right, right_model):
    (keys, rows), (other_keys, others) = left_model, right_model
    if set(other_keys) - set(keys):
        with pytest.raises(AmbiguousOperationError, match="not existent in minuend"):
            left - right
        return left, left_model
    return left - right, (keys, without(rows, others, other_keys))


def lacking(left, left_model, right, right_model):
    (keys, rows), (other_keys, others) = left_model, right_model
    shared = [key for key in keys if key in other_keys]
    left_over = without(rows, others, shared) if shared else rows
    return missing(left, right), (keys, left_over)


OPERATIONS = {"*": multiplied, "+": added, "-": subtracted, "missing": lacking}


@settings(max_examples=150, deadline=None)
@given(expressions())
def test_every_view_of_an_expression_agrees_with_lists(expression):
    space, (keys, rows) = expression
    assert len(space) == len(rows)
    assert space.keys() == keys
    assert same_rows(list(space.iterate()), rows)
    assert same_rows([space[i] for i in range(len(rows))], rows)
    assert same_rows([space[i - len(rows)] for i in range(len(rows))], rows)
    built = space.build()
    assert list(built) == keys
    assert all(same(built[key], [row[key] for row in rows]) for key in keys)


@settings(max_examples=50, deadline=None)
@given(expressions(), st.slices(20))
def test_slices_of_expressions_agree_with_lists(expression, cut):
    space, (_, rows) = expression
    assert same_rows(list(space[cut]), rows[cut])


@settings(max_examples=50, deadline=None)
@given(expressions())
def test_frozen_expressions_thaw_to_equal_points(expression):
    space, (keys, rows) = expression
    thawed = thaw(freeze(space))
    assert thawed.keys() == keys
    assert same_rows(list(thawed), rows)
    assert same_rows(list(pickle.loads(pickle.dumps(space[1:]))), rows[1:])

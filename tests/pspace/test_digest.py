"""Digests are equal exactly for what the algebra takes for equal, everywhere."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psyrun import Param
from psyrun.errors import PsyrunError
from psyrun.pspace.digest import Digests, digest_words
from psyrun.pspace.equality import equal_rows

NAN = float("nan")


class Colour(Enum):
    RED = 1
    BLUE = 2


class Level(IntEnum):
    LOW = 1


class Name(StrEnum):
    A = "a"


@dataclass(frozen=True)
class Model:
    width: float
    layers: Any


class Plain:
    """Compared by its content."""

    def __init__(self, content: Any) -> None:
        self.content = content


numbers = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([2**53, 2**53 + 1, -(2**63), 2**64, 10**30]),
    st.sampled_from([0.5, -0.0, 1e300, float(2**53), 1e30, NAN, float("inf"), 0.1]),
    st.sampled_from([Fraction(1, 2), Fraction(1, 3), Fraction(2), Decimal("0.5")]),
    st.sampled_from([Decimal("0.1"), True, False, 1 + 0j, 2j, complex(NAN, 1)]),
    st.sampled_from([np.float32(0.5), np.float32(0.1), np.int8(1), np.bool_(True)]),
    st.sampled_from([np.uint64(2**63), np.float64("nan"), np.longdouble(1) / 3]),
    st.sampled_from([np.complex64(1), Level.LOW]),
)
arrays = st.sampled_from(
    [
        np.array([1, 2]),
        np.array([1.0, 2.0]),
        np.array([1, 2], dtype=np.int8),
        np.array([[1, 2], [3, 4]]),
        np.array([[1.0, 2.0], [3.0, 4.0]], dtype=">f4"),
        np.array([2**53 + 1]),
        np.array([float(2**53)]),
        np.array([-0.0, NAN]),
        np.array(["a", "b"]),
        np.array([1, "a"], dtype=object),
        np.array([]),
        np.empty((0, 2)),
        np.empty((2, 0)),
        np.array(1),
        np.array([1 + 0j, 2j]),
        np.array([True, False]),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    ]
)
texts = ["", "a", "b", "ä", "\udc80", np.str_("a"), Name.A, b"", b"a", bytearray(b"a")]
names = [None, ..., Colour.RED, Colour.BLUE, len, sys.intern, int, Plain]
ranges = [range(3), range(0, 4, 2), range(0, 3, 2), range(0), range(5, 5), slice(1, 2)]
NOON = datetime(2020, 1, 1, 12, tzinfo=UTC)
times = [
    *(date(2020, 1, 1), datetime(2020, 1, 1), datetime(2020, 1, 1, fold=1)),
    *(NOON, NOON.astimezone(timezone(timedelta(hours=2)))),
    *(timedelta(1), np.timedelta64(1, "D")),
    *(np.datetime64("2020-01-01", unit) for unit in ("M", "us", "ns")),
    *(np.datetime64("300000-01-01"), np.datetime64("-284555-12-13T15:58:10.448384")),
]
dates = [np.datetime64(text, "D") for text in ("2020-01-01", "2020-01-02", "NaT")]
containers = [deque([1, 2]), {1, 2}, frozenset({2, 1}), {1}, (), [], {}, set()]
others = st.sampled_from(
    [*texts, *names, *ranges, *times, *dates, *containers, Path("a/b")]
)
hashables = st.one_of(st.integers(0, 2), st.sampled_from(["a", "b", 0.5, None]))
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(numbers, arrays, others),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(hashables, inner, max_size=2),
        st.frozensets(hashables, max_size=3),
        st.builds(Model, st.sampled_from([1, 1.0, 2]), inner),
        st.builds(Plain, inner),
    ),
    max_leaves=4,
)


def is_equal(first: Any, second: Any) -> bool:
    one, other = equal_rows([Param(x=[first]), Param(x=[second])], ["x"])
    return bool(one[0] == other[0])


@given(values, values)
def test_values_have_one_digest_if_the_algebra_takes_them_for_equal(
    first: Any, second: Any
) -> None:
    words = digest_words({"x": first}), digest_words({"x": second})
    assert (words[0] == words[1]) == is_equal(first, second)


@given(st.lists(numbers, min_size=1, max_size=4), st.data())
def test_lists_of_numbers_have_the_digest_of_their_equals(
    items: list[Any], data: st.DataObject
) -> None:
    kinds: list[Callable[[list[Any]], Any]] = [tuple, deque, list]
    other = data.draw(st.sampled_from(kinds))(items)
    if {*map(type, items)} <= {int, float} and 10**30 not in items:
        other = data.draw(st.sampled_from([other, np.array(items, dtype=object)]))
    assert digest_words({"x": items}) == digest_words({"x": other})


@given(st.dictionaries(st.sampled_from("abcd"), values, max_size=4), st.data())
def test_the_order_of_parameters_does_not_matter_and_nan_is_absent(
    point: dict[str, Any], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(list(point)))
    other = {key: point[key] for key in order} | {"absent": NAN}
    assert digest_words(point) == digest_words(other)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"a": 1}, {"b": 1}),
        ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
        ({"a": "b", "c": "d"}, {"a": "bc", "d": ""}),
        ({"ab": "c"}, {"a": "bc"}),
        ({"a": [[1], [2]]}, {"a": [[1, 2]]}),
        ({"a": [1, [2]]}, {"a": [[1], 2]}),
        ({"a": "1"}, {"a": 1}),
        ({"a": [1]}, {"a": 1}),
        ({"a": []}, {"a": [[]]}),
        ({"a": np.zeros((2, 3))}, {"a": np.zeros((3, 2))}),
        ({}, {"a": None}),
    ],
)
def test_other_assignments_have_other_digests(first: Any, second: Any) -> None:
    assert digest_words(first) != digest_words(second)


def test_a_nan_in_a_list_counts() -> None:
    assert digest_words({"a": [NAN]}) != digest_words({})


FIXED: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "nothing": ({}, (192779019, 2573829225, 2876420088, 1975325468)),
    "number": ({"x": 1}, (3947859307, 2995809205, 1091239420, 2471000191)),
    "numbers": (
        {"x": 0.1, "n": 10**30, "q": Fraction(1, 3)},
        (2955543607, 2286077511, 345106250, 330089535),
    ),
    "text": (
        {"method": "svm", "ä": b"tree"},
        (1080630643, 2577437331, 3119486558, 2432691812),
    ),
    "lists": (
        {"a": [1, [2.5, "b"]], "b": np.eye(2), "c": {1, "x"}},
        (1407680198, 1536062197, 1965642407, 2817896845),
    ),
    "tables": (
        {"a": {"k": 1, 2: None}},
        (2694194091, 4241719296, 2221867103, 3635189404),
    ),
    "objects": (
        {"m": Model(1, (2, 3)), "p": Plain(4), "d": timedelta(1)},
        (472254475, 1256219617, 159687739, 1689319507),
    ),
    "large": (
        {"a": np.arange(1000), "t": "a" * 2000},
        (2826119789, 292033160, 2163189557, 1072078526),
    ),
    "names": (
        {"c": Colour.RED, "f": len, "t": Plain, "p": Path("a/b")},
        (2558015816, 2388703885, 1640338132, 1456254092),
    ),
    "times": (
        {"a": date(2020, 1, 1), "b": datetime(2020, 1, 1, 12)},
        (3853649639, 3553894487, 2120086659, 74694832),
    ),
}


NINES = 10**4300 - 1


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (NINES, (2937260008, 1693908100, 2883527436, 2717862507)),
        (NINES + 1, (2205924113, 748081485, 859046339, 2798888874)),
        (-NINES - 1, (125342481, 3694747079, 3405620640, 8285677)),
        (Fraction(1, 3**9100), (3892518890, 794497139, 2194324990, 2860758821)),
    ],
    ids=["longest in decimals", "longer", "negative", "fraction"],
)
@pytest.mark.parametrize("limit", [640, 0])
def test_digests_of_integers_of_any_length(
    value: Any, words: tuple[int, ...], limit: int
) -> None:
    """Whatever Python is set to refuse."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(limit)
    try:
        assert digest_words({"x": value}) == words
    finally:
        sys.set_int_max_str_digits(before)


@pytest.mark.parametrize(("point", "words"), FIXED.values(), ids=FIXED)
def test_digests_never_change(point: Any, words: tuple[int, ...]) -> None:
    assert digest_words(point) == words


def test_digests_are_the_same_with_each_version_of_pandas() -> None:
    pd = pytest.importorskip("pandas")
    known = {
        "t": pd.Timestamp("2020-01-01 12:00"),
        "z": pd.Timestamp("2020-01-01 13:00", tz="Europe/Berlin"),
        "d": pd.Timedelta(1, "h"),
        "f": pd.DataFrame({"a": [1], "t": [pd.Timestamp("2020-01-01")]}),
        "s": pd.Series([1.5], name="b"),
        "i": pd.Interval(0, 1),
        "n": [pd.NaT, pd.NA],
    }
    assert digest_words(known) == (1411416788, 2174853195, 2207175414, 3731915104)
    plain = {
        "t": np.datetime64("2020-01-01T12:00:00.000000000"),
        "z": NOON,
        "d": timedelta(hours=1),
    }
    for key, value in plain.items():
        assert digest_words({"x": known[key]}) == digest_words({"x": value})
        assert is_equal(known[key], value)


class Counted(Plain):
    """Knows how often it was looked at."""

    n_looks = 0

    def __reduce_ex__(self, protocol: Any) -> Any:
        Counted.n_looks += 1
        return super().__reduce_ex__(protocol)


def test_a_large_value_is_looked_at_once() -> None:
    digests, values = Digests(), [Counted(list(range(1000 + i))) for i in range(3)]
    points = [{"x": value, "y": i} for i in range(10) for value in values]
    found = [digests.words(point) for point in points]
    assert Counted.n_looks == len(values)
    assert found == list(map(digest_words, points))
    assert not pickle.loads(pickle.dumps(digests))._known


def test_few_large_values_are_known_at_a_time() -> None:
    digests = Digests()
    for _ in range(100):
        digests.words({"x": list(range(1000))})
    assert len(digests._known) == 16


def test_large_values_that_are_equal_have_one_digest() -> None:
    values: list[Any] = [list(range(1000)), np.arange(1000), np.arange(1000.0)]
    assert len({digest_words({"x": value}) for value in values}) == 1
    assert digest_words({"x": values[0][:-1]}) != digest_words({"x": values[0]})


def test_digests_do_not_depend_on_the_seed_of_hashes() -> None:
    code = (
        "from psyrun.pspace.digest import Digests, digest_words as of\n"
        "print(of({'x': {'a', 'b', 'c'}, 'y': {'k': 1, 'l': (2,)}, 'z': None}))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


@pytest.mark.parametrize("value", [lambda x: x, object()])
def test_what_has_no_name_and_no_content_is_refused(value: Any) -> None:
    with pytest.raises(PsyrunError, match="parameter 'x' holds"):
        digest_words({"x": value})

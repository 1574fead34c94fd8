"""Values are compared as Python does, else by what they are pickled as."""

import array
import collections
import datetime
import enum
import functools
import math
import pathlib
import pickle
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from psyrun import Param
from psyrun.errors import PsyrunError
from psyrun.pspace import missing
from psyrun.pspace.equality import equal_rows
from psyrun.pspace.matching import match_rows


@dataclass
class Data:
    a: object
    b: object = None


@dataclass(eq=False)
class DataByIdentity:
    a: object


@dataclass(frozen=True)
class FrozenData:
    a: object


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Plain:
    def __init__(self, a: object) -> None:
        self.a = a


class Slotted:
    __slots__ = ("a",)

    def __init__(self, a: object) -> None:
        self.a = a


class Circular:
    def __init__(self, a: object) -> None:
        self.a = a
        self.me = self


class WithoutHash:
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, a: object) -> None:
        self.a = a

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WithoutHash) and bool(self.a == other.a)


class Hashed:
    """Compares with its own kind only, as if there were no other."""

    def __init__(self, a: object) -> None:
        self.a = a

    def __hash__(self) -> int:
        return hash(self.a)

    def __eq__(self, other: object) -> bool:
        return bool(self.a == other.a)  # type: ignore[attr-defined]


class Picky:
    """Compares with itself only."""

    def __init__(self, a: object) -> None:
        self.a = a

    def __eq__(self, other: object) -> bool:
        if other is not self:
            raise TypeError("no comparison")
        return True


def one() -> None: ...
def two() -> None: ...


STRUCTURED = np.array([(1, 2.0), (1, 3.0)], dtype="i4,f8")
# Two values each, which are different.
PAIRS: dict[str, tuple[Any, Any]] = {
    "data class": (Data(1), Data(2)),
    "data class with arrays": (Data(np.arange(3)), Data(np.arange(4))),
    "data class by identity": (DataByIdentity(1), DataByIdentity(2)),
    "frozen data class": (FrozenData([1]), FrozenData([2])),
    "frozen data class with nan": (FrozenData(math.nan), FrozenData(1)),
    "enumeration": (Colour.RED, Colour.BLUE),
    "plain object": (Plain({"x", "y"}), Plain({"x"})),
    "object with slots": (Slotted(1), Slotted(2)),
    "circular object": (Circular(1), Circular(2)),
    "without hash": (WithoutHash(1), WithoutHash(2)),
    "ambiguous": (WithoutHash(np.arange(2)), WithoutHash(np.arange(3))),
    "hash and comparison": (Hashed(1), Hashed(2)),
    "hash of another class": (Hashed(1), 1),
    "comparison with itself only": (Picky(1), Picky(2)),
    "function": (one, two),
    "partial function": (functools.partial(one, 1), functools.partial(one, 2)),
    "slice": (slice(1, 2), slice(1, 3)),
    "array without axes": (np.array(1.0), np.array(2.0)),
    "structured": (STRUCTURED[0], STRUCTURED[1]),
    "masked array": (np.ma.array([1, 2], mask=[0, 1]), np.ma.array([1], mask=[1])),
    "complex nan": (complex(math.nan, 0), 1j),
    "path": (pathlib.Path("a"), pathlib.Path("b")),
    "time": (datetime.datetime(2020, 1, 1), datetime.datetime(2021, 1, 1)),
    "no time": (np.datetime64("NaT", "D"), np.datetime64("2020")),
    "set": ({1, 2}, {1}),
    "frozen set": (frozenset("ab"), frozenset("a")),
    "bytearray": (bytearray(b"a"), bytearray(b"b")),
    "deque": (collections.deque([1]), collections.deque([2])),
    "array of Python": (array.array("i", [1]), array.array("i", [2])),
    "counter": (collections.Counter("a"), collections.Counter("b")),
    "generator": (np.random.default_rng(1), np.random.default_rng(2)),
    "pattern": (re.compile("a"), re.compile("b")),
    "exception": (ValueError(1), ValueError(2)),
    "nested": ([Data({"k": Plain(1)})], [Data({"k": Plain(2)})]),
}
TABLES: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "NA": lambda pd: (pd.NA, 1),
    "NA in a data class": lambda pd: (Data(pd.NA), Data(1)),
    "NaT": lambda pd: (pd.NaT, 1),
    "series": lambda pd: (pd.Series([1, math.nan]), pd.Series([1, 3])),
    "frame": lambda pd: (pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]})),
    "index": lambda pd: (pd.Index([1]), pd.Index([2])),
    "categories": lambda pd: (pd.Categorical(["a"]), pd.Categorical(["b"])),
    "array": lambda pd: (pd.array([1, None]), pd.array([1, 2])),
    "time": lambda pd: (pd.Timestamp(1), pd.Timestamp(2)),
}


def column(*values: Any) -> Param:
    return Param(k=np.fromiter(values, dtype=object), i=range(len(values)))


def check_pair(first: Any, second: Any) -> None:
    copy = pickle.loads(pickle.dumps(first))
    lacking = missing(column(first, second, first), Param(k=column(copy).build()["k"]))
    assert lacking.build()["i"] == [1]
    matched = match_rows(column(second, first), {"k": [copy], "i": [1]})
    assert matched.tolist() == [-1, 0]


@pytest.mark.parametrize("kind", PAIRS)
def test_equal_values_are_found_after_pickling(kind) -> None:
    check_pair(*PAIRS[kind])


@pytest.mark.parametrize("kind", TABLES)
def test_values_of_pandas_are_compared_by_value(kind) -> None:
    check_pair(*TABLES[kind](pytest.importorskip("pandas")))


def test_dates_and_times_of_the_same_moment_are_equal() -> None:
    day = datetime.date(2020, 1, 1)
    midnight = datetime.datetime(2020, 1, 1)
    of_numpy = [np.datetime64(day, unit) for unit in ("Y", "D", "us", "ns")]
    values = [day, midnight, midnight.replace(fold=1), *of_numpy]
    (numbers,) = equal_rows([Param(x=values)], ["x"])
    assert len(set(numbers.tolist())) == 1
    later = np.datetime64(day, "ns") + np.timedelta64(1, "ns")
    others = [later, np.datetime64("300000-01-01", "D"), None]
    (numbers,) = equal_rows([Param(x=[*values, *others])], ["x"])
    assert len(set(numbers.tolist())) == 4


def test_what_can_be_neither_compared_nor_pickled_is_named() -> None:
    space = column(threading.Lock())
    with pytest.raises(PsyrunError, match="parameter 'k' holds values of type lock"):
        len(space - Param(k=column(threading.Lock()).build()["k"]))

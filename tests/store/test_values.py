"""What is more than numbers and text: taken for what it is, or refused."""

import enum
from collections import UserList, UserString, deque, namedtuple

import numpy as np
import pytest

from psyrun.errors import StoreError
from psyrun.mapper import map_pspace_hdd_backed
from psyrun.pspace import Param
from psyrun.steps.row_check import RowCheck
from psyrun.store import H5Store, NpzStore


class Mode(str, enum.Enum):  # noqa: UP042 - it differs from StrEnum
    FAST = "fast and careless"
    SLOW = "slow"


class StrMode(enum.StrEnum):
    FAST = "fast"


class Level(enum.IntEnum):
    HIGH = 3


class Rate(float, enum.Enum):
    LOW = 0.25


class Code(bytes, enum.Enum):
    ONE = b"one"


class Text(str):
    def __str__(self) -> str:
        return "something else"

    def __len__(self) -> int:
        return 2


class NumPyText(np.str_):
    def __str__(self) -> str:
        return "something else"


class Raw(bytes):
    def __bytes__(self) -> bytes:
        return b"other"


class Integer(int):
    def __int__(self) -> int:
        return 7

    def __index__(self) -> int:
        return 7

    def __float__(self) -> float:
        return 7.0

    def __str__(self) -> str:
        return "seven"


class Float(float):
    def __float__(self) -> float:
        return 7.0


class Complex(complex):
    def __complex__(self) -> complex:
        return 7j


class Double(np.float64):
    def __float__(self) -> float:
        return 7.0


Pair = namedtuple("Pair", ["first", "second"])

NUMBERS = {
    "member of IntEnum": (Level.HIGH, 3),
    "member of float and Enum": (Rate.LOW, 0.25),
    "int": (Integer(5), 5),
    "large int": (Integer(2**60 + 1), 2**60 + 1),
    "float": (Float(2.5), 2.5),
    "complex": (Complex(1 + 2j), 1 + 2j),
    "float64": (Double(2.5), 2.5),
    "list of them": ([Integer(5), 6], [5, 6]),
    "list of lists": ([[Float(0.5)], [1.5]], [[0.5], [1.5]]),
    "named tuple": (Pair(1, 2), [1, 2]),
    "deque": (deque([Integer(5), 6]), [5, 6]),
    "user list": (UserList([Integer(5)]), [5]),
    "range": (range(3), [0, 1, 2]),
    "array of objects": (np.array([[1, 2]], object), [[1, 2]]),
    "bytearray": (bytearray(b"ab"), [97, 98]),
}
TEXTS = {
    "member of str and Enum": (Mode.FAST, "fast and careless"),
    "member of StrEnum": (StrMode.FAST, "fast"),
    "member of bytes and Enum": (Code.ONE, b"one"),
    "str": (Text("as it is"), "as it is"),
    "str_": (NumPyText("as it is"), "as it is"),
    "bytes": (Raw(b"as it is"), b"as it is"),
    "list of them": (list(Mode), ["fast and careless", "slow"]),
    "deque": (deque(Mode), ["fast and careless", "slow"]),
    "tuple in a list": ([(Mode.SLOW, "b")], [["slow", "b"]]),
    "array of objects": (np.array(list(Mode), object), ["fast and careless", "slow"]),
}


def saved(store, path, value):
    store.check({"k": value})
    store.save(path, {"k": [value, value]})
    loaded = store.load(path)["k"]
    assert loaded[0].tolist() == loaded[1].tolist()
    return loaded[0].tolist()


@pytest.mark.parametrize("case", NUMBERS)
@pytest.mark.parametrize("store", [NpzStore(), H5Store()], ids=lambda s: s.ext)
def test_kinds_of_numbers_are_kept_as_what_they_are_derived_from(
    store, tmp_path, case
) -> None:
    value, expected = NUMBERS[case]
    assert saved(store, tmp_path / f"r{store.ext}", value) == expected


@pytest.mark.parametrize("case", TEXTS)
def test_kinds_of_text_are_kept_as_what_they_are_derived_from(tmp_path, case) -> None:
    value, expected = TEXTS[case]
    assert saved(NpzStore(), tmp_path / "r.npz", value) == expected


def test_different_kinds_of_text_share_a_column(tmp_path) -> None:
    values = ["a", Mode.FAST, Text("text"), np.str_("b")]
    store = NpzStore()
    store.save(tmp_path / "r.npz", {"k": values[:2]})
    store.append(tmp_path / "r.npz", {"k": values[2:]})
    loaded = store.load(tmp_path / "r.npz")["k"].tolist()
    assert loaded == ["a", "fast and careless", "text", "b"]
    check = RowCheck(store, tmp_path / "keys.json")
    for value in values:
        check({"k": value})


def test_members_of_enumerations_are_found_again_in_a_file(tmp_path) -> None:
    calls = []

    def measure(mode, level):
        calls.append((mode, level))
        return {"y": mode.value}

    space = Param(mode=list(Mode)) * Param(level=[Level.HIGH])
    for _ in range(2):
        result = map_pspace_hdd_backed(measure, space, tmp_path / "r.npz")
    assert len(calls) == 2
    assert result["mode"] == result["y"] == ["fast and careless", "slow"]


class Labelled:
    """As tables of other libraries: an array can be had, and is not all."""

    columns = ("a", "b")
    dtype = np.dtype(float)

    def __array__(self, dtype=None, copy=None):
        return np.ones((2, 2))

    def to_numpy(self):
        return np.ones((2, 2))


class Lone:
    """Something that NumPy would make an array of, without being one."""

    def __array__(self, dtype=None, copy=None):
        return np.ones(2)


class Graph:
    """As graphs of networkx: NumPy would take its nodes."""

    def __len__(self) -> int:
        return 2

    def __iter__(self):
        return iter([0, 1])

    def __getitem__(self, node):
        return {0: {}, 1: {}}[node]


class Quantity(np.ndarray):
    """An array with a unit."""

    def __array_finalize__(self, source) -> None:
        self.unit = "mV"


def test_lists_that_contain_themselves_are_refused() -> None:
    endless: list[object] = [1]
    endless.append(endless)
    for store in (NpzStore(), H5Store()):
        with pytest.raises(StoreError, match="key 'k' holds a list that is too deep"):
            store.check({"k": endless})


def labelled_values():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"a": [1, 2]}, index=["x", "y"])
    return [table, table["a"], table.index, pandas.Categorical(["a"])]


def check_refused(value, match) -> None:
    for store in (NpzStore(), H5Store()):
        for nested in (value, [value], (value, value)):
            with pytest.raises(StoreError, match=match) as raised:
                store.check({"good": 1, "k": nested})
            assert "key 'k'" in str(raised.value)
            assert "PickleStore" in str(raised.value)
            with pytest.raises(StoreError, match=match):
                store.save("never-written", {"k": [nested]})


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (Labelled(), r"type Labelled, .* with \.to_numpy\(\)"),
        (Lone(), r"type Lone, .* with np\.asarray"),
        (Graph(), "type Graph"),
        (np.ones(2).view(Quantity), "type Quantity"),
        ({"a": 1}, "type dict, which no array keeps"),
        (UserString("text"), "type UserString"),
    ],
)
def test_what_an_array_would_keep_a_part_of_is_refused(value, match) -> None:
    check_refused(value, match)


def test_tables_of_pandas_are_refused() -> None:
    for value in labelled_values():
        check_refused(value, type(value).__name__)
        # What the message advises works.
        NpzStore().check({"k": value.to_numpy()})


def test_tables_of_xarray_are_refused() -> None:
    xarray = pytest.importorskip("xarray")
    array = xarray.DataArray([1.0, 2.0], dims="t", coords={"t": [0, 1]})
    for value in (array, array.to_dataset(name="v"), array.mean()):
        check_refused(value, type(value).__name__)


def test_tables_of_polars_are_refused() -> None:
    polars = pytest.importorskip("polars")
    table = polars.DataFrame({"a": [1, 2]})
    for value in (table, table["a"], table.lazy()):
        check_refused(value, type(value).__name__)


def test_a_table_stays_a_table_where_objects_are_kept(tmp_path) -> None:
    table = labelled_values()[0]
    store = NpzStore(allow_pickle=True)
    store.save(tmp_path / "r.npz", {"k": [table, table]})
    assert type(store.load(tmp_path / "r.npz")["k"][1]) is type(table)


def test_a_column_may_come_from_a_table(tmp_path) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"n": [1, 2], "s": ["a", "bc"]})
    NpzStore().save(tmp_path / "r.npz", {key: table[key] for key in table})
    loaded = NpzStore().load(tmp_path / "r.npz")
    assert loaded["n"].tolist() == [1, 2]
    assert loaded["s"].tolist() == ["a", "bc"]
    with pytest.raises(StoreError, match="type DataFrame"):
        NpzStore().save(tmp_path / "r.npz", {"k": table})


class Foreign:
    """As arrays of JAX: nothing but an array, of another library."""

    dtype = np.dtype(float)
    shape = (2,)

    def __array__(self, dtype=None, copy=None):
        return np.array([0.5, 1.5])

    def __getitem__(self, place):
        return (0.5, 1.5)[place]


def test_arrays_of_other_libraries_are_kept(tmp_path) -> None:
    assert saved(NpzStore(), tmp_path / "r.npz", Foreign()) == [0.5, 1.5]


def test_tensors_of_torch_are_kept(tmp_path) -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.tensor([0.5, 1.5])
    assert saved(NpzStore(), tmp_path / "r.npz", tensor) == [0.5, 1.5]


def test_arrays_without_masked_values_are_kept(tmp_path) -> None:
    array = np.ma.masked_array([1, 2], [0, 0])
    assert saved(NpzStore(), tmp_path / "r.npz", array) == array.tolist()


def test_memory_maps_are_kept(tmp_path) -> None:
    np.save(tmp_path / "a.npy", [1, 2])
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert saved(NpzStore(), tmp_path / "r.npz", mapped) == [1, 2]


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="came with NumPy 2")
def test_text_of_any_length_in_an_array_is_kept(tmp_path) -> None:
    texts = np.array(["a", "bcd"], dtype=np.dtypes.StringDType())
    NpzStore().save(tmp_path / "r.npz", {"k": [texts], "t": texts[:1]})
    found = NpzStore().load(tmp_path / "r.npz")
    assert found["k"].tolist() == [["a", "bcd"]]
    assert found["t"].tolist() == ["a"]
    nulls = np.array(["a\0"], dtype=np.dtypes.StringDType())
    with pytest.raises(StoreError, match="null character"):
        NpzStore().save(tmp_path / "r.npz", {"k": [nulls]})

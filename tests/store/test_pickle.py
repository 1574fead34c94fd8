"""What only PickleStore does."""

import math
import pickle
import threading

import numpy as np
import pytest

from psyrun.errors import StoreError
from psyrun.store import PickleStore

STORE = PickleStore()


def test_objects_come_back_as_they_were(tmp_path) -> None:
    rows = [None, {"b": {1}}, "text", [1, [2]], 2**70]
    STORE.save(tmp_path / "r.pkl", {"a": rows})
    assert STORE.load(tmp_path / "r.pkl") == {"a": rows}


def test_ragged_rows_are_not_padded(tmp_path) -> None:
    STORE.save(tmp_path / "r.pkl", {"a": [[1], [2, 3]]})
    STORE.append(tmp_path / "r.pkl", {"a": [[]]})
    assert STORE.load(tmp_path / "r.pkl") == {"a": [[1], [2, 3], []]}


def test_a_missing_value_of_any_type_is_nan(tmp_path) -> None:
    STORE.save(tmp_path / "r.pkl", {"a": ["text"]})
    STORE.append(tmp_path / "r.pkl", {"b": [True]})
    loaded = STORE.load(tmp_path / "r.pkl")
    assert math.isnan(loaded["a"][1])
    assert math.isnan(loaded["b"][0])


def test_arrays_come_back_as_lists_of_rows(tmp_path) -> None:
    STORE.save(tmp_path / "r.pkl", {"a": np.arange(2)})
    assert STORE.load(tmp_path / "r.pkl") == {"a": [0, 1]}


@pytest.mark.parametrize("value", [threading.Lock(), lambda: 0, [threading.Lock()]])
def test_what_cannot_be_pickled_is_named(value, tmp_path) -> None:
    named = f"key 'k' holds a value of type {type(value).__name__}"
    with pytest.raises(StoreError, match=named):
        STORE.check({"good": 1, "k": value})
    with pytest.raises(StoreError, match=named):
        STORE.save(tmp_path / "r.pkl", {"k": [value]})
    assert list(tmp_path.iterdir()) == []


def test_arrays_of_objects_are_checked() -> None:
    with pytest.raises(StoreError, match="'k'"):
        STORE.check({"k": np.array([threading.Lock()])})


def test_a_class_that_is_gone_is_named(tmp_path) -> None:
    path = tmp_path / "r.pkl"
    path.write_bytes(b"cno_such_module\nThing\n.")
    with pytest.raises(StoreError, match=r"cannot be imported here.*no_such_module"):
        STORE.load(path)


@pytest.mark.parametrize("data", [[1, 2], {"a": 1}, {"a": [1], "b": []}])
def test_another_pickle_is_refused(data, tmp_path) -> None:
    (tmp_path / "r.pkl").write_bytes(pickle.dumps(data))
    with pytest.raises(StoreError, match="not written by PickleStore"):
        STORE.load(tmp_path / "r.pkl")

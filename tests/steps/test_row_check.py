"""Rows that cannot stand beside the others are refused when they are computed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from psyrun.errors import ResultError
from psyrun.steps.row_check import RowCheck
from psyrun.store import PickleStore, Store
from psyrun.store.arrays import RowType
from psyrun.store.h5 import H5Store
from psyrun.store.npz import NpzStore

nan = float("nan")

TOGETHER: dict[str, tuple[Any, Any]] = {
    "integer and float": (1, 0.5),
    "bool and float": (True, nan),
    "short and long text": ("a", "longer"),
    "arrays of different lengths": (np.arange(3), np.arange(5.0)),
    "an array and nan": (np.ones((2, 3)), nan),
    "integer and complex": (np.int8(1), 1j),
    "lists of different lengths": ([1, 2], [1.5]),
    "either byte order": (np.ones(2, ">f8"), np.ones(2, "<f8")),
}
APART: dict[str, tuple[Any, Any]] = {
    "text and nan": ("ok", nan),
    "bools of different lengths": ([True], [True, False]),
    "texts of different lengths": (np.array(["a"]), np.array(["a", "b"])),
    "text and bytes": ("a", b"a"),
    "a date and a number": (np.datetime64("2020-01-01"), 1),
}


@pytest.fixture
def check(tmp_path: Path) -> Callable[..., RowCheck]:
    def made(store: Store, kept: dict[str, RowType] | None = None) -> RowCheck:
        return RowCheck(store, tmp_path / "keys.json", kept or {})

    return made


def columns(*values: Any) -> dict[str, list[Any]]:
    return {"y": list(values)}


@pytest.mark.parametrize("case", TOGETHER)
def test_what_can_be_saved_together_is_accepted(check, tmp_path, case) -> None:
    for values in (TOGETHER[case], TOGETHER[case][::-1]):
        NpzStore().save(tmp_path / "together.npz", columns(*values))
        (tmp_path / "keys.json").unlink(missing_ok=True)
        # Another process of the round has its own.
        check(NpzStore())({"y": values[0]})
        check(NpzStore())({"y": values[1]})


@pytest.mark.parametrize("case", APART)
def test_what_cannot_be_saved_together_is_refused(check, case) -> None:
    for values in (APART[case], APART[case][::-1]):
        one = check(NpzStore())
        one.reference.unlink(missing_ok=True)
        one({"y": values[0]})
        for other in (one, check(NpzStore())):
            with pytest.raises(ResultError, match=r"for 'y', but .* use PickleStore"):
                other({"y": values[1]})
        one({"y": values[0]})


@pytest.mark.parametrize("store", [PickleStore(), NpzStore(allow_pickle=True)])
def test_stores_of_objects_take_any_types(check, store: Store) -> None:
    for values in APART.values():
        for value in values:
            check(store)({"y": value})


def test_rows_have_to_fit_those_kept_from_before(check) -> None:
    kept = {"y": RowType.of(np.array(["ok"]))}
    with pytest.raises(ResultError, match="str in the rows kept from before"):
        check(NpzStore(), kept)({"y": 1.0})
    check(NpzStore(), kept)({"y": "bad"})


@pytest.mark.parametrize("store", [NpzStore(), H5Store()])
def test_a_new_key_needs_a_missing_value_for_rows_kept_from_before(
    check, store: Store
) -> None:
    kept = {"y": RowType.of(np.ones(1))}
    with pytest.raises(ResultError, match=r"key 'new' is new, .* of type bool"):
        check(store, kept)({"y": 1.0, "new": True})
    check(store, kept)({"y": 1.0, "new": 1})


def test_a_key_without_a_missing_value_is_needed_beside_kept_rows(check) -> None:
    kept = {"y": RowType.of(np.ones(1)), "b": RowType.of(np.ones(1, bool))}
    with pytest.raises(ResultError, match="returned no 'b'"):
        check(NpzStore(), kept)({"y": 1.0})

"""Rows that cannot stand beside the others are refused when they are computed."""

import itertools
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


KEYS = [{0: 1, 1: 2}, {0.5: 1, "0.5": 2}, {True: 1, None: 2, "y": 3}, {"": 1}]


@pytest.mark.parametrize("row", KEYS, ids=repr)
def test_keys_may_be_numbers(check, row) -> None:
    for one in (check(PickleStore()), check(PickleStore())):
        one(row)
        with pytest.raises(ResultError, match="has also 'other'"):
            one({**row, "other": 1})


def test_keys_are_told_apart_by_their_type(check) -> None:
    check(PickleStore())({1: 0})
    with pytest.raises(ResultError, match="lacks 1 and has also '1'"):
        check(PickleStore())({"1": 0})


def test_a_round_of_a_former_version_goes_on(check) -> None:
    one = check(NpzStore())
    one.reference.write_text('{"y": ["<f8", [3]], "z": null}')
    one({"y": np.ones(3), "z": 1})
    with pytest.raises(ResultError, match="str for 'y'"):
        one({"y": "text", "z": 1})
    with pytest.raises(ResultError, match="lacks 'z'"):
        one({"y": np.ones(3)})


def test_structured_arrays_have_to_have_one_type_and_shape(check) -> None:
    pair = np.zeros(2, dtype=[("a", "i4"), ("b", "f8", (2,))])
    check(NpzStore())({"y": pair})
    other = check(NpzStore())
    other({"y": pair})
    for wrong in (pair[:1], np.zeros(2, dtype=[("a", "i4")])):
        with pytest.raises(ResultError, match="for 'y', but"):
            other({"y": wrong})


LARGE = 2**60 + 1
NUMBERS_APART = {
    "large integer and nan": (1, LARGE, nan),
    "large integer and fraction": (True, LARGE, 0.5),
    "large integer and complex": (np.int8(1), -LARGE, 1j),
    "arrays of different lengths": ([1, 2], [LARGE, 1], [1, 2, 3]),
    "unsigned integers": (np.uint64(1), np.uint64(2**64 - 1), -1),
}


@pytest.mark.parametrize("case", NUMBERS_APART)
def test_integers_that_would_change_are_refused_in_any_order(
    check, tmp_path, case
) -> None:
    first, *others = NUMBERS_APART[case]
    for one, two in itertools.permutations(others):
        for path in tmp_path.iterdir():
            path.unlink()
        check(NpzStore())({"y": first})
        check(NpzStore())({"y": one})
        # Another worker, which knows of the first row only.
        other = check(NpzStore())
        other({"y": first})
        for _ in range(2):
            with pytest.raises(ResultError, match=r"for 'y', but others have .*Pickle"):
                other({"y": two})
        NpzStore().save(tmp_path / "together.npz", columns(first, one, first))


def test_large_integers_beside_a_first_float_are_refused(check) -> None:
    one = check(NpzStore())
    one({"y": nan})
    with pytest.raises(ResultError, match=f"the integer {LARGE} for 'y'"):
        one({"y": LARGE})
    one({"y": 2**60})


def test_a_first_integer_that_is_large_needs_integers(check) -> None:
    check(NpzStore())({"y": LARGE})
    other = check(NpzStore())
    other({"y": 3})
    for value in (nan, 0.5):
        with pytest.raises(ResultError, match=r"for 'y', but others have integers"):
            other({"y": value})


def test_large_integers_alone_are_accepted(check) -> None:
    for value in (LARGE, -LARGE, 3, np.int64(LARGE), True):
        check(NpzStore())({"y": value})


@pytest.mark.parametrize("store", [NpzStore(), H5Store()])
def test_large_integers_kept_from_before_are_heeded(check, store: Store) -> None:
    integers = RowType.of(np.ones(1, int))
    beside = RowCheck(store, check(store).reference, {"n": integers}, {"n"})
    with pytest.raises(ResultError, match=r"nan for 'n', but others have integers"):
        beside({"n": nan})
    with pytest.raises(ResultError, match="returned no 'n'"):
        beside({"y": 1})
    beside({"n": LARGE})
    new = RowCheck(store, check(store).reference, {"y": integers})
    with pytest.raises(ResultError, match=f"the integer {LARGE} for 'n'"):
        new({"n": LARGE, "y": 1})


AXES_APART = {
    "a column and a list": (np.ones((3, 1)), np.ones(3)),
    "a list and a row": (np.ones(3), np.ones((1, 3))),
    "a single value and a table": (5.0, np.ones((2, 3))),
    "a list and a table without rows": (np.ones(3), np.ones((0, 3))),
    "a single value and a row of nothing": (5.0, [[]]),
}


@pytest.mark.parametrize("case", AXES_APART)
@pytest.mark.parametrize("first", [nan, None])
def test_rows_with_other_numbers_of_axes_are_refused(check, case, first) -> None:
    for one, two in itertools.permutations(AXES_APART[case]):
        check(NpzStore()).reference.unlink(missing_ok=True)
        for path in check(NpzStore()).reference.parent.glob("keys-*"):
            path.unlink()
        if first is not None:
            check(NpzStore())({"y": first})
        check(NpzStore())({"y": one})
        with pytest.raises(ResultError, match="another number of axes"):
            check(NpzStore())({"y": two})


@pytest.mark.parametrize("value", [nan, [], np.empty((0, 3)), np.float32("nan")])
def test_nothing_goes_with_any_number_of_axes(check, value) -> None:
    for first, second in [(value, np.ones((2, 3))), (np.ones((2, 3)), value)]:
        one = check(NpzStore())
        one.reference.unlink(missing_ok=True)
        one({"y": first})
        one({"y": second})


def test_a_key_without_a_missing_value_is_needed_beside_kept_rows(check) -> None:
    kept = {"y": RowType.of(np.ones(1)), "b": RowType.of(np.ones(1, bool))}
    with pytest.raises(ResultError, match="returned no 'b'"):
        check(NpzStore(), kept)({"y": 1.0})

"""Which values share a column, and what becomes of them."""

import datetime
import decimal
import tracemalloc

import numpy as np
import pytest

from psyrun.errors import StoreError
from psyrun.store import H5Store, NpzStore
from psyrun.store.arrays import column_array, join_parts

NAN = np.nan
BIG = 2**60 + 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2], np.array([1, 2])),
        ([1, 2.5], np.array([1, 2.5])),
        ([True, 2], np.array([1, 2])),
        ([1, 2j], np.array([1, 2j])),
        ([True, False], np.array([True, False])),
        ([np.float32(1), np.float32(2)], np.array([1, 2], np.float32)),
        ([np.uint64(2**64 - 1)], np.array([2**64 - 1], np.uint64)),
        ([2**63 - 1, -(2**63)], np.array([2**63 - 1, -(2**63)])),
        ([[1, 2], [3, 4]], np.array([[1, 2], [3, 4]])),
        (["a", "bcd"], np.array(["a", "bcd"])),
        ([b"a", b"bc"], np.array([b"a", b"bc"])),
        ([np.datetime64("2020-01-01")], np.array(["2020-01-01"], "M8[D]")),
        (range(3), np.array([0, 1, 2])),
        (np.array([1, 2], ">i4"), np.array([1, 2], "=i4")),
        (np.array([1, 2.5], object), np.array([1, 2.5])),
        ([], np.array([])),
        ([[], []], np.empty((2, 0))),
    ],
)
def test_values_become_the_natural_array(values, expected) -> None:
    column = column_array("k", values)
    assert column.dtype == expected.dtype
    np.testing.assert_array_equal(column, expected)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([[1.0], [2.0, 3.0]], [[1, NAN], [2, 3]]),
        ([[1], [2, 3]], [[1, NAN], [2, 3]]),
        ([[], [2, 3]], [[NAN, NAN], [2, 3]]),
        ([NAN, [2, 3]], [[NAN, NAN], [2, 3]]),
        ([[2, 3], 5], [[2, 3], [5, NAN]]),
        ([[[1, 2]], [[3], [4]]], [[[1, 2], [NAN, NAN]], [[3, NAN], [4, NAN]]]),
        ([[1, 2], [[3], [4]]], [[[1, 2], [NAN, NAN]], [[3, NAN], [4, NAN]]]),
    ],
)
def test_rows_are_padded_to_the_largest_shape(values, expected) -> None:
    column = column_array("k", values)
    assert column.dtype == np.float64
    np.testing.assert_array_equal(column, expected)


@pytest.mark.parametrize(
    ("shapes", "common"),
    [
        ([(0,), (0, 3)], (0, 3)),
        ([(0, 3), (0,)], (0, 3)),
        ([(0,), (0, 0)], (0, 0)),
        ([(0,), (0, 3), (0, 2, 5)], (0, 2, 5)),
        ([(0,), (3, 0)], (3, 0)),
        ([(0,), (0,)], (0,)),
    ],
)
@pytest.mark.parametrize("store", [NpzStore(), H5Store()], ids=lambda s: s.ext)
def test_rows_without_elements_stay_without(store, tmp_path, shapes, common) -> None:
    path = tmp_path / f"r{store.ext}"
    rows = [np.empty(shape) for shape in shapes]
    store.save(path, {"k": rows})
    assert store.load(path)["k"].shape == (len(rows), *common)
    path.unlink()
    for row in rows:
        store.append(path, {"k": [row]})
    assert store.load(path)["k"].shape == (len(rows), *common)


@pytest.mark.parametrize("shape", [(2, 3), (1, 3), (0, 3), (3,), ()])
def test_empty_rows_are_nan_beside_others(shape) -> None:
    column = column_array("k", [np.empty(0), np.empty((0, 3)), np.ones((2, 3))])
    assert np.isnan(column[:2]).all()
    column = column_array("k", [np.empty(0), np.ones(shape)])
    assert np.isnan(column[0]).all()
    assert (column[1] == 1).sum() == np.ones(shape).size


def test_complex_rows_are_padded_with_nan_in_both_parts() -> None:
    column = column_array("k", [[1j], [2j, 3j]])
    assert np.isnan(column[0, 1].real)
    assert np.isnan(column[0, 1].imag)


def test_padding_keeps_the_precision_of_floats() -> None:
    rows = [np.zeros(1, np.float32), np.zeros(2, np.float32)]
    assert column_array("k", rows).dtype == np.float32


@pytest.mark.parametrize(
    "values",
    [
        [BIG, 0.5],
        [[BIG], [1, 2]],
        [[BIG, 0.5]],
        [BIG, 1j],
        [np.uint64(2**64 - 1), -1],
        [2**63],
        [[2**63, 1]],
        [2**70],
    ],
)
def test_integers_that_would_change_are_refused(values) -> None:
    with pytest.raises(StoreError, match="key 'k' holds the integer"):
        column_array("k", values)


def test_large_integers_that_stay_exact_may_become_floats() -> None:
    assert column_array("k", [2**60, 0.5]).tolist() == [2.0**60, 0.5]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ([None], "NoneType"),
        ([{"a": 1}], "dict"),
        ([{1, 2}], "set"),
        ([[1, None]], "NoneType"),
        ([[1, "a"]], "both"),
        ([1, "a"], "both int64 and <U1"),
        ([b"a", "a"], "both"),
        ([[[1], [2, 3]]], "uneven"),
        ([datetime.date(2020, 1, 1)], "date"),
        ([decimal.Decimal(1)], "Decimal"),
        (np.array([1, None]), "NoneType"),
        (["a\0"], "null character"),
        ([[b"a\0", b"bc"]], "null character"),
        (np.ma.masked_array([1, 2], [0, 1]), "masked"),
    ],
)
def test_what_no_array_holds_is_refused(values, named) -> None:
    with pytest.raises(StoreError, match=named) as raised:
        column_array("k", values)
    assert "key 'k'" in str(raised.value)
    assert "PickleStore" in str(raised.value)


@pytest.mark.parametrize(
    "values",
    [[[True], [True, False]], [["a"], ["b", "c"]], [[np.datetime64("2020")], []]],
)
def test_types_without_a_missing_value_are_not_padded(values) -> None:
    with pytest.raises(StoreError, match="key 'k'"):
        column_array("k", values)


@pytest.mark.parametrize("dtype", ["bool", "U3", "S3", "M8[s]", "m8[s]"])
def test_missing_rows_need_a_missing_value(dtype) -> None:
    with pytest.raises(StoreError, match="no missing value"):
        join_parts("k", [np.zeros(2, dtype), 1])


def test_missing_rows_of_integers_make_floats() -> None:
    column = join_parts("k", [2, np.array([[1, 2]]), 1])
    nan = [NAN, NAN]
    np.testing.assert_array_equal(column, [nan, nan, [1, 2], nan])


@pytest.mark.parametrize("store", [NpzStore(), H5Store()], ids=lambda s: s.ext)
@pytest.mark.parametrize("value", [None, {}, object(), "a\0", 2**63, [[1], [2, 3]]])
def test_the_check_refuses_what_saving_refuses(store, value, tmp_path) -> None:
    with pytest.raises(StoreError, match="key 'k'"):
        store.check({"good": 1.5, "k": value})
    with pytest.raises(StoreError, match="key 'k'"):
        store.save(tmp_path / f"r{store.ext}", {"good": [1.5], "k": [value]})
    assert list(tmp_path.iterdir()) == []


def test_the_check_does_not_copy_arrays() -> None:
    row = {"x": np.zeros(1_000_000)}
    tracemalloc.start()
    NpzStore().check(row)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000

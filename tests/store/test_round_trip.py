"""Random data against a model of lists."""

import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from psyrun.store import H5Store, NpzStore, PickleStore
from psyrun.testing.store import as_lists, same

STORES = [PickleStore(), NpzStore(), H5Store()]
SMALL = st.integers(-(2**53), 2**53)
NUMBERS = st.one_of(SMALL, st.floats(), st.complex_numbers())
KEYS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@st.composite
def batches(draw):
    """Batches of rows, each with its own keys and number of rows."""
    rows, keys = st.integers(0, 5), st.sampled_from("abc")
    values = st.one_of(SMALL, st.floats())
    return [
        {
            key: draw(st.lists(values, min_size=n, max_size=n))
            for key in draw(st.lists(keys, unique=True, min_size=1, max_size=3))
        }
        for n in draw(st.lists(rows, min_size=1, max_size=4))
    ]


def length(batch):
    return len(next(iter(batch.values())))


def model(parts):
    """All rows as lists; a batch without rows counts only if none has any."""
    parts = [part for part in parts if length(part)] or parts[-1:]
    keys = dict.fromkeys(key for part in parts for key in part)
    return {
        key: [v for p in parts for v in p.get(key, [math.nan] * length(p))]
        for key in keys
    }


def check(store, path, expected):
    assert same(as_lists(store.load(path)), expected)
    assert store.keys(path) == list(expected)
    assert store.count(path) == length(expected)


@pytest.mark.parametrize("store", STORES, ids=lambda s: s.ext)
@settings(max_examples=25, deadline=None)
@given(parts=batches())
def test_appended_batches_are_the_rows_of_the_model(store, parts):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"r{store.ext}"
        # Of batches without rows, `append` keeps the first and a writer the last.
        parts = parts[:1] + [part for part in parts[1:] if length(part)]
        for part in parts:
            store.append(path, part)
        check(store, path, model(parts))


@pytest.mark.parametrize("store", STORES, ids=lambda s: s.ext)
@settings(max_examples=25, deadline=None)
@given(parts=batches())
def test_written_batches_are_the_rows_of_the_model(store, parts):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"r{store.ext}"
        with store.writer(path) as writer:
            for part in parts:
                writer.append(part)
        check(store, path, model(parts))


@pytest.mark.parametrize("store", STORES, ids=lambda s: s.ext)
@settings(max_examples=25, deadline=None)
@given(data=st.dictionaries(KEYS, st.lists(st.floats(), min_size=2, max_size=2)))
def test_any_text_is_a_key(store, data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"r{store.ext}"
        store.save(path, data)
        assert same(as_lists(store.load(path)), data)
        assert store.keys(path) == list(data)


@pytest.mark.parametrize("store", STORES, ids=lambda s: s.ext)
@settings(max_examples=25, deadline=None)
@given(values=st.lists(NUMBERS, min_size=1), rows=st.slices(8))
def test_any_slice_is_that_of_a_list(store, values, rows):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"r{store.ext}"
        store.save(path, {"x": values})
        assert same(as_lists(store.load(path, rows))["x"], values[rows])


NUMERIC = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(),
    hnp.unsigned_integer_dtypes(),
    hnp.floating_dtypes(),
    hnp.complex_number_dtypes(),
)


@pytest.mark.parametrize("store", [NpzStore(), H5Store()], ids=lambda s: s.ext)
@settings(max_examples=50, deadline=None)
@given(array=hnp.arrays(NUMERIC, hnp.array_shapes(min_dims=1, min_side=0)))
def test_arrays_keep_type_and_shape(store, array):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"r{store.ext}"
        store.save(path, {"x": array})
        loaded = store.load(path)["x"]
    assert loaded.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(loaded, array)


@pytest.mark.parametrize("store", [NpzStore(), H5Store()], ids=lambda s: s.ext)
@settings(max_examples=50, deadline=None)
@given(
    shapes=st.lists(hnp.array_shapes(min_dims=2, max_dims=2, min_side=0), min_size=1),
)
def test_rows_of_any_shape_are_padded_alike_by_save_and_append(store, shapes):
    rows = [np.full(shape, float(i)) for i, shape in enumerate(shapes)]
    with tempfile.TemporaryDirectory() as folder:
        once, by_row = Path(folder) / f"a{store.ext}", Path(folder) / f"b{store.ext}"
        store.save(once, {"x": rows})
        for row in rows:
            store.append(by_row, {"x": [row]})
        x = store.load(once)["x"]
        np.testing.assert_array_equal(x, store.load(by_row)["x"])
    for padded, row in zip(x, rows, strict=True):
        corner = tuple(map(slice, row.shape))
        np.testing.assert_array_equal(padded[corner], row)
        assert np.isnan(padded).sum() == padded.size - row.size

"""Pickle files are merged and written without all rows in memory."""

import io
import math
import pickle
import threading
import tracemalloc
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psyrun.errors import StoreError
from psyrun.store import PickleStore
from psyrun.store import pickle as pickle_store
from psyrun.store.merging import merge

STORE = PickleStore()
SHARED = ["shared"]

values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.complex_numbers(),
        st.text(max_size=300),
        st.binary(max_size=9),
        st.datetimes(),
        st.just(SHARED),
        st.integers(0, 9).map(np.arange),
        st.floats(width=32).map(np.float32),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.text(max_size=2), inner, max_size=2),
    ),
    max_leaves=4,
)


@st.composite
def columns(draw: st.DrawFn) -> dict[object, list[object]]:
    n_rows = draw(st.integers(0, 12))
    keys = draw(st.lists(st.sampled_from(["a", "b", 0, None]), unique=True))
    return {k: draw(st.lists(values, min_size=n_rows, max_size=n_rows)) for k in keys}


@pytest.fixture(autouse=True)
def nothing_is_small(monkeypatch) -> None:
    monkeypatch.setattr(pickle_store, "_SMALL_BYTES", 0)


@settings(max_examples=60, deadline=None)
@given(
    batches=st.lists(columns(), max_size=4),
    protocol=st.sampled_from([0, 2, 3, 4, 5, -1]),
)
def test_pieces_make_the_file_that_their_rows_make_together(
    tmp_path_factory, batches, protocol
) -> None:
    path = tmp_path_factory.mktemp("pieces") / "all.pkl"
    store = PickleStore(protocol)
    with store.writer(path) as writer:
        for batch in batches:
            writer.append(batch)
    # Up to protocol 3, dates lose their `fold`.
    whole = pickle.dumps(store.concatenate(batches), protocol)
    expected = pickle.loads(whole)
    content = path.read_bytes()
    for unpickler in (pickle.Unpickler, pickle._Unpickler):
        found = unpickler(io.BytesIO(content)).load()
        assert type(found) is dict
        assert list(found) == list(expected)
        assert {type(column) for column in found.values()} <= {list}
        assert repr(found) == repr(expected)
    assert repr(store.load(path)) == repr(expected)
    assert store.count(path) == len(next(iter(expected.values()), []))


def test_what_a_piece_shares_is_shared_afterwards(tmp_path) -> None:
    rows = [[SHARED, SHARED], np.ones(1 << 17), {}]
    circle: list[object] = []
    circle.append(circle)
    with STORE.writer(tmp_path / "r.pkl") as writer:
        for _ in range(3):
            writer.append({"a": [*rows, *rows], "b": [SHARED, circle] * 3})
    found = STORE.load(tmp_path / "r.pkl")
    for begin in (0, 6, 12):
        a, b = found["a"][begin : begin + 6], found["b"][begin : begin + 6]
        assert a[0][0] is a[0][1] is b[0] is b[4]
        assert all(a[place] is a[place + 3] for place in range(3))
        assert b[1] is b[1][0]
    assert found["a"][1] is not found["a"][7]
    assert (tmp_path / "r.pkl").stat().st_size < 3.1 * 8 * (1 << 17)


def test_many_objects_and_columns_are_told_apart(tmp_path) -> None:
    """Their places in the memo are written with another opcode."""
    begun = datetime(2020, 1, 1)
    with STORE.writer(tmp_path / "r.pkl") as writer:
        for piece in range(3):
            writer.append(
                {
                    f"c{number}": [begun + timedelta(number, piece)] * 2
                    for number in range(200 * (piece + 1))
                }
            )
    found = STORE.load(tmp_path / "r.pkl")
    assert len(found) == 600
    assert found["c7"][2:4] == [begun + timedelta(7, 1)] * 2
    assert found["c599"][4:] == [begun + timedelta(599, 2)] * 2
    assert all(map(math.isnan, found["c599"][:4]))


def test_merging_holds_no_more_than_a_file(tmp_path) -> None:
    paths = [tmp_path / f"{number}.pkl" for number in range(8)]
    for number, path in enumerate(paths):
        rows = [np.full(1 << 16, number + row / 10) for row in range(8)]
        STORE.save(path, {"x": [number] * 8, "y": rows})
    tracemalloc.start()
    try:
        merge(paths, tmp_path / "all.pkl")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * paths[0].stat().st_size
    found = STORE.load(tmp_path / "all.pkl")
    assert found["x"] == [int(row[-1]) for row in found["y"]]
    assert found["y"][9].flags.writeable


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_rows_are_counted_whatever_wrote_them(tmp_path, protocol) -> None:
    path = tmp_path / "r.pkl"
    shared = [{"a": [0] * 9}] * 5000
    written = {f"c{number}": shared for number in range(3)}
    path.write_bytes(pickle.dumps({**written, "array": np.arange(5000)}, protocol))
    assert STORE.count(path) == 5000
    shorter = {"a": list(range(9000)), "b": list(range(9001))}
    path.write_bytes(pickle.dumps(shorter, protocol))
    with pytest.raises(StoreError, match=r"PickleStore"):
        STORE.count(path)
    for odd in ([shared, {"a": [1]}], {"a": 3}, "text"):
        path.write_bytes(pickle.dumps(odd, protocol))
        with pytest.raises(StoreError, match=r"PickleStore"):
            STORE.count(path)


def test_counting_holds_only_a_few_rows(tmp_path) -> None:
    path = tmp_path / "r.pkl"
    with STORE.writer(path) as writer:
        for number in range(20):
            texts = [f"{number}-{row}" for row in range(10_000)]
            writer.append({"t": texts, "y": [float(row) for row in range(10_000)]})
    tracemalloc.start()
    try:
        n_rows = STORE.count(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert n_rows == 200_000
    # A piece at a time, and the file has 20.
    assert peak < path.stat().st_size / 3


class _NeedsFive:
    """Cannot be pickled with opcodes of protocol 3, as what has more than 4 GiB."""

    def __init__(self, number: int, buffer: bytes = b"") -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _NeedsFive) and other.number == self.number

    __hash__ = None

    def __reduce_ex__(self, protocol: int):
        return _NeedsFive, (self.number, pickle.PickleBuffer(b"only in protocol 5"))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_needs_a_newer_protocol_is_kept_as_well(tmp_path, place) -> None:
    batches = [{"a": [n, [n]], "b": [n, str(n)]} for n in range(4)]
    batches[place]["b"] = [_NeedsFive(1), _NeedsFive(2)]
    with STORE.writer(tmp_path / "r.pkl") as writer:
        for batch in batches:
            writer.append(batch)
    assert STORE.load(tmp_path / "r.pkl") == STORE.concatenate(batches)


@pytest.mark.parametrize("place", [0, 1])
def test_a_writer_goes_on_after_a_piece_that_it_refused(tmp_path, place) -> None:
    good = [{"a": [[n], [n]]} for n in range(3)]
    with STORE.writer(tmp_path / "r.pkl") as writer:
        for number, batch in enumerate(good):
            if number == place:
                refused = {"a": [["x" * 99_999], 1], "k": [2, [threading.Lock()]]}
                with pytest.raises(StoreError, match=r"key 'k'.*cannot be pickled"):
                    writer.append(refused)
            writer.append(batch)
    assert STORE.load(tmp_path / "r.pkl") == STORE.concatenate(good)


def test_few_rows_have_the_protocol_that_was_asked_for(tmp_path, monkeypatch) -> None:
    monkeypatch.undo()
    STORE.save(tmp_path / "saved.pkl", {"a": [[1], "2"]})
    with STORE.writer(tmp_path / "written.pkl") as writer:
        writer.append({"a": [[1], "2"]})
    saved, written = (tmp_path / f"{n}.pkl" for n in ("saved", "written"))
    assert saved.read_bytes() == written.read_bytes()


class _ReversedStore(PickleStore):
    """A store of a user's own, which writes files in another way."""

    def save(self, filename, data):
        super().save(filename, {key: column[::-1] for key, column in data.items()})


def test_a_store_derived_from_it_writes_in_its_way(tmp_path) -> None:
    with _ReversedStore().writer(tmp_path / "r.pkl") as writer:
        writer.append({"a": [1]})
        writer.append({"a": [2]})
    assert STORE.load(tmp_path / "r.pkl") == {"a": [2, 1]}

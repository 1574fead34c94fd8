"""The rows of a round, against a model that is a plain list."""

import tracemalloc
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import PLAN

from psyrun import Param
from psyrun.steps.process import write_block
from psyrun.store import PickleStore
from psyrun.store.base import Store
from psyrun.store.h5 import H5Store
from psyrun.store.npz import NpzStore
from psyrun.store.registry import store_with
from psyrun.workdir import journal, row_sources
from psyrun.workdir.division import Division
from psyrun.workdir.failures import accepted_failures
from psyrun.workdir.journal import Journal
from psyrun.workdir.layout import Round
from psyrun.workdir.rows import RoundData

STORES = [PickleStore(), NpzStore(), H5Store()]
stores = pytest.mark.parametrize("store", STORES, ids=lambda store: store.ext)


@dataclass(frozen=True)
class Case:
    """How the rows of a round are spread.

    Attributes
    ----------
    kept : list of int
        For each assignment the row of the kept file, or -1.
    former : list of int
        Rows of the kept file that belong to no assignment.
    blocks : list of str
        What there is of each block: ``"file"`` or ``"journal"``.
    done : set of int
        Assignments that the journals hold.
    """

    kept: list[int]
    former: list[int]
    blocks: list[str]
    done: set[int]

    @property
    def open(self) -> list[int]:
        return [index for index, row in enumerate(self.kept) if row < 0]

    def parts(self) -> list[list[int]]:
        if not self.blocks:
            return []
        pieces = np.array_split(np.array(self.open, dtype=int), len(self.blocks))
        return [piece.tolist() for piece in pieces]

    def expected(self) -> list[tuple[int, float]]:
        """Return x and y of all rows in their order."""
        files = [
            p
            for p, kind in zip(self.parts(), self.blocks, strict=True)
            if kind == "file"
        ]
        known = self.done | {index for part in files for index in part}
        rows = [
            (index, row_of_kept(row) if row >= 0 else float(index))
            for index, row in enumerate(self.kept)
            if row >= 0 or index in known
        ]
        return rows + [(-1 - row, row_of_kept(row)) for row in self.former]


def row_of_kept(row: int) -> float:
    return 1000.0 + row


@st.composite
def cases(draw: st.DrawFn) -> Case:
    is_kept = draw(st.lists(st.booleans(), min_size=1, max_size=12))
    n_kept = sum(is_kept)
    numbers = draw(st.permutations(range(n_kept + draw(st.integers(0, 3)))))
    rows = iter(numbers)
    kept = [next(rows) if each else -1 for each in is_kept]
    n_open = len(kept) - n_kept
    kinds = st.lists(
        st.sampled_from(["file", "journal"]),
        min_size=min(1, n_open),
        max_size=min(3, n_open),
    )
    open_ = [index for index, row in enumerate(kept) if row < 0]
    done = draw(st.sets(st.sampled_from(open_))) if open_ else set()
    return Case(kept, sorted(rows), draw(kinds), done)


def build(folder: Path, case: Case, store: Store) -> RoundData:
    """Write the files of a round."""
    round_ = Round(folder / "round-1")
    division = Division(
        Param(x=list(range(len(case.kept)))),
        len(case.blocks),
        np.array(case.kept, dtype=np.int64),
        np.array(case.former, dtype=np.int64),
        {"x": [-1 - row for row in case.former]},
    )
    division.save(round_, replace(PLAN, block_ext=store.ext))
    round_.blocks.mkdir()
    round_.journals.mkdir()
    data = RoundData(round_, store)
    places = {row: index for index, row in enumerate(case.kept) if row >= 0}
    n_kept = len(places) + len(case.former)
    xs = [places.get(row, -1 - row) for row in range(n_kept)]
    kept = {"x": xs, "y": [row_of_kept(row) for row in range(n_kept)]}
    store.save(str(round_.kept(store.ext)), kept)
    for block, indices in enumerate(case.parts()):
        is_whole = case.blocks[block] == "file"
        record(round_, block, indices if is_whole else sorted(case.done & {*indices}))
        if is_whole:
            known = journal.latest(round_.journals_of(block))
            write_block(data, block, known, lists_rows=False)
    return data


def record(round_: Round, block: int, indices: list[int]) -> None:
    written = Journal(round_.journal(block, 0), {})
    for index in reversed(indices):
        written.row(index, 0.0, 0.0, 0, {"x": index, "y": float(index)})
    written.close()


def written_by(data: RoundData, path: Path) -> tuple[int, dict[str, Any]]:
    """Return the number of rows that `write` tells, and what can be read."""
    with data.store.writer(str(path)) as writer:
        n_rows = data.write(writer)
    written = data.store.load(str(path))
    assert data.save(data.store, str(path)) == n_rows
    saved = data.store.load(str(path))
    assert saved.keys() == written.keys()
    for key, column in written.items():
        np.testing.assert_array_equal(saved[key], column)
    return n_rows, written


@stores
@settings(max_examples=40, deadline=None)
@given(case=cases())
def test_rows_are_written_in_the_order_of_the_space(
    tmp_path_factory: pytest.TempPathFactory, store: Store, case: Case
) -> None:
    folder = tmp_path_factory.mktemp("round")
    data = build(folder, case, store)
    n_rows, columns = written_by(data, folder / f"result{store.ext}")
    found = list(zip(columns.get("x", []), columns.get("y", []), strict=True))
    assert found == case.expected()
    assert n_rows == len(found)
    in_space = [x for x, _ in found if x >= 0]
    assert data.with_row().tolist() == in_space
    assert data.division.n_former == len(found) - len(in_space)


@settings(max_examples=40, deadline=None)
@given(case=cases(), size=st.integers(1, 4))
def test_the_size_of_pieces_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, case: Case, size: int
) -> None:
    folder = tmp_path_factory.mktemp("round")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_sources, "CHUNK", size)
        data = build(folder, case, PickleStore())
        pieces = list(data.pieces())
    assert all(len(piece["x"]) <= size for piece in pieces)
    assert [x for piece in pieces for x in piece["x"]] == [
        x for x, _ in case.expected()
    ]


@settings(max_examples=40, deadline=None)
@given(case=cases())
def test_points_are_those_of_the_rows(
    tmp_path_factory: pytest.TempPathFactory, case: Case
) -> None:
    data = build(tmp_path_factory.mktemp("round"), case, PickleStore())
    found = [point["x"] for points in data.points() for point in points]
    assert found == [x for x, _ in case.expected()]


@stores
def test_a_block_without_its_failures_is_read_as_what_it_is(
    tmp_path: Path, store: Store
) -> None:
    data = build(tmp_path, Case([-1] * 4, [], ["journal"], {0, 1, 3}), store)
    fail(data.round, 0, 2)
    write_block(data, 0, journal.latest(data.round.journals_of(0)), lists_rows=False)
    assert data.indices_of_block(0).tolist() == [0, 1, 3]
    assert list(accepted_failures(data.round, 0)) == [2]
    assert data.n_accepted_failures() == 1
    _, columns = written_by(data, tmp_path / f"result{store.ext}")
    assert list(columns["x"]) == [0, 1, 3]


def fail(round_: Round, block: int, index: int) -> None:
    written = Journal(round_.journal(block, 0), {})
    failure = {"type": "ValueError", "message": "no", "where": "", "traceback": ""}
    written.failure(index, 0.0, 0.0, 0, {**failure, "parameters": {}})
    written.close()


def test_a_block_that_is_written_again_without_failures_holds_all(
    tmp_path: Path,
) -> None:
    data = build(tmp_path, Case([-1] * 4, [], ["journal"], {0, 1, 3}), PickleStore())
    fail(data.round, 0, 2)
    write_block(data, 0, journal.latest(data.round.journals_of(0)), lists_rows=False)
    data.round.block(0, ".pkl").unlink()
    record(data.round, 0, [2])
    write_block(data, 0, journal.latest(data.round.journals_of(0)), lists_rows=False)
    assert data.indices_of_block(0).tolist() == [0, 1, 2, 3]
    assert data.n_accepted_failures() == 0


def test_rows_with_different_keys_are_written_together(tmp_path: Path) -> None:
    data = build(tmp_path, Case([-1, -1, 0], [], ["journal"], set()), PickleStore())
    written = Journal(data.round.journal(0, 0), {})
    for index, row in enumerate([{"x": 0, "z": 1}, {"x": 1, "y": 2}]):
        written.row(index, 0.0, 0.0, 0, row)
    written.close()
    _, columns = written_by(data, tmp_path / "result.pkl")
    assert columns["x"] == [0, 1, 2]
    assert columns["y"][1:] == [2, 1000.0] and np.isnan(columns["y"][0])


@pytest.mark.parametrize("place", ["end", "everywhere"])
def test_merging_hdf5_files_needs_little_memory(tmp_path: Path, place: str) -> None:
    n_items, width, store = 60_000, 100, H5Store()
    is_open = np.zeros(n_items, dtype=bool)
    is_open[-1 if place == "end" else slice(None, None, 1000)] = True
    kept = np.where(is_open, -1, np.cumsum(~is_open) - 1)
    round_ = Round(tmp_path / "round-1")
    division = Division(Param(x=range(n_items)), 1, kept, np.empty(0, np.int64))
    division.save(round_, replace(PLAN, block_ext=".h5"))
    round_.blocks.mkdir()
    for path, chosen in [
        (round_.kept(".h5"), ~is_open),
        (round_.block(0, ".h5"), is_open),
    ]:
        xs = np.flatnonzero(chosen)
        store.save(str(path), {"x": xs, "y": np.zeros((len(xs), width))})
    tracemalloc.start()
    try:
        with store.writer(str(tmp_path / "result.h5")) as writer:
            assert RoundData(round_, store).write(writer) == n_items
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # A piece of rows is a sixth of them, and is copied now and then.
    assert peak < n_items * width * 8 * 0.7
    assert store.load(tmp_path / "result.h5")["x"].tolist() == list(range(n_items))


@pytest.mark.parametrize("store", [NpzStore(), H5Store()], ids=lambda s: s.ext)
def test_interleaved_blocks_are_merged_in_little_memory(
    tmp_path: Path, store: NpzStore | H5Store
) -> None:
    n_items, n_blocks, width = 2000, 4, 8000
    round_, plan = Round(tmp_path / "round-1"), replace(PLAN, block_ext=store.ext)
    division = Division(Param(x=range(n_items)), n_blocks, None, np.empty(0, np.int64))
    division.save(round_, replace(plan, fetches=True))
    round_.blocks.mkdir()
    for block in range(n_blocks):
        xs = np.arange(block, n_items, n_blocks)
        np.save(round_.rows(block), xs)
        rows = np.broadcast_to(xs[:, np.newaxis], (len(xs), width))
        store.save(str(round_.block(block, store.ext)), {"x": xs, "y": rows})
    result = str(tmp_path / f"result{store.ext}")
    tracemalloc.start()
    try:
        assert RoundData(round_, store).save(store, result) == n_items
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < n_items * width * 8 / n_blocks
    found = store.load(result)
    assert found["x"].tolist() == found["y"][:, -1].tolist() == list(range(n_items))


def test_the_store_of_the_task_is_used_for_its_own_files() -> None:
    store = NpzStore()
    assert store_with(".npz", store) is store
    assert store_with(".pkl", store).ext == ".pkl"


def test_rows_of_a_round_without_any_are_none(tmp_path: Path) -> None:
    data = build(tmp_path, Case([-1, -1], [], ["journal", "journal"], set()), H5Store())
    assert list(data.pieces()) == []
    assert [len(points) for points in data.points()] == [0]

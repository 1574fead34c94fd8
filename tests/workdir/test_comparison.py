"""Rows are compared with their assignments, and nothing right is refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plans import DESIRED

from psyrun import Param
from psyrun.errors import DamagedFileError, StoreError
from psyrun.planning.decide import decide
from psyrun.planning.states import Current
from psyrun.store import H5Store, NpzStore, PickleStore
from psyrun.store.base import Store
from psyrun.utils.checksums import Checksum
from psyrun.workdir import journal
from psyrun.workdir.blocks import write_block
from psyrun.workdir.checksums import BlockRecord
from psyrun.workdir.comparison import AssignedRows, differing, equal_parameters
from psyrun.workdir.division import Division
from psyrun.workdir.layout import Round
from psyrun.workdir.rows import RoundData

PLAN = decide(DESIRED, Current(), keep_going=False).plan
STORES = [PickleStore(), NpzStore(), H5Store()]
stores = pytest.mark.parametrize("store", STORES, ids=lambda store: store.ext)
VALUES: dict[str, list[Any]] = {
    "integers": [3, 1, 2],
    "floats": [0.1, math.nan, -0.0],
    "both": [1, 2.5, False],
    "single precision": list(np.float32([0.1, 0.2, 0.3])),
    "complex": [1j, 2.0, 3],
    "text": ["a", "bc\0", ""],
    "large": [2**53 + 1, 2**60, -(2**63)],
}
OBJECTS: dict[str, list[Any]] = {
    "none": [None, None, 3],
    "text and numbers": ["1", 1, 1.0],
    "lists": [[1], [1, 2], []],
    "arrays": [np.arange(3), np.arange(3), np.arange(2)],
    "sets": [{1, 2}, frozenset(), {3}],
    "huge": [2**200, 2**64, 0],
    "long doubles": list(np.longdouble([0.1, 0.2, 0.3]) / 3),
    "long text": ["a" * 2_000_000, "b", "c"],
}


@pytest.mark.parametrize("values", {**VALUES, **OBJECTS}.values(), ids=VALUES | OBJECTS)
@stores
def test_what_a_store_gives_back_never_differs(
    store: Store, values: list[Any], tmp_path: Path
) -> None:
    space, rows = Param(p=values, same=0), np.arange(3)
    right = {"p": values, "same": [0] * 3}
    assert list(differing(space, rows, right, ["p", "same"])) == []
    path = tmp_path / f"a{store.ext}"
    try:
        store.save(path, right)
    except StoreError:
        return
    for found in (store.load(path), store.load_scalars(path, ["p", "same"])):
        assert list(differing(space, rows, found, ["p", "same"])) == []
        assert set(differing(space, rows[::-1], found, ["p", "same"])) <= {"p"}


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
@stores
def test_numbers_and_text_of_others_differ(
    store: Store, values: list[Any], tmp_path: Path
) -> None:
    space, rows = Param(p=values, other=[1, 2, 3]), np.arange(3)
    assert equal_parameters(space, rows, {"p": values}) == {"p"}
    path = tmp_path / f"a{store.ext}"
    try:
        store.save(path, {"p": values[::-1], "y": [0, 0, 0]})
    except StoreError:
        pytest.skip("the store has no such values")
    assert "by their p" in AssignedRows(store, path, rows).problem(space, ["p"])
    assert not AssignedRows(store, path, rows[::-1]).problem(space, ["p"])
    assert not AssignedRows(store, path, rows, rows[::-1]).problem(space, ["p"])


@stores
def test_scalars_are_loaded_of_files_that_were_written_in_pieces(
    store: Store, tmp_path: Path
) -> None:
    path, n_rows = tmp_path / f"a{store.ext}", 40_000
    with store.writer(path) as writer:
        for begin in range(0, n_rows, 10_000):
            indices = np.arange(begin, begin + 10_000)
            large = list(np.zeros((10_000, 3)))
            rows = {"i": indices.tolist(), "large": large, "y": indices / 2}
            writer.append(rows)
    found = store.load_scalars(path, ["i", "large", "y", "none"])
    assert [*found] == ["i", "y"]
    assert np.array_equal(found["i"], np.arange(n_rows))
    assert np.array_equal(found["y"], np.arange(n_rows) / 2)
    assert store.count(path) == n_rows


def blocks_of(
    round_: Round, store: Store, *, fetches: bool = False, kept: Sequence[int] = ()
) -> RoundData:
    """Write two blocks of squares; with `kept`, the first row is in the kept file."""
    plan = replace(PLAN, block_ext=store.ext, result_ext=store.ext, fetches=fetches)
    space = Param(x=range(8), half=np.arange(8) / 2)
    rows = np.array([*kept, *[-1] * (8 - len(kept))]) if kept else None
    round_.folder.mkdir(exist_ok=True)
    if kept:
        first = {"x": [5, 0], "half": [2.5, 0.0], "y": [25, 0]}
        store.save(round_.kept(store.ext), first)
    Division(space, 2, rows, kept_compared=("half", "x")).save(round_, plan)
    data = RoundData(round_, store)
    round_.journals.mkdir()
    for block in range(2):
        path = round_.journal(block, 0)
        log = journal.Journal(path, {})
        for i in map(int, data.division.indices(block)):
            log.row(i, 0.0, 1.0, 1, {**space[i], "y": i**2})
        log.close()
        write_block(data, block, journal.latest([path]), lists_rows=fetches)
        path.unlink()
    return RoundData(round_, store)


@stores
@pytest.mark.parametrize("fetches", [False, True])
def test_rows_of_other_assignments_are_refused_whatever_the_records_say(
    tmp_path: Path, store: Store, fetches: bool
) -> None:
    round_ = Round(tmp_path / "round-1")
    blocks_of(round_, store, fetches=fetches)
    files = [round_.block(block, store.ext) for block in range(2)]
    swapped = [path.read_bytes() for path in reversed(files)]
    for block, (path, content) in enumerate(zip(files, swapped, strict=True)):
        record = BlockRecord.load(round_, block)
        assert record is not None
        assert record.compared == ("half", "x")
        path.write_bytes(content)
        replace(record, file=Checksum.of(path)).save(round_, block)
    with pytest.raises(DamagedFileError, match="has rows of other assignments"):
        RoundData(round_, store).save(store, str(tmp_path / f"all{store.ext}"))


@stores
def test_kept_rows_of_other_assignments_are_refused(
    tmp_path: Path, store: Store
) -> None:
    right, wrong = Round(tmp_path / "round-1"), Round(tmp_path / "round-2")
    target = str(tmp_path / f"all{store.ext}")
    assert blocks_of(right, store, kept=[1]).save(store, target) == 8
    assert list(store.load(target)["y"]) == [i**2 for i in range(8)]
    data = blocks_of(wrong, store, kept=[0])
    with pytest.raises(DamagedFileError, match=r"kept\.\w+: has rows of other"):
        data.save(store, target)


@stores
def test_a_block_in_the_place_of_another_is_noticed(
    tmp_path: Path, store: Store
) -> None:
    round_ = Round(tmp_path / "round-1")
    blocks_of(round_, store)
    for find in (lambda block: round_.block(block, store.ext), round_.block_record):
        find(0).replace(tmp_path / "first")
        find(1).replace(find(0))
        (tmp_path / "first").replace(find(1))
    assert "is block 1" in RoundData(round_, store).problem_of(0)


@stores
def test_what_execute_overrides_or_leaves_out_is_no_error(
    store: Store, tmp_path: Path
) -> None:
    round_ = Round(tmp_path / "round-1")
    plan = replace(PLAN, block_ext=store.ext, result_ext=store.ext)
    space = Param(x=range(6), z=[0.5] * 6, w=range(6), v=range(6))
    Division(space, 2).save(round_, plan)
    data = RoundData(round_, store)
    round_.journals.mkdir()
    for block in range(2):
        log = journal.Journal(round_.journal(block, 0), {})
        for index in map(int, data.division.indices(block)):
            x = np.float32(0.1) if index == 4 else index
            v = np.array(index + 1)
            log.row(index, 0.0, 1.0, 1, {"x": x, "z": 0.5, "v": v, "y": 1})
        log.close()
        recorded = journal.latest(round_.journals_of(block))
        write_block(data, block, recorded, lists_rows=False)
    again = RoundData(round_, store)
    assert again.save(store, str(tmp_path / f"all{store.ext}")) == 6
    found = [BlockRecord.load(round_, block) for block in range(2)]
    assert [record.compared for record in found if record] == [("x", "z"), ("z",)]
    assert again.compared() == {"z"}

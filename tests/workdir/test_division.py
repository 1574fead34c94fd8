"""A frozen space and its division."""

import pickle
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plans import PLAN

from psyrun import Param
from psyrun.errors import PsyrunError
from psyrun.pspace.candidates import Candidates
from psyrun.pspace.order import order_of
from psyrun.utils.files import write_json
from psyrun.workdir.division import Division, DivisionCounts
from psyrun.workdir.layout import Round
from psyrun.workdir.shares import Shares

KEPT = st.lists(st.booleans(), min_size=1, max_size=30).map(
    lambda flags: np.where(flags, np.cumsum(flags) - 1, -1).astype(np.int64)
)


def divided(
    kept: "np.ndarray[tuple[int], np.dtype[np.int64]]", n_blocks: int
) -> Division:
    return Division(Param(x=range(len(kept))), n_blocks, kept, np.empty(0, np.int64))


@given(KEPT, st.integers(1, 8))
def test_blocks_share_what_is_open_in_the_order_of_the_space(
    kept: "np.ndarray[tuple[int], np.dtype[np.int64]]", n_blocks: int
) -> None:
    division = divided(kept, n_blocks)
    shares = [list(division.indices(block)) for block in range(n_blocks)]
    assert [i for share in shares for i in share] == [
        i for i, r in enumerate(kept) if r < 0
    ]
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 1
    assert division.n_kept == sum(kept >= 0)


@given(KEPT, st.integers(1, 8))
def test_the_recorded_numbers_are_those_of_the_division(
    tmp_path_factory: pytest.TempPathFactory,
    kept: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    n_blocks: int,
) -> None:
    round_ = Round(tmp_path_factory.mktemp("round"))
    division = divided(kept, n_blocks)
    division.save(round_, PLAN)
    counts = DivisionCounts.load(round_)
    assert counts is not None
    assert (counts.n_items, counts.n_open) == (len(kept), len(division.open))
    assert counts.sizes == [len(division.indices(block)) for block in range(n_blocks)]


def test_a_division_is_read_as_it_was_written(tmp_path: Path) -> None:
    space = Param(x=np.linspace(0, 1, 5)) * Param(s=["a", "b"])
    kept = np.array([0, -1] * 5)
    Division(space, 3, kept, np.array([5, 6])).save(Round(tmp_path), PLAN)
    found = Division.load(Round(tmp_path))
    assert [*found.space.iterate()] == [*space.iterate()]
    assert found.n_blocks == 3
    assert found.kept is not None and found.kept.tolist() == kept.tolist()
    assert found.former is not None and found.former.tolist() == [5, 6]


@pytest.mark.parametrize("order", ["space", "even"])
@pytest.mark.parametrize("kept", [None, np.array([0, -1, -1, 1, -1, -1, -1, -1])])
def test_blocks_have_the_shares_that_are_recorded(
    tmp_path: Path,
    kept: "np.ndarray[tuple[int], np.dtype[np.int64]] | None",
    order: str,
) -> None:
    space = Param(x=range(8))
    shares = Shares((0, 1, 4, 6 if kept is not None else 8), (1, 0, 1))
    division = Division(space, 3, kept, order=order_of(space, order), shares=shares)
    division.save(Round(tmp_path), PLAN)
    found, counts = Division.load(Round(tmp_path)), DivisionCounts.load(Round(tmp_path))
    in_turn = division.in_turn(division.open)
    assert list(found.indices(0)) == sorted(in_turn[1:4])
    assert list(found.indices(1)) == sorted([in_turn[0], *in_turn[4:]])
    assert list(found.indices(2)) == []
    assert counts is not None
    assert counts.sizes == [len(found.indices(block)) for block in range(3)]


def test_portions_are_fetched_one_after_the_other() -> None:
    kept = np.array([-1, 0, -1, -1, -1, 1, -1, -1])
    division = Division(Param(x=range(8)), 2, kept)
    assert division.fetchable()[1] is None
    assert list(division.fetchable()[0]) == [0, 2, 3, 4, 6, 7]
    portions = Shares((0, 2, 3, 6), (1, 0, 1))
    found, sizes = replace(division, portions=portions).fetchable()
    assert list(found) == [3, 0, 2, 4, 6, 7]
    assert sizes == (1, 5)


@pytest.mark.parametrize("shared", [[1, 1], [4, 4], [1, 1, 1, 1], [4, -1, 0]], ids=str)
def test_shares_that_cannot_be_are_called_damaged(
    tmp_path: Path, shared: list[int]
) -> None:
    round_ = Round(tmp_path)
    Division(Param(x=[1, 2, 3]), 3).save(round_, PLAN)
    counts = DivisionCounts.load(round_)
    assert counts is not None
    write_json(round_.division, asdict(replace(counts, shared=tuple(shared))))
    with pytest.raises(PsyrunError, match="numbers that cannot be"):
        DivisionCounts.load(round_)


def test_a_large_space_is_a_small_file(tmp_path: Path) -> None:
    space = Param(x=range(10**6)) * Param(y=range(10**6))
    Division(space, 100).save(Round(tmp_path), PLAN)
    assert Round(tmp_path).space.stat().st_size < 10_000
    assert Division.load(Round(tmp_path)).indices(99)[-1] == 10**12 - 1


def test_a_file_cut_anywhere_is_called_damaged(tmp_path: Path) -> None:
    round_ = Round(tmp_path)
    Division(Param(x=[1, 2, 3]), 1, np.array([0, -1, 1]), None).save(round_, PLAN)
    content = round_.space.read_bytes()
    for length in range(len(content)):
        round_.space.write_bytes(content[:length])
        with pytest.raises(PsyrunError, match=r"space\.pkl: is damaged"):
            Division.load(round_)


@pytest.mark.parametrize("content", [[], {}, 1, "text", {"space": b""}], ids=repr)
def test_a_file_with_something_else_is_called_damaged(
    tmp_path: Path, content: object
) -> None:
    Round(tmp_path).space.write_bytes(pickle.dumps(content))
    with pytest.raises(PsyrunError):
        Division.load(Round(tmp_path))


@pytest.mark.parametrize("content", [b"\0" * 500, b"garbage", b"\xff" * 50, b"c\n"])
def test_a_file_of_garbage_is_called_damaged(tmp_path: Path, content: bytes) -> None:
    Round(tmp_path).space.write_bytes(content)
    with pytest.raises(PsyrunError, match=r"space\.pkl: is damaged"):
        Division.load(Round(tmp_path))


def test_what_cannot_be_frozen_leaves_no_division(tmp_path: Path) -> None:
    with pytest.raises(PsyrunError, match="'f'"):
        Division(Param(f=[lambda: 0]), 1).save(Round(tmp_path / "round"), PLAN)
    assert DivisionCounts.load(Round(tmp_path / "round")) is None


def test_a_round_that_is_not_divided_has_no_numbers(tmp_path: Path) -> None:
    assert DivisionCounts.load(Round(tmp_path)) is None


def test_rows_of_before_come_back_and_take_no_room(tmp_path: Path) -> None:
    n_rows = 50_000
    rows = np.arange(n_rows)
    division = Division(
        Param(x=range(n_rows + 1)),
        1,
        kept=np.append(rows, -1),
        former=rows[:0],
        former_points={},
        fingerprints=("f",),
        versions=np.zeros(n_rows, np.int64),
        left_out={1: rows + 7},
    )
    round_ = Round(tmp_path / "round-2")
    division.save(round_, PLAN)
    found = Division.load(round_)
    assert round_.space.stat().st_size < 5_000
    for name in ("kept", "former", "versions"):
        before, after = getattr(division, name), getattr(found, name)
        np.testing.assert_array_equal(after, before)
    np.testing.assert_array_equal(found.left_out[1], rows + 7)


@given(KEPT, st.data())
def test_a_part_has_what_is_chosen_and_what_has_a_row(
    tmp_path_factory: pytest.TempPathFactory,
    kept: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    data: st.DataObject,
) -> None:
    n_items = len(kept)
    chosen = data.draw(st.lists(st.booleans(), min_size=n_items, max_size=n_items))
    whole = divided(kept, 2)
    among = Candidates(whole.space, np.array(chosen))
    part = whole.narrowed(whole.space, among)
    round_ = Round(tmp_path_factory.mktemp("round"))
    part.save(round_, PLAN)
    counts, found = DivisionCounts.load(round_), Division.load(round_)
    assert counts is not None
    for each in (part, found):
        points = [i for i in range(n_items) if chosen[i] or kept[i] >= 0]
        assert each.space.build()["x"] == points
        assert each.whole_space.build() == whole.space.build()
        # Rows are those that they were.
        assert each.kept is not None
        assert each.kept.tolist() == kept[points].tolist()
        places = each.in_whole(np.asarray(each.open))
        assert places.tolist() == [i for i in points if kept[i] < 0]
    assert (counts.n_items, counts.n_whole) == (len(points), n_items)
    assert counts.n_open == len(found.open)


def test_a_part_of_what_cannot_be_listed_is_kept_with_it(tmp_path: Path) -> None:
    whole = Param(a=range(10**6)) * Param(b=range(10**6))
    there = Param(a=[10**6 - 1], b=[7])
    among = Candidates.of(whole, ["a=2:4", "b=:1"], [there])
    division = Division(among.space, 1, np.array([-1, -1, 0]))
    division.narrowed(whole, among).save(Round(tmp_path), PLAN)
    found = Division.load(Round(tmp_path))
    assert found.space.build() == {"a": [2, 3, 10**6 - 1], "b": [0, 0, 7]}
    assert len(found.whole_space) == 10**12
    assert found.in_whole(np.arange(3)).tolist() == [
        2 * 10**6,
        3 * 10**6,
        10**12 - 10**6 + 7,
    ]

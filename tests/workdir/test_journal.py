"""Journals: what was appended is read back, whatever happens to the end."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psyrun.workdir import journal
from psyrun.workdir.frames import FAILURE, ROW, SESSION
from psyrun.workdir.journal import Entry, Journal, latest, scan

VALUES = st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
ROWS = st.dictionaries(st.text(), VALUES, max_size=3)
INDICES = st.integers(0, 2**64 - 1)
RECORDS = st.lists(st.tuples(st.sampled_from([ROW, FAILURE]), INDICES, ROWS))
TAILS = {
    "zeros": b"\0" * 5000,
    "garbage": bytes(range(256)) * 20,
    "half a magic number": b"p",
    "a header of a frame without end": b"pJ\x01\0" + b"\xff" * 60,
    "a frame that is all zeros": b"pJ\x01\0" + b"\0" * 44,
}


def write(path: Path, rows: dict[int, dict[str, Any]]) -> None:
    records = Journal(path, {"host": "here"})
    for index, row in rows.items():
        records.row(index, 1.5, 0.25, 1024, row)
    records.close()


def rows_in(path: Path) -> dict[int, dict[str, Any]]:
    entries = [e for e in scan(path, verify=True) if e.kind == ROW]
    indices = (entry.index for entry in entries)
    return dict(zip(indices, journal.rows(entries), strict=True))


def ends_in(path: Path) -> list[int]:
    return [entry.offset + entry.length for entry in scan(path)]


@given(RECORDS)
def test_records_come_back_in_their_order(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[int, int, Any]]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "0-0.journal"
    written = Journal(path, {})
    failures = []
    for kind, index, row in records:
        if kind == ROW:
            written.row(index, 1.5, 0.25, 1024, row)
        else:
            failures.append({key: repr(value) for key, value in row.items()})
            written.failure(index, 1.5, 0.25, 1024, failures[-1])
    written.close()
    entries = list(scan(path, verify=True))[1:]
    assert [(entry.kind, entry.index) for entry in entries] == [r[:2] for r in records]
    expected = [row for kind, _, row in records if kind == ROW]
    assert list(journal.rows(e for e in entries if e.kind == ROW)) == expected
    assert list(journal.failures(e for e in entries if e.kind == FAILURE)) == failures


def test_times_and_memory_come_back(tmp_path: Path) -> None:
    write(tmp_path / "j", {7: {"y": 1}})
    _, entry = scan(tmp_path / "j")
    assert (entry.start, entry.duration, entry.peak) == (1.5, 0.25, 1024)


def test_each_writer_says_who_it_is(tmp_path: Path) -> None:
    for host in "ab":
        Journal(tmp_path / "j", {"host": host}).close()
    sessions = [e for e in scan(tmp_path / "j") if e.kind == SESSION]
    assert list(journal.failures(sessions)) == [{"host": "a"}, {"host": "b"}]


@given(RECORDS)
def test_a_row_counts_more_than_a_failure_and_the_last_failure_counts(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[int, int, Any]]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j"
    written = Journal(path, {})
    expected: dict[int, tuple[int, int]] = {}
    for number, (kind, index, _) in enumerate(records):
        index %= 3
        record = written.row if kind == ROW else written.failure
        record(index, number, 0.0, 0, {})
        if expected.get(index, (FAILURE,))[0] != ROW:
            expected[index] = kind, number
    written.close()
    found = {i: (e.kind, int(e.start)) for i, e in latest([path], verify=True).items()}
    assert found == expected


def truncations(path: Path) -> Iterator[tuple[int, int]]:
    """Cut the last two records off, byte by byte; yield length and whole frames."""
    content, ends = path.read_bytes(), ends_in(path)
    for length in range(len(content), ends[-3] - 1, -1):
        path.write_bytes(content[:length])
        yield length, sum(end <= length for end in ends)


def test_a_journal_cut_anywhere_has_lost_nothing_before(tmp_path: Path) -> None:
    path, rows = tmp_path / "j", {i: {"x": i, "y": "é" * i} for i in range(4)}
    write(path, rows)
    for _, n_frames in truncations(path):
        whole = dict(list(rows.items())[: n_frames - 1])
        assert [entry.index for entry in scan(path)][1:] == list(whole)
        assert [index for _, index, *_ in journal.outcomes(path)][1:] == list(whole)
        assert list(latest([path])) == list(whole)
        assert rows_in(path) == whole


def test_a_journal_cut_anywhere_is_appended_to(tmp_path: Path) -> None:
    path, rows = tmp_path / "j", {i: {"x": i} for i in range(4)}
    write(path, rows)
    for _, n_frames in truncations(path):
        write(path, {9: {"x": 9}})
        assert rows_in(path) == {
            **dict(list(rows.items())[: n_frames - 1]),
            9: {"x": 9},
        }


@pytest.mark.parametrize("tail", TAILS.values(), ids=TAILS.keys())
def test_what_is_no_frame_at_the_end_is_dropped(tmp_path: Path, tail: bytes) -> None:
    path, rows = tmp_path / "j", {i: {"x": i} for i in range(4)}
    write(path, rows)
    with path.open("ab") as file:
        file.write(tail)
    assert rows_in(path) == rows
    assert latest([path], verify=True).keys() == rows.keys()
    write(path, {9: {"x": 9}})
    assert rows_in(path) == {**rows, 9: {"x": 9}}


def test_a_payload_that_never_reached_the_disk_is_dropped(tmp_path: Path) -> None:
    path, rows = tmp_path / "j", {i: {"x": "y" * 100} for i in range(4)}
    write(path, rows)
    last = list(scan(path))[-1]
    with path.open("r+b") as file:
        file.seek(last.offset)
        file.write(b"\0" * last.length)
    assert list(rows_in(path)) == [0, 1, 2]
    write(path, {9: {"x": 9}})
    assert list(rows_in(path)) == [0, 1, 2, 9]


@settings(max_examples=200)
@given(st.data())
def test_a_flipped_bit_never_yields_a_wrong_row(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j"
    rows = {i: {"x": i} for i in range(3)}
    write(path, rows)
    content = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    assert rows_in(path).items() <= rows.items()


@pytest.mark.parametrize("size", [0, (1 << 20) - 60, 1 << 20, 5 << 20])
def test_large_rows_come_back(tmp_path: Path, size: int) -> None:
    path = tmp_path / "j"
    rows = {0: {"x": os.urandom(size)}, 1: {"x": b"small"}, 2: {"x": os.urandom(size)}}
    write(path, rows)
    assert rows_in(path) == rows
    assert [index for _, index, *_ in journal.outcomes(path)][1:] == [0, 1, 2]


def test_reading_goes_on_from_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "j"
    write(path, {0: {}, 1: {}})
    end = ends_in(path)[-1]
    assert not list(scan(path, end))
    assert not list(journal.outcomes(path, end))
    write(path, {2: {}})
    assert [index for _, index, *_ in journal.outcomes(path, end)] == [0, 2]


def test_a_reader_beside_a_writer_sees_a_growing_part_of_the_rows(
    tmp_path: Path,
) -> None:
    path, rows = tmp_path / "j", {i: {"x": os.urandom(i * 50)} for i in range(400)}
    Journal(path, {}).close()
    writer = threading.Thread(target=write, args=(path, rows))
    writer.start()
    seen = [0]
    while writer.is_alive():
        found = rows_in(path)
        assert found.items() <= rows.items()
        assert list(found) == list(range(len(found)))
        seen.append(len(found))
    writer.join()
    assert all(before <= after for before, after in pairwise(seen))
    assert rows_in(path) == rows


FULL_DISK = """
import resource, sys
from pathlib import Path
from psyrun.workdir.journal import Journal
path = Path(sys.argv[1])
journal = Journal(path, {})
journal.row(0, 0.0, 0.0, 0, {"x": "first"})
size = path.stat().st_size
before = path.read_bytes()
for room in (0, 1, 47, 48, 49, 1000):
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, hard))
    try:
        journal.row(1, 0.0, 0.0, 0, {"x": "y" * 5000})
    except OSError:
        assert path.read_bytes() == before
    else:
        sys.exit("the disk was not full")
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
journal.row(2, 0.0, 0.0, 0, {"x": "last"})
"""


def test_a_full_disk_leaves_the_journal_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "j"
    subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], check=True)
    assert rows_in(path) == {0: {"x": "first"}, 2: {"x": "last"}}


def test_a_journal_is_there_after_a_kill(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path;"
        "from psyrun.workdir.journal import Journal;"
        "j = Journal(Path(sys.argv[1]), {}); j.row(5, 0., 0., 0, {'x': 1});"
        "os.kill(os.getpid(), 9)"
    )
    path = tmp_path / "j"
    assert subprocess.run([sys.executable, "-c", script, str(path)]).returncode == -9
    assert rows_in(path) == {5: {"x": 1}}


def test_rows_of_several_journals_are_read_in_any_order(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / str(number), {number + 3 * k: {"x": number} for k in range(4)})
    found = latest(tmp_path / str(number) for number in range(3))
    entries: list[Entry] = [found[index] for index in range(12)]
    assert [row["x"] for row in journal.rows(entries)] == [0, 1, 2] * 4


def test_no_file_stays_open(tmp_path: Path) -> None:
    before = len(list(Path("/dev/fd").iterdir()))
    write(tmp_path / "j", {0: {"x": 1}, 1: {"x": 2}})
    rows_in(tmp_path / "j")
    assert len(list(Path("/dev/fd").iterdir())) == before


def damage(path: Path, entry: Entry, at: int) -> None:
    """Flip a bit of a frame, counted from the start of its payload."""
    content = bytearray(path.read_bytes())
    content[entry.offset + at] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("at", [0, 20, -1, -5, -9, -20, -30, -40, -48])
def test_one_bad_frame_costs_one_row(tmp_path: Path, at: int) -> None:
    path, rows = tmp_path / "j", {i: {"x": "y" * 50, "i": i} for i in range(200)}
    write(path, rows)
    bad = list(scan(path))[5]
    damage(path, bad, at)
    expected = {i: row for i, row in rows.items() if i != bad.index}
    assert rows_in(path) == expected
    ((lost,),) = journal.unusable_of(path).damaged.values()
    assert bad.offset - 48 <= lost.start and lost.stop <= bad.offset + bad.length
    if at < 0:
        # What a header says is not believed without its checksum.
        assert latest([path], verify=True).keys() == expected.keys()


def test_a_damaged_failure_is_left_out_by_all_readers(tmp_path: Path) -> None:
    path = tmp_path / "j"
    written = Journal(path, {})
    for index in range(2):
        written.failure(index, 0.0, 0.0, 0, {"type": "ValueError"})
    written.close()
    first, second = (entry for entry in scan(path) if entry.kind == FAILURE)
    damage(path, first, 0)
    found = [entry for entry in scan(path) if entry.kind == FAILURE]
    assert found == [second]
    assert list(journal.failures(found)) == [{"type": "ValueError"}]
    seen = [index for kind, index, *_ in journal.outcomes(path) if kind == FAILURE]
    assert seen == [1]


@settings(max_examples=200)
@given(st.data())
def test_damage_anywhere_costs_what_it_hits(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j"
    rows = {i: {"x": i, "text": "pJ" * i} for i in range(20)}
    write(path, rows)
    entries = list(scan(path))
    content = path.read_bytes()
    first = data.draw(st.integers(0, len(content)))
    last = data.draw(st.integers(first, min(len(content), first + 200)))
    change = data.draw(st.sampled_from(["zeros", "cut out", "put in"]))
    middle = {"zeros": bytes(last - first), "cut out": b"", "put in": b"pJ" * 40}
    rest = content[first:] if change == "put in" else content[last:]
    path.write_bytes(content[:first] + middle[change] + rest)
    hit = {
        e.index
        for e in entries
        if e.kind == ROW and e.offset - 48 <= last and first <= e.offset + e.length
    }
    found = rows_in(path)
    assert found.items() <= rows.items()
    assert rows.keys() - found.keys() <= hit


def test_what_is_appended_after_a_torn_frame_is_read(tmp_path: Path) -> None:
    path, rows = tmp_path / "j", {i: {"x": "y" * 500, "i": i} for i in range(4)}
    write(path, rows)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 100)
    size = path.stat().st_size
    write(path, {9: {"x": 9}})
    assert path.stat().st_size > size
    assert list(rows_in(path)) == [0, 1, 2, 9]
    assert [index for _, index, *_ in journal.outcomes(path)] == [0, 0, 1, 2, 0, 9]


def test_a_late_writer_destroys_nothing(tmp_path: Path) -> None:
    path = tmp_path / "j"
    late = Journal(path, {"host": "a"})
    late.row(0, 0.0, 0.0, 0, {"x": 0})
    write(path, {i: {"x": i} for i in range(1, 500)})
    late.row(500, 0.0, 0.0, 0, {"x": 500})
    late.close()
    assert rows_in(path) == {i: {"x": i} for i in range(501)}


def two_sessions(folder: Path) -> tuple[list[Path], Journal]:
    """Return the journals of two jobs of a block, and the first one to append to."""
    first, second = folder / "0-0-a.journal", folder / "0-0-b.journal"
    late = Journal(first, {"token": "a"})
    late.row(0, 1.0, 0.0, 0, {"x": 0})
    taken_over = Journal(second, {"token": "b"})
    for index in (1, 2):
        taken_over.row(index, 9.0, 0.0, 0, {"x": index})
    taken_over.close()
    return [first, second], late


def test_a_late_record_is_read_and_takes_the_place_of_no_other(tmp_path: Path) -> None:
    paths, late = two_sessions(tmp_path)
    theirs = paths[1].read_bytes()
    late.row(1, 2.0, 0.0, 0, {"x": "late"})
    late.failure(2, 2.0, 0.0, 0, {"message": "late"})
    late.row(3, 2.0, 0.0, 0, {"x": 3})
    late.close()
    assert paths[1].read_bytes() == theirs
    for order in (paths, paths[::-1]):
        found = latest(order, verify=True)
        rows = dict(zip(found, journal.rows(found.values()), strict=True))
        assert rows == {index: {"x": index} for index in range(4)}


def test_a_row_is_taken_back_in_another_journal_than_its_own(tmp_path: Path) -> None:
    paths, late = two_sessions(tmp_path)
    late.close()
    theirs = [path.read_bytes() for path in paths]
    reader = Journal(tmp_path / "0-read-c.journal", {"token": "c"})
    for row in latest(paths).values():
        reader.withdraw(row, {"message": "cannot be read"})
    reader.row(2, 20.0, 0.0, 0, {"x": "again"})
    reader.close()
    assert [path.read_bytes() for path in paths] == theirs
    for order in permutations([*paths, tmp_path / "0-read-c.journal"]):
        found = latest(order, verify=True)
        assert {i: e.kind for i, e in found.items()} == {0: FAILURE, 1: FAILURE, 2: ROW}
        assert list(journal.rows([found[2]])) == [{"x": "again"}]


def test_a_journal_that_is_closed_is_on_disk_with_its_name(
    tmp_path: Path, synced: list[Path]
) -> None:
    path = tmp_path / "j"
    write(path, {0: {"x": 0}})
    assert {path, tmp_path} <= set(synced)


def test_a_row_is_on_disk_after_some_seconds(
    tmp_path: Path, synced: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Journal(tmp_path / "j", {"host": "a"})
    one.row(0, 0.0, 0.0, 0, {"x": 0})
    assert not synced
    monkeypatch.setattr(journal, "FLUSH_SECONDS", 0.0)
    one.row(1, 0.0, 0.0, 0, {"x": 1})
    assert set(synced) == {tmp_path / "j", tmp_path}
    one.close()


def test_failures_behind_a_large_hole_stay_when_rows_are_forgotten(
    tmp_path: Path,
) -> None:
    path = tmp_path / "j"
    written = Journal(path, {"host": "here"})
    written.row(0, 0.0, 0.0, 0, {"x": "y" * (5 << 20)})
    written.row(1, 0.0, 0.0, 0, {"x": 1})
    written.failure(2, 0.0, 0.0, 0, {"type": "ValueError"})
    written.close()
    damage(path, list(scan(path))[1], -1)
    journal.forget_rows(path, {2})
    assert [(e.kind, e.index) for e in scan(path)] == [(SESSION, 0), (FAILURE, 2)]


@given(st.permutations(range(8)))
def test_rows_of_any_size_are_read_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, order: list[int]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j"
    sizes = [0, 10, 70_000, 5, 300_000, 1, 2, 3]
    write(path, {i: {"x": bytes([i]) * size} for i, size in enumerate(sizes)})
    found = latest([path])
    rows = journal.rows(found[index] for index in order)
    assert [row["x"] for row in rows] == [bytes([i]) * sizes[i] for i in order]

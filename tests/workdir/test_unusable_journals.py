"""What of journals cannot be used: it is passed over, kept and told of."""

import os
import shutil
from pathlib import Path

import pytest

from psyrun.workdir import journal
from psyrun.workdir.frames import PREFIX, SESSION
from psyrun.workdir.journal import Journal, Unusable, forget_rows, latest, scan
from psyrun.workdir.layout import Place, Round, TaskLayout
from psyrun.workdir.notices import leave_notice, take_notices
from psyrun.workdir.progress import RoundProgress
from psyrun.workdir.unusable_journals import REPEATED, keep_unusable, keep_unusable_of


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TaskLayout:
    monkeypatch.chdir(tmp_path)
    found = TaskLayout.of(tmp_path / "psy-work", "a")
    for number in (1, 2):
        found.round(number).journals.mkdir(parents=True)
    return found


@pytest.fixture
def round_(layout: TaskLayout) -> Round:
    return layout.round(1)


def write(round_: Round, block: int, indices: range, token: str = "s") -> Path:
    path = round_.journal(block, 0, token)
    written = Journal(path, {"host": "here"})
    for index in indices:
        written.row(index, 1.0, 0.0, 0, {"x": index})
    written.close()
    return path


def damage(path: Path, number: int, at: int = 3) -> range:
    """Flip a bit of the payload of a frame, and return where the frame is."""
    entry = list(scan(path))[number]
    content = bytearray(path.read_bytes())
    content[entry.offset + at] ^= 1
    path.write_bytes(content)
    return range(entry.offset - PREFIX, entry.offset + entry.length)


def test_a_damaged_part_is_kept_and_told_of_once(layout, round_, capfd) -> None:
    path = write(round_, 0, range(9))
    part, content = damage(path, 4), path.read_bytes()
    for _ in range(2):
        unusable = Unusable()
        assert set(latest([path], verify=True, unusable=unusable)) == {*range(9)} - {3}
        keep_unusable(round_, unusable, REPEATED)
        keep_unusable_of(round_, [path])
    kept = layout.damaged / f"round-1/journal/0-0-s.journal.{part.start}-{part.stop}"
    assert kept.read_bytes() == content[part.start : part.stop]
    assert path.read_bytes() == content
    (line,) = take_notices(layout)
    assert line == (
        f"a: {path}: {len(part)} bytes at {part.start} are damaged; kept as {kept}; "
        "what only it held is evaluated again"
    )
    assert capfd.readouterr().err.count("damaged;") == 1
    assert take_notices(layout) == []


def test_several_parts_of_a_journal_are_told_of_in_one_line(layout, round_) -> None:
    path = write(round_, 0, range(9))
    parts = [damage(path, number) for number in (2, 5)]
    keep_unusable_of(round_, [path])
    folder = layout.damaged / "round-1/journal"
    size = sum(map(len, parts))
    assert take_notices(layout) == [
        f"a: {path}: {size} bytes in 2 parts are damaged; kept in {folder}"
    ]
    # Only what is new is told of.
    third = damage(path, 7)
    keep_unusable_of(round_, [path])
    assert f"{len(third)} bytes at {third.start} are" in take_notices(layout)[0]
    assert len(list(folder.iterdir())) == 3


def test_another_part_at_the_same_place_is_kept_beside_the_first(round_) -> None:
    path = write(round_, 0, range(9))
    damage(path, 4)
    keep_unusable_of(round_, [path])
    damage(path, 4, 5)
    keep_unusable_of(round_, [path])
    kept = [file.read_bytes() for file in (round_.damaged / "round-1").rglob("*.*-*")]
    assert len(kept) == len(set(kept)) == 2


def test_a_torn_end_is_not_damaged(layout, round_) -> None:
    path = write(round_, 0, range(3))
    path.write_bytes(path.read_bytes()[:-5])
    keep_unusable_of(round_, [path])
    assert not layout.damaged.exists()
    assert take_notices(layout) == []


def test_what_cannot_be_read_does_not_keep_the_others_from_being_kept(round_) -> None:
    path = write(round_, 1, range(3))
    damage(path, 1)
    round_.journal(0, 0).mkdir()
    os.mkfifo(round_.journal(0, 1))
    keep_unusable_of(round_, round_.all_journals())
    assert len([p for p in round_.damaged.rglob("*") if p.is_file()]) == 1


def test_notices_name_files_as_the_run_does(layout) -> None:
    leave_notice(layout, f"{layout.folder}/x: is odd")
    (layout.notices / ".x.tmp").touch()
    assert take_notices(TaskLayout.of("psy-work", "a")) == ["psy-work/a/x: is odd"]


def test_journals_say_where_they_belong(round_) -> None:
    path = write(round_, 3, range(1))
    paths = [path, round_.journal_of_reader(3, "s"), round_.journal_of_queue(3, "s")]
    for one in paths:
        Journal(one, {"host": "here"}).close()
        session = next(e for e in scan(one) if e.kind == SESSION)
        assert Place.of(one) == Place(1, 3)
        assert next(journal.failures([session])) == {
            "host": "here",
            "round": 1,
            "block": 3,
        }


@pytest.mark.parametrize("target", ["round-1/journal/1-0-s", "round-2/journal/0-0-s"])
def test_a_journal_of_another_place_is_passed_over(layout, round_, target) -> None:
    path = write(round_, 0, range(4))
    copy = layout.folder / f"{target}.journal"
    shutil.copy(path, copy)
    assert (
        list(latest([copy])) == list(scan(copy)) == list(journal.outcomes(copy)) == []
    )
    assert len(latest([path, copy], verify=True)) == 4
    assert all(entry.path == path for entry in latest([path, copy]).values())
    other = Round(copy.parents[1])
    keep_unusable_of(other, other.all_journals())
    assert not copy.exists()
    kept = layout.damaged / copy.relative_to(layout.folder)
    assert kept.read_bytes() == path.read_bytes()
    assert take_notices(layout) == [
        f"a: {copy}: was written for block 0 of round 1; kept as {kept}"
    ]


def test_swapped_journals_count_for_nothing(round_) -> None:
    paths = [write(round_, block, range(4 * block, 4 * block + 4)) for block in (0, 1)]
    first, second = (path.read_bytes() for path in paths)
    paths[0].write_bytes(second)
    paths[1].write_bytes(first)
    for block in (0, 1):
        assert latest(round_.journals_of(block), verify=True) == {}
    progress = RoundProgress(round_)
    progress._read_journals(set())
    assert all(not block.tally.done for block in progress._unfinished.values())


def test_sessions_of_two_places_in_one_journal_are_told_apart(round_) -> None:
    paths = [write(round_, block, range(4 * block, 4 * block + 4)) for block in (0, 1)]
    paths[0].write_bytes(b"".join(path.read_bytes() for path in paths))
    assert list(latest([paths[0]], verify=True)) == [0, 1, 2, 3]


def test_a_journal_without_a_place_is_used(tmp_path, round_) -> None:
    former = tmp_path / "former"
    written = Journal(former, {"host": "here"})
    written.row(5, 1.0, 0.0, 0, {"x": 5})
    written.close()
    path = round_.journal(1, 0)
    shutil.copy(former, path)
    assert list(latest([path], verify=True)) == [5]
    keep_unusable_of(round_, [path])
    forget_rows(path)
    assert [entry.kind for entry in scan(path)] == [SESSION]

"""How far a round is, read while its jobs work."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plans import PLAN
from projects import COUNTED, Project

from psyrun import Param
from psyrun.steps.process import write_block
from psyrun.store import PickleStore
from psyrun.utils.files import read_json, write_json
from psyrun.workdir import journal
from psyrun.workdir.division import Division
from psyrun.workdir.journal import Journal
from psyrun.workdir.layout import Round, TaskLayout
from psyrun.workdir.progress import (
    MergeRecord,
    RoundProgress,
    Tally,
    finished_blocks,
)
from psyrun.workdir.rows import RoundData


@pytest.fixture
def round_(tmp_path: Path) -> Round:
    """A round of ten assignments, two of them kept, in two blocks."""
    kept = np.array([0, -1, -1, -1, -1, 1, -1, -1, -1, -1])
    Division(Param(x=range(10)), 2, kept, None).save(Round(tmp_path), PLAN)
    Round(tmp_path).blocks.mkdir()
    Round(tmp_path).journals.mkdir()
    return Round(tmp_path)


def record(
    round_: Round, block: int, done: list[int], failed: list[int], worker: int = 0
) -> None:
    written = Journal(round_.journal(block, worker), {})
    for index in failed:
        failure = {"type": "E", "message": "", "parameters": {}}
        written.failure(index, 0.0, 0.0, 0, failure)
    for index in done:
        written.row(index, 0.0, 0.0, 0, {"x": index})
    written.close()


def finish(round_: Round, block: int) -> None:
    known = journal.latest(round_.journals_of(block))
    write_block(RoundData(round_, PickleStore()), block, known, lists_rows=False)


def test_nothing_is_known_before_the_split(tmp_path: Path) -> None:
    assert RoundProgress(Round(tmp_path)).tally() == Tally(0, 0, 0)


def test_kept_rows_are_done_from_the_start(round_: Round) -> None:
    assert RoundProgress(round_).tally() == Tally(2, 0, 10)


def test_rows_and_failures_are_counted_as_they_come(round_: Round) -> None:
    progress = RoundProgress(round_)
    record(round_, 0, [1], [2])
    assert progress.tally() == Tally(3, 1, 10)
    record(round_, 0, [3], [])
    record(round_, 1, [6], [7], worker=1)
    assert progress.tally() == Tally(5, 2, 10)
    assert progress.tally() == RoundProgress(round_).tally()


def test_an_assignment_that_failed_and_then_did_not_is_done(round_: Round) -> None:
    progress = RoundProgress(round_)
    record(round_, 0, [], [1, 2])
    assert progress.tally() == Tally(2, 2, 10)
    record(round_, 0, [1], [2], worker=1)
    assert progress.tally() == Tally(3, 1, 10)


def test_a_record_that_is_torn_is_counted_once_it_is_whole(round_: Round) -> None:
    progress = RoundProgress(round_)
    record(round_, 0, [1, 2], [])
    path = round_.journal(0, 0)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert progress.tally() == Tally(3, 0, 10)
    path.write_bytes(whole)
    assert progress.tally() == Tally(4, 0, 10)


def test_a_finished_block_counts_once(round_: Round) -> None:
    progress = RoundProgress(round_)
    record(round_, 0, [1, 2, 3, 4], [])
    assert progress.tally() == Tally(6, 0, 10)
    finish(round_, 0)
    assert progress.tally() == RoundProgress(round_).tally() == Tally(6, 0, 10)


def test_failures_that_a_finished_block_goes_without_are_counted(round_: Round) -> None:
    record(round_, 0, [1, 2, 4], [3])
    finish(round_, 0)
    assert RoundProgress(round_).tally() == Tally(5, 1, 10)


def test_the_failures_of_a_finished_block_are_read_once(
    round_: Round, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(round_, 0, [1, 2, 4], [3])
    finish(round_, 0)
    record(round_, 1, [6, 7, 8, 9], [])
    finish(round_, 1)
    opened: list[Path] = []

    def read(path: Path) -> Any:
        if path != round_.merged:  # which is looked at each time
            opened.append(path)
        return read_json(path)

    monkeypatch.setattr("psyrun.workdir.progress.read_json", read)
    progress = RoundProgress(round_)
    assert [progress.tally() for _ in range(3)] == [Tally(9, 1, 10)] * 3
    assert [path for path in opened if path != round_.merged] == [round_.failed(0)]


def test_failures_of_a_block_that_is_finished_again_are_read_again(
    round_: Round,
) -> None:
    progress = RoundProgress(round_)
    record(round_, 0, [1, 2], [3, 4])
    finish(round_, 0)
    assert progress.tally() == Tally(4, 2, 10)
    record(round_, 0, [3], [], worker=1)
    finish(round_, 0)
    assert progress.tally() == Tally(5, 1, 10)
    record(round_, 0, [4], [], worker=2)
    finish(round_, 0)
    assert progress.tally() == Tally(6, 0, 10)


def test_failures_of_blocks_that_are_not_finished_are_in_their_journals_only(
    round_: Round,
) -> None:
    record(round_, 0, [1, 2, 4], [3])
    finish(round_, 0)
    round_.block(0, ".pkl").unlink()
    (round_.blocks / ".x.failed.json").write_text("[1]")
    (round_.blocks / ".1.failed.json.host.1.tmp").write_text("[1]")
    assert RoundProgress(round_).tally() == Tally(5, 1, 10)


def test_a_block_whose_file_was_deleted_counts_by_its_journals(round_: Round) -> None:
    progress = RoundProgress(round_)
    record(round_, 0, [1, 2, 3, 4], [])
    finish(round_, 0)
    progress.tally()
    round_.block(0, ".pkl").unlink()
    assert progress.tally() == Tally(6, 0, 10)


def test_journals_that_are_gone_are_not_missed(round_: Round) -> None:
    progress = RoundProgress(round_)
    record(round_, 0, [1], [])
    progress.tally()
    for path in round_.journals_of(0):
        path.unlink()
    round_.journals.rmdir()
    assert progress.tally().total == 10


def test_a_merged_round_is_done_but_for_its_failures(round_: Round) -> None:
    write_json(
        round_.merged, {"merge": "m", "into": "r.pkl", "n_rows": 9, "n_failed": 1}
    )
    assert RoundProgress(round_).tally() == Tally(9, 1, 10)


def test_fetched_work_is_counted_by_journals_alone(tmp_path: Path) -> None:
    round_ = Round(tmp_path)
    division = Division(Param(x=range(10)), 2)
    division.save(round_, replace(PLAN, fetches=True))
    round_.journals.mkdir()
    record(round_, 0, [0, 9], [5])
    finish(round_, 0)
    record(round_, 1, [1, 2, 3], [])
    assert RoundProgress(round_).tally() == Tally(5, 1, 10)


def test_only_files_of_the_store_are_finished_blocks(tmp_path: Path) -> None:
    round_ = Round(tmp_path)
    round_.blocks.mkdir()
    for name in ["0.pkl", "11.pkl", "2.npz", ".3.pkl", "x.pkl", ".4.pkl.host.1.tmp"]:
        (round_.blocks / name).touch()
    assert finished_blocks(round_, ".pkl") == {0, 11}


def test_tallies_add_up() -> None:
    assert Tally(1, 2, 3) + Tally(10, 20, 30) == Tally(11, 22, 33)


def with_gap(round_: Round) -> tuple[Path, bytes]:
    """Have a journal one of whose records is not there yet; return it as it will be."""
    record(round_, 0, [1, 2, 3], [])
    path = round_.journal(0, 0)
    whole = path.read_bytes()
    _, first, second, _ = (range(*found[3:]) for found in journal.outcomes(path))
    gap = range(second.start, second.stop)
    assert first.stop == second.start
    path.write_bytes(whole[: gap.start] + bytes(len(gap)) + whole[gap.stop :])
    return path, whole


def test_a_record_that_a_network_disk_shows_late_is_counted(round_: Round) -> None:
    progress = RoundProgress(round_)
    path, whole = with_gap(round_)
    assert [progress.tally() for _ in range(3)] == [Tally(4, 0, 10)] * 3
    path.write_bytes(whole)
    assert progress.tally() == Tally(5, 0, 10)


def test_what_follows_a_damaged_record_is_read_once(
    round_: Round, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("psyrun.workdir.progress._LATE", -1.0)
    progress = RoundProgress(round_)
    path, _ = with_gap(round_)
    assert progress.tally() == Tally(4, 0, 10)
    read: list[int] = []
    outcomes = journal.outcomes

    def counted(path: Path, start: int = 0) -> Iterator[Any]:
        read.append(start)
        return outcomes(path, start)

    monkeypatch.setattr(journal, "outcomes", counted)
    assert progress.tally() == Tally(4, 0, 10)
    assert read == [path.stat().st_size]


def test_a_row_that_another_job_took_back_has_failed(round_: Round) -> None:
    progress = RoundProgress(round_)
    record(round_, 0, [1, 2], [])
    assert progress.tally() == Tally(4, 0, 10)
    rows = journal.latest(round_.journals_of(0))
    reader = Journal(round_.journal_of_reader(0, "later"), {})
    reader.withdraw(rows[1], {"message": "cannot be read"})
    reader.close()
    assert progress.tally() == RoundProgress(round_).tally() == Tally(3, 1, 10)


@pytest.mark.slow
def test_a_result_that_snakemake_has_touched_is_not_read_again(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write(COUNTED)
    project.psy("run")
    layout = TaskLayout(project.work())
    round_, path = layout.round(1), project.work() / "result.pkl"
    record = MergeRecord.load(round_)
    assert record is not None
    status, content = path.stat(), path.read_bytes()
    # Only who reads it notices that.
    path.write_bytes(bytes(len(content)))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert record.problem_of_result(path, quick_in=round_) == ""
    assert record.problem_of_result(path) != ""
    os.utime(path)
    assert record.problem_of_result(path, quick_in=round_) != ""
    mark = round_.merge_mark(record.merge)
    os.utime(mark, ns=(0, record.modified or 0))
    os.utime(path, ns=(0, (record.modified or 0) + 1))
    assert record.problem_of_result(path, quick_in=round_) != ""

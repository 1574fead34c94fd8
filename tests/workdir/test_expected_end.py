"""When something will be done is kept, and told in words."""

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from psyrun.utils.files import write_json
from psyrun.workdir.expected_end import ExpectedEnd, forget
from psyrun.workdir.layout import Round, TaskLayout

DAY = 86_400.0


@pytest.fixture
def round_(tmp_path: Path) -> Round:
    return TaskLayout.of(tmp_path, "square").round(1)


def expected(**changes: Any) -> ExpectedEnd:
    """Return an end in an hour."""
    now = time.time()
    end = ExpectedEnd(now + 3600, now + 1800, now + 7200, made=now, fits=True)
    return replace(end, **changes)


def at(text: str) -> float:
    return time.mktime(time.strptime(text, "%Y-%m-%d %H:%M:%S"))


NOON = at("2026-03-02 12:00:00")  # a Monday


def told(end: str, earliest: str, latest: str | None) -> str:
    last = None if latest is None else at(latest)
    return ExpectedEnd(at(end), at(earliest), last, NOON, fits=True).text(NOON)


def test_what_was_saved_is_loaded(round_: Round) -> None:
    for end in (expected(), expected(latest=None)):
        end.save(round_)
        assert ExpectedEnd.load(round_) == end


def test_where_nothing_was_saved_nothing_is_known(round_: Round) -> None:
    assert ExpectedEnd.load(round_) is None
    forget(round_)


def test_what_was_forgotten_is_gone(round_: Round) -> None:
    expected().save(round_)
    forget(round_)
    assert not round_.expected_end.exists()


def test_what_another_run_expected_does_not_count(round_: Round) -> None:
    end = expected()
    end.save(round_)
    assert ExpectedEnd.load(round_, since=end.made) == end
    assert ExpectedEnd.load(round_, since=end.made + 1) is None


def test_what_has_passed_tells_nothing(round_: Round) -> None:
    now = time.time()
    expected(earliest=now - 9, end=now - 8, latest=now + 60).save(round_)
    assert ExpectedEnd.load(round_) is not None
    expected(earliest=now - 9, end=now - 8, latest=now - 1).save(round_)
    assert ExpectedEnd.load(round_) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"end": -1.0},
        {"earliest": 1e11},
        {"latest": 1.0},
        {"latest": 1e15},
        {"end": "soon"},
        {"fits": 1},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_record_that_cannot_be_is_none(
    round_: Round, changes: dict[str, object]
) -> None:
    write_json(round_.expected_end, asdict(expected()) | changes)
    assert ExpectedEnd.load(round_) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\0"])
def test_a_damaged_file_is_none(round_: Round, text: str) -> None:
    round_.folder.mkdir(parents=True)
    round_.expected_end.write_text(text)
    assert ExpectedEnd.load(round_) is None


def test_a_folder_in_its_place_is_no_reason_to_stop(round_: Round) -> None:
    round_.expected_end.mkdir(parents=True)
    expected().save(round_)
    assert ExpectedEnd.load(round_) is None
    forget(round_)


def test_times_of_today_have_no_day() -> None:
    shown = told("2026-03-02 14:20:10", "2026-03-02 14:05:00", "2026-03-02 14:50:59")
    assert shown == "14:20 (14:05-14:50)"


def test_times_of_other_days_have_theirs() -> None:
    shown = told("2026-03-03 00:20:00", "2026-03-02 23:05:00", "2026-03-03 09:00:00")
    assert shown == "Tue 00:20 (Mon 23:05-09:00)"
    shown = told("2026-03-20 00:20:00", "2026-03-19 01:00:00", "2026-05-01 00:00:00")
    assert shown == "2026-03-20 00:20 (Thu 01:00-2026-05-01 00:00)"


def test_what_ends_soon_is_told_to_the_second() -> None:
    shown = told("2026-03-02 12:01:05", "2026-03-02 12:00:50", "2026-03-02 12:01:20")
    assert shown == "12:01:05 (12:00:50-12:01:20)"


def test_an_interval_that_does_not_show_is_left_out() -> None:
    shown = told("2026-03-02 14:20:30", "2026-03-02 14:20:10", "2026-03-02 14:20:50")
    assert shown == "14:20"


def test_an_end_of_which_only_the_earliest_is_known() -> None:
    shown = told("2026-03-02 14:20:00", "2026-03-02 14:05:00", None)
    assert shown == "14:20 (not before 14:05)"


def test_the_last_of_several_counts() -> None:
    one = expected()
    other = expected(end=one.end + DAY, earliest=one.earliest - 60, latest=None)
    both = ExpectedEnd.of_all([one, other])
    assert both is not None
    assert (both.end, both.earliest, both.latest) == (other.end, one.earliest, None)
    assert ExpectedEnd.of_all([one, one]) == one


def test_of_several_all_must_be_known() -> None:
    assert ExpectedEnd.of_all([]) is None
    assert ExpectedEnd.of_all([expected(), None]) is None
    past = expected(earliest=1.0, end=2.0, latest=3.0)
    assert ExpectedEnd.of_all([expected(), past]) is None

"""How far something is."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from terminals import on_terminal

from psyrun.utils import progress
from psyrun.utils.progress import Lines, Rate, has_bar, speed

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
BAR = """\
from psyrun.utils.progress import Bar

bar = Bar()
bar.line("[red] a text with brackets")
for done in ({counts}):
    bar.update(done, {failed}, {total})
    bar._bar.refresh()
bar.close()
"""
ASKED = (
    "import sys; from psyrun.utils.progress import has_bar; print(has_bar(sys.stdout))"
)


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    yield clock


def steady(clock: Clock, seconds: int, *, failed: int = 0) -> list[str]:
    """Return the lines about something that takes so long."""
    written: list[str] = []
    lines = Lines(written.append, pause=10)
    for second in range(seconds + 1):
        lines.update(second, failed, seconds)
        clock.now += 1
    lines.close()
    return written


def test_what_is_short_has_no_lines(clock: Clock) -> None:
    assert steady(clock, 9) == []


def test_a_line_tells_what_is_done_and_left(clock: Clock) -> None:
    assert steady(clock, 24) == [
        "10 of 24 assignments done, about 14 s left",
        "20 of 24 assignments done, about 4 s left",
        "24 of 24 assignments done after 25 s",
    ]


def test_no_time_is_left_where_all_others_have_failed(clock: Clock) -> None:
    written: list[str] = []
    lines = Lines(written.append, pause=10.0)
    lines.update(0, 0, 24)
    for failed in (11, 14):
        clock.now += 10
        lines.update(10, failed, 24)
    assert written == [
        "10 of 24 assignments done, 11 failed, about 14 s left",
        "10 of 24 assignments done, 14 failed",
    ]


def test_a_line_tells_the_end_where_it_is_known(clock: Clock) -> None:
    written: list[str] = []
    lines = Lines(written.append, pause=10.0)
    lines.update(0, 0, 24, "14:20 (14:05-14:50)")
    clock.now += 10
    lines.update(10, 0, 24, "14:20 (14:05-14:50)")
    assert written == [
        "10 of 24 assignments done, the last at about 14:20 (14:05-14:50)"
    ]


def test_a_line_tells_failures_only_where_there_are_any(clock: Clock) -> None:
    assert "failed" not in " ".join(steady(clock, 30))
    assert all(", 2 failed" in line for line in steady(clock, 30, failed=2))


@pytest.mark.parametrize(
    ("seconds", "most"), [(100, 11), (3600, 40), (36000, 60), (360000, 80)]
)
def test_there_are_few_lines_however_long_it_takes(
    clock: Clock, seconds: int, most: int
) -> None:
    assert 10 <= len(steady(clock, seconds)) <= most


def test_there_is_a_line_also_if_nothing_ends(clock: Clock) -> None:
    written: list[str] = []
    lines = Lines(written.append, pause=10)
    for _ in range(100):
        clock.now += 1
        lines.update(0, 0, 5)
    assert written == ["0 of 5 assignments done"] * 4


def test_who_asked_for_it_is_told_at_once(clock: Clock) -> None:
    written: list[str] = []
    lines = Lines(written.append, pause=2, at_once=True)
    for done in range(4):
        lines.update(done, 0, 3)
        clock.now += 0.5
    lines.close()
    assert written == ["0 of 3 assignments done", "3 of 3 assignments done after 2 s"]


def test_nothing_is_shown_while_the_total_is_unknown(clock: Clock) -> None:
    written: list[str] = []
    lines = Lines(written.append, pause=10)
    clock.now += 100
    lines.update(0, 0, 0)
    lines.close()
    assert written == []


def test_the_last_line_is_not_written_twice(clock: Clock) -> None:
    written: list[str] = []
    lines = Lines(written.append, pause=10)
    clock.now += 11
    lines.update(3, 0, 3)
    lines.close()
    lines.close()
    assert written == ["3 of 3 assignments done"]


def test_time_left_follows_from_the_rate_of_this_run(clock: Clock) -> None:
    rate = Rate(100)
    clock.now += 10
    assert rate.per_second(120) == 2
    assert rate.seconds_left(120, 140) == 10


def test_time_left_is_unknown_before_anything_is_done(clock: Clock) -> None:
    rate = Rate(100)
    assert rate.seconds_left(100, 140) is None
    clock.now += 10
    assert rate.seconds_left(100, 140) is None


@pytest.mark.parametrize(
    ("per_second", "text"),
    [
        (0, ""),
        (400123.4, "400123/s"),
        (12.34, "12/s"),
        (1.25, "1.2/s"),
        (0.5, "30/min"),
        (1 / 1200, "3/h"),
        (1 / 7200, "0.5/h"),
    ],
)
def test_rates_have_the_unit_that_suits_them(per_second: float, text: str) -> None:
    assert speed(per_second) == text


def bar(tmp_path: Path, *counts: int, total: int, failed: int = 0) -> list[str]:
    """Return what a terminal with 80 columns has shown, line by line."""
    text = ",".join(map(str, counts))
    code = BAR.format(counts=f"{text},", total=total, failed=failed)
    _, written = on_terminal([sys.executable, "-c", code], tmp_path)
    return [line.strip() for line in re.split(r"[\r\n]+", ESCAPE.sub("", written))]


def test_numbers_are_whole_beside_the_bar(tmp_path: Path) -> None:
    lines = bar(tmp_path, 0, 120034, total=1000000, failed=12)
    shown = next(line for line in lines if "120034" in line)
    assert re.search(r"━ 120034/1000000  12 failed  [0-9]+/s  [0-9]+ s left$", shown)
    assert len(shown) <= 80


def test_lines_above_the_bar_are_as_they_are(tmp_path: Path) -> None:
    assert "[red] a text with brackets" in bar(tmp_path, 1, total=2)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("JPY_PARENT_PID", "1"),
        ("MPLBACKEND", "module://matplotlib_inline.backend_inline"),
        ("CI", "true"),
        ("TERM", "dumb"),
    ],
)
def test_terminals_that_keep_all_that_is_written_have_no_bar(
    tmp_path: Path, variable: str, value: str
) -> None:
    command = [sys.executable, "-c", ASKED]
    assert on_terminal(command, tmp_path) == (0, "True\r\n")
    assert on_terminal(command, tmp_path, **{variable: value}) == (0, "False\r\n")


def test_a_pipe_has_no_bar(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as file:
        assert not has_bar(file)

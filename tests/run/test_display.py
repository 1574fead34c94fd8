"""What the user sees of a run."""

import io
from collections.abc import Iterator

import pytest

from psyrun.run import display
from psyrun.run.display import (
    PlainDisplay,
    QuietDisplay,
    Rate,
    choose_display,
    describe,
)
from psyrun.utils.text import duration
from psyrun.workdir.progress import Tally


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(display, "time", clock)
    yield clock


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (60, "1 min 0 s"),
        (3599.6, "1 h 0 min"),
        (12000, "3 h 20 min"),
        (360000, "100 h 0 min"),
    ],
)
def test_a_length_of_time_has_two_units_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_line_tells_what_is_done_and_left() -> None:
    line = describe(Tally(5, 0, 20), 90)
    assert line == "   5 of 20 assignments done, about 1 min 30 s left"


def test_a_line_tells_failures_only_where_there_are_any() -> None:
    assert "failed" not in describe(Tally(5, 0, 20), None)
    assert "2 failed" in describe(Tally(5, 2, 20), None)


def test_time_left_follows_from_the_rate_of_this_run(clock: Clock) -> None:
    rate = Rate(100)
    clock.now += 10
    assert rate.per_second(120) == 2
    assert rate.seconds_left(Tally(120, 0, 140)) == 10


def test_time_left_is_unknown_before_anything_is_done(clock: Clock) -> None:
    rate = Rate(100)
    assert rate.seconds_left(Tally(100, 0, 140)) is None
    clock.now += 10
    assert rate.seconds_left(Tally(100, 0, 140)) is None


def test_plain_lines_mark_each_job(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    plain = PlainDisplay(stream)
    plain.job(".", "square:split")
    plain.job("-", "square:merge")
    assert stream.getvalue() == ".  square:split\n-  square:merge\n"
    assert capsys.readouterr().out == ""


def test_plain_lines_about_progress_are_rare(clock: Clock) -> None:
    stream = io.StringIO()
    plain = PlainDisplay(stream)
    for second in range(1, 76):
        clock.now += 1
        plain.progress(Tally(second, 0, 100))
    shown = [int(line.split()[0]) for line in stream.getvalue().splitlines()]
    assert shown == [11, 42, 73]


def test_no_progress_is_shown_while_the_total_is_unknown(clock: Clock) -> None:
    stream = io.StringIO()
    plain = PlainDisplay(stream)
    clock.now += 100
    plain.progress(Tally())
    assert stream.getvalue() == ""


def test_a_quiet_display_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    quiet = choose_display(is_quiet=True)
    quiet.line("text")
    quiet.job(".", "a:split")
    quiet.progress(Tally(1, 0, 2))
    quiet.close()
    assert isinstance(quiet, QuietDisplay)
    assert capsys.readouterr().out == ""


def test_a_pipe_gets_plain_lines() -> None:
    assert isinstance(choose_display(is_quiet=False), PlainDisplay)


def test_the_bar_shows_names_with_brackets_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bar = display.BarDisplay()
    bar.progress(Tally(1, 1, 2))
    bar.job(".", "[red]a:split")
    bar.close()
    assert ".  [red]a:split\n" in capsys.readouterr().out

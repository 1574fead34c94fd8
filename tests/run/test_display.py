"""What the user sees of a run."""

import io
import sys
from pathlib import Path

import pytest
from projects import COUNTED, Project
from terminals import on_terminal

from psyrun.run import display
from psyrun.run.display import PlainDisplay, QuietDisplay, choose_display
from psyrun.workdir.progress import Tally

RUN = [sys.executable, "-m", "psyrun.cli", "run", "-j", "2"]
SHOWN = """\
.  a:split
.  a:process:0
.  a:process:1
.  a:merge
a: psy-work/a/result.pkl
"""


def test_plain_lines_mark_each_job(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    plain = PlainDisplay(stream)
    plain.job(".", "square:split")
    plain.job("-", "square:merge")
    assert stream.getvalue() == ".  square:split\n-  square:merge\n"
    assert capsys.readouterr().out == ""


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


@pytest.mark.slow
@pytest.mark.parametrize("is_notebook", [True, False])
def test_a_command_in_a_notebook_writes_plain_lines(
    tmp_path: Path, is_notebook: bool
) -> None:
    Project(tmp_path).write(COUNTED)
    variables = {"JPY_PARENT_PID": "1"} if is_notebook else {}
    status, written = on_terminal(RUN, tmp_path, **variables)
    assert status == 0
    assert ("\x1b[" in written) == (not is_notebook)
    if is_notebook:
        assert written.replace("\r\n", "\n") == SHOWN

"""What is said of processes that seem to hang, while a run goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from projects import Project, wait_until

from psyrun.run.hanging import HangReports
from psyrun.utils.environment import EXIT_LIMIT_VARIABLE, HANG_LIMIT_VARIABLE
from psyrun.workdir.hanging import Hanging, note
from psyrun.workdir.layout import Round


class Run:
    """A round of a task `a` with the notes of its jobs, and what is said of them."""

    def __init__(self, folder: Path) -> None:
        self.round = Round(folder)
        self.reports = HangReports([("a", self.round)])

    def note(self, block: int, *pids: int) -> None:
        found = [Hanging(pid, 0.0, 0.0, f"in assignment {pid}") for pid in pids]
        note(self.round.hanging_of(f"process-{block}"), found)

    def next_lines(self) -> list[str]:
        """Wait until there is something to say."""
        lines: list[str] = []
        wait_until(lambda: lines.extend(self.reports.lines()) or lines)
        return lines


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_each_process_is_told_of_once(run: Run) -> None:
    run.note(0, 11)
    (line,) = run.next_lines()
    assert line.startswith("   a:process:0: process 11 seems to hang: no CPU time ")
    run.note(1, 12)
    (line,) = run.next_lines()
    assert line.startswith("   a:process:1: process 12 seems to hang")


def test_it_is_said_when_it_is_over(run: Run) -> None:
    run.note(0, 11, 12)
    assert len(run.next_lines()) == 2
    run.note(0, 12)
    assert run.next_lines() == ["   a:process:0: process 11 does not hang any more"]


def test_of_many_the_first_ones_are_shown(run: Run) -> None:
    """As if a file server did not answer."""
    run.note(0, *range(10, 30))
    lines = run.next_lines()
    assert len(lines) == 4
    assert lines[-1] == "   and 17 more; see all with 'psy status -vv'"


@pytest.mark.parametrize("variable", [EXIT_LIMIT_VARIABLE, HANG_LIMIT_VARIABLE])
@pytest.mark.parametrize("text", ["10 min", "-1", "nan"])
def test_a_limit_that_is_no_number_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch, variable: str, text: str
) -> None:
    monkeypatch.setenv(variable, text)
    errors = project.psy("run", status=2).stderr
    assert errors == (
        f"psy: {variable}: {text!r} is no number of seconds. Set it to one, such as "
        "600, or unset it.\n"
    )
    assert not (project.folder / "psy-work").exists()


@pytest.mark.parametrize("text", ["", "0", "2.5", "inf"])
def test_a_limit_may_be_any_number(
    project: Project, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv(HANG_LIMIT_VARIABLE, text)
    assert project.psy("run", "-n").stdout

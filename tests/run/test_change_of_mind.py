"""Rows that were to be computed again, until their owner thought better of it."""

from __future__ import annotations

import signal
import time

import pytest
from projects import Project, kill_all_of, wait_until

import psyrun

pytestmark = pytest.mark.slow


@pytest.fixture
def done(project: Project) -> Project:
    """A project whose task is done."""
    project.psy("run")
    assert project.calls() == [1, 2, 3, 4]
    return project


def interrupt(project: Project) -> str:
    """Run until the first assignment is done, and return what Ctrl-C says."""
    project.calls()
    # All blocks at once: Snakemake may begin with any.
    process = project.start("psyrun.cli", "run", "-j", "2")
    try:
        wait_until((project.folder / "calls").exists)
        wait_until(lambda: 1 in psyrun.load(project.work(), partial=True).get("x", []))
        time.sleep(0.5)  # for the row, as one of before looks like it
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            kill_all_of(process)
    assert process.returncode == 130, errors
    return errors


def hold(project: Project) -> None:
    """Let all assignments but the first wait until `go`."""
    (project.folder / "hold").touch()
    project.edit("from pathlib", "import time\nfrom pathlib")
    project.edit(
        '    return {"y"',
        "    while Path('hold').exists() and x > 1:\n        time.sleep(0.05)\n"
        '    return {"y"',
    )


def go(project: Project) -> None:
    (project.folder / "hold").unlink()


def test_rows_are_kept_until_the_new_result_is_there(done: Project) -> None:
    done.edit("[1, 2, 3, 4]", "[1, 2, 3, 4, 5]")
    hold(done)
    said = interrupt(done)
    assert "'psy run --continue a' keeps them" in said
    assert "4 rows of before" in done.psy("status").stdout
    go(done)
    done.calls()
    done.psy("run", "--continue")
    assert done.calls() == [5]
    assert done.result() == {"x": [1, 2, 3, 4, 5], "y": [1, 4, 9, 16, 25]}


def test_rows_are_kept_that_were_computed_again_already(done: Project) -> None:
    done.edit("x**2", "x**3 + 1")
    done.edit("[1, 2, 3, 4]", "[1, 4, 3]")
    hold(done)
    interrupt(done)
    go(done)
    done.calls()
    done.psy("run", "--continue")
    assert done.calls() == []
    # That of x=1 comes from the new function, and that of x=2 is a former one.
    assert done.result() == {"x": [1, 4, 3, 2], "y": [2, 16, 9, 4]}


def test_a_failed_run_is_continued_without_the_rows_it_was_to_replace(
    done: Project,
) -> None:
    done.edit("x**2", "x**3 if x < 4 else undefined")
    done.psy("run", status=1)
    done.calls()
    done.psy("run", "--continue", status=1)
    assert done.calls() == [4]
    done.edit("x**3 if x < 4 else undefined", "x**3")
    done.psy("run", "--continue")
    assert done.calls() == [4]
    assert done.result()["y"] == [1, 8, 27, 64]


def test_a_change_that_is_taken_back_costs_nothing(done: Project) -> None:
    text = done.taskfile().read_text()
    done.edit("x**2", "x**3")
    hold(done)
    interrupt(done)
    go(done)
    done.calls()
    done.write(text)
    assert "is computed again" not in done.psy("run").stdout
    assert done.calls() == []
    assert done.result()["y"] == [1, 4, 9, 16]


def test_what_was_interrupted_goes_on_after_two_changes(done: Project) -> None:
    done.edit("x**2", "x**3")
    hold(done)
    interrupt(done)
    done.edit("x**3", "x**4")
    interrupt(done)
    go(done)
    done.calls()
    done.psy("run")
    assert done.calls() == [2, 3, 4]
    assert done.result()["y"] == [1, 16, 81, 256]


def test_rows_of_several_versions_are_kept(done: Project) -> None:
    done.edit("[1, 2, 3, 4]", "[1, 2]")
    done.edit("x**2", "x**3")
    hold(done)
    interrupt(done)
    done.edit("[1, 2]", "[1, 3, 5]")
    interrupt(done)
    go(done)
    done.calls()
    done.psy("run", "--continue")
    assert done.calls() == [5]
    assert done.result() == {"x": [1, 3, 5, 2, 4], "y": [1, 9, 125, 4, 16]}
    assert "4/3" not in done.psy("status").stdout

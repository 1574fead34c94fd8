"""A task is looked at and followed from Python, and in a real notebook."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbclient
import pytest
from nbformat import v4
from projects import Project, wait_until

import psyrun
from psyrun.errors import PsyrunError

GATED = """\
import time
from pathlib import Path
from psyrun import Param

pspace = Param(x=[1, 2, 3, 4])


def execute(x):
    Path(f"begun-{x}").touch()
    while x > 2 and not Path("go-on").exists():
        time.sleep(0.01)
    if x == 2:
        raise ValueError("two")
    return {"y": x}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    project = Project(tmp_path / "project")
    project.write(GATED)
    monkeypatch.chdir(project.folder)
    return project


def test_a_task_that_was_never_run_says_how_to_start_it(project: Project) -> None:
    run = psyrun.Run("a")
    assert repr(run) == "<Run a: new, start it with 'psy run a'>"
    assert (run.state, run.n_assignments, run.n_done, run.n_failed) == ("new", 0, 0, 0)
    assert "<progress" not in run._repr_html_()


def test_an_unknown_task_is_refused_by_name(project: Project) -> None:
    with pytest.raises(PsyrunError, match="no task 'b'"):
        psyrun.Run("b")


@pytest.mark.parametrize("interval", [0, -1.0, float("nan")])
def test_a_run_is_not_looked_at_all_the_time(project: Project, interval: float) -> None:
    with pytest.raises(PsyrunError, match="give seconds above 0"):
        psyrun.Run("a").watch(interval=interval)


def test_texts_are_no_markup(project: Project) -> None:
    project.write("def execute(x: return '<b>&'")
    html = psyrun.Run("a")._repr_html_()
    assert "unreadable" in html
    assert html.count("<b>") == 1


@pytest.mark.slow
def test_a_run_is_followed_to_its_end_from_any_folder(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = psyrun.Run("a")
    process = project.start("psyrun.cli", "run", "a")
    wait_until((project.folder / "begun-3").exists)
    wait_until(lambda: run.n_failed == 1)
    monkeypatch.chdir("/")
    assert (run.state, run.n_assignments, run.n_done) == ("running", 4, 1)
    assert '<progress value="1" max="4"' in run._repr_html_()
    (project.folder / "go-on").touch()
    run.watch(interval=0.05)
    process.communicate(timeout=60)
    assert run.state == "incomplete"
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "a: incomplete, 3 of 4 assignments done, 1 failed"
    assert len(lines) < 10


WATCHER = """\
import psyrun
print("watching", flush=True)
psyrun.Run("a").watch(interval=0.05)
"""


@pytest.mark.slow
def test_an_interrupted_watch_leaves_the_run_alone(project: Project) -> None:
    process = project.start("psyrun.cli", "run", "a")
    wait_until((project.folder / "begun-3").exists)
    watcher = subprocess.Popen(
        [sys.executable, "-c", WATCHER],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert watcher.stdout is not None
    assert watcher.stdout.readline() == "watching\n"
    assert "assignments done" in watcher.stdout.readline()
    watcher.send_signal(signal.SIGINT)
    _, errors = watcher.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    assert process.poll() is None
    assert psyrun.Run("a").state == "running"
    (project.folder / "go-on").touch()
    process.communicate(timeout=60)
    assert psyrun.Run("a").n_done == 3


def outputs(cell: Any) -> list[str]:
    return [
        output["data"].get("text/html", output["data"]["text/plain"])
        for output in cell["outputs"]
        if "data" in output
    ]


@pytest.mark.slow
def test_a_notebook_shows_one_bar_that_moves(project: Project) -> None:
    """A run that another process has started is followed by a real kernel."""
    process = project.start("psyrun.cli", "run", "a")
    wait_until((project.folder / "begun-3").exists)
    cells = [
        "import psyrun\nrun = psyrun.Run('a')",
        "run",
        "from pathlib import Path\nPath('go-on').touch()",
        "run.watch(interval=0.05)",
    ]
    notebook = v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(
        notebook, timeout=60, kernel_name="python3", resources={}
    ).execute(cwd=str(project.folder))
    process.communicate(timeout=60)
    _, shown, _, watched = map(outputs, notebook.cells)
    assert len(shown) == 1
    assert "<b>a</b>: running<progress" in shown[0]
    assert len(watched) == 1
    assert "<b>a</b>: incomplete<progress" in watched[0]
    assert "3 of 4 assignments done, 1 failed" in watched[0]


# The button of a notebook sends this signal.
INTERRUPTED = """\
import os, psyrun, signal, sys, threading, time, traceback

def interrupt(watcher):
    names = set()
    while "_until_ended" not in names:
        time.sleep(0.01)
        frames = traceback.walk_stack(sys._current_frames()[watcher])
        names = {frame.f_code.co_name for frame, _ in frames}
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt, args=[threading.get_ident()]).start()
psyrun.Run("a").watch()
"""


@pytest.mark.slow
def test_an_interrupted_cell_is_no_error(project: Project) -> None:
    process = project.start("psyrun.cli", "run", "a")
    wait_until((project.folder / "begun-3").exists)
    cells = [
        INTERRUPTED,
        "psyrun.Run('a').state",
    ]
    notebook = v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute(
        cwd=str(project.folder)
    )
    assert process.poll() is None
    assert outputs(notebook.cells[1]) == ["'running'"]
    (project.folder / "go-on").touch()
    process.communicate(timeout=60)

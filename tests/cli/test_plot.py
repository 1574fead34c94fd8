"""``psy plot`` shows what there is, in a few lines, and says what it cannot show."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import psyrun
from psyrun.errors import PsyrunError
from psyrun.report.plot import drawn, wanted_of
from psyrun.report.terminal import limits_of
from psyrun.report.terminal.style import Style
from psyrun.store import NpzStore

TASK = """\
import numpy as np
from psyrun import Param

pspace = (
    Param(beta=[0.1, 0.2, 0.4]) * Param(solver=["rk4", "euler"]) * Param(trial=range(3))
)
max_jobs = 2
attrs = {"peak": {"long_name": "peak", "units": "people"}, "beta": {"units": "1/d"}}


def execute(beta, solver, trial):
    if solver == "euler" and beta == 0.4:
        raise ValueError("unstable")
    rng = np.random.default_rng([int(10 * beta), len(solver), trial])
    return {"name": solver, "peak": rng.normal(), "z": 1j}
"""


@pytest.fixture
def task(write_task):
    write_task("a", TASK)


@pytest.fixture(autouse=True)
def columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def test_the_result_is_drawn_over_the_axes(psy, task, finish, monkeypatch):
    finish("a", keep_going=True)
    result = psy("plot", "a")
    assert (result.status, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[:2] == [
        "peak over beta, by solver: mean of 3 over trial",
        "peak (people)",
    ]
    assert any(line.split() == ["0.1", "0.2", "0.4"] for line in lines)
    assert "solver:  ● rk4  ▲ euler" in lines
    assert "3 of 18 assignments failed" in lines
    assert "\x1b" not in result.out
    assert max(map(len, lines)) <= 80
    Path("notes").mkdir()
    monkeypatch.chdir("notes")
    assert psy("plot", "a").out == result.out
    result = psy("plot", "a", "--band", "std", "-o", "peak.svg")
    assert (result.status, result.err) == (0, "")
    assert result.out.splitlines()[-1] == "written to peak.svg"
    text = Path("peak.svg").read_text()
    assert "peak (people)" in text and "3 of 18 assignments failed" in text
    for folder, said in (("gone", "no such file or folder"), ("/sys", "try again")):
        result = psy("plot", "a", "-o", f"{folder}/peak.svg")
        assert (result.status, result.out) == (2, "")
        assert re.fullmatch(rf"psy: {folder}/peak.svg: .*{said}.*\n", result.err)


def test_numbers_are_those_that_psyrun_loads(psy, task, finish):
    finish("a", keep_going=True)
    limits = limits_of(Style())
    found = drawn("a", None, wanted_of("peak", band="sem"), limits)
    frame = psyrun.load("a", partial=True, as_="pandas")
    groups = frame.groupby(["beta", "solver"])["peak"]
    mean, sem = (
        how.unstack()[["rk4", "euler"]] for how in (groups.mean(), groups.sem())
    )
    np.testing.assert_allclose(found.cells.values, mean.to_numpy())
    np.testing.assert_allclose(found.cells.high, (mean + sem).to_numpy())
    axes = psyrun.plot("a", "peak", reduce="median", ax=Figure().subplots())
    medians = frame.groupby(["solver", "beta"], sort=False)["peak"].median()
    for solver, line in zip(["rk4", "euler"], axes.get_lines(), strict=True):
        values = medians[solver].reindex([0.1, 0.2, 0.4])
        np.testing.assert_allclose(line.get_ydata(), values)
    assert "3 of 18 assignments failed" in axes.get_title()
    with pytest.raises(PsyrunError, match="no axis 'x'"):
        psyrun.plot("a", over="x")
    cost = psyrun.load("a", partial=True, as_="pandas", costs=True)
    found = drawn("a", None, wanted_of(cost="memory", over=["solver"]), limits)
    memory = cost.groupby(["solver", "beta"], sort=False)["cost_peak_memory"].mean()
    np.testing.assert_allclose(
        found.cells.values,
        memory.unstack()[[0.1, 0.2, 0.4]].loc[["rk4", "euler"]] / 2**20,
    )
    result = psy("plot", "a", "--cost", "failed", "--over", "beta,solver")
    assert result.status == 0
    rows = [re.findall(r"[░▒▓█](\d)", line) for line in result.out.splitlines()[2:4]]
    assert rows == [["0", "0", "0"], ["0", "0", "1"]]


def test_a_run_half_done_is_drawn_with_what_is_missing(psy, task, work):
    work("split", name="a")
    result = psy("plot", "a")
    assert result.status == 2
    assert "no assignment is finished yet" in result.err
    work("process 0", name="a")
    result = psy("plot", "a")
    assert result.status == 0
    assert "9 of 18 assignments are not computed yet" in result.out


def test_a_task_that_was_never_run_is_told_how_to_start(psy, task):
    result = psy("plot", "a")
    assert (result.status, result.out) == (2, "")
    assert "was never run. Start it with 'psy run a'" in result.err
    result = psy("plot", "b")
    assert result.status == 2 and "b: there is no task" in result.err


def test_where_all_has_failed_the_failures_can_be_drawn(psy, write_task, finish):
    write_task("a", TASK.replace('solver == "euler" and beta == 0.4', "True"))
    finish("a", keep_going=True)
    result = psy("plot", "a")
    assert result.status == 2 and "--cost failed'" in result.err
    result = psy("plot", "a", "--cost", "failed")
    assert result.status == 0 and "1.00" in result.out


BAD = [
    (["peek"], "there is no result 'peek'. Results: peak, name, z."),
    (["z"], "is complex. Return abs()"),
    (["name"], "is text, and no number. Other results: peak, z."),
    (["--over", "bta"], "there is no axis 'bta'. Axes: beta, trial, solver."),
    (["--over", "beta,solver,trial"], "names 3 axes"),
    (["--reduce", "avg"], "there is no reduction 'avg'"),
    (["--band", "sd"], "there is no band 'sd'"),
    (["--cost", "money"], "there is no cost 'money'"),
    (["--cost", "failed", "--reduce", "max"], "is a mean"),
]


def test_bad_arguments_are_told_in_one_line(psy, task, work):
    work("split", "process 0", name="a", keep_going=True)
    for arguments, said in BAD:
        result = psy("plot", "a", *arguments)
        assert (result.status, result.out) == (2, "")
        assert said in result.err
        assert result.err.count("\n") == 1


def test_a_data_file_is_drawn_over_its_columns(psy, project):
    NpzStore().save("in.npz", {"n": [1, 2, 4, 8], "y": [0.5, 1.5, 2.5, 3.5]})
    result = psy("plot", "in.npz", "y", "--over", "n")
    assert result.status == 0
    assert result.out.startswith("y over n")
    result = psy("plot", "in.npz", "--cost", "failed")
    assert result.status == 2 and "Name the task" in result.err


def test_plots_need_no_matplotlib_in_the_terminal(project):
    code = (
        "import sys, psyrun.cli.main as m\n"
        "from psyrun.store import NpzStore\n"
        "NpzStore().save('in.npz', {'n': [1, 2], 'y': [0.5, 1.5]})\n"
        "assert m.main(['plot', 'in.npz', 'y', '--over', 'n']) == 0\n"
        "sys.exit(str({'matplotlib', 'pandas', 'tables'} & set(sys.modules) or ''))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.stderr.strip() == ""

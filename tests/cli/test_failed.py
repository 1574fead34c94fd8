import re
import sys
from pathlib import Path

import pytest
from accepting import finish_accepting_failures
from terminals import on_terminal

from psyrun.workdir.failures import failures_of_task
from psyrun.workdir.journal import Journal

FAILING = """\
import os
from psyrun import Param

pspace = Param(x=range(10))
max_jobs = 2


def execute(x):
    if x == 3:
        raise ValueError("x is\\nbad")
    if x == 4 {dies}:
        os._exit(0)
    return {{"y": x}}
"""
PLACE = "psy-tasks/task_square.py:10 in execute"


@pytest.fixture
def failing(write_task):
    """Write a task of which one assignment raises, and perhaps another one dies."""

    def write(dies=False):
        return write_task("square", FAILING.format(dies="" if dies else "and False"))

    return write


def cells(result):
    return [re.split(r"\s{2,}", line) for line in result.out.splitlines()[2:]]


def test_a_failed_assignment_is_told_with_its_circumstances(psy, failing, work):
    failing()
    work("split", "process 0")
    result = psy("failed", "--all", "square")
    assert result.out.startswith("square: 1 assignment failed\nnumber ")
    number, parameters, exception, where, took, memory, host = cells(result)[0]
    assert (number, parameters) == ("3", "x=3")
    assert (exception, where) == ("ValueError: x is bad", PLACE)
    assert re.fullmatch(r"\d+ MiB", memory) and took.endswith("s") and host != "-"
    assert result.status == 0


def test_an_assignment_that_ended_its_process_is_told(psy, failing, work):
    failing(dies=True)
    work("split", "process 0")
    number, _, exception, where, took, memory, _ = cells(psy("failed", "square", "-a"))[
        1
    ]
    assert number == "4"
    assert exception.startswith("WorkerDied: the worker process ended with exit")
    assert (where, memory) == ("exit status 0", "-") and took.endswith("s")


@pytest.mark.parametrize("steps", [("split",), ("split", "process 1")])
def test_without_failures_it_says_so(psy, failing, work, steps):
    failing()
    work(*steps)
    result = psy("failed", "square")
    assert (result.status, result.out) == (0, "square: no failures\n")


def test_a_task_that_was_never_run_is_said_to_be_such(psy, failing):
    failing()
    never_run = "was never run. Start it with 'psy run square'.\n"
    result = psy("failed", "square")
    assert (result.status, result.out) == (0, f"square: {never_run}")
    result = psy("failed", "--csv", "square")
    assert (result.status, result.out.count("\n")) == (0, 1)
    assert result.err == f"psy: task 'square': {never_run}"


def test_the_traceback_is_the_users(psy, failing, work):
    failing()
    work("split", "process 0")
    out = psy("failed", "square", "--traceback").out
    assert '\nassignment 3: x=3\nTraceback (most recent call last):\n  File "' in out
    assert out.endswith("ValueError: x is\nbad\n")
    assert "worker.py" not in out


def test_accepted_failures_are_listed(psy, failing):
    failing()
    finish_accepting_failures()
    result = psy("failed", "square", "--all")
    assert result.out.startswith("square: 1 assignment failed, 1 of them accepted\n")
    assert cells(result)[0][:4] == ["3", "x=3", "ValueError: x is bad", PLACE]


def test_a_later_row_outweighs_a_failure(failing, work):
    failing()
    layout = work("split", "process 0").layout
    again = Journal(layout.round(1).journal(0, 1), {})
    again.row(3, 0.0, 0.0, 0, {"x": 3, "y": 3})
    again.close()
    assert failures_of_task(layout) == []


def test_the_last_failure_of_an_assignment_counts(psy, failing, work):
    failing()
    layout = work("split", "process 0").layout
    first = failures_of_task(layout)[0]
    again = Journal(layout.round(1).journal(0, 1), {"host": "elsewhere"})
    told = {"type": "KeyError", "message": "", "where": "", "traceback": ""}
    again.failure(3, 1e12, 90.0, 2048, {**told, "parameters": {"x": "3"}})
    again.close()
    (last,) = failures_of_task(layout)
    assert (first.type, last.type, last.host) == ("ValueError", "KeyError", "elsewhere")
    assert "\n1 x KeyError\n  after 1 min 30 s\n" in psy("failed", "square").out


MANY = """\
from psyrun import Param

pspace = Param(solver=["euler", "rk4"]) * Param(n=[1, 2, 3, 4]) * Param(seed=range(9))
max_jobs = 3


def execute(solver, n, seed):
    if solver == "rk4" and n > 2:
        raise ValueError(f"{solver} is unstable with {n} steps, as " + "it is " * 20)
    if seed == 4:
        return None
    return {"y": n}
"""


@pytest.fixture
def many(write_task, work):
    """Evaluate a task with failures of two kinds."""
    write_task("square", MANY)
    return work("split", "process 0", "process 1", "process 2")


def test_failures_are_told_by_their_causes(psy, many):
    lines = psy("failed", "square").out.splitlines()
    assert lines[0] == "square: 24 assignments failed"
    assert lines[1] == (
        "18 of 24 failures have solver = rk4 and n ≥ 3 (of 18 such assignments)"
    )
    assert lines[3].startswith("18 x ValueError, such as: rk4 is unstable with 3 steps")
    assert lines[4:10] == [
        "  psy-tasks/task_square.py:9 in execute",
        "  all 18 of 18 such failures have solver = rk4 and n ≥ 3 "
        "(of 18 such assignments)",
        "    54: solver='rk4', n=3, seed=0",
        "    55: solver='rk4', n=3, seed=1",
        "    and 16 more",
        "  psy debug square 54",
    ]
    assert lines[11].startswith("6 x ResultError: execute returned NoneType")
    assert lines[-1] == "One by one: 'psy failed --all square'."


def test_one_by_one_all_are_listed(psy, many):
    lines = psy("failed", "square", "--all").out.splitlines()
    assert len(lines) == 2 + 24
    assert sum("ValueError" in line for line in lines) == 18


def test_tracebacks_are_those_of_each_kind_or_all(psy, many):
    assert psy("failed", "square", "--traceback").out.count("\nassignment ") == 2
    every = psy("failed", "square", "--traceback", "--all").out
    assert every.count("\nassignment ") == 24


def test_lines_fit_the_terminal(many):
    command = [sys.executable, "-m", "psyrun.cli", "failed", "square"]
    for columns in (60, 80, 140):
        for flags, n_shown in (((), 1), (("--all",), 18)):
            status, out = on_terminal([*command, *flags], Path.cwd(), columns)
            lines = out.splitlines()
            assert status == 0 and "\x1b" not in out
            assert max(map(len, lines)) <= columns
            assert sum("ValueError" in line for line in lines) == n_shown


OF_SEVERAL_PARAMETERS = """\
from psyrun import Param

pspace = Param({values}) * Param(last=[1, 2])
max_jobs = 1


def execute(**parameters):
    raise ValueError("this is too large for the solver of the model")
"""


@pytest.mark.parametrize("n_parameters", [1, 3, 8])
def test_parameters_are_shown_whole_however_many(
    write_task, work, n_parameters, monkeypatch, psy
):
    names = [f"parameter_{number}" for number in range(n_parameters - 1)]
    values = ", ".join(f"{name}=['a value']" for name in names)
    write_task("square", OF_SEVERAL_PARAMETERS.format(values=values))
    work("split", "process 0")
    for width in (None, 60, 80, 400):
        monkeypatch.setattr("psyrun.cli.failed.width_of", lambda _, found=width: found)
        for flags in ((), ("--all",)):
            lines = psy("failed", "square", *flags).out.splitlines()
            text = " ".join(" ".join(lines).split())
            for last in (1, 2):
                told = [*(f"{name}='a value'" for name in names), f"last={last}"]
                assert ", ".join(told) in text
            assert "ValueError: this is too large for the solver of the model" in text
            is_table = lines[1].startswith("number ")
            assert is_table == (bool(flags) and width in (None, 400))
            assert width is None or max(map(len, lines)) <= width


def test_assignments_that_are_not_evaluated_yet_are_not_counted(psy, write_task, work):
    write_task("square", MANY)
    work("split", "process 2")
    assert "all 12 of 12 failures have" not in psy("failed", "square").out
    out = psy("failed", "square").out
    assert "(of 18 such assignments)" in out and "square: 18 " not in out


def test_failures_without_a_pattern_are_said_to_have_none(psy, write_task, work):
    text = MANY.replace('solver == "rk4" and n > 2', "(n * 7 + seed * 5) % 11 == 3")
    write_task("square", text.replace("seed == 4", "False"))
    work("split", "process 0", "process 1", "process 2")
    out = psy("failed", "square").out
    assert out.splitlines()[1] == "no pattern in their parameters"


def test_where_all_fail_there_is_nothing_to_tell_apart(psy, write_task, work):
    write_task("square", MANY.replace('solver == "rk4" and n > 2', "True"))
    work("split", "process 0", "process 1", "process 2")
    out = psy("failed", "square").out
    assert "pattern" not in out and "have" not in out


def test_values_of_classes_of_the_task_file_are_left_alone(start_psy, write_task, work):
    own = "class Own(int):\n    pass\n\n\npspace = Param(own=[Own(1)]) * "
    path = write_task("square", MANY.replace("pspace = ", own))
    path.write_text(path.read_text().replace("(solver, n", "(own, solver, n"))
    work("split", "process 0", "process 1", "process 2")
    path.write_text("raise SystemExit")
    out = start_psy("failed", "square").communicate(timeout=60)[0]
    assert "18 x ValueError" in out and "failures have" not in out


def test_the_task_file_is_not_run(psy, failing, work):
    path = failing()
    work("split", "process 0")
    path.write_text("raise SystemExit")
    assert psy("failed", "square").status == 0


def test_without_names_the_tasks_that_failed_are_told_of(
    psy, write_task, failing, work
):
    assert psy("failed").out == "no failures\n"
    failing()
    work("split", "process 0")
    assert psy("failed").out == psy("failed", "square").out
    write_task("whole", FAILING.format(dies="and False"))
    assert psy("failed").out == psy("failed", "square").out
    both = psy("failed", "square", "whole").out
    assert both.startswith(psy("failed", "square").out + "\nwhole: was never run.")
    result = psy("failed", "--csv")
    assert result.status == 2
    assert result.err.endswith("Name the task: square, whole.\n")
    assert psy("failed", "--csv", "square").out.startswith("number,")


def test_an_unknown_task_is_named(psy, failing):
    failing()
    result = psy("failed", "sqare")
    assert result.status == 2
    assert "Did you mean 'square'?" in result.err


def test_a_damaged_record_is_named(psy, failing, work):
    failing()
    finish_accepting_failures().layout.round(1).failed(0).write_text("{")
    result = psy("failed", "square")
    assert result.status == 2
    assert ".0.failed.json: is not JSON" in result.err
    assert Path("psy-work/square/result.pkl").exists()


def test_a_run_sums_up_what_failed(start_psy, failing):
    failing()
    err = start_psy("run").communicate(timeout=60)[1]
    assert err == (
        "\nsquare: 1 assignment failed\n"
        f"  1 x ValueError: x is bad, {PLACE}\n"
        "      3: x=3\n"
        "All of them: 'psy failed square'. One in the debugger: 'psy debug square 3'.\n"
        "Logs: psy-work/square/square:process:0.log\n"
        "\npsy: 9 of 10 assignments are kept. "
        "Fix the cause, then 'psy run --continue square'.\n"
    )


@pytest.mark.slow
def test_lines_of_a_summary_fit_the_terminal(write_task):
    write_task("square", MANY)
    command = [sys.executable, "-m", "psyrun.cli", "run", "--quiet"]
    status, out = on_terminal(command, Path.cwd(), 70)
    assert status == 1
    _, _, summary = out.partition("square: 24 assignments failed")
    summary, _, _ = summary.partition("Logs: ")
    assert max(map(len, summary.splitlines())) <= 70
    rule = "18 of 24 failures have solver = rk4 and n ≥ 3 (of 18 such assignments)"
    assert rule in " ".join(summary.split())
    assert Path("psy-work/square/run.log").read_text().count("18 of 24 failures") == 1


def test_a_run_tells_which_jobs_failed_for_another_reason(start_psy, failing):
    path = failing()
    path.write_text(path.read_text() + "\n\ndef setup(proc_id):\n    1 / 0\n")
    process = start_psy("run")
    err = process.communicate(timeout=60)[1]
    log = "psy-work/square/square:process:0.log"
    told = "psy-tasks/task_square.py:17: `setup` raised ZeroDivisionError: division by"
    assert f"square:process:0 failed; its log is {log}:\n  {told}" in err
    assert "ZeroDivisionError" in Path(log).read_text()
    assert "assignment failed" not in err


def test_a_run_tells_what_the_result_goes_without(start_psy, failing):
    failing()
    process = start_psy("run", "--accept-failures")
    out = process.communicate(timeout=60)[0]
    without = "   without 1 assignment that failed; see 'psy failed square'\n"
    assert out.endswith(f"square: psy-work/square/result.pkl\n{without}")
    assert process.returncode == 0


def test_a_run_tells_what_it_evaluated_again(start_psy, failing, work):
    path = failing()
    path.write_text(path.read_text().replace("x == 3", "not os.path.exists('fixed')"))
    work("split", "process 0")
    Path("fixed").touch()
    out = start_psy("run").communicate(timeout=60)[0]
    assert out.endswith("   5 failed assignments evaluated again\n")

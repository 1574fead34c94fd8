import re
from pathlib import Path

import pytest
from accepting import finish_accepting_failures

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
    result = psy("failed", "square")
    assert result.out.startswith("square: 1 assignment failed\nnumber ")
    number, parameters, exception, where, took, memory, host = cells(result)[0]
    assert (number, parameters) == ("3", "x=3")
    assert (exception, where) == ("ValueError: x is bad", PLACE)
    assert re.fullmatch(r"\d+ MiB", memory) and took.endswith("s") and host != "-"
    assert result.status == 0


def test_an_assignment_that_ended_its_process_is_told(psy, failing, work):
    failing(dies=True)
    work("split", "process 0")
    number, _, exception, where, took, memory, _ = cells(psy("failed", "square"))[1]
    assert number == "4"
    assert exception.startswith("WorkerDied: the worker process ended with exit")
    assert (where, took, memory) == ("exit status 0", "-", "-")


@pytest.mark.parametrize("steps", [(), ("split",), ("split", "process 1")])
def test_without_failures_it_says_so(psy, failing, work, steps):
    failing()
    work(*steps)
    result = psy("failed", "square")
    assert (result.status, result.out) == (0, "square: no failures\n")


def test_a_task_that_was_never_run_has_no_failures(psy, failing):
    failing()
    assert psy("failed", "square").out == "square: no failures\n"


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
    result = psy("failed", "square")
    assert result.out.startswith("square: 1 assignment failed, 1 of them accepted\n")
    assert cells(result)[0][:4] == ["3", "x=3", "ValueError: x is bad", PLACE]


def test_a_later_row_outweighs_a_failure(failing, work):
    failing()
    layout = work("split", "process 0").layout
    again = Journal(layout.round(1).journal(0, 1), {})
    again.row(3, 0.0, 0.0, 0, {"x": 3, "y": 3})
    again.close()
    assert failures_of_task(layout) == []


def test_the_last_failure_of_an_assignment_counts(failing, work):
    failing()
    layout = work("split", "process 0").layout
    first = failures_of_task(layout)[0]
    again = Journal(layout.round(1).journal(0, 1), {"host": "elsewhere"})
    told = {"type": "KeyError", "message": "", "where": "", "traceback": ""}
    again.failure(3, 1e12, 90.0, 2048, {**told, "parameters": {"x": "3"}})
    again.close()
    (last,) = failures_of_task(layout)
    assert (first.type, last.type, last.host) == ("ValueError", "KeyError", "elsewhere")


@pytest.mark.parametrize(("flags", "n_shown"), [([], 20), (["--all"], 50)])
def test_a_long_list_is_cut_unless_asked_for(psy, write_task, work, flags, n_shown):
    path = write_task("square", FAILING.format(dies="and False"))
    text = path.read_text().replace("x == 3", "True")
    path.write_text(text.replace("range(10)", "range(50)").replace("= 2", "= 1"))
    work("split", "process 0")
    out = psy("failed", "square", *flags).out
    assert out.count("ValueError") == n_shown
    hint = "and 30 more; see all with 'psy failed --all square'\n"
    assert out.endswith(hint) == (not flags)


def test_the_task_file_is_not_run(psy, failing, work):
    path = failing()
    work("split", "process 0")
    path.write_text("raise SystemExit")
    assert psy("failed", "square").status == 0


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

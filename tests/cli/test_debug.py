import subprocess
import sys

import pytest

TASK = """\
from psyrun import Param

pspace = Param(x=[-1, 0, 2])


def setup(proc_id):
    return {"scale": 10 + proc_id}


def inverse(x):
    return 1 / x


def execute(x, scale):
    return {"y": scale * inverse(x)}
"""


@pytest.fixture
def debug(write_task):
    """Debug an assignment of a task, typing some commands."""

    def call(*arguments, commands="", text=TASK):
        write_task("inverse", text)
        return subprocess.run(
            [sys.executable, "-m", "psyrun.cli", "debug", "inverse", *arguments],
            input=commands,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return call


def test_the_debugger_opens_where_the_assignment_failed(debug):
    result = debug("1", commands="p x\nup\np scale\nq\n")
    assert result.stdout.startswith("inverse: assignment 1 of 0 to 2: x=0\n")
    assert "task_inverse.py(11)inverse()\n-> return 1 / x\n(Pdb) 0\n" in result.stdout
    assert "(Pdb) 10\n" in result.stdout
    assert result.returncode == 1


def test_the_debugger_opens_in_the_users_code_not_in_a_library(debug):
    text = TASK.replace("1 / x", "json.loads(str(x) * 2 + '?')")
    text = text.replace("from psyrun", "import json\nfrom psyrun", 1)
    result = debug("1", text=text, commands="p x\ndown\ndown\ndown\nq\n")
    assert "task_inverse.py(12)inverse()\n-> return json.loads" in result.stdout
    assert "(Pdb) 0\n" in result.stdout
    assert "json/decoder.py" in result.stdout


def test_the_outermost_frame_is_the_users(debug):
    result = debug("1", commands="up\nup\nq\n")
    assert "*** Oldest frame" in result.stdout
    assert "/psyrun/" not in result.stdout + result.stderr
    assert result.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_an_assignment_that_succeeds_shows_its_result(debug):
    result = debug("2")
    assert result.stdout.endswith("x=2\nresult: y=5.0\n")
    assert result.returncode == 0


def test_tracing_begins_at_the_call(debug):
    result = debug("2", "--trace", commands="p x\nc\n")
    assert '-> return {"y": scale * inverse(x)}\n(Pdb) 2\n' in result.stdout
    assert result.stdout.endswith("result: y=5.0\n")
    assert result.returncode == 0


def test_a_failure_while_tracing_opens_the_debugger_again(debug):
    result = debug("1", "--trace", commands="c\np x\nq\n")
    assert "inverse()\n-> return 1 / x\n(Pdb) 0\n" in result.stdout
    assert result.returncode == 1


def test_leaving_the_debugger_while_tracing_is_no_failure(debug):
    result = debug("1", "--trace", commands="q\n")
    assert (result.returncode, result.stderr) == (0, "")


def test_a_failing_setup_is_debugged_too(debug):
    text = TASK.replace('{"scale": 10 + proc_id}', '{"scale": 1 / proc_id}')
    result = debug("2", commands="p proc_id\nq\n", text=text)
    assert "setup()\n" in result.stdout and "(Pdb) 0\n" in result.stdout
    assert result.returncode == 1


def test_the_space_is_the_one_that_was_run(debug, write_task, work):
    write_task("inverse", TASK)
    work("split", name="inverse")
    result = debug("1", text=TASK.replace("[-1, 0, 2]", "[5, 6, 7, 8]"))
    assert "assignment 1 of 0 to 2: x=0\n" in result.stdout
    assert "ZeroDivisionError" in result.stderr


def test_a_result_that_a_run_would_refuse_is_told(debug):
    result = debug("2", text=TASK.replace('return {"y"', '{"y"'))
    assert "psy: psy-tasks/task_inverse.py: execute returned NoneType" in result.stderr
    assert result.returncode == 1


@pytest.mark.parametrize("number", ["3", "-1"])
def test_a_number_out_of_range_is_refused(debug, number):
    result = debug(number)
    assert f"there is no assignment {number}. Choose one from 0 to 2" in result.stderr
    assert result.returncode == 2


def test_a_crash_shows_where_the_users_code_was(debug):
    crash = "__import__('os').kill(__import__('os').getpid(), 11)"
    result = debug("2", text=TASK.replace("return 1 / x", f"return {crash}"))
    assert result.returncode == -11
    assert "Fatal Python error: Segmentation fault" in result.stderr
    assert "in inverse" in result.stderr


def test_an_assignment_can_be_chosen_by_its_parameters(debug):
    result = debug("x=2")
    assert result.stdout.startswith("inverse: assignment 2 of 0 to 2: x=2\n")
    assert result.returncode == 0


def test_what_is_neither_a_number_nor_a_value_is_refused(debug):
    result = debug("last")
    assert result.returncode == 2
    assert "debug: 'last' is not a whole number. Give the number" in result.stderr


REPLICATES = """\
from psyrun import Param
from psyrun.pspace import replicates

pspace = Param(x=[1, 2]) * replicates(3, seed=1)


def execute(x, rng, seed):
    return {"y": x + rng.random(), "own": seed % 1000}
"""


def test_a_replicate_has_its_own_random_numbers(debug):
    found = debug("x=2", "replicate=1", text=REPLICATES)
    shown = "assignment 4 of 0 to 5: x=2, replicate=1, seed=17696683332085980847"
    assert found.stdout == f"inverse: {shown}\nresult: y=2.914998018901219, own=847\n"
    more = REPLICATES.replace("Param(x=[1, 2])", "Param(x=[5, 2.0, 4]).shuffle()")
    again = debug(
        "x=2", "replicate=1", text=more.replace("replicates(3", "replicates(9")
    )
    assert again.stdout.partition("result")[2] == found.stdout.partition("result")[2]

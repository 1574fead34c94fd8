import os
import re
import signal
from pathlib import Path

import pytest

TASK = """\
from psyrun import Param

pspace = Param(x=range(10))


def execute(x):
{body}
"""


def task_with(body):
    return TASK.format(body="\n".join(f"    {line}" for line in body.splitlines()))


def test_the_first_assignment_is_evaluated(psy, write_task):
    write_task()
    result = psy("test")
    assert result.status == 0
    assert "parameters\n    x = 0\n  result\n    y = 0\n" in result.out


def test_time_and_memory_are_printed(psy, write_task):
    write_task()
    assert re.search(r"took \S+ s, peak memory \d+ MiB\n$", psy("test").out)


def test_another_assignment_can_be_chosen(psy, write_task):
    write_task()
    assert "x = 7\n  result\n    y = 49\n" in psy("test", "--item", "7").out


@pytest.mark.parametrize("item", ["10", "-1"])
def test_an_assignment_that_does_not_exist_is_refused(psy, write_task, item):
    write_task()
    result = psy("test", "--item", item)
    assert result.status == 2
    assert "from 0 to 9" in result.err


def test_nothing_is_saved(psy, write_task, project):
    write_task()
    before = sorted(project.rglob("*"))
    psy("test")
    assert sorted(project.rglob("*")) == before


def test_setup_gives_further_arguments(psy, write_task):
    text = task_with("return {'y': x}").replace("(x):", "(x, n):")
    write_task("square", f"{text}\ndef setup(proc_id):\n    return {{'n': proc_id}}\n")
    assert psy("test").status == 0


def test_an_exception_is_shown_as_the_users(psy, write_task):
    write_task("square", task_with("return {'y': 1 / x}"))
    result = psy("test")
    assert result.status == 1
    assert "ZeroDivisionError" in result.err
    assert "task_square.py" in result.err
    assert str(Path("psyrun", "commands")) not in result.err


def test_an_exception_in_setup_is_shown_as_the_users(psy, write_task):
    text = task_with("return {'y': x}")
    write_task("square", f"{text}\ndef setup(proc_id):\n    raise OSError('no GPU')\n")
    result = psy("test")
    assert result.status == 1
    assert "no GPU" in result.err


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return None", "execute returned NoneType"),
        ("return [x]", "execute returned list"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_what_a_run_counts_as_failed_fails_here(psy, write_task, body, message):
    write_task("square", task_with(body))
    result = psy("test")
    assert result.status == 1
    assert message in result.err


def test_a_result_that_the_store_cannot_hold_fails(psy, write_task):
    write_task("square", task_with("return {'y': object()}") + "store = 'h5'\n")
    result = psy("test")
    assert result.status == 1
    assert "'y'" in result.err
    assert result.err.count("\n") == 1


def test_what_is_excluded_need_not_be_held_by_the_store(psy, write_task):
    text = task_with("return {'y': object()}")
    write_task("square", text + "store = 'h5'\nexclude_from_result = ['y']\n")
    assert psy("test").status == 0


def test_one_bad_task_does_not_stop_the_others(psy, write_task):
    write_task("bad", task_with("return {'y': 1 / x}"))
    write_task("worse", "pspace = 3")
    write_task()
    result = psy("test")
    assert result.status == 2
    assert "square: assignment 0" in result.out
    assert "ZeroDivisionError" in result.err


def test_a_cancelled_evaluation_is_shown_as_the_users(psy, write_task):
    body = "import asyncio\nraise asyncio.CancelledError('late')"
    write_task("square", task_with(body))
    result = psy("test")
    assert result.status == 1
    assert result.err.endswith("CancelledError: late\n")
    assert "/psyrun/" not in result.err


def test_a_key_that_is_no_name_is_refused(psy, write_task):
    write_task("square", task_with("return {(1, 2): x}"))
    result = psy("test")
    assert result.status == 1
    assert "execute returned the key (1, 2) of type tuple" in result.err


def test_keys_may_be_numbers_where_a_run_keeps_them(psy, write_task):
    text = task_with("return {fold: fold * x for fold in range(2)}")
    write_task("square", text)
    assert "0 = 0\n    1 = 0\n" in psy("test").out


def test_keys_of_numpy_are_refused_with_what_to_do(psy, write_task):
    body = "import numpy as np\nreturn {n: x for n in np.arange(2)}"
    write_task("square", task_with(body))
    result = psy("test")
    assert result.status == 1
    assert "the key 0 of type int64; results must have names" in result.err
    assert "numbers of Python, as int()" in result.err


@pytest.mark.parametrize("store", ["npz", "h5"])
def test_keys_that_the_store_cannot_have_are_refused(psy, write_task, store):
    text = task_with("return {fold: fold * x for fold in range(2)}")
    write_task("square", f"{text}\nstore = {store!r}\n")
    result = psy("test")
    assert result.status == 1
    assert "key 0 cannot be a name in an" in result.err
    assert "PickleStore" in result.err


ENDS = {
    "os._exit(0)": "exit status 0",
    "os._exit(3)": "exit status 3",
    "ctypes.CDLL(None).exit(0)": "exit status 0",
    "os.kill(os.getpid(), 11)": "signal 11 (SIGSEGV)",
}
ENDING = "import ctypes, os\nfrom psyrun import Param\npspace = Param(x=[1, 2])\n"


@pytest.mark.parametrize("verb", ["test a", "debug a 0"])
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("where", ["execute", "setup"])
def test_a_function_that_ends_the_process_has_failed(
    start_psy, write_task, verb, end, where
):
    ends = {"setup": "pass", "execute": "pass", where: end}
    text = f"def setup(proc_id):\n    {ends['setup']}\n    return {{}}\n"
    text += f"def execute(x):\n    {ends['execute']}\n    return {{'y': x}}\n"
    write_task("a", ENDING + text)
    process = start_psy(*verb.split())
    out, err = process.communicate(timeout=60)
    assert process.returncode == (-11 if "SIGSEGV" in ENDS[end] else 1)
    # The debugger also shows where a library has crashed.
    said = err[err.index("psy: ") :]
    assert said == (
        "psy: psy-tasks/task_a.py: `execute` or `setup` ended its process with "
        f"{ENDS[end]}, so that there is no result. Let `execute` return a dictionary, "
        "and raise an error where something is wrong.\n"
    )
    assert "x=1" in out or "x = 1" in out


def test_code_that_never_returns_to_python_is_said_to_take_too_long(
    start_psy, write_task
):
    text = "def execute(x):\n    return {'y': max(range(10**18))}\ntimeout = 0.2\n"
    write_task("a", ENDING + text)
    process = start_psy("test", "a")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "line 5 in execute\n" in err
    assert err.endswith(
        "psy: psy-tasks/task_a.py: `execute` took longer than timeout = 0.2 s.\n"
    )


@pytest.mark.parametrize("verb", ["test", "run", "debug a 0"])
def test_a_task_file_that_ends_the_process_is_told_of(start_psy, write_task, verb):
    write_task("a", ENDING + "os._exit(0)\ndef execute(x):\n    return {'y': x}\n")
    process = start_psy(*verb.split())
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err.startswith("psy: psy-tasks/task_a.py:4: raised SystemExit: 0 while it ")


def test_copies_that_a_task_file_makes_may_end(start_psy, write_task):
    fork = "pid = os.fork()\nif pid == 0:\n    os._exit(7)\n"
    check = "assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7\n"
    write_task("a", f"{ENDING}{fork}{check}def execute(x):\n    return {{'y': x}}\n")
    process = start_psy("test")
    assert process.wait(60) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_test_that_is_ended_leaves_nothing(start_psy, write_task, project, number):
    noted = "pathlib.Path('pid').write_text(f'{os.getpid()}\\n')"
    body = f"import os, pathlib, time\n{noted}\ntime.sleep(60)\nreturn {{'y': x}}"
    write_task("a", task_with(body))
    process = start_psy("test")
    note = project / "pid"
    while not note.exists() or not note.read_text().endswith("\n"):
        assert process.poll() is None
    process.send_signal(number)
    assert process.wait(30) == -number
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


SWEEP = """\
from psyrun import Param

pspace = Param(beta=[0.1, 0.3]) * Param(solver=["euler", "rk4"]) * Param(seed=range(3))
pspace = pspace + Param(gamma=[2])


def execute(beta, solver, seed, gamma=1):
    return {"y": gamma}
"""


@pytest.mark.parametrize(
    ("values", "number", "n_like_it"),
    [
        ("beta=0.3", 6, 6),
        ("beta=0.3 solver=rk4", 9, 3),
        ("seed=2 solver='rk4' beta=0.1", 5, 1),
        ("seed=1,2", 1, 8),
        ("gamma=2", 12, 1),
        ("gamma=2.0 beta=nan", 12, 1),
    ],
)
def test_an_assignment_can_be_chosen_by_its_parameters(
    psy, write_task, values, number, n_like_it
):
    write_task("seir", SWEEP)
    said = psy("test", "seir", *values.split()).out
    assert f"seir: assignment {number} of 0 to 12" in said
    assert (f"the first of {n_like_it} assignments" in said) == (n_like_it > 1)


@pytest.mark.parametrize("command", ["test", "debug"])
@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("beta=0.15", "seir: 'beta' is never 0.15. The nearest is 0.1."),
        ("x=0.2", "there is no parameter"),
        ("bet=0.2", "there is no parameter 'bet'. Did you mean 'beta'?"),
        ("beta=0.3 gamma=2", "no assignment has all of these values"),
        ("beta=", "'beta=' has no name and value"),
        ("beta=0.1 beta=0.3", "names 'beta' twice"),
    ],
)
def test_values_that_no_assignment_has_are_refused(
    psy, write_task, command, values, said
):
    write_task("seir", SWEEP)
    result = psy(command, "seir", *values.split())
    assert result.status == 2
    assert said in result.err
    assert result.err.count("\n") == 1


ODD = """\
from psyrun import Param

pspace = Param(shape=[(3, 3), (5, 5)]) * Param(code=["7", "007"])
pspace = pspace * Param(n=range(10**4)) * Param(m=range(10**4))


def execute(shape, code, n, m):
    return {"y": n}
"""


def test_values_may_be_tuples_and_names_of_digits_in_large_spaces(psy, write_task):
    write_task("odd", ODD)
    said = psy("test", "odd", "shape=(5, 5)", "code=007", "n=3").out
    assert "the first of 10000 assignments" in said
    assert "shape = (5, 5)\n    code = '007'\n    n = 3\n    m = 0\n" in said
    assert "the first of 200000000 assignments" in psy("test", "odd", "code=007").out


def test_a_number_and_values_are_too_much(psy, write_task):
    write_task("seir", SWEEP)
    assert "Give one of them" in psy("test", "seir", "beta=0.3", "--item", "1").err


def test_what_takes_too_long_is_ended(psy, write_task):
    text = task_with("while True:\n    pass")
    write_task("square", f"{text}\ntimeout = 0.2\n")
    result = psy("test")
    assert result.status == 1
    assert "task_square.py" in result.err and ", in execute" in result.err
    assert result.err.endswith("TimedOut: took longer than timeout = 0.2 s\n")
    assert "psyrun/utils" not in result.err

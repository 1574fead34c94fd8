import re
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

from pathlib import Path

from psyrun.results.failure_rules import TaskFailures
from psyrun.results.failures import failure_summary
from psyrun.utils.text import counted, shortened
from psyrun.utils.tracebacks import place
from psyrun.workdir.failures import Failure

FRAME = 'File "/project/task_a.py", line 7, in execute'


def failure(index=0, type="ValueError", message="bad", where=FRAME, **more):
    parameters = more.pop("parameters", {"x": str(index)})
    return Failure(index, type, message, where, "", parameters, **more)


def test_a_summary_shows_the_first_of_each_group():
    failures = [failure(i) for i in range(5)] + [failure(9, "KeyError")]
    assert list(failure_summary("a", TaskFailures(failures))) == [
        "a: 6 assignments failed",
        "  5 x ValueError: bad, /project/task_a.py:7 in execute",
        "      0: x=0",
        "      1: x=1",
        "      2: x=2",
        "      and 2 more",
        "  1 x KeyError: bad, /project/task_a.py:7 in execute",
        "      9: x=9",
        "All of them: 'psy failed a'. One in the debugger: 'psy debug a 0'.",
    ]


def test_a_text_that_only_some_failures_of_a_group_have_is_an_example():
    failures = [failure(message=f"{i} is bad") for i in range(3)]
    line = list(failure_summary("a", TaskFailures(failures)))[1]
    assert line.startswith("  3 x ValueError, such as: 0 is bad, /project")


def test_a_summary_stays_short_whatever_failed():
    failures = [failure(i, f"Error{i}") for i in range(100)]
    lines = list(failure_summary("a", TaskFailures(failures)))
    assert len(lines) < 20
    assert "  and 95 other kinds of failure" in lines


def test_a_long_text_is_one_short_line():
    one = failure(message="word\n" * 1000)
    assert len(one.cause) == 300
    assert one.cause.startswith("ValueError: word word")


def test_an_exception_without_text_is_its_type():
    assert failure(message="").cause == "ValueError"


def test_values_of_many_lines_are_on_one():
    one = failure(parameters={"x": "array([1,\n       2])", "y": "3"})
    assert one.values == "x=array([1, 2]), y=3"


def test_a_frame_below_the_current_folder_is_named_from_there():
    file = Path.cwd() / "psy-tasks/task_a.py"
    frame = f'File "{file}", line 7, in execute'
    assert place(frame) == "psy-tasks/task_a.py:7 in execute"


def test_a_place_that_is_no_frame_stays():
    assert place("signal 9 (SIGKILL)") == "signal 9 (SIGKILL)"


def test_what_is_cut_off_shows():
    assert shortened("abcdef", 4) == "abc…"
    assert shortened("abcd", 4) == "abcd"


def test_one_is_singular():
    assert [counted(n, "row") for n in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]


def test_lines_of_a_summary_fit_the_terminal():
    failures = [
        failure(i, message="word " * 30, parameters={"text": "'" + "a" * 90 + "'"})
        for i in range(2)
    ]
    lines = list(failure_summary("a", TaskFailures(failures), 60))
    assert max(map(len, lines)) <= 60
    assert "".join(lines).count("word") == 30
    assert lines[-2:] == [
        "All of them: 'psy failed a'.",
        "One in the debugger: 'psy debug a 0'.",
    ]

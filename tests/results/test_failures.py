from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from psyrun.results.failures import failure_summary, grouped
from psyrun.utils.text import counted, shortened
from psyrun.utils.tracebacks import place
from psyrun.workdir.failures import Failure

FRAME = 'File "/project/task_a.py", line 7, in execute'


def failure(index=0, type="ValueError", message="bad", where=FRAME, **more):
    parameters = more.pop("parameters", {"x": str(index)})
    return Failure(index, type, message, where, "", parameters, **more)


some_failures = st.lists(
    st.builds(
        failure,
        st.integers(0, 1000),
        st.sampled_from(["ValueError", "KeyError"]),
        st.sampled_from(["a", "b"]),
        st.sampled_from(["", "line 1", "line 2"]),
    ),
    max_size=30,
)


@given(some_failures)
def test_each_failure_is_in_one_group(failures):
    found = [one for part in grouped(failures) for one in part.failures]
    assert sorted(found, key=id) == sorted(failures, key=id)


@given(some_failures)
def test_a_group_has_one_type_and_one_line(failures):
    for part in grouped(failures):
        assert len({(one.type, one.where) for one in part.failures}) == 1


@given(some_failures)
def test_the_largest_group_comes_first(failures):
    sizes = [len(part.failures) for part in grouped(failures)]
    assert sizes == sorted(sizes, reverse=True)


def test_other_texts_at_one_line_are_one_group():
    assert len(grouped([failure(message="1 is bad"), failure(message="2 is bad")])) == 1


def test_without_a_line_the_text_makes_the_group():
    results = [failure(where="", message=text) for text in ("None", "keys", "None")]
    assert [len(part.failures) for part in grouped(results)] == [2, 1]


def test_a_summary_shows_the_first_of_each_group():
    failures = [failure(i) for i in range(5)] + [failure(9, "KeyError")]
    assert list(failure_summary("a", failures)) == [
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
    line = list(
        failure_summary("a", [failure(message=f"{i} is bad") for i in range(3)])
    )[1]
    assert line.startswith("  3 x ValueError, such as: 0 is bad, /project")


def test_failures_of_a_group_without_text_do_not_hide_that_of_the_first():
    assert grouped([failure(message="a"), failure(message="")])[0].cause == (
        "ValueError, such as: a"
    )
    assert grouped([failure(message=""), failure(message="a")])[0].cause == "ValueError"


def test_a_summary_stays_short_whatever_failed():
    failures = [failure(i, f"Error{i}") for i in range(100)]
    lines = list(failure_summary("a", failures))
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

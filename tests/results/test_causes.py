"""Failures are grouped by their causes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psyrun.results.causes import FailureGroup, general_text, grouped
from psyrun.workdir.failures import Failure

FRAME = 'File "/project/task_a.py", line 7, in execute'


def failure(index=0, type="ValueError", message="bad", where=FRAME, **parameters):
    return Failure(index, type, message, where, "", parameters)


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


def sizes(failures):
    return [len(part.failures) for part in grouped(failures)]


def test_texts_that_differ_in_values_of_the_assignments_are_one_group():
    failures = [
        failure(0, message="no 'rk4' for n=12", solver="'rk4'", n="12"),
        failure(1, message="no 'euler' for n=3e-5", solver="'euler'", n="3e-05"),
        failure(2, message="no euler for n=-1", solver='"euler"', n="-1"),
    ]
    assert sizes(failures) == [3]


def test_addresses_and_paths_do_not_matter():
    texts = [
        "<Model object at 0x7f21aa> cannot read /scratch/me/a.npz",
        "<Model object at 0x7f44> cannot read data/b-2.npz",
    ]
    assert sizes([failure(i, message=text) for i, text in enumerate(texts)]) == [2]


def test_other_texts_at_one_line_are_other_causes():
    texts = ["singular matrix", "no convergence", "singular matrix"]
    assert sizes([failure(i, message=text) for i, text in enumerate(texts)]) == [2, 1]


def test_very_many_texts_at_one_line_are_one_cause():
    words = ["".join(chr(97 + int(d)) for d in f"{i:03}") for i in range(40)]
    assert sizes([failure(i, message=f"bad {w}") for i, w in enumerate(words)]) == [40]


def test_other_ways_to_die_are_other_causes():
    texts = ["signal 9 (SIGKILL)", "signal 11 (SIGSEGV)", "exit status 3"]
    deaths = [
        failure(i, "WorkerDied", f"the process ended with {text}", text)
        for i, text in enumerate(texts)
    ]
    assert sizes(deaths) == [1, 1, 1]


def test_parts_of_words_are_no_values():
    one = failure(message="the order is on", mode="'on'", name="'order'")
    assert general_text(one) == "the … is …"
    assert general_text(failure(message="second", mode="'on'")) == "second"


def test_failures_of_a_group_without_text_do_not_hide_that_of_the_first():
    with_text, without = failure(message="a"), failure(message="")
    assert FailureGroup([with_text, without]).cause == "ValueError, such as: a"
    assert FailureGroup([without, with_text]).cause == "ValueError"


@pytest.mark.parametrize(
    ("durations", "told"),
    [
        ([None], ""),
        ([0.2, 0.9], ""),
        ([2.0], "after 2 s"),
        ([2.0, 2.001], "after 2 s, 4 s in all"),
        ([2.0, 720.0, 7200.0], "after 2 s to 2 h, 2 h 12 min in all"),
        ([0.01, None, 5.0], "after 0.01 s to 5 s, 5 s in all; not known of 1"),
    ],
)
def test_it_is_told_how_long_evaluations_took_that_failed(
    durations: list[float | None], told: str
) -> None:
    failures = [
        replace(failure(i, "ValueError", "no"), duration=duration)
        for i, duration in enumerate(durations)
    ]
    (group,) = grouped(failures)
    assert group.times == told

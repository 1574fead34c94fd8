"""Functions evaluated on parameter spaces."""

from __future__ import annotations

import doctest
import math
import os
import random
import sys
import threading
import time
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import psyrun.mapper
import psyrun.pspace.param
from psyrun import (
    NpzStore,
    Param,
    PickleStore,
    map_pspace,
    map_pspace_hdd_backed,
    map_pspace_parallel,
)
from psyrun.errors import IneffectiveExcludeWarning, JobError, PsyrunError, StoreError
from psyrun.utils.example import square


def basic_math(a, b):
    return {"sum": a + b, "product": a * b}


def draw(i):
    time.sleep(0.002)
    return {
        "python": random.random(),
        "numpy": float(np.random.random()),
        "pid": os.getpid(),
    }


def odd_ones_only(a):
    return {"odd": a} if a % 2 else {}


def nothing(a, b):
    return None


def fail_at_three(a):
    if a == 3:
        raise RuntimeError("three")
    return {"y": a}


class Counted:
    """Note each evaluation."""

    def __init__(self, fn):
        self.fn, self.points = fn, []

    def __call__(self, **point):
        self.points.append(point)
        return self.fn(**point)


@pytest.fixture(params=["serial", "parallel", "file"])
def evaluate(request, tmp_path):
    def into_file(fn, pspace, **kwargs):
        return map_pspace_hdd_backed(fn, pspace, tmp_path / "rows.pkl", **kwargs)

    def in_parallel(fn, pspace, **kwargs):
        return map_pspace_parallel(fn, pspace, n_jobs=1, **kwargs)

    ways = {"serial": map_pspace, "parallel": in_parallel, "file": into_file}
    return ways[request.param]


GUIDE = """
>>> from pprint import pprint
>>> from psyrun import Param, map_pspace, map_pspace_parallel
>>> from psyrun import pspace
>>> from psyrun.pspace import missing
>>> from psyrun.utils.example import square
>>> space = Param(a=[1, 2]) + Param(a=[2, 3], b=[4, 4])
>>> pprint(space.build())
{'a': [1, 2, 2, 3], 'b': [nan, nan, 4, 4]}
>>> Param(a=[1, 2, 3]) - Param(a=[2], c=[4])
Traceback (most recent call last):
    ...
psyrun.pspace.AmbiguousOperationError: Key `c` not existent in minuend.
>>> pprint(missing(Param(a=[1, 2, 3]), Param(a=[2], c=[4])).build())
{'a': [1, 3]}
>>> for p in (Param(a=[1, 2]) * Param(b=[3, 4])).iterate():
...     pprint(p)
{'a': 1, 'b': 3}
{'a': 1, 'b': 4}
{'a': 2, 'b': 3}
{'a': 2, 'b': 4}
>>> def basic_math(a, b):
...     return {'sum': a + b, 'product': a * b}
>>> pspace = Param(a=[1, 2]) * Param(b=[3, 4])
>>> pprint(map_pspace(basic_math, pspace))
{'a': [1, 1, 2, 2],
 'b': [3, 4, 3, 4],
 'product': [3, 4, 6, 8],
 'sum': [4, 5, 5, 6]}
>>> pprint(map_pspace_parallel(square, Param(x=[1, 2, 3])))
{'x': [1, 2, 3], 'y': [1, 4, 9]}
"""


def test_the_guides_examples_print_what_the_guide_prints():
    example = doctest.DocTestParser().get_doctest(GUIDE, {}, "guide", None, 0)
    assert doctest.DocTestRunner().run(example).failed == 0


@pytest.mark.parametrize("module", [psyrun.pspace.param, psyrun.mapper])
def test_the_examples_of_docstrings_print_what_they_say(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


# --- What all have in common ----------------------------------------------------


def test_results_follow_the_parameters(evaluate):
    space = Param(a=[1, 2]) * Param(b=[3, 4])
    rows = evaluate(basic_math, space)
    assert list(rows.items()) == [
        ("a", [1, 1, 2, 2]),
        ("b", [3, 4, 3, 4]),
        ("sum", [4, 5, 5, 6]),
        ("product", [3, 4, 6, 8]),
    ]


@pytest.mark.parametrize("kind", [np.random.default_rng, random.Random])
def test_points_do_not_draw_the_same_numbers_from_a_generator_they_share(kind):
    space = Param(x=range(20)) * Param(rng=[kind(1)])
    found = map_pspace(lambda x, rng: {"y": rng.random()}, space)
    assert len(set(found["y"])) == 20


def test_a_function_that_changes_its_arguments_changes_no_other(evaluate):
    def fn(x, options, weights):
        weights[0] += 1
        return {"y": x * options.pop("rate") + weights.sum()}

    options, weights = {"rate": 2}, np.zeros((1, 3))
    space = Param(options=[options], weights=weights) * Param(x=[1, 2, 3])
    rows = evaluate(fn, space)
    assert rows["y"] == [3, 5, 7]
    assert rows["options"] == [{"rate": 2}] * 3
    assert not np.any(rows["weights"])
    assert options == {"rate": 2} and not weights.any()


def test_a_value_that_cannot_be_copied_is_passed_as_it_is():
    only, numbers = threading.Lock(), [1]

    def fn(lock, numbers):
        numbers.append(2)
        return {"is_same": lock is only, "n": len(numbers)}

    rows = map_pspace(fn, Param(lock=only, numbers=[numbers]))
    assert rows["is_same"] == [True] and rows["n"] == [2]
    assert numbers == [1]


def test_what_is_one_object_in_two_values_stays_one():
    model = [0]
    space = Param(model=[model], part=[[model]])
    rows = map_pspace(lambda model, part: {"is_one": part[0] is model}, space)
    assert rows["is_one"] == [True]


def test_a_result_replaces_a_parameter_of_its_name(evaluate):
    rows = evaluate(lambda a, b: {"a": 10 * a}, Param(a=[1, 2], b=0))
    assert rows == {"a": [10, 20], "b": [0, 0]}


def test_results_that_rows_lack_are_nan(evaluate):
    rows = evaluate(odd_ones_only, Param(a=[2, 3, 4]))
    assert str(rows) == "{'a': [2, 3, 4], 'odd': [nan, 3, nan]}"


def test_results_come_in_the_order_of_their_first_appearance(evaluate):
    rows = evaluate(lambda a: dict.fromkeys("qwertyuiop", a), Param(a=[1]))
    assert "".join(rows) == "aqwertyuiop"


def test_excluded_keys_are_left_out(evaluate):
    rows = evaluate(basic_math, Param(a=[1, 2], b=3), exclude=["b", "sum"])
    assert rows == {"a": [1, 2], "product": [3, 6]}


def test_one_name_is_a_name_and_not_its_letters(evaluate):
    rows = evaluate(basic_math, Param(a=[1], b=3), exclude="sum")
    assert list(rows) == ["a", "b", "product"]


@pytest.mark.parametrize("exclude", [["typo", "sum"], "typo"])
def test_an_excluded_key_that_no_row_has_is_warned_of_once(evaluate, exclude):
    with pytest.warns(IneffectiveExcludeWarning, match="'typo'") as warned:
        rows = evaluate(basic_math, Param(a=[1, 2], b=3), exclude=exclude)
    assert [(w.message.key, w.filename) for w in warned] == [("typo", __file__)]
    assert rows["product"] == [3, 6]


def test_a_key_that_some_rows_have_is_excluded_without_a_warning(evaluate):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert evaluate(odd_ones_only, Param(a=[1, 2]), exclude=["odd"])["a"] == [1, 2]
        assert evaluate(odd_ones_only, Param(a=[]), exclude=None) == {"a": []}


@pytest.mark.parametrize("result", [None, [1], 3])
def test_a_function_must_return_a_mapping(evaluate, result):
    def wrong(a, b):
        return result

    with pytest.raises(JobError, match=r"wrong\(a=1, b='x'\) returned a value of type"):
        evaluate(wrong, Param(a=[1], b="x"))


def test_a_space_without_points_has_columns_without_rows(evaluate):
    assert evaluate(square, Param(x=[])) == {"x": []}


def test_an_error_of_the_function_is_raised_as_it_is(evaluate):
    with pytest.raises(RuntimeError, match="three"):
        evaluate(fail_at_three, Param(a=[1, 3]))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(-5, 5)), st.lists(st.booleans(), max_size=4))
def test_mapping_is_adding_columns(numbers, flags):
    space = Param(a=numbers) * Param(b=flags)
    built = space.build()
    total = [a + b for a, b in zip(built["a"], built["b"], strict=True)]
    rows = map_pspace(lambda a, b: {"sum": a + b}, space)
    assert rows == built | ({"sum": total} if total else {})


# --- Several processes ----------------------------------------------------------


@pytest.mark.parametrize("backend", ["loky", "multiprocessing"])
def test_workers_share_no_random_numbers(backend):
    from joblib import parallel_config

    np.random.random()
    with parallel_config(backend=backend):
        rows = map_pspace_parallel(draw, Param(i=range(100)), n_jobs=2)
    assert len(set(rows["pid"])) == 2
    assert len(set(rows["python"])) == len(set(rows["numpy"])) == 100


@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "threading"])
def test_the_backend_of_joblib_is_chosen_by_name(backend):
    rows = map_pspace_parallel(draw, Param(i=range(20)), 2, backend, ["python"])
    assert rows["i"] == list(range(20))
    assert (os.getpid() in rows["pid"]) == (backend == "threading")


def test_several_processes_fill_a_file_in_the_order_of_the_space(tmp_path):
    file, space = tmp_path / "rows.pkl", Param(i=range(40))
    map_pspace_hdd_backed(draw, space[:5], file, PickleStore(), True, 2)
    rows = map_pspace_hdd_backed(draw, space, file, pool_size=2, append_interval=0)
    assert rows["i"] == list(range(40)) == PickleStore().load(file)["i"]
    assert os.getpid() not in rows["pid"]
    assert len(set(rows["numpy"])) == 40


def test_what_several_processes_evaluated_before_an_error_is_kept(tmp_path):
    with pytest.raises(RuntimeError, match="three"):
        map_pspace_hdd_backed(
            fail_at_three, Param(a=[1, 2, 3]), tmp_path / "a.pkl", pool_size=2
        )
    assert PickleStore().load(tmp_path / "a.pkl")["a"] == [1, 2]


def test_one_job_keeps_the_random_numbers_of_this_process():
    random.seed(3)
    rows = map_pspace_parallel(draw, Param(i=[0]), n_jobs=1)
    assert rows["python"] == [random.Random(3).random()]


def exiting(x):
    sys.exit(0) if x == 2 else None
    return {"y": x}


def test_the_end_of_a_worker_is_an_error_and_keeps_the_rows(tmp_path):
    space, file = Param(x=[1, 2]), tmp_path / "rows.pkl"
    with pytest.raises(JobError, match=r"exiting\(x=2\) raised SystemExit: 0; it must"):
        map_pspace_parallel(exiting, space, n_jobs=2)
    with pytest.raises(JobError, match=r"exiting\(x=2\) raised SystemExit: 0; it must"):
        map_pspace_hdd_backed(exiting, space, file, pool_size=2)
    assert PickleStore().load(file) == {"x": [1], "y": [1]}


def test_errors_of_workers_name_the_function_and_its_parameters():
    with pytest.raises(JobError, match=r"nothing\(a=1, b=2\) .* NoneType"):
        map_pspace_parallel(nothing, Param(a=[1], b=2), n_jobs=2)


# --- Into a file ----------------------------------------------------------------


def test_a_second_call_evaluates_nothing(tmp_path):
    counted, file = Counted(square), tmp_path / "rows.npz"
    first = map_pspace_hdd_backed(counted, Param(x=[1, 2]), file)
    second = map_pspace_hdd_backed(counted, Param(x=[1, 2]), file)
    assert first == second == {"x": [1, 2], "y": [1, 4]}
    assert len(counted.points) == 2


def test_only_new_points_are_evaluated_and_rows_follow_the_space(tmp_path):
    counted, file = Counted(square), tmp_path / "rows.pkl"
    map_pspace_hdd_backed(counted, Param(x=[2, 4]), file, return_data=False)
    rows = map_pspace_hdd_backed(counted, Param(x=[1, 2, 3]), file)
    assert rows == {"x": [1, 2, 3], "y": [1, 4, 9]}
    assert [point["x"] for point in counted.points] == [2, 4, 1, 3]
    assert PickleStore().load(file)["x"] == [2, 4, 1, 3]


def test_equal_points_are_separate_evaluations(tmp_path):
    counted, file = Counted(square), tmp_path / "rows.pkl"
    map_pspace_hdd_backed(counted, Param(x=[1, 1]), file)
    rows = map_pspace_hdd_backed(counted, Param(x=[1, 1, 1]), file)
    assert len(counted.points) == 3
    assert rows["x"] == [1, 1, 1]


@pytest.mark.parametrize("ending", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_what_was_evaluated_before_an_error_is_kept(tmp_path, ending):
    def interrupted(x):
        if x == 3:
            raise ending
        return {"y": "first call"}

    space, file = Param(x=[1, 2, 3]), tmp_path / "rows.pkl"
    with pytest.raises(ending):
        map_pspace_hdd_backed(interrupted, space, file)
    rows = map_pspace_hdd_backed(square, space, file, renew=False)
    assert rows["y"] == ["first call", "first call", 9]


def test_a_value_that_the_store_cannot_hold_leaves_earlier_rows(tmp_path):
    def heavy(a):
        return {"y": object() if a == 2 else 0.5}

    file = tmp_path / "rows.npz"
    with pytest.raises(StoreError, match="'y'"):
        map_pspace_hdd_backed(heavy, Param(a=[1, 2]), file, NpzStore())
    assert NpzStore().load(file)["a"].tolist() == [1]


def test_excluded_parameters_do_not_prevent_continuing(tmp_path):
    counted, file = Counted(lambda a, tool: {"y": a}), tmp_path / "rows.npz"
    for _ in range(2):
        space = Param(a=[1, 2], tool=object())
        rows = map_pspace_hdd_backed(counted, space, file, exclude=["tool"])
    assert rows == {"a": [1, 2], "y": [1, 2]}
    assert len(counted.points) == 2


def test_parameters_survive_the_types_of_a_file(tmp_path):
    space = Param(where=[[0, 1], [2, 3]], name=["x", "y"], n=[1, 2]) + Param(n=[3])
    space = space[:2] * Param(flag=[True, False])
    counted = Counted(lambda **point: {"y": 1})
    for _ in range(2):
        map_pspace_hdd_backed(counted, space, tmp_path / "rows.npz")
    assert len(counted.points) == 4


def test_nothing_is_returned_if_no_data_are_wanted(tmp_path):
    file = tmp_path / "rows.pkl"
    assert not map_pspace_hdd_backed(square, Param(x=[1]), file, return_data=False)
    assert PickleStore().load(file) == {"x": [1], "y": [1]}


def test_an_extension_that_no_store_has_is_said_before_any_evaluation(tmp_path):
    counted = Counted(square)
    with pytest.raises(PsyrunError, match=r"\.xls"):
        map_pspace_hdd_backed(counted, Param(x=[1]), tmp_path / "rows.xls")
    assert not counted.points


class RecordingStore(PickleStore):
    """Note the size of each append."""

    def __init__(self):
        self.sizes = []

    def append(self, filename, data):
        self.sizes.append(len(data["x"]))
        super().append(filename, data)


def test_rows_are_appended_while_the_evaluation_goes_on(tmp_path):
    store = RecordingStore()
    map_pspace_hdd_backed(
        square, Param(x=range(3)), tmp_path / "rows.pkl", store, append_interval=0
    )
    assert sum(store.sizes) == 3
    assert store.sizes[0] == 1


def test_appends_take_a_small_part_of_the_time(tmp_path):
    store = RecordingStore()
    space = Param(x=range(2_000))
    map_pspace_hdd_backed(
        square, space, tmp_path / "rows.pkl", store, append_interval=0
    )
    assert len(store.sizes) < 200


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=6), st.lists(st.integers(0, 3), max_size=6))
def test_continuing_gives_what_one_call_gives(tmp_path_factory, before, after):
    file = tmp_path_factory.mktemp("rows") / "rows.pkl"
    map_pspace_hdd_backed(square, Param(x=before), file)
    counted = Counted(square)
    rows = map_pspace_hdd_backed(counted, Param(x=after), file, renew=False)
    new = sum(max(0, after.count(x) - before.count(x)) for x in set(after))
    assert rows == map_pspace(square, Param(x=after))
    assert len(counted.points) == new


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_parameters_that_a_point_lacks_are_left_to_defaults(n_jobs, tmp_path) -> None:
    space = Param(a=[1, math.nan]) + Param(b=[3])
    expected = ["1 none", "nan none", "0 3"]
    rows = map_pspace_parallel(with_defaults, space, n_jobs=n_jobs)
    assert rows["text"] == expected
    assert map_pspace(with_defaults, space)["text"] == expected
    path = tmp_path / "rows.pkl"
    rows = map_pspace_hdd_backed(with_defaults, space, path, n_jobs=n_jobs)
    assert list(rows["text"]) == expected
    assert [repr(value) for value in rows["b"]] == ["nan", "nan", "3"]


def test_an_exception_names_what_the_function_was_called_with() -> None:
    def fails(a, b=2):
        raise ValueError

    with pytest.raises(ValueError) as caught:
        map_pspace(fails, Param(a=[1]) + Param(b=[3]))
    (note,) = caught.value.__notes__
    assert note.endswith("fails(a=1)")


def with_defaults(a=0, b="none"):
    return {"text": f"{a} {b}"}

"""Task files whose spaces have replicates."""

from __future__ import annotations

import pytest

from psyrun.errors import TaskError

TASK = """\
from psyrun import Param
from psyrun.pspace import replicates

A, B = Param(x=[1, 2]), Param(x=[3])
pspace = {space}


def execute({arguments}):
    return {{"y": x}}
"""
AFTER_A = "A + B * replicates(2)"
TAKEN = [
    ("A * replicates(2)", "x, rng"),
    ("A * replicates(2)", "x, seed"),
    ("A * replicates(2)", "x, replicate, *, rng, seed"),
    ("A * replicates(2)", "x, rng=None"),
    ("A * replicates(2)", "x, **values"),
    (AFTER_A, "x, rng=None"),
    (AFTER_A, "x, **values"),
    (f"({AFTER_A}).where(lambda replicate: replicate >= 0)", "x, rng"),
    ("(A * replicates(2) + B * replicates(3)) * Param(x2=[1])", "x, x2, rng"),
    ("A * Param(replicate=[1], rng=2)", "x, replicate, rng"),
]
REFUSED = [
    (
        "A * replicates(2)",
        "x, replicate",
        r"execute\(x, replicate\): the space has replicates, but the function takes "
        r"neither 'rng', a random generator, nor 'seed'.*Give it one",
    ),
    ("A * replicates(2)", "x, rng, /", "neither 'rng'"),
    ("A * replicates(2)", "x, rng, k", "needs 'k', which is not a parameter"),
    ("A * Param(k=1) * replicates(2)", "x, rng", "does not take 'k'"),
    ("A * replicates(2)", "x, *, rng, replicates", "needs 'replicates'"),
    (AFTER_A, "x, rng", "execute needs 'rng', but assignment 0 is not multiplied"),
    (AFTER_A, "x, seed, rng=None", "execute needs 'seed', but assignment 0"),
    ("A * replicates(2) + B", "x, rng", "needs 'rng', but assignment 4 is not"),
    (
        "Param(x=range(10**15)) * replicates(9) + Param(x=range(10**17))",
        "x, rng",
        "needs 'rng', but assignment 9000000000000000 is not",
    ),
    (
        "Param(k=[1, 2]) * (A * replicates(2) + B) * Param(y=[1, 2, 3])",
        "x, k, y, rng",
        "needs 'rng', but assignment 12 is not",
    ),
    (
        "(A * replicates(2) + B).shuffle() + B",
        "x, rng",
        "needs 'rng', but assignment [0-4] is not",
    ),
    ("replicates(2) * B + replicates(2, seed=1) * A", "x, rng", "seed=0 and with seed"),
    ("A * Param(seed=1) * replicates(2)", "x, seed", "another parameter 'seed'"),
    ("A * replicates(2, seed=-1)", "x, rng", "the seed is -1; give 0 or more"),
]


@pytest.mark.parametrize(("space", "arguments"), TAKEN)
def test_what_takes_random_numbers_is_taken(load, space, arguments):
    load(TASK.format(space=space, arguments=arguments))


@pytest.mark.parametrize(("space", "arguments", "message"), REFUSED)
def test_what_does_not_go_together_is_refused(load, space, arguments, message):
    with pytest.raises(TaskError, match=message) as caught:
        load(TASK.format(space=space, arguments=arguments))
    assert str(caught.value).startswith("psy-tasks/task_a.py:")
    assert "\n" not in str(caught.value)

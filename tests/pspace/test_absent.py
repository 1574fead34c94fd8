"""Points that lack parameters of a space, and calls without these."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest

from psyrun import Param
from psyrun.pspace import ParameterSpace, missing
from psyrun.pspace.absent import Arguments, absent
from psyrun.pspace.freezing import freeze, thaw

SVM = Param(method="svm") * Param(kernel=["rbf", math.nan])
TREE = Param(method="tree") * Param(depth=[2, 8])
BOTH = SVM + TREE
# For each space which points lack the kernel.
SPACES = [
    (SVM, "..", "no sum"),
    (BOTH, "..xx", "a sum"),
    (TREE + SVM, "xx..", "the other way round"),
    (BOTH + Param(seed=[1]), "..xxx", "of three terms"),
    (BOTH * Param(seed=[1, 2]), "....xxxx", "in a product"),
    (Param(seed=[1, 2]) * BOTH, "..xx..xx", "as the last factor"),
    (BOTH[1:], ".xx", "a slice"),
    (BOTH[::-1], "xx..", "reversed"),
    (BOTH - Param(method="svm"), "xx", "a difference"),
    (missing(BOTH, Param(method="tree", depth=2)), "..x", "what is missing"),
    ((BOTH + BOTH)[2:6], "xx..", "a slice of a sum of sums"),
]


@pytest.mark.parametrize(
    ("space", "expected"),
    [case[:2] for case in SPACES],
    ids=[case[2] for case in SPACES],
)
@pytest.mark.parametrize("is_frozen", [False, True], ids=["", "frozen"])
def test_points_that_lack_a_parameter_are_told_from_those_with_nan(
    space: ParameterSpace, expected: str, *, is_frozen: bool
) -> None:
    space = thaw(freeze(space)) if is_frozen else space
    found = absent(space, "kernel", np.arange(len(space)))
    assert "".join(np.where(found, "x", ".")) == expected
    # One by one, as jobs ask.
    arguments = Arguments(lambda method, **others: None, space)
    each = ["kernel" in arguments.left_out(row) for row in range(len(space))]
    assert each == found.tolist()


def test_spaces_of_the_users_own_lack_nothing() -> None:
    class Own(ParameterSpace):
        def __len__(self) -> int:
            return 2

        def iterate(self) -> Any:
            yield {"kernel": math.nan}
            yield {"kernel": "rbf"}

    assert not absent(Own(), "kernel", np.arange(2)).any()


def needs(method, kernel, depth):
    """Have no defaults."""


def has_default(method, kernel="none", depth=None):
    """Have defaults for all that points lack."""


def has_some(method, kernel, depth=None):
    """Have a default for one."""


def takes_any(**parameters):
    """Take all."""


def takes_other(method, kernel, **others):
    """Need one, and take all others."""


@pytest.mark.parametrize(
    ("function", "first", "last"),
    [
        (needs, {"method", "kernel", "depth"}, {"method", "kernel", "depth"}),
        (has_default, {"method", "kernel"}, {"method", "depth"}),
        (has_some, {"method", "kernel"}, {"method", "kernel", "depth"}),
        (takes_any, {"method", "kernel"}, {"method", "depth"}),
        (takes_other, {"method", "kernel"}, {"method", "kernel", "depth"}),
        (partial(needs, depth=3), {"method", "kernel"}, {"method", "kernel", "depth"}),
        # Its signature is not known.
        (dict, {"method", "kernel", "depth"}, {"method", "kernel", "depth"}),
    ],
)
def test_functions_are_called_without_what_they_need_not_be_given(
    function: Any, first: set[str], last: set[str]
) -> None:
    arguments = Arguments(function, BOTH)
    assert set(arguments.of(0, BOTH[0])) == first
    assert set(arguments.of(3, BOTH[3])) == last
    assert arguments.of(3, BOTH[3])["method"] == "tree"

"""Parameters that a store cannot hold are found out before the work."""

import enum

import numpy as np
import pytest
from projects import Project

from psyrun import Param
from psyrun.errors import StoreError
from psyrun.store import H5Store, NpzStore, PickleStore
from psyrun.store.arrays import RowType
from psyrun.tasks.storable import KeptColumns, check_parameters

LARGE = 2**60 + 1
NAN = float("nan")


class Mode(str, enum.Enum):  # noqa: UP042 - it differs from StrEnum
    FAST = "fast"


REFUSED = {
    "lacking in a term": Param(seed=[LARGE, 5]) + Param(x=[1]),
    "beside nan": Param(seed=[1, 2, LARGE, NAN]),
    "beside fractions": Param(seed=np.array([1, LARGE])) + Param(seed=0.5),
    "in a product": Param(a=[1, 2]) * (Param(seed=[LARGE]) + Param(b=1)),
    "in a range": Param(seed=range(LARGE - 2, LARGE + 7)) + Param(b=1),
    "of more than 64 bits": Param(seed=[1, 2**64]),
    "with None later": Param(seed=[1, 2, None]),
    "text and numbers": Param(seed=[1, "a"]),
    "text that some points lack": Param(seed=["a", "b"]) + Param(x=1),
    "uneven lists": Param(seed=[[1, 2], [[1], [2, 3]]]),
    "truth values of different lengths": Param(seed=[[True], [True, False]]),
    "a list beside a table": Param(seed=[np.ones(2), np.ones((2, 2))]),
    "a number beside a table": Param(seed=[np.ones((1, 2)), 5]),
    "a list beside a table without rows": Param(seed=[[1.0], np.ones((0, 3))]),
    "tables in one term, lists in another": Param(seed=np.ones((4, 2, 2)))
    + Param(seed=[[1, 2]]),
    "nothing that an array has first": Param(seed=[None, 1]),
    "an end that is null": Param(seed=["a", "b\0"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_array_keeps_is_refused(case) -> None:
    with pytest.raises(StoreError, match=r"^parameter 'seed' holds") as raised:
        check_parameters(REFUSED[case], NpzStore(), ())
    assert "PickleStore" in str(raised.value)
    check_parameters(REFUSED[case], NpzStore(), ["seed"])
    check_parameters(REFUSED[case], PickleStore(), ())


ACCEPTED = {
    "large integers alone": Param(seed=[LARGE, 5]),
    "in all terms": Param(seed=[LARGE], a=1) + Param(seed=[3], b=2),
    "large and exact": Param(seed=[2**60, 0.5]),
    "beside what is lacking": Param(seed=[LARGE]) * (Param(a=1) + Param(b=2)),
    "left out by a slice": (Param(seed=[5, LARGE]) + Param(x=1))[::2],
    "left out by a difference": Param(seed=[1, LARGE, NAN]) - Param(seed=[LARGE]),
    "text": Param(seed=["a", Mode.FAST]),
    "arrays of different lengths": Param(seed=[[1], [2, 3]]),
    "nothing": Param(seed=[]),
    "nan beside a table": Param(seed=[NAN, np.ones((2, 2)), np.float32("nan"), []]),
    "tables that some points lack": Param(seed=[np.ones((2, 2))]) + Param(x=1),
    "tables of different lengths": Param(seed=[np.ones((2, 2)), np.ones((0, 2))]),
    "numbers beside lists": Param(seed=[1, [1.5, 2]]),
    "a table left out by a slice": Param(seed=[[1], [[1]], [2]])[::2],
    "a large range": Param(seed=range(10**12)) * Param(x=range(10**6)),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_what_arrays_keep_is_accepted(case) -> None:
    space = ACCEPTED[case]
    if len(space):
        check_parameters(space, NpzStore(), ())


def test_types_that_a_store_does_not_have_are_refused_wherever_they_are() -> None:
    with pytest.raises(StoreError, match="'mode' holds a value of type str"):
        check_parameters(Param(mode=[1, 2, "a"]), H5Store(), ())


def test_rows_from_before_count() -> None:
    space, integers = Param(seed=[LARGE]), RowType(np.dtype(np.int64), ())
    check_parameters(space, NpzStore(), (), KeptColumns({"seed": integers}, ["seed"]))
    floats = RowType(np.dtype(np.float64), ())
    with pytest.raises(StoreError, match="beside rows from before"):
        check_parameters(space, NpzStore(), (), KeptColumns({"seed": floats}, []))
    with pytest.raises(StoreError, match=r"2\*\*53, .*beside rows from before"):
        kept = KeptColumns({"seed": integers}, ["seed"])
        check_parameters(Param(seed=[0.5]), NpzStore(), (), kept)


def test_results_in_the_place_of_a_parameter_do_not_count() -> None:
    kept = KeptColumns({"seed": RowType(np.dtype("U3"), ())}, [])
    check_parameters(Param(seed=[1]), NpzStore(), (), kept)


TASK = """\
import sys
from psyrun import NpzStore, Param

pspace = Param(seed=[5, {seed}]) + Param(x=[1])
store = NpzStore()
{more}

def execute(**parameters):
    raise AssertionError("evaluated")
"""


@pytest.mark.parametrize("command", ["test", "run"])
def test_the_parameter_is_named_before_anything_is_evaluated(tmp_path, command) -> None:
    project = Project(tmp_path)
    project.write(TASK.format(seed=LARGE, more=""))
    errors = project.psy(command, status=2).stderr
    assert f"parameter 'seed' holds the integer {LARGE}" in errors
    assert "task_a.py: pspace: " in errors
    assert len(errors.strip().splitlines()) == 1


DRAWN = """
if "psyrun.steps.split" in sys.modules:
    pspace = Param(seed=[5, 2**60 + 1]) + Param(x=[1])
"""


def test_what_split_draws_at_random_is_looked_at_there(tmp_path) -> None:
    project = Project(tmp_path)
    project.write(TASK.format(seed=6, more=DRAWN))
    errors = project.psy("run", status=2).stderr
    assert "split failed" in errors
    assert f"parameter 'seed' holds the integer {LARGE}" in errors
    assert "nothing was evaluated yet" in errors

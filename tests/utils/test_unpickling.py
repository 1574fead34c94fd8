"""Pickles of classes that have had other names."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from psyrun import PickleStore
from psyrun.pspace.columns import RangeColumn
from psyrun.utils import unpickling

# A class under the name that it had when spaces were frozen by version 1.0.0.dev0.
FORMER = b"cpsyrun._columns\nSteps\n."


def from_file(data: bytes) -> Any:
    return unpickling.load(io.BytesIO(data))


@pytest.mark.parametrize("load", [unpickling.loads, from_file])
def test_classes_are_found_under_their_former_names(
    load: Callable[[bytes], Any],
) -> None:
    assert load(FORMER) is RangeColumn
    assert load(pickle.dumps(RangeColumn)) is RangeColumn


def test_a_class_that_there_never_was_is_an_error() -> None:
    with pytest.raises(AttributeError):
        unpickling.loads(b"cpsyrun._columns\nNone such\n.")


def test_results_that_hold_such_objects_are_loaded(tmp_path) -> None:
    path = tmp_path / "result.pkl"
    PickleStore().save(path, {"kind": [0]})
    path.write_bytes(path.read_bytes().replace(b"K\x00", FORMER[:-1], 1))
    assert PickleStore().load(path)["kind"] == [RangeColumn]

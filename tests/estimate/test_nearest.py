"""What each pilot stands for, where no model fits."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from psyrun import Param
from psyrun.estimate.columns import Columns
from psyrun.estimate.nearest import nearest_shares


def test_pilots_stand_for_what_is_nearest_to_them() -> None:
    columns = Columns(Param(x=range(10)) * Param(name=["a", "b"]))
    shares = nearest_shares(columns, np.array([0, 18, 19]))
    # x = 0 has no other row with b, which is nearer to x = 9 than to another level.
    assert shares.sum() == pytest.approx(1)
    assert shares[2] == pytest.approx(0.5)
    assert shares[0] == pytest.approx(shares[1])


def test_many_pilots_take_little_memory() -> None:
    columns = Columns(Param(x=range(30_000)))
    rows = np.arange(20_000)
    tracemalloc.start()
    shares = nearest_shares(columns, rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50e6
    assert shares.sum() == pytest.approx(1)
    # The last ones stand for the third that was not evaluated.
    assert shares[-30:].sum() == pytest.approx(1 / 3, abs=0.01)

"""Points that may be in a part of a space, also of one that is too large to list."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psyrun import Param
from psyrun.errors import PsyrunError
from psyrun.pspace import candidates
from psyrun.pspace.candidates import Candidates
from psyrun.pspace.param import select

SPACE = Param(a=range(4)) * (Param(b=[1, 2], c=["x", "y"]) + Param(b=[3]))


def points(space: object) -> list[str]:
    return [str(point) for point in space]  # type: ignore[attr-defined]


@given(st.sets(st.integers(0, 11)), st.sampled_from(["a=1,3", "b=2:", "c=x"]))
def test_of_a_large_space_what_is_chosen_or_there_is_looked_at(
    numbers: set[int], text: str
) -> None:
    there = select(SPACE, np.array(sorted(numbers), np.int64))
    whole = Candidates.of(SPACE, [text], [there])
    assert whole.numbers is None
    assert whole.is_chosen is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "MOST_LISTED", 5)
        found = Candidates.of(SPACE, [text], [there])
    wanted = sorted(numbers | set(np.flatnonzero(whole.is_chosen).tolist()))
    assert found.numbers is not None
    assert found.is_chosen is not None
    assert found.numbers.tolist() == wanted
    assert found.is_chosen.tolist() == whole.is_chosen[wanted].tolist()
    of_whole = points(SPACE)
    assert points(found.space) == [of_whole[i] for i in wanted]
    places = found.places(np.array(sorted(numbers), np.int64))
    assert places is not None
    assert [wanted[i] for i in places] == sorted(numbers)


def test_without_conditions_all_is_meant() -> None:
    assert Candidates.of(SPACE, []).is_chosen is None


def test_equal_points_of_a_large_space_cannot_be_told_apart() -> None:
    with pytest.raises(PsyrunError, match=r"of which are equal"):
        Candidates.of(Param(a=[1, 1]) * Param(b=range(10**9)), ["a=1"])

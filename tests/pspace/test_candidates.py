"""Points that may be in a part of a space, also of one that is too large to list."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psyrun import Param
from psyrun.errors import PsyrunError
from psyrun.pspace import candidates
from psyrun.pspace.candidates import Candidates, Numbered, part_of
from psyrun.pspace.conditions import Conditions
from psyrun.pspace.param import select
from psyrun.utils.numbers import text_of_numbers

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


PLAIN = Param(a=range(4)) * Param(b=["x", "y", "z"])
NUMBERS = st.sets(st.integers(0, 11), min_size=1)


def test_texts_are_conditions_or_numbers() -> None:
    assert isinstance(part_of(["a=1"]), Conditions)
    assert part_of([text_of_numbers([5, 2])]) == Numbered([2, 5])


@given(NUMBERS)
def test_points_with_some_numbers_are_meant(numbers: set[int]) -> None:
    meant = Numbered(sorted(numbers))
    assert list(meant.of(PLAIN)) == [PLAIN[i] for i in sorted(numbers)]
    assert np.flatnonzero(meant.mask(PLAIN)).tolist() == sorted(numbers)


@given(NUMBERS, NUMBERS)
def test_they_are_found_among_some_points_of_the_space(
    numbers: set[int], there: set[int]
) -> None:
    """As in a space that is too large to look at all points."""
    points = Numbered(sorted(there)).of(PLAIN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "MOST_LISTED", 3)
        found = Candidates.of(PLAIN, [text_of_numbers(numbers)], [points])
    assert found.numbers is not None
    assert found.is_chosen is not None
    assert found.numbers.tolist() == sorted(numbers | there)
    assert list(found.space) == [PLAIN[i] for i in found.numbers]
    assert found.numbers[found.is_chosen].tolist() == sorted(numbers)


def test_numbers_that_a_smaller_space_lacks_are_left_out() -> None:
    small = Param(a=range(3))
    assert list(Numbered([1, 7]).of(small)) == [{"a": 1}]
    assert Numbered([1, 7]).mask(small).tolist() == [False, True, False]
    with pytest.raises(PsyrunError, match="none of these"):
        Numbered([7]).of(small)


def test_a_huge_space_is_not_listed() -> None:
    huge = Param(a=range(10**6)) * Param(b=range(10**6))
    numbers = [3, 10**11 + 7]
    found = Candidates.of(huge, [text_of_numbers(numbers)])
    assert found.numbers is not None
    assert found.numbers.tolist() == numbers
    assert list(found.space) == [{"a": 0, "b": 3}, {"a": 10**5, "b": 7}]

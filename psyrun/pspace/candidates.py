"""The points of a space that may be in a part of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError
from psyrun.pspace.choosing import MOST_LOOKED_AT, chosen_at
from psyrun.pspace.columns import Indices
from psyrun.pspace.conditions import Conditions
from psyrun.pspace.finding import are_different, finder
from psyrun.pspace.rows import places_of
from psyrun.pspace.space import ParameterSpace
from psyrun.utils.numbers import numbers_in

MOST_LISTED = MOST_LOOKED_AT


@dataclass(frozen=True)
class Candidates:
    """Points of a space: what is meant by conditions, and what is there already.

    Attributes
    ----------
    space : ParameterSpace
        These points; the whole space, unless that is too large.
    is_chosen : ndarray of bool, shape (len(space),), or None
        Which of them are meant; None for all.
    numbers : ndarray of int64, shape (len(space),), or None
        Which points of the whole they are, ascending; None if they are all.
    """

    space: ParameterSpace
    is_chosen: NDArray[np.bool_] | None = None
    numbers: Indices | None = None

    @classmethod
    def of(
        cls,
        whole: ParameterSpace,
        texts: Sequence[str],
        there: Sequence[ParameterSpace] = (),
    ) -> Candidates:
        """Return the candidates of a space.

        Parameters
        ----------
        texts : sequence of str
            As for `part_of`; without any, the whole space is meant.
        there : sequence of ParameterSpace
            Points that are there already. Others have no part in a space that is too
            large.

        Raises
        ------
        PsyrunError
            If the space is too large, and has equal points.
        """
        if not texts:
            return cls(whole)
        meant = part_of(texts)
        if len(whole) <= MOST_LISTED:
            return cls(whole, meant.mask(whole))
        check_different(whole)
        keys = tuple(whole.keys())
        parts = [meant.of(whole), *there]
        found = [
            finder(part, whole, keys).all()
            for part in parts
            if {*part.keys()} == {*keys}
        ]
        numbers = np.unique(np.concatenate(found))
        numbers = numbers[numbers >= 0]
        space = chosen_at(whole, numbers)
        return cls(space, meant.mask(space, numbers), numbers)

    def places(self, numbers: Indices | None) -> Indices | None:
        """Return where points of the whole are among these, if they are known."""
        if numbers is None or self.numbers is None:
            return numbers
        return places_of(self.numbers, numbers)


def part_of(texts: Sequence[str]) -> Conditions | Numbered:
    """Return what part of a space texts name.

    They are conditions on its parameters, or one that has the numbers of its points,
    as `text_of_numbers` returns it.
    """
    numbers = numbers_in(texts)
    return Conditions(texts) if numbers is None else Numbered(numbers)


@dataclass(frozen=True)
class Numbered:
    """Which points of a space are meant: those with some numbers.

    Parameters
    ----------
    numbers : sequence of int
        Ascending; those that the space does not have are left out, since one that is
        sampled anew may be smaller.
    """

    numbers: Sequence[int]

    def of(self, space: ParameterSpace) -> ParameterSpace:
        """Return the points that are meant.

        Raises
        ------
        PsyrunError
            If the space has none of them.
        """
        found = np.array([n for n in self.numbers if n < len(space)], np.int64)
        if not len(found):
            raise PsyrunError("the space has none of these assignments.")
        return chosen_at(space, found)

    def mask(
        self, space: ParameterSpace, numbers: Indices | None = None
    ) -> NDArray[np.bool_]:
        """Return for each point of a space whether it is meant.

        The points have these ascending `numbers`, by default those of a whole space.
        """
        if numbers is None:
            numbers = np.arange(len(space))
        found = np.zeros(len(space), dtype=np.bool_)
        at = np.searchsorted(numbers, self.numbers)
        is_there = at < len(numbers)
        at, wanted = at[is_there], np.asarray(self.numbers, np.int64)[is_there]
        found[at[numbers[at] == wanted]] = True
        return found


def check_different(whole: ParameterSpace) -> None:
    """Raise `PsyrunError` if a space is too large, and may have equal points."""
    if len(whole) > MOST_LISTED and not are_different(whole, tuple(whole.keys())):
        raise PsyrunError(
            f"the space has {len(whole):.3g} assignments, some of which are equal, so "
            "that they cannot be told apart. Choose the part in the task file."
        )

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
            As for `Conditions`; without any, the whole space is meant.
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
        conditions = Conditions(texts)
        if len(whole) <= MOST_LISTED:
            return cls(whole, conditions.mask(whole))
        check_different(whole)
        keys = tuple(whole.keys())
        parts = [conditions.of(whole), *there]
        found = [
            finder(part, whole, keys).all()
            for part in parts
            if {*part.keys()} == {*keys}
        ]
        numbers = np.unique(np.concatenate(found))
        numbers = numbers[numbers >= 0]
        space = chosen_at(whole, numbers)
        return cls(space, conditions.mask(space), numbers)

    def places(self, numbers: Indices | None) -> Indices | None:
        """Return where points of the whole are among these, if they are known."""
        if numbers is None or self.numbers is None:
            return numbers
        return places_of(self.numbers, numbers)


def check_different(whole: ParameterSpace) -> None:
    """Raise `PsyrunError` if a space is too large, and may have equal points."""
    if len(whole) > MOST_LISTED and not are_different(whole, tuple(whole.keys())):
        raise PsyrunError(
            f"the space has {len(whole):.3g} assignments, some of which are equal, so "
            "that they cannot be told apart. Choose the part in the task file."
        )

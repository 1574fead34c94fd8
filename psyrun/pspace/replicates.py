"""Repeats of assignments, each with random numbers that its content determines.

The random numbers of an assignment come from the `numpy.random.SeedSequence` of

    entropy    the seed that is given to `replicates`
    spawn_key  the four words of the digest of all other parameters, and the number of
               the replicate; with ``common=True`` the number alone

(`psyrun.pspace.digest` has the digest). So they depend on nothing but what the
assignment is: neither on its place in the space nor on who evaluates it, or when.

Source: NumPy, *Parallel random number generation*; M. E. O'Neill, *Developing a
seed_seq alternative*, 2015, for how a `SeedSequence` mixes words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from psyrun.errors import PsyrunError
from psyrun.pspace.choosing import whole_number
from psyrun.pspace.columns import RangeColumn
from psyrun.pspace.derived import Derived, Zip
from psyrun.pspace.digest import digest_words
from psyrun.pspace.space import (
    ParameterSpace,
    Product,
    Selection,
    Sum,
    Table,
    is_a,
)
from psyrun.utils.text import shortened, text_of
from psyrun.utils.typing import override

if TYPE_CHECKING:
    from numpy.random import SeedSequence

REPLICATE = "replicate"
"""The parameter that counts replicates."""
RNG, SEED = "rng", "seed"
"""What `execute` can take of an assignment that has the parameter."""
_LONGEST_SHOWN = 60  # characters


@dataclass(frozen=True)
class Seeding:
    """Where the random numbers of a space come from.

    Attributes
    ----------
    seed : int
        The seed of all of them, not negative.
    common : bool
        Whether all points have the same random numbers in a replicate.
    """

    seed: int
    common: bool = False

    def __str__(self) -> str:
        return f"seed={self.seed}{', common=True' if self.common else ''}"

    def sequence(self, point: Mapping[str, Any]) -> SeedSequence | None:
        """Return the seeds of an assignment, None if it is no replicate.

        Raises `PsyrunError` if a parameter has no digest.
        """
        number = point.get(REPLICATE)
        # It is nan for points of a sum that are not repeated.
        if number is None or number != number:
            return None
        words: tuple[int, ...] = ()
        if not self.common:
            others = {key: each for key, each in point.items() if key != REPLICATE}
            words = digest_words(others)
        return np.random.SeedSequence(self.seed, spawn_key=(*words, int(number)))


class ReplicateColumn(RangeColumn):
    """The numbers of replicates, which know their seeding."""

    def __init__(self, n: int, seeding: Seeding) -> None:
        super().__init__(range(n))
        self.seeding = seeding


class Replicates(Table):
    """The space that `replicates` returns."""

    def __init__(self, n: int, seeding: Seeding) -> None:
        super().__init__({REPLICATE: ReplicateColumn(n, seeding)}, n)
        self._seeding = seeding

    @override
    def literal(self) -> str:
        return f"replicates({len(self)}, {self._seeding})"


def replicates(n: int, *, seed: int = 0, common: bool = False) -> ParameterSpace:
    """Repeat the points of a space that is multiplied with this one.

    It has one parameter, `replicate`, which counts from 0 to ``n - 1``. The function
    that is evaluated gets random numbers of its own for each point and replicate, if
    it takes `rng`, a `numpy.random.Generator`, or `seed`, an integer of 64 bits for
    other libraries. It gets the parameter only if it takes `replicate`, too.

    Parameters
    ----------
    n : int
        Number of replicates, 1 or more. More of them leave those of before as they
        are.
    seed : int, default 0
        Another seed gives other random numbers. It is not negative.
    common : bool, default False
        Whether a replicate has the same random numbers at all points ("common random
        numbers"), so that differences between points vary less.

    Returns
    -------
    ParameterSpace
        A space with `n` points.

    Raises
    ------
    PsyrunError
        If an argument is not as described.

    Notes
    -----
    The generator is ``default_rng(SeedSequence(seed, spawn_key=(*words, replicate)))``,
    where `words` are four integers of 32 bits, a digest of the names and values of the
    other parameters. With ``common=True`` the spawn key is ``(replicate,)``. `seed` of
    the function is ``generate_state(1, np.uint64)[0]`` of the same sequence.

    Examples
    --------
    >>> from psyrun import Param, map_pspace
    >>> def execute(x, rng):
    ...     return {"y": x + rng.integers(10)}
    >>> space = Param(x=[100, 200]) * replicates(2, seed=1)
    >>> map_pspace(execute, space) == map_pspace(execute, space)
    True
    """
    n = whole_number("replicates", "the number of replicates", n, least=1)
    seed = whole_number("replicates", "the seed", seed, least=0)
    if not isinstance(common, bool | np.bool_):
        shown = shortened(text_of(common), _LONGEST_SHOWN)
        raise PsyrunError(f"replicates: common is {shown}; give True or False.")
    return Replicates(n, Seeding(seed, bool(common)))


def seeding_of(space: ParameterSpace) -> Seeding | None:
    """Return where the random numbers of a space come from, None without replicates.

    No points are computed.

    Raises
    ------
    PsyrunError
        If there are several, or if parameters of another meaning have the names
        `replicate`, `rng` or `seed`.
    """
    keys = space.keys()
    if REPLICATE not in keys:
        return None
    found = dict.fromkeys(_seedings(space))
    is_own = found.pop(None, ...) is None
    if not found:
        return None
    if len(found) > 1:
        raise PsyrunError(
            f"the space has replicates with {' and with '.join(map(str, found))}; "
            "give all of them the same arguments."
        )
    clashing = [REPLICATE] * is_own + [key for key in (RNG, SEED) if key in keys]
    if clashing:
        raise PsyrunError(
            f"the space has replicates and another parameter {clashing[0]!r}, which is "
            "the name of what they give to the function; rename that parameter."
        )
    return next(iter(found))


def _seedings(space: ParameterSpace) -> Iterator[Seeding | None]:
    """Yield that of each column of replicates, None for one of another meaning."""
    parts = [part for part in _parts(space) if REPLICATE in part._keys]
    for part in parts:
        yield from _seedings(part)
    if not parts:
        column = space._columns[REPLICATE] if is_a(space, Table) else None
        yield column.seeding if isinstance(column, ReplicateColumn) else None


def _parts(space: ParameterSpace) -> tuple[ParameterSpace, ...]:
    """Return the spaces that have the parameters of a space."""
    if is_a(space, Product) or is_a(space, Sum) or is_a(space, Zip):
        return space.operands
    if is_a(space, Selection) or is_a(space, Derived):
        return (space._space,)
    return ()

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

import importlib
import inspect
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from psyrun.errors import PsyrunError
from psyrun.pspace.choosing import whole_number
from psyrun.pspace.columns import Column, RangeColumn
from psyrun.pspace.derived import Derived, Zip
from psyrun.pspace.digest import Digests
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
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
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

    def sequence(
        self, point: Mapping[str, Any], digests: Digests | None = None
    ) -> SeedSequence | None:
        """Return the seeds of an assignment, None if it is no replicate.

        Those of many take less time with `digests` that they share. Raises
        `PsyrunError` if a parameter has no digest.
        """
        number = point.get(REPLICATE)
        # It is nan for points of a sum that are not repeated.
        if number is None or number != number:
            return None
        words: tuple[int, ...] = ()
        if not self.common:
            others = {key: each for key, each in point.items() if key != REPLICATE}
            words = (digests or Digests()).words(others)
        return np.random.SeedSequence(self.seed, spawn_key=(*words, int(number)))

    def seed_of(self, point: Mapping[str, Any], digests: Digests | None = None) -> int:
        """Return the seed of an assignment, 0 if it is no replicate.

        Arguments and errors are those of `sequence`.
        """
        sequence = self.sequence(point, digests)
        return 0 if sequence is None else _seed(sequence)


def _seed(sequence: SeedSequence) -> int:
    return int(sequence.generate_state(1, np.uint64)[0])


@dataclass(frozen=True)
class RandomSupply:
    """What a function gets for the points of a space with replicates.

    Attributes
    ----------
    seeding : Seeding
        Where its random numbers come from.
    takes : frozenset of str
        Which of `replicate`, `rng` and `seed` the function takes.
    needs : frozenset of str
        Which of the last two it takes and has no default for.
    """

    seeding: Seeding
    takes: frozenset[str]
    needs: frozenset[str]
    _digests: Digests = field(default_factory=Digests, compare=False, repr=False)

    @classmethod
    def of(
        cls, function: Callable[..., Any], space: ParameterSpace
    ) -> RandomSupply | None:
        """Return it for a function, None if the space has no replicates.

        A function whose signature is unknown takes all.

        Raises
        ------
        PsyrunError
            As `seeding_of` does, and if the function takes no random numbers.
        """
        seeding = seeding_of(space)
        if seeding is None:
            return None
        # Else it would be imported by the first evaluation.
        importlib.import_module("numpy.random")
        names = (REPLICATE, RNG, SEED)
        try:
            parameters = inspect.signature(function).parameters
        except (TypeError, ValueError):
            return cls(seeding, frozenset(names), frozenset())
        takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
        named = {
            name: parameters[name]
            for name in names
            if name in parameters and parameters[name].kind in _BY_NAME
        }
        takes = frozenset(names if takes_any else named)
        if not takes & {RNG, SEED}:
            raise PsyrunError(
                "the space has replicates, but the function takes neither 'rng', a "
                "random generator, nor 'seed', an integer. Give it one of these "
                "arguments, or count with a parameter instead, such as "
                "Param(trial=range(20))."
            )
        lacks_default = {k for k, each in named.items() if each.default is each.empty}
        return cls(seeding, takes, frozenset(lacks_default - {REPLICATE}))

    def added_to(
        self, arguments: Mapping[str, Any], point: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Return the arguments for a point with what the function takes of it.

        The arguments are those of the point, as far as it has them. Of a point that is
        no replicate, the function gets no random numbers.

        Raises
        ------
        PsyrunError
            If the function needs some all the same, or a parameter has no digest.
        """
        found = dict(arguments)
        if REPLICATE not in self.takes:
            found.pop(REPLICATE, None)
        sequence = self.seeding.sequence(point, self._digests)
        if sequence is None:
            if self.needs:
                raise PsyrunError(
                    f"the function needs {min(self.needs)!r}, but this point is not "
                    "multiplied by replicates; do that, or give it a default."
                )
            return found
        if RNG in self.takes:
            found[RNG] = np.random.default_rng(sequence)
        if SEED in self.takes:
            found[SEED] = _seed(sequence)
        return found


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


def seeding_text(space: ParameterSpace) -> str:
    """Return the seeding of a space in words, such as ``seed=1``; empty without it.

    Raises `PsyrunError` as `seeding_of` does.
    """
    seeding = seeding_of(space)
    return "" if seeding is None else str(seeding)


def check_no_generators(columns: Iterable[tuple[str, Column]]) -> None:
    """Raise `PsyrunError` if parameters are random generators, or seed sequences.

    They change when they are used, and cannot be found again by their values.
    """
    for key, column in columns:
        places = np.arange(column.n_places)
        if column.numbers(places) is None:
            for kind in set(map(type, column.take(places))):
                if _is_generator(kind):
                    raise PsyrunError(
                        f"parameter {key!r} holds values of type {kind.__name__}, "
                        "which change when they are used, so that no row could be "
                        "found again. Multiply by psyrun.pspace.replicates(20, seed=1) "
                        "instead, and take 'rng' in execute."
                    )


def _is_generator(kind: type) -> bool:
    if issubclass(kind, random.Random):
        return True
    # Without the module there can be none.
    module = sys.modules.get("numpy.random")
    names = ("SeedSequence", "Generator", "BitGenerator", "RandomState")
    return module is not None and issubclass(
        kind, tuple(getattr(module, name) for name in names)
    )


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

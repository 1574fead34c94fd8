"""A short rule that tells which assignments are special, such as those that failed.

A rule is a conjunction of at most three conditions, ``=``, ``≤`` or ``≥``, on
parameters. The search goes from the whole space to smaller and smaller boxes in it, as
in the Patient Rule Induction Method (PRIM; Friedman and Fisher, "Bump hunting in
high-dimensional data", Statistics and Computing 9, 1999). It looks at nothing but
counts for each level, takes whole ranges of levels at once, and follows a few boxes:
those with the best F1 score, which is the harmonic mean of the shares of special
assignments in the box and of the box among special assignments; and those that are
least an accident. The best score among boxes that are no accident decides.

Where special assignments are rarer than one in a hundred, the others weigh as much as a
hundred for each: else the best score would be that of a box that has few of the special
ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.pspace import ParameterSpace
from psyrun.pspace.axes import grid_of
from psyrun.pspace.columns import Indices
from psyrun.results.rules.conditions import Condition, box_of
from psyrun.results.rules.counts import Population, Rows, population_of
from psyrun.results.rules.levels import Variable, variables_of

_MOST_CONDITIONS = 3
_BEAM = 2  # boxes with the best score that are followed, and as many clearest ones
_MOST_OTHERS = 100  # for each special assignment; if there are more, they weigh less
_MOST_ROUNDS = 4  # of looking for a better one of each condition
_FALSE_ALARM = 0.001  # probability of one, for each number of conditions
_SUPERFLUOUS = 0.01  # the same for one condition more, given the others
_CLEARER = 2.0  # times the share of special ones must be that of the others

Conditions = tuple[Condition, ...]
Best = Callable[[Indices, Indices], Iterable[int]]


@dataclass(frozen=True)
class Rule:
    """Which assignments are special.

    Attributes
    ----------
    conditions : tuple of Condition
        All of them are true for the assignments of the rule, at least one.
    n_found : int
        Special assignments of the rule.
    n_special : int
        All special assignments.
    n_such : int
        Assignments of the rule.
    """

    conditions: Conditions
    n_found: int
    n_special: int
    n_such: int

    @property
    def text(self) -> str:
        """The conditions in words."""
        return " and ".join(condition.text for condition in self.conditions)

    def sentence(self, noun: str = "failures") -> str:
        """Say it in one sentence; `noun` is what special assignments are called."""
        how_many = f"{self.n_found} of {self.n_special} {noun}".rstrip()
        if self.n_found == self.n_special:
            how_many = f"all {how_many}"
        such = "assignment" if self.n_such == 1 else "assignments"
        return f"{how_many} have {self.text} (of {self.n_such} such {such})"


class Rules:
    """Finds rules in a space, for one set of special assignments or several.

    Parameters
    ----------
    space : ParameterSpace
        The assignments.
    known : ndarray of int64, shape (n_known,), optional
        Those of which it is known whether they are special. By default all are.
    """

    def __init__(self, space: ParameterSpace, known: Indices | None = None) -> None:
        self._grid = grid_of(space)
        self._variables = variables_of(self._grid)
        self._population = population_of(self._grid, known)

    @property
    def n_known(self) -> int:
        """Of how many assignments it is known whether they are special."""
        return self._population.total()

    def of(self, special: Indices) -> Rule | None:
        """Return the rule of some assignments, which are known and all different.

        None if there is no pattern: parameters that have nothing to do with it would
        show one as clear in less than 1 % of cases.
        """
        if not 0 < len(special) < self.n_known:
            return None
        among = Rows.of(self._grid, np.asarray(special, np.int64))
        return _Search(self._variables, self._population, among).best()


def find_rule(
    space: ParameterSpace, special: Indices, known: Indices | None = None
) -> Rule | None:
    """Return which assignments of a space are special; see `Rules`."""
    return Rules(space, known).of(special)


@dataclass(frozen=True)
class _Box:
    """Conditions, and how many assignments they leave."""

    conditions: Conditions
    n_such: int
    n_found: int
    score: float

    @property
    def key(self) -> frozenset[tuple[int, int, int]]:
        return frozenset(condition.rank for condition in self.conditions)


class _Search:
    def __init__(
        self,
        variables: Sequence[Variable],
        population: Population,
        special: Population,
    ) -> None:
        self._variables = variables
        self._population, self._special = population, special
        self._n_all, self._n_special = population.total(), special.total()
        n_others = self._n_all - self._n_special
        self._weight = min(1.0, _MOST_OTHERS * self._n_special / n_others)
        self._n_conditions = sum(each.n_conditions for each in variables)
        self._known: dict[frozenset[tuple[int, int, int]], list[_Box]] = {}

    def best(self) -> Rule | None:
        """Return the clearest rule that is no accident."""
        beam, best = [self._whole], self._whole
        for _ in range(_MOST_CONDITIONS):
            longer = [each for box in beam for each in self._longer(box)]
            beam = self._followed(longer)
            polished = map(self._polished, beam)
            sound = [box for box in polished if self._is_sound(box)]
            best = max([best, *sound], key=_preference)
        if not best.conditions:
            return None
        found = sorted(best.conditions, key=self._place)
        return Rule(tuple(found), best.n_found, self._n_special, best.n_such)

    @property
    def _whole(self) -> _Box:
        return self._box((), self._n_all, self._n_special)

    def _place(self, condition: Condition) -> tuple[int, int]:
        return self._variables.index(condition.variable), -condition.first

    def _box(self, conditions: Conditions, n_such: int, n_found: int) -> _Box:
        score = self._score(np.array(n_such), np.array(n_found))
        return _Box(conditions, n_such, n_found, float(score))

    def _score(self, n_such: NDArray[Any], n_found: NDArray[Any]) -> NDArray[Any]:
        """Return F1 scores; others than special assignments may weigh less."""
        found = n_found * (1 - self._weight)
        return 2 * n_found / (n_such * self._weight + found + self._n_special)

    def _followed(self, boxes: Iterable[_Box]) -> list[_Box]:
        """Return the best boxes and the clearest ones, each once."""
        different = {(box.n_such, box.n_found, box.key): box for box in boxes}
        choices = list(different.values())
        best = sorted(choices, key=_preference, reverse=True)[:_BEAM]
        others = [box for box in choices if box not in best]
        clearest = sorted(others, key=lambda box: self._log_chance(box, self._whole))
        return [*best, *clearest[:_BEAM]]

    def _counted(self, conditions: Conditions) -> _Box:
        box = box_of(conditions)
        n_such = self._population.within(box).total()
        return self._box(conditions, n_such, self._special.within(box).total())

    def _longer(self, box: _Box) -> list[_Box]:
        """Return for each parameter the best boxes with one condition on it more."""
        if box.key not in self._known:
            within = box_of(box.conditions)
            special = self._special.within(within)
            population = self._population.within(within)
            self._known[box.key] = [
                found
                for variable in self._variables
                for found in self._with(box.conditions, variable, population, special)
            ]
        return self._known[box.key]

    def _with(
        self,
        conditions: Conditions,
        variable: Variable,
        population: Population,
        special: Population,
    ) -> Iterator[_Box]:
        levels = variable.axis, variable.of_place, variable.n_levels
        n_such, n_found = population.at_levels(*levels), special.at_levels(*levels)
        for first, last in _best_ranges(variable, n_such, n_found, self._best_places):
            part = slice(first, last + 1)
            yield self._box(
                (*conditions, Condition(variable, first, last)),
                int(n_such[part].sum()),
                int(n_found[part].sum()),
            )

    def _best_places(self, n_such: Indices, n_found: Indices) -> Iterator[int]:
        """Yield which boxes have the best score, and the clearest surplus.

        The latter is the exponent of Chvatal's limit of a hypergeometric probability
        (Discrete Mathematics 25, 1979), which has a simpler form than `log_chance`.
        """
        yield int(np.argmax(self._score(n_such, n_found)))
        expected = self._n_special / self._n_all
        with np.errstate(divide="ignore", invalid="ignore"):
            share = n_found / n_such
            gain = share * np.log(share / expected)
            loss = (1 - share) * np.log((1 - share) / (1 - expected))
        surplus = np.nan_to_num(gain) + np.nan_to_num(loss)
        yield int(np.argmax(np.where(share > expected, n_such * surplus, 0)))

    def _polished(self, box: _Box) -> _Box:
        """Return a box with each condition as good as it can be, and none in vain."""
        for _ in range(_MOST_ROUNDS):
            before = box
            for condition in before.conditions:
                others = tuple(c for c in box.conditions if c is not condition)
                if len(others) == len(box.conditions):
                    continue
                rest = self._counted(others)
                choices = [box, rest, *self._longer(rest)]
                box = max(choices, key=_preference)
            if box is before:
                break
        return box

    def _is_sound(self, box: _Box) -> bool:
        """Whether a box is there for a reason, and each of its conditions, too."""
        n_conditions = len(box.conditions)
        if not n_conditions or not self._is_clear(box):
            return False
        # No more than all conjunctions of so many conditions were tried.
        n_tried = n_conditions * math.log(self._n_conditions)
        n_tried -= math.lgamma(n_conditions + 1)
        if self._log_chance(box, self._whole) + n_tried > math.log(_FALSE_ALARM):
            return False
        return all(self._is_needed(box, condition) for condition in box.conditions)

    def _is_clear(self, box: _Box) -> bool:
        n_others = self._n_all - box.n_such
        n_found = self._n_special - box.n_found
        return box.n_found * n_others >= _CLEARER * n_found * box.n_such

    def _is_needed(self, box: _Box, condition: Condition) -> bool:
        if len(box.conditions) == 1:
            return True
        rest = self._counted(tuple(c for c in box.conditions if c is not condition))
        chance = self._log_chance(box, rest) + math.log(self._n_conditions)
        return chance <= math.log(_SUPERFLUOUS)

    def _log_chance(self, box: _Box, of: _Box) -> float:
        return log_chance(of.n_such, of.n_found, box.n_such, box.n_found)


def _preference(box: _Box) -> tuple[float, int]:
    return box.score, -len(box.conditions)


def _best_ranges(
    variable: Variable, n_such: Indices, n_found: Indices, best: Best
) -> Iterator[tuple[int, int]]:
    """Yield the first and last level of the best ``=``, ``≤`` and ``≥``."""
    if not variable.is_coarse:
        for at in best(n_such, n_found):
            yield at, at
    n_ordered = variable.n_ordered
    # Of two levels each is told by itself.
    if n_ordered < 2 or variable.n_levels < 3:
        return
    such, found = np.cumsum(n_such[:n_ordered]), np.cumsum(n_found[:n_ordered])
    end = n_ordered - (n_ordered == variable.n_levels)
    for at in best(such[:end], found[:end]):
        yield 0, at
    for at in best(such[-1] - such[:-1], found[-1] - found[:-1]):
        yield at + 1, n_ordered - 1


def log_chance(n_all: int, n_special: int, n_drawn: int, n_found: int) -> float:
    """Return the logarithm of an upper limit of a hypergeometric probability.

    It is that of `n_found` special ones or more among `n_drawn` that are drawn at
    random out of `n_all`, of which `n_special` are special. Terms of the distribution
    fall off ever faster above its mean, so that a geometric series is an upper limit.
    """
    if n_found * n_all <= n_drawn * n_special:
        return 0.0
    n_others = n_all - n_special
    log_term = (
        _log_choose(n_special, n_found)
        + _log_choose(n_others, n_drawn - n_found)
        - _log_choose(n_all, n_drawn)
    )
    above, below = n_special - n_found, n_drawn - n_found
    ratio = above * below / ((n_found + 1) * (n_others - below + 1))
    return min(0.0, log_term - math.log1p(-ratio)) if ratio < 1 else 0.0


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)

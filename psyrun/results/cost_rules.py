"""Which assignments take most time and memory, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError
from psyrun.pspace.columns import Indices
from psyrun.results.failure_rules import NO_PATTERN
from psyrun.results.rules import Rule, Rules
from psyrun.utils.text import mebibytes, short_duration
from psyrun.workdir.costs import costs_of
from psyrun.workdir.row_sources import joined_ascending
from psyrun.workdir.rows import RoundData

_FEWEST = 20  # rows, of which a tenth is told
_SHARE = 10
TIME_NOISE = 1e-3
"""Seconds by which a row may take longer than others for no reason of its own."""
_UNEQUAL = 1.2  # times half of all must at least be exceeded
_MOST_EQUAL = 2  # times a tenth: more are no longer that


@dataclass(frozen=True)
class CostRule:
    """The assignments that cost most, about a tenth of all.

    Attributes
    ----------
    what : str
        Such as ``the slowest tenth took``.
    least, median : str
        The least that one of them costs, and the median of all.
    rule : Rule or None
        What they have in common.
    """

    what: str
    least: str
    median: str
    rule: Rule | None

    @property
    def headline(self) -> str:
        """What they cost."""
        return f"{self.what} {self.least} or more; the median is {self.median}"

    @property
    def in_words(self) -> str:
        """What they have in common, or that there is nothing."""
        return NO_PATTERN if self.rule is None else self.rule.sentence("")


def cost_rules_of(data: RoundData) -> Iterator[CostRule]:
    """Yield which rows of a round took most time, and which most memory.

    There are none where costs are not known, or about the same everywhere. The memory
    is the most that the process of an assignment held meanwhile.
    """
    # To look at them takes longer than all the rest.
    sources = data.sources()
    rows = joined_ascending([source.indices for source in sources])
    if len(rows) < _FEWEST:
        return
    try:
        columns = costs_of(data, sources, with_former=False).columns
    except (PsyrunError, OSError):
        return
    kinds: tuple[tuple[str, str, Callable[[float], str]], ...] = (
        ("duration", "the slowest tenth took", short_duration),
        ("peak", "the tenth with most memory used", mebibytes),
    )
    rules = Rules(data.division.space, _all_as_none(data, rows))
    for name, what, text_of in kinds:
        costs = columns[name].astype(np.float64)
        if name == "peak":
            costs[costs == 0] = np.nan  # it is not known
        found = costliest(costs, TIME_NOISE if name == "duration" else 0.0)
        if found is None:
            continue
        (known,) = np.nonzero(np.isfinite(costs))
        least, median = text_of(costs[found].min()), text_of(np.median(costs[known]))
        own = rules
        if len(known) < len(rows):
            own = Rules(data.division.space, rows[known])
        yield CostRule(what, least, median, own.of(rows[found]))


def _all_as_none(data: RoundData, rows: Indices) -> Indices | None:
    return None if len(rows) == len(data.division.space) else rows


def costliest(costs: NDArray[np.float64], noise: float = 0.0) -> Indices | None:
    """Return about a tenth of rows, which cost clearly more than others.

    Parameters
    ----------
    costs : ndarray of float64, shape (n_rows,)
        What each row costs; of those with nan nothing is known.
    noise : float
        Costs that differ by no more are about equal.

    Returns
    -------
    ndarray of int64, shape (n_costliest,), or None
        Their places, ascending. None if few costs are known, or if they are about
        equal: the least of these is below 1.2 times the median.
    """
    (known,) = np.nonzero(np.isfinite(costs))
    if len(known) < _FEWEST:
        return None
    costs = costs[known]
    nth = len(costs) - len(costs) // _SHARE
    least = np.partition(costs, nth)[nth]
    found = np.flatnonzero(costs >= least)
    if len(found) > _MOST_EQUAL * len(costs) // _SHARE:
        found = np.flatnonzero(costs > least)
    median = np.median(costs)
    if not len(found) or costs[found].min() < max(_UNEQUAL * median, median + noise):
        return None
    return known[found]

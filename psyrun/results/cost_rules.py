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
    is the largest that the process of an assignment had used until then.
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
        # Of unknown ones the time is nan, and the memory 0.
        (known,) = np.nonzero(np.isfinite(costs) if name == "duration" else costs > 0)
        costs = costs[known]
        found = _costliest(costs) if len(costs) >= _FEWEST else None
        if found is None:
            continue
        least, median = text_of(costs[found].min()), text_of(np.median(costs))
        own = rules
        if len(known) < len(rows):
            own = Rules(data.division.space, rows[known])
        yield CostRule(what, least, median, own.of(rows[known[found]]))


def _all_as_none(data: RoundData, rows: Indices) -> Indices | None:
    return None if len(rows) == len(data.division.space) else rows


def _costliest(costs: NDArray[np.float64]) -> Indices | None:
    """Return about a tenth of rows that cost clearly more than others, if there are."""
    n_rows = len(costs)
    least = np.partition(costs, n_rows - n_rows // _SHARE)[n_rows - n_rows // _SHARE]
    found = np.flatnonzero(costs >= least)
    if len(found) > _MOST_EQUAL * n_rows // _SHARE:
        found = np.flatnonzero(costs > least)
    if not len(found) or costs[found].min() < _UNEQUAL * np.median(costs):
        return None
    return found

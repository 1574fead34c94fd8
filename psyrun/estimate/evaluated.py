"""Rows that were evaluated, with what they have cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.estimate.columns import Floats
from psyrun.pspace.columns import Indices

OK, FAILED, TIMED_OUT = 0, 1, 2
_MOST_LISTED = 2**21  # assignments that are all predicted; of more a sample is
_N_OF_MANY = 2**18  # assignments in that sample


@dataclass(frozen=True)
class Evaluated:
    """Rows that were evaluated, and their costs.

    Attributes
    ----------
    rows : ndarray of int64, shape (n,)
        Indices in the space, none of them twice.
    seconds : ndarray of float64, shape (n,)
        How long they took.
    memory : ndarray of float64, shape (n,)
        Their peaks of memory in bytes; nan where that is not known.
    outcomes : ndarray of int8, shape (n,)
        `OK`, `FAILED` or `TIMED_OUT`. Times of failed ones are not used; those of
        ones that were ended after some time are lower bounds.
    """

    rows: Indices
    seconds: Floats
    memory: Floats
    outcomes: NDArray[np.int8]

    @classmethod
    def of(
        cls,
        rows: Sequence[int] | Indices,
        seconds: Sequence[float] | NDArray[np.floating],
        memory: Sequence[float] | NDArray[np.floating] | None = None,
        outcomes: Sequence[int] | NDArray[np.int8] | None = None,
    ) -> Evaluated:
        """Return rows from sequences of numbers; without `outcomes` all succeeded."""
        n = len(rows)
        peaks = np.full(n, np.nan) if memory is None else np.asarray(memory, np.float64)
        ended = np.asarray([OK] * n if outcomes is None else outcomes, np.int8)
        return cls(
            np.asarray(rows, np.int64), np.asarray(seconds, np.float64), peaks, ended
        )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def succeeded(self) -> Evaluated:
        """Those that did not fail."""
        is_ok = self.outcomes == OK
        return self if is_ok.all() else self.take(is_ok)

    @property
    def timed_out(self) -> Evaluated:
        """Those that were ended, as they took too long."""
        return self.take(self.outcomes == TIMED_OUT)

    def take(self, which: NDArray[np.bool_] | Indices) -> Evaluated:
        """Return some of the rows."""
        return Evaluated(*(column[which] for column in self._columns))

    def with_others(self, others: Evaluated) -> Evaluated:
        """Return these rows, and those of others that are not among them, ascending."""
        others = others.take(~np.isin(others.rows, self.rows))
        pairs = zip(self._columns, others._columns, strict=True)
        found = Evaluated(*(np.concatenate(pair) for pair in pairs))
        return found.take(np.argsort(found.rows, kind="stable"))

    @property
    def _columns(self) -> tuple[NDArray[Any], ...]:
        return self.rows, self.seconds, self.memory, self.outcomes


def spread_rows(size: int, n: int, seed: int) -> Indices:
    """Return at most n rows of a space, one at random from each of equal parts."""
    if size <= n:
        return np.arange(size)
    rng = np.random.default_rng(seed)
    edges = np.linspace(0, size, n + 1).astype(np.int64)
    return edges[:-1] + np.floor(rng.random(n) * np.diff(edges)).astype(np.int64)


def listed_or_spread_rows(size: int, seed: int = 0) -> Indices:
    """Return the rows of a space from which all of it is predicted.

    Up to two millions these are all rows, of more they are some as of `spread_rows`.
    """
    return spread_rows(size, size if size <= _MOST_LISTED else _N_OF_MANY, seed)

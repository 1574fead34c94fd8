"""Rows that are picked from several files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from psyrun.store.arrays import Indices


@dataclass(frozen=True)
class Picks:
    """For each row, from which file it is, by position, and which row of that file."""

    origin: Indices
    rows: Indices

    def __len__(self) -> int:
        return len(self.rows)

    def divided(self, step: int) -> Iterator[Picks]:
        """Yield `step` picks at a time."""
        for begin in range(0, len(self), step):
            piece = slice(begin, begin + step)
            yield Picks(self.origin[piece], self.rows[piece])

    def by_origin(self) -> Iterator[tuple[int, Indices, Indices]]:
        """Yield each file, the places of its rows among the picks, and its rows."""
        order = np.argsort(self.origin, kind="stable")
        ends = np.flatnonzero(np.diff(self.origin[order])) + 1
        for places in np.split(order, ends) if len(self) else []:
            yield int(self.origin[places[0]]), places, self.rows[places]

    def joined(self, lengths: Sequence[int]) -> Indices:
        """Return the rows as positions in the files one after the other."""
        begins = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        found: Indices = begins[self.origin] + self.rows
        return found

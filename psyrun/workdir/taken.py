"""Rows of rounds that are taken over by another one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from psyrun.store.arrays import Indices, take
from psyrun.store.rows import ColumnDict, count_rows
from psyrun.workdir.rows import RoundData


class Taken(NamedTuple):
    """A round, and the rows that are taken of it: their places in its `pieces`."""

    data: RoundData
    rows: Indices

    @property
    def is_all(self) -> bool:
        """Whether these are all of its rows."""
        return len(self.rows) == self.data.n_rows


def taken_of(rounds: Sequence[RoundData], used: Indices) -> list[Taken]:
    """Return rows that are taken over, by the rounds that have them.

    They are ascending, and counted through all rounds.
    """
    begin, taken = 0, []
    for data in rounds:
        end = begin + data.n_rows
        first, last = np.searchsorted(used, [begin, end])
        if last > first:
            rows = used[first:last]
            taken.append(Taken(data, rows - begin if begin else rows))
        begin = end
    return taken


def pieces_of(taken: Iterable[Taken]) -> Iterator[ColumnDict]:
    """Yield rows that are taken over, in pieces."""
    for each in taken:
        begin = 0
        for piece in each.data.pieces():
            end = begin + count_rows(piece)
            first, last = np.searchsorted(each.rows, [begin, end])
            rows = each.rows[first:last] - begin
            if len(rows):
                yield piece if len(rows) == end - begin else take(piece, rows)
            begin = end

"""How far a task is, read from what its jobs have recorded.

Nothing is unpickled and no task file is imported.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from psyrun import journal
from psyrun.counts import Counts
from psyrun.files import read_json
from psyrun.layout import Round
from psyrun.merges import MergeRecord


@dataclass(frozen=True)
class Tally:
    """Numbers of assignments.

    Attributes
    ----------
    done : int
        With a row.
    failed : int
        Without a row, because their last evaluation failed.
    total : int
        In the space; 0 while that is not known.
    """

    done: int = 0
    failed: int = 0
    total: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.done + other.done,
            self.failed + other.failed,
            self.total + other.total,
        )


@dataclass
class _OpenBlock:
    """What was read of the growing journals of one block."""

    positions: dict[Path, int] = field(default_factory=dict)
    rows: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)

    def read_on(self, path: Path) -> None:
        # A journal is gone as soon as its round is merged.
        with suppress(FileNotFoundError):
            start = self.positions.get(path, 0)
            for kind, index, end in journal.outcomes(path, start):
                self.positions[path] = end
                if kind == journal.ROW:
                    self.rows.add(index)
                elif kind == journal.FAILURE:
                    self.failed.add(index)

    @property
    def tally(self) -> Tally:
        return Tally(len(self.rows), len(self.failed - self.rows))


class RoundProgress:
    """How far a round is; each look reads only what is new.

    Parameters
    ----------
    round_ : Round
        Paths of the round.
    """

    def __init__(self, round_: Round) -> None:
        self._round = round_
        self._open: dict[int, _OpenBlock] = {}

    def look(self) -> Tally:
        """Count assignments."""
        counts = Counts.load(self._round)
        if counts is None:
            return Tally()
        merged = MergeRecord.load(self._round)
        if merged is not None:
            n_failed = merged.n_failed
            return Tally(counts.n_items - n_failed, n_failed, counts.n_items)
        # Which assignments a job fetched stands in its journals only.
        finished = set() if counts.fetches else finished_blocks(self._round, counts.ext)
        sizes = counts.sizes
        lacking = sum(len(self._lacking(block)) for block in finished)
        done = counts.n_items - counts.n_open + sum(sizes[b] for b in finished)
        tally = Tally(done - lacking, lacking, counts.n_items)
        self._read_on(finished)
        return sum((block.tally for block in self._open.values()), tally)

    def _lacking(self, block: int) -> list[int]:
        found: list[int] = read_json(self._round.failed(block)) or []
        return found

    def _read_on(self, finished: set[int]) -> None:
        for block in finished & self._open.keys():
            del self._open[block]
        for path in sorted(self._round.journals.glob("*.journal")):
            block = int(path.name.partition("-")[0])
            if block not in finished:
                self._open.setdefault(block, _OpenBlock()).read_on(path)


def finished_blocks(round_: Round, ext: str) -> set[int]:
    """Return the blocks of a round that have their store file."""
    names = (path.name for path in round_.blocks.glob(f"*{ext}"))
    stems = (name.removesuffix(ext) for name in names)
    return {int(stem) for stem in stems if stem.isdecimal()}

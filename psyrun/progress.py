"""How far a task is, read from what its jobs have recorded.

Nothing is unpickled and no task file is imported.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from psyrun import journal
from psyrun.division import Counts
from psyrun.layout import Round


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
class _Tail:
    """What was read of a journal that grows."""

    path: Path
    position: int = 0
    n_rows: int = 0
    failed: set[int] = field(default_factory=set)

    def read_on(self) -> None:
        try:
            entries = list(journal.scan(self.path, self.position))
        except FileNotFoundError:
            return
        for entry in entries:
            self.position = entry.offset + entry.length
            if entry.kind == journal.ROW:
                self.n_rows += 1
                self.failed.discard(entry.index)
            elif entry.kind == journal.FAILURE:
                self.failed.add(entry.index)


class RoundProgress:
    """How far a round is; each look reads only what is new.

    Parameters
    ----------
    round_ : Round
        Paths of the round.
    """

    def __init__(self, round_: Round) -> None:
        self._round = round_
        self._tails: dict[Path, _Tail] = {}

    def look(self) -> Tally:
        """Count assignments."""
        counts = Counts.load(self._round)
        if counts is None:
            return Tally()
        finished = self.finished_blocks(counts)
        done = counts.n_items - counts.n_open + sum(map(counts.size, finished))
        tally = Tally(done, 0, counts.n_items)
        for tail in self._open_tails(finished):
            tail.read_on()
            tally += Tally(tail.n_rows, len(tail.failed))
        return tally

    def finished_blocks(self, counts: Counts) -> set[int]:
        """Return the blocks that have their store file."""
        names = (path.name for path in self._round.blocks.glob(f"*{counts.ext}"))
        stems = (name.removesuffix(counts.ext) for name in names)
        return {int(stem) for stem in stems if stem.isdecimal()}

    def _open_tails(self, finished: set[int]) -> Iterable[_Tail]:
        for path in sorted(self._round.journals.glob("*.journal")):
            if int(path.name.partition("-")[0]) not in finished:
                yield self._tails.setdefault(path, _Tail(path))

"""Numbers of a division, for those who do without the space itself."""

from __future__ import annotations

from dataclasses import dataclass

from psyrun.backend.base import equal_ranges
from psyrun.files import read_json
from psyrun.layout import Round


@dataclass(frozen=True)
class Counts:
    """Numbers of a division.

    Attributes
    ----------
    n_items : int
        Assignments in the space.
    n_open : int
        Assignments that the process jobs are to evaluate.
    n_blocks : int
        Process jobs.
    n_former : int
        Kept rows that are no longer in the space.
    ext : str
        File extension of the store of its blocks.
    """

    n_items: int
    n_open: int
    n_blocks: int
    n_former: int
    ext: str

    @classmethod
    def load(cls, round_: Round) -> Counts | None:
        """Read the numbers of a round, None where it was not divided yet."""
        if not round_.space.exists():
            return None
        record = read_json(round_.division)
        return None if record is None else cls(**record)

    @property
    def sizes(self) -> list[int]:
        """Number of assignments of each process job."""
        ranges = equal_ranges(self.n_open, self.n_blocks)
        return [end - begin for begin, end in ranges]

"""Numbers of a division, for those who do without the space itself."""

from __future__ import annotations

from dataclasses import dataclass

from psyrun.backend.base import equal_ranges
from psyrun.files import damaged, read_json
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
    failed_before, cut_off_before : int
        Open assignments that were tried before: they failed, or their job was
        killed.
    n_older : int
        Kept rows in the space that another version of the task computed.
    ext : str
        File extension of the store of its blocks.
    fetches : bool
        Whether process jobs fetch their work.
    fingerprint : str
        Of the version of the task that its blocks are computed with.
    """

    n_items: int
    n_open: int
    n_blocks: int
    n_former: int
    failed_before: int
    cut_off_before: int
    n_older: int
    ext: str
    fetches: bool
    fingerprint: str

    @classmethod
    def load(cls, round_: Round) -> Counts | None:
        """Read the numbers of a round, None where it was not divided yet."""
        if not round_.space.exists():
            return None
        record = read_json(round_.division)
        try:
            return None if record is None else cls(**record)
        except TypeError as error:
            raise damaged(round_.division, "has other entries than expected") from error

    @property
    def sizes(self) -> list[int]:
        """Number of assignments of each process job."""
        ranges = equal_ranges(self.n_open, self.n_blocks)
        return [end - begin for begin, end in ranges]

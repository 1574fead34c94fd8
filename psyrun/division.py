"""A frozen space and how its assignments are divided among process jobs."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from psyrun.backend.base import equal_ranges
from psyrun.errors import PsyrunError
from psyrun.files import replacing, write_json
from psyrun.layout import Round
from psyrun.pspace import ParameterSpace, freeze, thaw

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Division:
    """What `split` saw, and who computes what.

    Attributes
    ----------
    space : ParameterSpace
        The space; its values do not change any more.
    n_blocks : int
        Number of process jobs.
    kept : ndarray of int64, shape (len(space),), or None
        For each assignment the row of the kept file that already holds its
        result, or -1. None stands for no kept rows at all.
    former : ndarray of int64, shape (n_former,), or None
        Rows of the kept file whose assignments are no longer in the space, in
        their old order.
    """

    space: ParameterSpace
    n_blocks: int
    kept: Rows | None = None
    former: Rows | None = None

    @cached_property
    def open(self) -> Sequence[int] | Rows:
        """Assignments without a kept row, in the order of the space."""
        if self.kept is None:
            return range(len(self.space))
        import numpy as np

        return np.flatnonzero(self.kept < 0)

    def indices(self, block: int) -> Sequence[int] | Rows:
        """Return the assignments of one process job, in the order of the space."""
        begin, end = equal_ranges(len(self.open), self.n_blocks)[block]
        return self.open[begin:end]

    @property
    def n_kept(self) -> int:
        """Number of assignments whose rows are kept."""
        return len(self.space) - len(self.open)

    def save(self, round_: Round, ext: str) -> None:
        """Write the frozen space of a round.

        Parameters
        ----------
        round_ : Round
            Paths of the round.
        ext : str
            File extension of the store of its blocks.

        Raises
        ------
        PsyrunError
            If a parameter cannot be pickled.
        """
        frozen = (freeze(self.space), self.n_blocks, self.kept, self.former)
        round_.folder.mkdir(parents=True, exist_ok=True)
        n_former = 0 if self.former is None else len(self.former)
        counts = {
            "n_items": len(self.space),
            "n_open": len(self.open),
            "n_blocks": self.n_blocks,
            "n_former": n_former,
            "ext": ext,
        }
        write_json(round_.division, counts)
        with replacing(round_.space) as path, path.open("wb") as file:
            pickle.dump(frozen, file, pickle.HIGHEST_PROTOCOL)

    @classmethod
    def load(cls, round_: Round) -> Division:
        """Read the frozen space of a round.

        Raises
        ------
        PsyrunError
            If the file is damaged or holds values that cannot be loaded.
        """
        try:
            with round_.space.open("rb") as file:
                space, n_blocks, kept, former = pickle.load(file)
        except (pickle.UnpicklingError, EOFError, ValueError, TypeError) as error:
            raise PsyrunError(
                f"{round_.space}: is damaged ({error}). Remove it, then run again."
            ) from error
        return cls(thaw(space), n_blocks, kept, former)

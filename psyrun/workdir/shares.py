"""Which assignments each process job has, where that is not one equal part of all.

Or each of the portions that jobs fetch.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Shares:
    """Open assignments in pieces, in the order of evaluation, each with its block.

    There are a few pieces for each block, however many assignments.

    Attributes
    ----------
    starts : tuple of int, length n_pieces + 1
        Position of the first assignment of each piece, and the number of all.
    blocks : tuple of int, length n_pieces
        The block of each piece.
    """

    starts: tuple[int, ...]
    blocks: tuple[int, ...]

    def by_block(self) -> dict[int, list[range]]:
        """Return the positions that each block has."""
        found: defaultdict[int, list[range]] = defaultdict(list)
        for block, (begin, end) in zip(self.blocks, pairwise(self.starts), strict=True):
            found[block].append(range(begin, end))
        return dict(found)

    def in_turn(self) -> NDArray[np.int64]:
        """Return all positions, block after block."""
        import numpy as np

        starts = np.array(self.starts, np.int64)
        order = np.argsort(np.array(self.blocks, np.int64), kind="stable")
        begins, sizes = starts[:-1][order], np.diff(starts)[order]
        before = np.cumsum(sizes) - sizes
        return np.repeat(begins - before, sizes) + np.arange(sizes.sum())

    def sizes(self, n_blocks: int) -> tuple[int, ...]:
        """Return how many assignments each block has."""
        sizes = [0] * n_blocks
        for block, (begin, end) in zip(self.blocks, pairwise(self.starts), strict=True):
            sizes[block] += end - begin
        return tuple(sizes)

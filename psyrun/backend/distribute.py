"""Batches of equal size, made before the jobs begin."""

from __future__ import annotations

from itertools import pairwise

from psyrun.backend.base import Backend


class DistributeBackend(Backend):
    """Give every process job one batch of the space, all of the same size.

    One job splits the space, up to `max_jobs` jobs each evaluate one batch of
    at least `min_items` assignments, and one job merges what they found. With
    fewer than `min_items` assignments in all, one job takes them.

    Examples
    --------
    >>> DistributeBackend().n_blocks(5000, max_jobs=100, min_items=10)
    100
    """

    name = "distribute"

    def n_blocks(self, n_items: int, max_jobs: int, min_items: int) -> int:
        if n_items == 0:
            return 0
        return min(max_jobs, max(1, n_items // min_items))


def equal_ranges(n_items: int, n_blocks: int) -> list[tuple[int, int]]:
    """Divide the indices of a space into contiguous batches of equal size.

    Parameters
    ----------
    n_items : int
        Number of assignments, 0 or more.
    n_blocks : int
        Number of batches, at least 1 unless there are no assignments.

    Returns
    -------
    list of tuple of int, shape (n_blocks, 2)
        First index and index after the last of each batch, in order. Sizes
        differ by at most one; the larger batches come first.

    Examples
    --------
    >>> equal_ranges(10, 3)
    [(0, 4), (4, 7), (7, 10)]
    """
    if n_blocks == 0:
        return []
    size, surplus = divmod(n_items, n_blocks)
    starts = [i * size + min(i, surplus) for i in range(n_blocks + 1)]
    return list(pairwise(starts))

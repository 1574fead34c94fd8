"""Equal batches, one per process job."""

from __future__ import annotations

from psyrun.backend.base import Backend, equal_ranges


class DistributeBackend(Backend):
    """Give every process job one batch of the space, all of the same size.

    One job splits the space, up to `max_jobs` jobs each evaluate one batch of
    at least `min_items` assignments, and one job merges what they found.
    """

    name = "distribute"

    def n_blocks(self, n_items: int, max_jobs: int, min_items: int) -> int:
        """Return as many jobs as allowed, none with less than `min_items`.

        Parameters
        ----------
        n_items : int
            Number of assignments to evaluate, 0 or more.
        max_jobs : int
            Most process jobs allowed, at least 1.
        min_items : int
            Fewest assignments of a job, at least 1. With fewer assignments
            than this in all, one job takes them.

        Returns
        -------
        int
            0 if there is nothing to evaluate, else from 1 to `max_jobs`.

        Examples
        --------
        >>> DistributeBackend().n_blocks(5000, max_jobs=100, min_items=10)
        100
        """
        if n_items == 0:
            return 0
        return min(max_jobs, max(1, n_items // min_items))

    def ranges(self, n_items: int, n_blocks: int) -> list[tuple[int, int]]:
        """Return contiguous ranges whose sizes differ by at most one.

        Parameters
        ----------
        n_items : int
            Number of assignments to evaluate, 0 or more.
        n_blocks : int
            Number of process jobs.

        Returns
        -------
        list of tuple of int, shape (n_blocks, 2)
            First index and index after the last, one pair per job.
        """
        return equal_ranges(n_items, n_blocks)

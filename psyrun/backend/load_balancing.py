"""Jobs that fetch one assignment after the other."""

from __future__ import annotations

from psyrun.backend.base import Backend


class LoadBalancingBackend(Backend):
    """Let every process job fetch single assignments until none are left.

    A job that meets quick assignments evaluates more of them, which suits
    evaluations of very different duration. Every job may have to read any
    assignment, so that a store with fast access to single rows, such as
    `psyrun.store.H5Store`, is the best choice.
    """

    name = "load balancing"
    fetches = True

    def n_blocks(self, n_items: int, max_jobs: int, min_items: int) -> int:
        """Return `max_jobs`, or fewer if there are fewer assignments.

        Parameters
        ----------
        n_items : int
            Number of assignments to evaluate, 0 or more.
        max_jobs : int
            Most process jobs allowed, at least 1.
        min_items : int
            Has no meaning here, as nothing is divided beforehand.

        Returns
        -------
        int
            0 if there is nothing to evaluate, else from 1 to `max_jobs`.
        """
        return min(max_jobs, n_items)

    def ranges(self, n_items: int, n_blocks: int) -> list[tuple[int, int]]:
        """Return the whole range for every job, as they share one space.

        Parameters
        ----------
        n_items : int
            Number of assignments to evaluate, 0 or more.
        n_blocks : int
            Number of process jobs.

        Returns
        -------
        list of tuple of int, shape (n_blocks, 2)
            ``(0, n_items)``, once per job.
        """
        return [(0, n_items)] * n_blocks

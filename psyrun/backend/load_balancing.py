"""Jobs that fetch their assignments while they run."""

from __future__ import annotations

from psyrun.backend.base import Backend


class LoadBalancingBackend(Backend):
    """Let every process job fetch single assignments until none are left.

    A job that meets quick assignments evaluates more of them, which suits
    evaluations of very different duration. Once some were evaluated, those that are
    predicted to take longest are fetched first. Every job may have to read any
    assignment, so that a store with fast access to single rows, such as
    `psyrun.store.H5Store`, is the best choice. `min_items` has no meaning here,
    as nothing is divided beforehand.
    """

    name = "load balancing"
    fetches = True

    def n_blocks(self, n_items: int, max_jobs: int, min_items: int) -> int:
        return min(max_jobs, n_items)

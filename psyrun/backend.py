"""Backends: how the assignments of a task are shared out among process jobs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import pairwise
from typing import ClassVar

__all__ = ["Backend", "DistributeBackend", "LoadBalancingBackend"]


class Backend(ABC):
    """How the assignments of a task are shared out among process jobs.

    Attributes
    ----------
    name : str
        What messages and records call this backend.
    fetches : bool
        Whether process jobs fetch their work, rather than have it divided
        among them beforehand.
    """

    name: ClassVar[str]
    fetches: ClassVar[bool] = False

    @abstractmethod
    def n_blocks(self, n_items: int, max_jobs: int, min_items: int) -> int:
        """Return the number of process jobs.

        Parameters
        ----------
        n_items : int
            Number of assignments to evaluate, 0 or more.
        max_jobs : int
            Most process jobs allowed, at least 1.
        min_items : int
            Fewest assignments that are worth a process job, at least 1.

        Returns
        -------
        int
            0 if there is nothing to evaluate, else from 1 to `max_jobs`.
        """


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


class LoadBalancingBackend(Backend):
    """Let every process job fetch single assignments until none are left.

    A job that meets quick assignments evaluates more of them, which suits
    evaluations of very different duration. Every job may have to read any
    assignment, so that a store with fast access to single rows, such as
    `psyrun.store.H5Store`, is the best choice. `min_items` has no meaning here,
    as nothing is divided beforehand.
    """

    name = "load balancing"
    fetches = True

    def n_blocks(self, n_items: int, max_jobs: int, min_items: int) -> int:
        return min(max_jobs, n_items)


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

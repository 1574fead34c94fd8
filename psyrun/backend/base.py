"""The contract of a backend, and the arithmetic of equal batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import pairwise
from typing import ClassVar


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

    @abstractmethod
    def ranges(self, n_items: int, n_blocks: int) -> list[tuple[int, int]]:
        """Return the range of indices that each process job works on.

        Parameters
        ----------
        n_items : int
            Number of assignments to evaluate, 0 or more.
        n_blocks : int
            Number of process jobs, as `n_blocks` gave it.

        Returns
        -------
        list of tuple of int, shape (n_blocks, 2)
            First index and index after the last, one pair per job.
        """

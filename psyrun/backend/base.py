"""The contract between psyrun and a backend."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar


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

"""What a queue or a machine allows at most."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What jobs may ask for at most; None where that is not known.

    Attributes
    ----------
    where : str
        What has these limits, in a few words, such as ``"partition 'short'"``.
    seconds : float or None
        The longest time limit.
    memory : float or None
        Bytes that one machine has for jobs.
    cores : int or None
        Cores that one machine has for jobs.
    n_jobs : int or None
        Jobs that may be submitted at once.
    """

    where: str = ""
    seconds: float | None = None
    memory: float | None = None
    cores: int | None = None
    n_jobs: int | None = None

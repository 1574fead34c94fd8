"""How fast a task goes on, and when it will have ended."""

from __future__ import annotations

from dataclasses import dataclass

from psyrun.report.page.collecting import RUNNING, TO_DO, Sweep
from psyrun.utils.text import rough_duration


@dataclass(frozen=True)
class Pace:
    """How fast a task goes on.

    Attributes
    ----------
    rate : float or None
        Rows per second of late, if that is known.
    end : str
        When its evaluations are expected to end, in words; empty if it is not known.
    """

    rate: float | None
    end: str = ""


def pace_of(sweep: Sweep, now: float, end: str = "") -> Pace:
    """Return how fast a task goes on that somebody evaluates.

    Parameters
    ----------
    sweep : Sweep
        The task.
    now : float
        The present, in seconds since the epoch.
    end : str
        When it will end, as its run expects. If that is empty, it follows from the
        speed of late and the number of assignments that have not ended.
    """
    rate = None if sweep.timeline is None else sweep.timeline.rate(now)
    n_open = sum(sweep.n_of_status[code] for code in (TO_DO, RUNNING))
    n_open -= sweep.n_not_chosen
    if not end and rate and n_open:
        end = f"in about {rough_duration(n_open / rate)}, at the rate of late"
    return Pace(rate, end)

"""How fast a task goes on, and when it will have ended."""

from __future__ import annotations

import time
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


def pace_of(sweep: Sweep, end: str = "", now: float | None = None) -> Pace:
    """Return how fast a task goes on that somebody evaluates.

    Parameters
    ----------
    sweep : Sweep
        The task.
    end : str
        When it will end in local time, as its run expects. If that is empty, it follows
        from the speed of late and the number of assignments that have not ended.
    now : float, optional
        The present, in seconds since the epoch, if it is another time.
    """
    now = time.time() if now is None else now
    rate = None if sweep.timeline is None else sweep.timeline.rate(now)
    if end:
        # The page may be looked at elsewhere.
        return Pace(rate, f"at about {end} {time.strftime('%Z')}")
    n_open = sum(sweep.n_of_status[code] for code in (TO_DO, RUNNING))
    n_open -= sweep.n_not_chosen
    if rate and n_open > 0:
        end = f"in about {rough_duration(n_open / rate)}, at the rate of late"
    return Pace(rate, end)

"""Numbers that are known within an interval."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """A number, and an interval in which it is with 90 % probability.

    Attributes
    ----------
    value : float
        The most likely middle.
    low, high : float
        The interval; `high` is infinite where nothing is known of it.
    """

    value: float
    low: float
    high: float = math.inf

    @property
    def ratio(self) -> float:
        """How many times the lower end the upper one is."""
        return self.high / self.low if self.low > 0 else math.inf

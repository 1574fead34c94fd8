"""How often a queue is asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from psyrun.errors import QueueUnreachableError

_SHORTEST, _LONGEST = 0.5, 30.0  # seconds

_FRACTION = 0.05

_REMINDER = 600.0  # seconds after which the same message is shown again

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
T = TypeVar("T")
Warn = Callable[[str], None]
_PATIENCE = 300.0  # seconds that a queue is given to answer
_PAUSES = (1.0, 2.0, 5.0, 10.0)


class PollInterval:
    """The time between two looks at a queue: short while much happens.

    A job that took a minute to end may be noticed a few seconds late, one
    that took hours half a minute late.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._changed = self._next = clock()
        self._pause = _SHORTEST

    @property
    def is_due(self) -> bool:
        """Whether it is time for a look."""
        return self._clock() >= self._next

    def quicken(self) -> None:
        """Look soon, as something was submitted."""
        self._changed = self._clock()
        self._next = min(self._next, self._changed + _SHORTEST)

    def polled(self, *, found_some: bool, is_answered: bool = True) -> None:
        """Wait for a while after a look, longer if no job had ended.

        If the queue has not answered, the pauses get longer.
        """
        now = self._clock()
        if found_some:
            self._changed = now
        pause = _FRACTION * (now - self._changed) if is_answered else 2 * self._pause
        self._pause = min(_LONGEST, max(_SHORTEST, pause))
        self._next = now + self._pause


class Backoff:
    """Longer and longer pauses between attempts, up to `longest` seconds."""

    def __init__(
        self, clock: Callable[[], float], longest: float = _LONGEST_PAUSE
    ) -> None:
        self._clock = clock
        self._longest = longest
        self.reset()

    def reset(self) -> None:
        """Let the next attempt be made at once."""
        self._pause = _FIRST_PAUSE
        self._until = self._clock()

    def lengthen(self) -> None:
        """Pause, twice as long as the last time."""
        self._until = self._clock() + self._pause
        self._pause = min(self._longest, 2 * self._pause)

    @property
    def is_over(self) -> bool:
        """Whether the next attempt may be made."""
        return self._clock() >= self._until


class Reminder:
    """Which messages are due: each at first, and again only after ten minutes.

    A queue may be down for a night.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._shown: dict[str, float] = {}

    def is_due(self, message: str, *, repeats: bool = True) -> bool:
        """Whether to show a message, which then counts as shown."""
        now, shown = self._clock(), self._shown.get(message)
        is_due = shown is None or (repeats and now - shown >= _REMINDER)
        if is_due:
            self._shown[message] = now
        return is_due


def ignore_warning(text: str) -> None:
    """Take a line for the user, and show it to nobody."""


def ask_until_answered(question: Callable[[], T], warn: Warn) -> T:
    """Ask a queue again and again, until it answers.

    Raises `QueueUnreachableError` if it does not for five minutes.
    """
    deadline = time.monotonic() + _PATIENCE
    pauses, said = iter(_PAUSES), ""
    while True:
        try:
            return question()
        except QueueUnreachableError as error:
            if time.monotonic() > deadline:
                raise
            if str(error) != said:
                warn(f"{error} Trying again.")
            said = str(error)
            time.sleep(next(pauses, _PAUSES[-1]))

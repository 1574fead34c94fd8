"""How many more jobs a queue takes."""

from __future__ import annotations

from collections.abc import Callable

from psyrun.queue.pace import Backoff

_LONGEST_PAUSE = 60.0  # seconds until a full queue is tried again
_REMINDER = 600.0  # seconds after which it is told again that nothing goes on


class Capacity:
    """How many more jobs a queue takes, which it tells by refusing them only.

    What it refused is halved until it is taken or a single job is refused: then
    it is full. From then on as many jobs are submitted as end, and now and then
    one more.

    Parameters
    ----------
    clock : callable
        Returns seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._backoff = Backoff(clock, _LONGEST_PAUSE)
        self._chunk: int | None = None
        self._room: int | None = None
        self._told: float | None = None

    @property
    def has_room(self) -> bool:
        """Whether to submit more."""
        return self._room != 0 or self._backoff.is_over

    @property
    def limit(self) -> int | None:
        """How many jobs to submit at once; None for any number."""
        if self._room == 0:
            return 1
        known = [limit for limit in (self._room, self._chunk) if limit is not None]
        return min(known, default=None)

    def taken(self, n_jobs: int) -> None:
        """Note that jobs were taken."""
        if self._room:
            self._room = max(0, self._room - n_jobs)
        elif self._room == 0:
            # There is more room than was known.
            self._room, self._chunk = None, 2
            self._backoff.reset()
        elif self._chunk is not None:
            self._chunk *= 2

    def refused(self, n_jobs: int) -> None:
        """Note that so many jobs were refused at once."""
        if n_jobs > 1:
            self._room, self._chunk = None, n_jobs // 2
        else:
            self._room, self._chunk = 0, None
            self._backoff.lengthen()

    def ended(self, n_jobs: int) -> None:
        """Note that jobs have ended, which makes room for others."""
        if self._room is not None:
            self._room += n_jobs

    def is_to_be_told(self, *, is_idle: bool) -> bool:
        """Whether the user is to be told that the queue is full, which counts as told.

        Parameters
        ----------
        is_idle : bool
            Whether there are no jobs whose end would make room.
        """
        now = self._clock()
        is_due = self._told is None or (is_idle and now - self._told >= _REMINDER)
        if is_due:
            self._told = now
        return is_due

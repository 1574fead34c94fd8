"""Jobs that are to be submitted, sorted by the arrays that they fit into."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from psyrun.queue.asking import Backoff
from psyrun.queue.job import QueuedJob

_LONGEST_PAUSE_WHEN_FULL = 60.0  # seconds until a full queue is tried again


class Backlog:
    """Jobs that are to be submitted, the first ones first.

    Those that are alike stand together, however many kinds there are.
    """

    def __init__(self) -> None:
        self._kinds: dict[tuple[object, ...], list[QueuedJob]] = {}

    def __bool__(self) -> bool:
        return bool(self._kinds)

    @property
    def first(self) -> QueuedJob:
        """One of the jobs whose turn it is."""
        return next(iter(self._kinds.values()))[0]

    def add(self, item: QueuedJob) -> None:
        """Add a job."""
        self._kinds.setdefault(_kind(item), []).append(item)

    def put_back(self, items: Iterable[QueuedJob]) -> None:
        """Add jobs that were taken out and could not be submitted."""
        for item in items:
            self.add(item)

    def take(self, limit: int | None) -> list[QueuedJob]:
        """Take jobs out that can be in one array, at most `limit`.

        They are those with the lowest numbers of blocks, in order.
        """
        kind, items = next(iter(self._kinds.items()))
        # Snakemake hands jobs over in no order; people look at the first ones.
        items.sort(key=lambda item: int(item.step.block or 0))
        taken = items[:limit]
        del items[: len(taken)]
        if not items:
            del self._kinds[kind]
        return taken

    def clear(self) -> None:
        """Remove all jobs."""
        self._kinds.clear()


def _kind(item: QueuedJob) -> tuple[object, ...]:
    """Return what jobs have in common that can be in one array."""
    values = json.dumps(item.values, sort_keys=True, default=repr)
    return (item.task, item.array_name, values, item.attempt)


class QueueCapacity:
    """How many more jobs a queue takes, which it tells by refusing them only.

    What it refused is halved until it is taken or a single job is refused: then
    it is full. From then on as many jobs are submitted as end, and now and then
    one more.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._backoff = Backoff(clock, _LONGEST_PAUSE_WHEN_FULL)
        self._chunk: int | None = None
        self._room: int | None = None

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

    def accepted(self, n_jobs: int) -> None:
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

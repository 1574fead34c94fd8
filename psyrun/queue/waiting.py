"""Why the jobs of a task wait in a queue, and when they will start.

Whoever drives the queue asks it now and then, and keeps what it says for `psy status`
and others, which so need not ask. Nothing depends on it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass

from psyrun.errors import PsyrunError, SchedulerError
from psyrun.queue.ledger import Batch, Ledger, QueueReport
from psyrun.queue.trust import never, scheduler_of
from psyrun.scheduler.jobs import JobId, Waiting
from psyrun.utils.files import write_json
from psyrun.utils.records import read_record
from psyrun.utils.text import counted
from psyrun.workdir.expected_end import clock_text
from psyrun.workdir.layout import TaskLayout

_FRESH = 300.0  # seconds for which what a queue said counts
_SHOWN = 2


@dataclass(frozen=True)
class WaitingReport:
    """What a queue says about the jobs of a task that wait in it.

    Attributes
    ----------
    asked : float
        When it was asked, in seconds since the epoch.
    reasons : dict of str to int
        For how many jobs it gives which reason.
    starts : tuple of float
        When it expects jobs to start, in seconds since the epoch, ascending. It mostly
        tells that of the first ones only.
    """

    asked: float
    reasons: Mapping[str, int]
    starts: tuple[float, ...] = ()

    @classmethod
    def of(cls, told: Iterable[Waiting], now: float | None = None) -> WaitingReport:
        """Return what was told about some jobs, by default just now."""
        waiting = list(told)
        reasons = Counter(each.reason for each in waiting if each.reason)
        return cls(
            asked=time.time() if now is None else now,
            reasons=dict(reasons),
            starts=tuple(sorted(w.start for w in waiting if w.start is not None)),
        )

    def text(self, now: float | None = None) -> str:
        """Return it for people; empty if the queue has said nothing."""
        now = time.time() if now is None else now
        reasons = Counter(self.reasons).most_common()
        shown = [reason for reason, _ in reasons]
        if len(reasons) > 1:
            shown = [f"{counted(n, 'job')}: {reason}" for reason, n in reasons[:_SHOWN]]
        if len(reasons) > _SHOWN:
            shown.append(f"{len(reasons) - _SHOWN} more reasons")
        start = next((start for start in self.starts if start > now), None)
        if start is not None:
            first = "" if sum(self.reasons.values()) == 1 else "the first "
            shown.append(f"{first}starts at about {clock_text(start, now)}")
        return "; ".join(shown)

    def save(self, layout: TaskLayout) -> None:
        """Keep this for those who look at a task."""
        with suppress(OSError, PsyrunError):
            write_json(layout.waiting, asdict(self))

    @classmethod
    def load(cls, layout: TaskLayout) -> WaitingReport | None:
        """Return what a queue said lately about a task, None if nothing is known."""
        with suppress(OSError, PsyrunError):
            found: WaitingReport | None = read_record(layout.waiting, cls)
            if found is not None and abs(time.time() - found.asked) < _FRESH:
                return found
        return None


def waiting_of(layout: TaskLayout, queue: QueueReport) -> WaitingReport | None:
    """Return what is known of why jobs of a task wait, None if none does."""
    return WaitingReport.load(layout) if queue.n_queued else None


def forget(layout: TaskLayout) -> None:
    """Remove what a queue said, as no job of a task waits any more."""
    with suppress(OSError):
        layout.waiting.unlink(missing_ok=True)


def ask(layout: TaskLayout) -> WaitingReport | None:
    """Ask the queues of a task why its jobs wait.

    Only schedulers that are installed are asked: no code of the project is run.

    Returns
    -------
    WaitingReport or None
        None if no job waits, or a queue does not answer.
    """
    told: list[Waiting] = []
    kinds: dict[str, list[Batch]] = {}
    for batch in Ledger(layout).batches():
        kinds.setdefault(batch.intent.scheduler, []).append(batch)
    for batches in kinds.values():
        ids = [jobid for batch in batches for jobid in _waiting(batch)]
        with suppress(SchedulerError):
            scheduler = scheduler_of(batches[-1], never) if ids else None
            told += scheduler.get_waiting(ids).values() if scheduler else []
    return WaitingReport.of(told) if told else None


def _waiting(batch: Batch) -> list[JobId]:
    """Return the jobs of an array that have not begun, as far as is known."""
    states = batch.states()
    return [
        jobid
        for position, jobid in batch.ids.items()
        if not states[position].has_started and states[position].ending is None
    ]

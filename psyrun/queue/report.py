"""What is known of the jobs of a task in a queue, without asking the queue."""

from __future__ import annotations

from dataclasses import dataclass

from psyrun.layout import TaskLayout
from psyrun.queue.ledger import Ledger
from psyrun.scheduler.base import Cause, Ending


@dataclass(frozen=True)
class QueueReport:
    """What is known of the jobs of a task in a queue.

    Attributes
    ----------
    n_queued : int
        Jobs that were submitted and have not started.
    n_running : int
        Jobs that have started and not ended.
    n_unsure : int
        Jobs that were to be submitted, of which it is not recorded whether they
        were: that was cut off, or is being done.
    ended : tuple of (str, Ending)
        Jobs that something else than their own command has ended, by name; of
        the jobs that were submitted for the same files only the last.
    """

    n_queued: int = 0
    n_running: int = 0
    n_unsure: int = 0
    ended: tuple[tuple[str, Ending], ...] = ()

    @classmethod
    def of(cls, layout: TaskLayout) -> QueueReport:
        """Read the ledger and the traces of a task's jobs."""
        queued = running = unsure = 0
        ended: dict[str, tuple[str, Ending]] = {}
        for batch in Ledger(layout).batches():
            intent = batch.intent
            for position, (has_started, ending) in enumerate(batch.states()):
                is_known = has_started or position in batch.ids
                if not is_known and batch.is_submitted:
                    # The queue took only some of the array.
                    continue
                ended.pop(intent.targets[position], None)
                if ending is None and has_started:
                    running += 1
                elif ending is None and is_known:
                    queued += 1
                elif ending is None:
                    unsure += 1
                elif ending.cause not in (Cause.DONE, Cause.FAILED):
                    ended[intent.targets[position]] = intent.names[position], ending
        return cls(queued, running, unsure, tuple(ended.values()))

    @property
    def text(self) -> str:
        """How many jobs queue and run, for people; empty if there are none."""
        found = []
        if self.n_queued:
            found.append(f"{self.n_queued} queued")
        if self.n_running:
            found.append(f"{self.n_running} running")
        if self.n_unsure:
            found.append(f"{self.n_unsure} perhaps queued")
        n_jobs = self.n_queued + self.n_running + self.n_unsure
        return f"{' and '.join(found)} job{'' if n_jobs == 1 else 's'}" if found else ""

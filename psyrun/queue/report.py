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
    ended : tuple of (str, Ending)
        Jobs that something else than their own command has ended, by name; of
        the jobs that were submitted for the same files only the last.
    """

    n_queued: int = 0
    n_running: int = 0
    ended: tuple[tuple[str, Ending], ...] = ()

    @classmethod
    def of(cls, layout: TaskLayout) -> QueueReport:
        """Read the ledger and the traces of a task's jobs."""
        queued = running = 0
        ended: dict[str, tuple[str, Ending]] = {}
        for batch in Ledger(layout).batches():
            states = batch.states()
            for position in batch.ids:
                name, target = (
                    batch.intent.names[position],
                    batch.intent.targets[position],
                )
                ended.pop(target, None)
                has_started, ending = states[position]
                if ending is None and has_started:
                    running += 1
                elif ending is None:
                    queued += 1
                elif ending.cause not in (Cause.DONE, Cause.FAILED):
                    ended[target] = name, ending
        return cls(queued, running, tuple(ended.values()))

    @property
    def text(self) -> str:
        """How many jobs queue and run, for people; empty if there are none."""
        found = []
        if self.n_queued:
            found.append(f"{self.n_queued} queued")
        if self.n_running:
            found.append(f"{self.n_running} running")
        n_jobs = self.n_queued + self.n_running
        return f"{' and '.join(found)} job{'' if n_jobs == 1 else 's'}" if found else ""

"""A worker that is no copy of its job: it imports the task by itself.

Usage: ``python -m psyrun.steps.freshworker DESCRIPTOR START``, with a file as that
descriptor that holds a pickled `Shared`, and a `Start` as JSON.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from psyrun.steps.work_queue import WorkQueue
from psyrun.utils.process.isolation import isolate, isolated
from psyrun.workdir.holder import Holder
from psyrun.workdir.layout import TaskLayout

if TYPE_CHECKING:
    from psyrun.steps.worker import Evaluation
    from psyrun.store.arrays import Indices

_MODULE = "psyrun.steps.freshworker"


@dataclass(frozen=True)
class Shared:
    """What all workers of a job are told.

    Attributes
    ----------
    directory : str
        The current folder, from which the paths of the plan start.
    folder, round_number, block : Path, int, int
        The folder of the task, and the job.
    indices, queue, session : ndarray, WorkQueue, mapping
        As in `psyrun.steps.worker.Evaluation`.
    controller : Holder or None
        As in `psyrun.steps.job.Job`.
    """

    directory: str
    folder: Path
    round_number: int
    block: int
    indices: Sequence[int] | Indices
    queue: WorkQueue
    session: Mapping[str, Any]
    controller: Holder | None = None


@dataclass(frozen=True)
class Start:
    """What one worker is told.

    Attributes
    ----------
    number : int
        Which worker it is.
    first, end : int
        The positions that an earlier worker left.
    job : int
        The process of the job.
    messages : int
        The descriptor that takes the last message.
    """

    number: int
    first: int
    end: int
    job: int
    messages: int


class FreshWorkers:
    """Starts the workers of a job."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        pickle.dump(shared, self._file)
        self._file.flush()

    def start(self, start: Start) -> int:
        """Start a worker and return its process."""
        inherited = [self._file.fileno(), start.messages, *self._shared.queue.files]
        arguments = ["-P", "-m", _MODULE, str(inherited[0]), json.dumps(asdict(start))]
        for descriptor in inherited:
            os.set_inheritable(descriptor, True)
        try:
            command = [sys.executable, *arguments]
            return os.posix_spawn(sys.executable, command, isolated(os.environ))
        finally:
            for descriptor in inherited:
                os.set_inheritable(descriptor, False)

    def close(self) -> None:
        """Remove what they were told."""
        self._file.close()


def main(descriptor: str, text: str) -> None:
    """Evaluate what an earlier worker left and what the queue has, and exit."""
    isolate()
    start = Start(**json.loads(text))
    file = int(descriptor)
    shared: Shared = pickle.loads(os.pread(file, os.fstat(file).st_size, 0))
    os.close(file)
    os.chdir(shared.directory)
    for one in (start.messages, *shared.queue.files):
        os.set_inheritable(one, False)
    _run(shared, start)


def _run(shared: Shared, start: Start) -> NoReturn:
    from psyrun.steps.exit_messages import ExitMessages
    from psyrun.steps.worker import Worker
    from psyrun.workdir.in_flight import InFlightTable

    layout = TaskLayout(shared.folder)
    round_ = layout.round(shared.round_number)
    table = round_.in_flight(shared.block, shared.session["token"])
    worker = Worker(
        lambda: _work(shared, layout),
        start.number,
        InFlightTable.of_job(table),
        ExitMessages.to(start.messages),
        start.job,
    )
    worker.run(range(start.first, start.end))


def _work(shared: Shared, layout: TaskLayout) -> Evaluation:
    """Import the task, and return what to evaluate."""
    from psyrun.steps.job import Job
    from psyrun.steps.process import evaluation_of

    job = Job.of(layout, shared.round_number, None, shared.controller)
    # Those among the parameters, which are read later, are to stay as they are.
    job.imported.random_states.renew()
    return evaluation_of(job, shared)


if __name__ == "__main__":
    main(*sys.argv[1:])

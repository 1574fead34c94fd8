"""Which steps of a task in a queue need no job of their own.

Split and merge of a small task take less time than their jobs would wait. So they are
done where the controller runs, which may be a login node that many people use. That
takes what is known to be small; whatever is not known, or was asked for, gets a job.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from psyrun.steps.command import StepCommand
from psyrun.tasks.config import PLACES
from psyrun.utils.environment import JOB_VARIABLE
from psyrun.utils.process.memory import peak_memory
from psyrun.workdir.division import DivisionCounts
from psyrun.workdir.layout import MERGE, PROCESS, SPLIT, Round
from psyrun.workdir.plan import DEFAULT_PYTHON

if TYPE_CHECKING:
    from psyrun.queue.site import QueuedTask

MOST_ASSIGNMENTS = 100_000
MOST_BLOCKS = 1000
MOST_BYTES = 50 << 20
"""Of the files that are read, as each of them is written once more."""

MOST_SECONDS = 5.0
MOST_MEMORY = 500 << 20
"""What importing the task may take, in seconds of CPU time and in bytes."""

SHARE_OF_JOB = 5
"""What part of these sizes a controller in a job of a queue may handle.

Its memory may be just what itself and Snakemake take.
"""

_AUTO, _LOCAL, _ = PLACES


@dataclass
class ImportCost:
    """What importing a task took: CPU time in seconds, and memory in bytes."""

    seconds: float = float("inf")
    memory: int = sys.maxsize

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure what is done meanwhile."""
        begun, before = time.process_time(), peak_memory()
        yield
        self.seconds = time.process_time() - begun
        self.memory = peak_memory() - before

    @property
    def is_small(self) -> bool:
        """Whether it may be taken again, on a machine that others use, too."""
        return self.seconds <= MOST_SECONDS and self.memory <= _at_most(MOST_MEMORY)


def is_local(task: QueuedTask, step: StepCommand) -> bool:
    """Whether a step is to be done where the controller runs.

    In this order: what is asked for by `split_and_merge`; a job for what has scheduler
    arguments of its own, or another Python, which may exist on the nodes only; and what
    is small.
    """
    if step.step not in (SPLIT, MERGE):
        return False
    if task.split_and_merge != _AUTO:
        return task.split_and_merge == _LOCAL
    if task.plan.python != DEFAULT_PYTHON or _has_own_arguments(task, step.step):
        return False
    if not task.import_cost.is_small:
        return False
    return _is_small_split(task) if step.step == SPLIT else _is_small_merge(step.round)


def _has_own_arguments(task: QueuedTask, step: str) -> bool:
    """Whether functions give a step other arguments than the process jobs."""
    names = task.layout.job(step), task.layout.job(PROCESS, 0)
    own, other = (task.scheduler.validate(task.scheduler_args, name) for name in names)
    return own != other


def _is_small_split(task: QueuedTask) -> bool:
    plan = task.plan
    if plan.n_items is None or plan.n_items > MOST_ASSIGNMENTS:
        return False
    if plan.keep == "result":
        return _size(Path(plan.resultfile)) <= _at_most(MOST_BYTES)
    return _are_small([task.layout.round(number) for number in plan.keep_rounds])


def _is_small_merge(round_: Round) -> bool:
    counts = DivisionCounts.load(round_)
    return (
        counts is not None
        and counts.n_items + counts.n_former <= MOST_ASSIGNMENTS
        and counts.n_blocks <= MOST_BLOCKS
        and _are_small([round_])
    )


def _are_small(rounds: list[Round]) -> bool:
    """Whether the rows of rounds are small, in their blocks and in their journals."""
    stored = [folder for r in rounds for folder in (r.folder, r.blocks)]
    journals = [r.journals for r in rounds]
    return all(
        sum(map(_size_of_files, folders)) <= _at_most(MOST_BYTES)
        for folders in (stored, journals)
    )


def _at_most(size: int) -> int:
    return size // SHARE_OF_JOB if os.environ.get(JOB_VARIABLE) else size


def _size_of_files(folder: Path) -> int:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        return sum(_size(Path(entry.path)) for entry in entries if entry.is_file())
    return 0


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0

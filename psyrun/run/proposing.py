"""What is known of a task beside its costs, for what is proposed for it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from psyrun.estimate import Estimate
from psyrun.planning.current import round_data
from psyrun.planning.pilots import KnownCosts
from psyrun.planning.prepare import TaskRun
from psyrun.planning.proposals import Proposal, Situation, proposal_of
from psyrun.pspace.columns import Indices
from psyrun.queue.site import QueuedTask, parse_arguments
from psyrun.run.snakemake import site_arguments
from psyrun.scheduler import ImmediateRun
from psyrun.scheduler.limits import Limits
from psyrun.store.base import Store
from psyrun.store.rows import ColumnDict, count_rows
from psyrun.tasks.loading import Task
from psyrun.utils.process.threads import own_cores
from psyrun.workdir.layout import PROCESS

_OVERHEAD_IN_QUEUE = 2.0  # seconds of a job beside its evaluations
_OVERHEAD_HERE = 0.2
_COST_BYTES = 30  # of what is kept of the cost of a row
_MOST_LISTED = 2**21  # assignments of which those that are left are listed
_MOST_SAVED = 64  # rows, to measure them


def propose(run: TaskRun, task: Task, known: KnownCosts, found: Estimate) -> Proposal:
    """Return what a task will cost, and what is proposed for it.

    On this machine, a run may use all of its cores, however many pilots were evaluated
    at once.

    Parameters
    ----------
    run : TaskRun
        The task after pilots were evaluated.
    task : Task
        The task as its file is.
    known : KnownCosts
        What its rows tell.
    found : Estimate
        What they predict.
    """
    ok = known.evaluated.succeeded
    beside = _place(run, task)
    situation = Situation.of(
        task,
        n_left=len(known.space) - len(ok),
        space=known.space,
        left=_left(len(known.space), ok.rows),
        spent=float(ok.seconds.sum()),
        row_bytes=_row_bytes(run),
        **beside,
    )
    return proposal_of(found, situation)


def _place(run: TaskRun, task: Task) -> Mapping[str, Any]:
    """Return what is known of the queue, or of this machine."""
    if isinstance(task.scheduler, ImmediateRun):
        return {
            "cores": own_cores(),
            "overhead": _OVERHEAD_HERE,
            "limits": _limits_here(),
        }
    of_site = parse_arguments(site_arguments(task.scheduler.PROFILE, ()))
    plan = replace(run.plan, pool_size=task.pool_size)
    values = QueuedTask.of(task, plan, of_site).values(PROCESS, 0)
    return {
        "values": values,
        "overhead": _OVERHEAD_IN_QUEUE,
        "limits": task.scheduler.limits(values),
    }


def _limits_here() -> Limits:
    memory = None
    with suppress(ValueError, OSError):
        memory = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return Limits("this machine", None, memory, own_cores())


def _left(size: int, rows: Indices) -> Indices | None:
    """Return which assignments are left; None where there are too many to list."""
    if size > _MOST_LISTED:
        return None
    is_left = np.ones(size, dtype=np.bool_)
    is_left[rows] = False
    return np.flatnonzero(is_left)


def _row_bytes(run: TaskRun) -> float | None:
    """Return the bytes that each further row takes in a file; None if nothing tells."""
    for number in run.current.rounds_of(run.desired):
        data = round_data(run.task, run.layout.round(number))
        return _size_of_row(run.task.store, _some_pieces(data.pieces()))
    return None


def _some_pieces(pieces: Iterable[ColumnDict]) -> list[ColumnDict]:
    """Return the first few rows."""
    found, n = list[ColumnDict](), 0
    for rows in pieces:
        some = {key: column[: _MOST_SAVED - n] for key, column in rows.items()}
        found.append(some)
        n += count_rows(some)
        if n >= _MOST_SAVED:
            break
    return found


def _size_of_row(store: Store, pieces: Sequence[ColumnDict]) -> float | None:
    """Return what rows add to a file that has one already."""
    n = sum(map(count_rows, pieces))
    if n < 2:
        return None
    one = {key: column[:1] for key, column in pieces[0].items()}
    with tempfile.TemporaryDirectory() as folder:
        sizes = []
        for number, written in enumerate(([one], pieces)):
            path = Path(folder, f"{number}{store.ext}")
            with store.writer(str(path)) as writer:
                for rows in written:
                    writer.append(rows)
            sizes.append(path.stat().st_size)
    return max(0.0, (sizes[1] - sizes[0]) / (n - 1)) + _COST_BYTES

"""How many threads the workers of a run on this machine get, and its jobs cores."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from psyrun.planning.prepare import TaskRun
from psyrun.utils.environment import AT_ONCE_VARIABLE
from psyrun.utils.process.threads import own_cores, share_of, thread_settings


def settings_of_servers(
    tasks: Sequence[TaskRun], jobs: int | None
) -> dict[Path, dict[str, str]]:
    """Return what the fork server of each task has in its environment, by folder.

    The cores are shared by the workers that `jobs` allow for at the same time. Where
    there is only one, it has all of them. How many cores `jobs` may use is there, too.
    """
    cores = own_cores()
    n_workers = sum(len(t.decision.blocks) * t.plan.pool_size for t in tasks)
    at_once = min(jobs or 1, n_workers)
    return {
        task.layout.folder: {
            AT_ONCE_VARIABLE: str(jobs or 1),
            **thread_settings(
                task.plan.threads,
                share_of(cores, max(at_once, task.plan.pool_size)),
                os.environ,
            ),
        }
        for task in tasks
    }

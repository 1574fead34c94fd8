"""What a task asks for, with the options of a run."""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass, field
from typing import Any

from psyrun.planning.decide import Desired
from psyrun.tasks.config import DIVIDING
from psyrun.tasks.loading import Task
from psyrun.workdir.plan import DEFAULT_PYTHON


@dataclass(frozen=True)
class PlanOptions:
    """Options of a run that its plans depend on.

    Attributes
    ----------
    keep_going : bool
        Whether outdated rows are kept (``--continue``).
    accept_failures : bool
        Whether the result may lack the assignments that failed.
    max_failures : int or None
        How many assignments may fail, if that is not left to the task file.
    move_aside : bool
        Whether a file that is not psyrun's is renamed where the result is to go.
    token : str
        Name for a new merge.
    """

    keep_going: bool = False
    accept_failures: bool = False
    max_failures: int | None = None
    move_aside: bool = False
    token: str = field(default_factory=lambda: secrets.token_hex(4))

    @property
    def overrides(self) -> dict[str, Any]:
        """Special variables that take the place of those of the task file."""
        is_given = self.max_failures is not None
        return {"max_failures": self.max_failures} if is_given else {}


def desired_of(task: Task, options: PlanOptions, fingerprint: str) -> Desired:
    """Return what a task asks for in a version that has a fingerprint."""
    return Desired(
        task=task.name,
        taskfile=str(task.path),
        workdir=str(task.workdir),
        fingerprint=fingerprint,
        n_items=len(task.pspace),
        **{name: getattr(task, name) for name in DIVIDING},
        pool_size=task.pool_size,
        accept_failures=options.accept_failures,
        max_failures=task.max_failures,
        keep_blocks=task.keep_blocks,
        ext=task.store.ext,
        resultfile=str(task.resultfile),
        python=DEFAULT_PYTHON if task.python == sys.executable else task.python,
        token=options.token,
    )

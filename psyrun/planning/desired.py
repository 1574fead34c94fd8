"""What a task asks for, with the options of a run."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from psyrun.backend import DistributeBackend
from psyrun.backend.orders import SPACE
from psyrun.planning.states import Desired
from psyrun.scheduler import ImmediateRun
from psyrun.tasks.config import DIVIDING
from psyrun.tasks.loading import Task
from psyrun.tasks.version import Version
from psyrun.utils.numbers import numbers_in
from psyrun.utils.process.threads import AUTO
from psyrun.workdir.description import Description
from psyrun.workdir.plan import DEFAULT_PYTHON, Plan


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
    is_fresh : bool
        Whether all is evaluated again (``--fresh``).
    rerun : str or None
        What is evaluated again (``--rerun``): an expression, ``stale`` or ``failed``.
    order : str or None
        In which order assignments are evaluated, if that is not left to the task file.
    part : tuple of str
        Which part of the space is evaluated (``-p``), as `part_of` of
        `psyrun.pspace.candidates` reads it; empty for all. Where assignments are
        named by their numbers, they are pilots: each gets a job and one process, and
        a failure does not keep the others from being evaluated.
    limit : float or None
        How many seconds one evaluation may take, if it is less than the task allows.
    is_local : bool
        Whether jobs run on this machine, also those of a task with a queue.
    token : str
        Name for a new merge.
    """

    keep_going: bool = False
    accept_failures: bool = False
    max_failures: int | None = None
    move_aside: bool = False
    is_fresh: bool = False
    rerun: str | None = None
    order: str | None = None
    part: tuple[str, ...] = ()
    limit: float | None = None
    is_local: bool = False
    token: str = field(default_factory=lambda: secrets.token_hex(4))

    @property
    def is_of_pilots(self) -> bool:
        """Whether assignments are to be evaluated that tell the costs of the others."""
        return numbers_in(self.part) is not None

    @property
    def overrides(self) -> dict[str, Any]:
        """Special variables that take the place of those of the task file."""
        values = {"max_failures": self.max_failures, "order": self.order}
        found: dict[str, Any] = {n: v for n, v in values.items() if v is not None}
        if self.is_local:
            found |= {"scheduler": ImmediateRun(), "scheduler_args": {}}
        return found


class Sources(NamedTuple):
    """What the rows of a task are from, as in `Plan`."""

    fingerprint: str
    space_source: str
    also: tuple[str, ...] = ()
    seeding: str = ""


def sources_of(
    version: Version,
    plan: Plan | None,
    known: Collection[str],
    has_own_replicates: Callable[[], bool] = lambda: True,
) -> Sources:
    """Return the fingerprints of a task whose plan and `known` rows have others.

    Those that earlier versions of psyrun gave to the same source stay. Replicates that
    a space gets leave the rows of other points valid; that cannot be known if it had
    replicates of its own making.
    """
    found = _named_sources(version, plan, known)
    unseeded = version.code_without_seeding
    is_first = plan is not None and plan.fingerprint == unseeded
    if version.seeding and is_first and not has_own_replicates():
        found = found._replace(also=(unseeded,))
    return found._replace(seeding=version.seeding)


def _named_sources(
    version: Version, plan: Plan | None, known: Collection[str]
) -> Sources:
    text, space = version.code_text, version.space_text
    is_same = plan is not None and plan.seeding == version.seeding
    if plan is not None and is_same and text in plan.names:
        return Sources(plan.fingerprint, space, plan.also)
    if plan is None or not plan.is_former or text in known:
        return Sources(text, space)
    former = tuple(name for name in version.aliases if name in known)
    if not former:
        return Sources(text, space)
    return Sources(former[0], space, (text, *former[1:]))


def desired_of(task: Task, options: PlanOptions, sources: Sources) -> Desired:
    """Return what a task asks for in a version that has some fingerprints."""
    desired = Desired(
        task=task.name,
        taskfile=str(task.path),
        workdir=str(task.workdir),
        fingerprint=sources.fingerprint,
        space_source=sources.space_source,
        seeding=sources.seeding,
        also=sources.also,
        is_fresh=options.is_fresh,
        # However they are listed, it is the same part.
        part=tuple(sorted(options.part)),
        overwrite_dirty=task.overwrite_dirty,
        n_items=len(task.pspace),
        **{name: getattr(task, name) for name in DIVIDING},
        pool_size=task.pool_size,
        accept_failures=options.accept_failures,
        max_failures=task.max_failures,
        keep_blocks=task.keep_blocks,
        threads=task.threads,
        ext=task.store.ext,
        resultfile=str(task.resultfile),
        python=DEFAULT_PYTHON if task.python == sys.executable else task.python,
        token=options.token,
        described=Description(task.dims, task.coords, task.attrs).digest,
        limit=options.limit,
    )
    return _as_pilots(desired) if options.is_of_pilots else desired


def _as_pilots(desired: Desired) -> Desired:
    """Return what is desired where each assignment has a job of its own."""
    has_shared_cores = desired.threads == AUTO and desired.pool_size > 1
    return replace(
        desired,
        backend=DistributeBackend(),
        max_jobs=None,
        min_items=1,
        pool_size=1,
        order=SPACE,
        max_failures=None,
        # As most of them have among the others of their job.
        threads=1 if has_shared_cores else desired.threads,
    )

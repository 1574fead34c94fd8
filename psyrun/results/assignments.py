"""What became of each assignment of a task: failed, interrupted, running or to come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from psyrun.errors import enough_memory_for
from psyrun.pspace import ParameterSpace
from psyrun.results.cost_rules import CostRule, cost_rules_of
from psyrun.results.load import with_stores
from psyrun.workdir import journal
from psyrun.workdir.consistent_reads import retry_while_changing
from psyrun.workdir.division import DivisionCounts
from psyrun.workdir.evaluated import not_evaluated
from psyrun.workdir.failures import Failure, failures_of
from psyrun.workdir.in_flight import interrupted
from psyrun.workdir.layout import PROCESS, Round, layout_of
from psyrun.workdir.lock import jobs_of, live_holder
from psyrun.workdir.plan import Plan
from psyrun.workdir.rows import RoundData


@dataclass(frozen=True)
class AssignmentStates:
    """The assignments behind the numbers of a task.

    Attributes
    ----------
    space : ParameterSpace
        The space that was divided, or that of the task file if none was.
    failures : sequence of Failure
        Assignments that failed.
    missing : sequence of int
        Assignments that were not evaluated yet while nobody runs the task,
        ascending.
    running : sequence of int
        Assignments that running jobs have begun with or hold, ascending.
    queued : sequence of int
        Assignments that wait for a job, ascending.
    interrupted : sequence of int
        Those of `missing` that were being evaluated when their job was ended,
        ascending.
    cost_rules : sequence of CostRule
        Which of those with a row took most time and memory.
    data : RoundData or None
        The round of the task; None if its space was not divided.
    plan : Plan or None
        What was accepted last.
    """

    space: ParameterSpace
    failures: Sequence[Failure] = ()
    missing: Sequence[int] = ()
    running: Sequence[int] = ()
    queued: Sequence[int] = ()
    interrupted: Sequence[int] = ()
    cost_rules: Sequence[CostRule] = ()
    data: RoundData | None = None
    plan: Plan | None = None


def assignment_states(path: Path, name: str) -> AssignmentStates:
    """Return which assignments of a task failed, and which are not evaluated.

    The task file is run if the space was not divided yet, or holds values of
    classes that the task file defines.
    """
    return retry_while_changing(lambda: _states_of(path, name))


def _states_of(path: Path, name: str) -> AssignmentStates:
    layout = layout_of(path.parent, name)
    plan = Plan.load(layout)
    if plan is None or DivisionCounts.load(layout.round(plan.round)) is None:
        from psyrun.tasks.loading import load_task

        space = load_task(path).pspace
        return AssignmentStates(space, missing=range(len(space)))
    data = round_data(layout.round(plan.round), path)
    failures = failures_of(data.round)
    space = data.division.space
    with enough_memory_for(space, path):
        others = not_evaluated(data, failures).tolist()
        cost_rules = list(cost_rules_of(data))
    found = AssignmentStates(
        space, failures, cost_rules=cost_rules, data=data, plan=plan
    )
    jobs = jobs_of(layout.round(plan.round))
    if not jobs and live_holder(layout.lock) is None:
        interrupted = _interrupted(data, others)
        return replace(found, missing=others, interrupted=interrupted)
    held = _held(data, plan, jobs)
    running = [index for index in others if index in held]
    queued = [index for index in others if index not in held]
    return replace(found, running=running, queued=queued)


def round_data(round_: Round, path: Path, root: Path = Path()) -> RoundData:
    """Return the records of a divided round, with its space loaded.

    The task file is run if the space cannot be loaded without; its path is relative to
    `root`, the project folder.
    """
    counts = DivisionCounts.load(round_)
    ext = "" if counts is None else counts.ext
    data = with_stores(path, lambda stores: RoundData(round_, stores(ext)), root)
    with_stores(path, lambda stores: data.division, root)
    return data


def interrupted_with(round_: Round, path: Path, block: int) -> list[Mapping[str, Any]]:
    """Return the parameters that the job of a block evaluated when it was ended.

    They are in the order of the space. The task file is run if the space cannot be
    loaded without.
    """
    known = journal.latest(round_.journals_of(block))
    indices = [
        index for index in interrupted(round_.in_flight_of(block)) if index not in known
    ]
    if not indices:
        return []
    space = round_data(round_, path).division.space
    return [space[index] for index in sorted(indices)]


def _interrupted(data: RoundData, missing: Iterable[int]) -> list[int]:
    """Return the assignments that jobs were at which were ended."""
    paths = [path for _, path in data.round.last_in_flight().values()]
    at = {index for path in paths for index in interrupted(path)}
    return sorted(at.intersection(missing))


def _held(data: RoundData, plan: Plan, jobs: Iterable[str]) -> set[int]:
    """Return the assignments that running jobs evaluate now or will."""
    steps = (job.partition(":") for job in jobs)
    blocks = [int(block) for step, _, block in steps if step == PROCESS]
    if plan.fetches:
        last = data.round.last_in_flight()
        paths = [last[block][1] for block in blocks if block in last]
        return {index for path in paths for index in interrupted(path)}
    return {int(i) for block in blocks for i in data.division.indices(block)}

"""The assignments behind the numbers of ``psy status``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psyrun import journal
from psyrun.counts import Counts
from psyrun.failures import Failure
from psyrun.files import read_json
from psyrun.journal import Entry
from psyrun.layout import PROCESS, Round, TaskLayout
from psyrun.lock import holder_of, running_jobs
from psyrun.memory import enough_for
from psyrun.plan import Plan
from psyrun.progress import finished_blocks
from psyrun.reading import patiently, with_stores
from psyrun.slots import cut_off
from psyrun.status import accepted_plan, layout_of

if TYPE_CHECKING:
    from psyrun.pspace import ParameterSpace
    from psyrun.rounds import RoundData


@dataclass(frozen=True)
class Details:
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
    """

    space: ParameterSpace
    failures: Sequence[Failure] = ()
    missing: Sequence[int] = ()
    running: Sequence[int] = ()
    queued: Sequence[int] = ()
    interrupted: Sequence[int] = ()


def details_of(path: Path, name: str) -> Details:
    """Return which assignments of a task failed, and which are not evaluated.

    Parameters
    ----------
    path : Path
        The task file. It is run if the space was not divided yet, or holds
        values of classes that the task file defines.
    name : str
        Name of the task.

    Raises
    ------
    PsyrunError
        If the task file or what was recorded is not usable.
    """
    return patiently(lambda: _details_of(path, name))


def _details_of(path: Path, name: str) -> Details:
    layout = layout_of(path.parent, name)
    plan = accepted_plan(layout)
    if plan is None or Counts.load(layout.round(plan.round)) is None:
        from psyrun.tasks import load_task

        space = load_task(path).pspace
        return Details(space, missing=range(len(space)))
    data = round_data(layout.round(plan.round), path)
    failures = failures_of(data.round)
    space = data.division.space
    with enough_for(space, path):
        others = _others(data, failures)
    jobs = running_jobs(layout)
    if not jobs and holder_of(layout.lock) is None:
        return Details(
            space, failures, missing=others, interrupted=_interrupted(data, others)
        )
    held = _held(data, plan, jobs)
    running = [index for index in others if index in held]
    queued = [index for index in others if index not in held]
    return Details(space, failures, running=running, queued=queued)


def _others(data: RoundData, failures: Iterable[Failure]) -> list[int]:
    """Return the assignments that have no row and did not fail."""
    import numpy as np

    is_open = np.ones(len(data.division.space), dtype=bool)
    is_open[data.known()] = False
    is_open[[failure.index for failure in failures]] = False
    found: list[int] = np.flatnonzero(is_open).tolist()
    return found


def round_data(round_: Round, path: Path) -> RoundData:
    """Return what a divided round knows, with its space loaded.

    Parameters
    ----------
    round_ : Round
        Paths of the round.
    path : Path
        The task file, which is run if the space cannot be loaded without.

    Raises
    ------
    PsyrunError
        If the space cannot be loaded.
    """
    from psyrun.rounds import RoundData

    counts = Counts.load(round_)
    ext = "" if counts is None else counts.ext
    data = with_stores(path, lambda stores: RoundData(round_, stores(ext)))
    with_stores(path, lambda stores: data.division)
    return data


def interrupted_with(round_: Round, path: Path, block: int) -> list[Mapping[str, Any]]:
    """Return what a job was evaluating when it was ended.

    Parameters
    ----------
    round_ : Round
        Paths of its round.
    path : Path
        The task file, which is run if the space cannot be loaded without.
    block : int
        Number of the block.

    Returns
    -------
    list of mapping
        Parameters of the assignments, in the order of the space.

    Raises
    ------
    PsyrunError
        If the space cannot be loaded.
    """
    known = journal.latest(round_.journals_of(block))
    indices = [index for index in cut_off(round_.slots(block)) if index not in known]
    if not indices:
        return []
    space = round_data(round_, path).division.space
    return [space[index] for index in sorted(indices)]


def _interrupted(data: RoundData, missing: Iterable[int]) -> list[int]:
    """Return the assignments that jobs were at which were ended."""
    paths = data.round.journals.glob("*.slots")
    at = {index for path in paths for index in cut_off(path)}
    return sorted(at.intersection(missing))


def _held(data: RoundData, plan: Plan, jobs: Iterable[str]) -> set[int]:
    """Return the assignments that running jobs evaluate now or will."""
    steps = (job.partition(":") for job in jobs)
    blocks = [int(block) for step, _, block in steps if step == PROCESS]
    if plan.fetches:
        slots = (cut_off(data.round.slots(block)) for block in blocks)
        return {index for indices in slots for index in indices}
    return {int(i) for block in blocks for i in data.division.indices(block)}


def failures_of_task(layout: TaskLayout) -> list[Failure]:
    """Return the failed assignments of a task's last round.

    Nothing is unpickled and no task file is run.

    Parameters
    ----------
    layout : TaskLayout
        Paths of the task.

    Returns
    -------
    list of Failure
        In the order of the space.

    Raises
    ------
    PsyrunError
        If what was recorded is not usable.
    """
    plan = accepted_plan(layout)
    if plan is None:
        return []
    return patiently(lambda: failures_of(layout.round(plan.round)))


def failures_of(round_: Round) -> list[Failure]:
    """Return the failed assignments of a round.

    Parameters
    ----------
    round_ : Round
        Paths of the round.

    Returns
    -------
    list of Failure
        In the order of the space: those of journals, and those that finished
        blocks go without.

    Raises
    ------
    FileNotFoundError
        If a journal was removed meanwhile.
    """
    accepted = _accepted(round_)
    found = {index: _failure(index, told) for index, told in accepted.items()}
    recorded = list(_recorded(round_).items())
    told = journal.failures(entry for _, (entry, _) in recorded)
    sessions = journal.failures(session for _, (_, session) in recorded)
    for (index, (entry, _)), failure, session in zip(
        recorded, told, sessions, strict=True
    ):
        measured = {"duration": entry.duration, "peak": entry.peak}
        whole = {**failure, **measured, "host": session.get("host")}
        found[index] = _failure(index, whole, is_accepted=index in accepted)
    return [found[index] for index in sorted(found)]


def _accepted(round_: Round) -> dict[int, dict[str, Any]]:
    counts = Counts.load(round_)
    blocks = set() if counts is None else finished_blocks(round_, counts.ext)
    records = [read_json(round_.failed(block)) or {} for block in blocks]
    return {int(index): told for r in records for index, told in r.items()}


def _recorded(round_: Round) -> dict[int, tuple[Entry, Entry]]:
    """Return the last failure of each assignment without a row, and its session."""
    rows: set[int] = set()
    failed: dict[int, tuple[Entry, Entry]] = {}
    for path in sorted(round_.journals.glob("*.journal")):
        session = None
        for entry in journal.scan(path):
            if entry.kind == journal.SESSION:
                session = entry
            elif entry.kind == journal.ROW:
                rows.add(entry.index)
            elif session is not None:
                before = failed.get(entry.index)
                if before is None or before[0].start <= entry.start:
                    failed[entry.index] = (entry, session)
    return {index: failed[index] for index in failed.keys() - rows}


def _failure(index: int, told: dict[str, Any], *, is_accepted: bool = True) -> Failure:
    return Failure(
        index=index,
        type=told["type"],
        message=told["message"],
        where=told["where"],
        traceback=told["traceback"],
        parameters=told["parameters"],
        # A worker that died has left neither.
        duration=told.get("duration") or None,
        peak=told.get("peak") or None,
        host=told.get("host") or "",
        is_accepted=is_accepted,
    )

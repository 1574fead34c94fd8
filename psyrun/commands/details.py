"""The assignments behind the numbers of ``psy status``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psyrun import journal
from psyrun.errors import PsyrunError
from psyrun.files import read_json
from psyrun.layout import Round
from psyrun.plan import Plan
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
    unevaluated : sequence of int
        Assignments in it that were not evaluated yet, ascending.
    failures : dict of int to dict, or None
        Assignments in it that failed, with what `psyrun.journal` recorded of
        it; None where that is gone.
    """

    space: ParameterSpace
    unevaluated: Sequence[int]
    failures: dict[int, dict[str, Any] | None]


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
    layout = layout_of(path.parent, name)
    plan = accepted_plan(layout)
    if plan is None or not layout.round(plan.round).space.exists():
        from psyrun.tasks import load_task

        space = load_task(path).pspace
        return Details(space, range(len(space)), {})
    data = _data(layout.round(plan.round), plan, path)
    failed = _failed(data)
    known = {*data.known().tolist(), *failed}
    space = data.division.space
    unevaluated = [index for index in range(len(space)) if index not in known]
    return Details(space, unevaluated, _told(failed))


def _data(round_: Round, plan: Plan, path: Path) -> RoundData:
    from psyrun.rounds import RoundData
    from psyrun.store.registry import store_named
    from psyrun.tasks import load_task

    data = RoundData(round_, store_named(plan.block_ext))
    if not _is_loadable(data):
        load_task(path)
    return data


def _is_loadable(data: RoundData) -> bool:
    try:
        return len(data.division.space) >= 0
    except PsyrunError:
        return False


def _failed(data: RoundData) -> dict[int, journal.Entry | None]:
    found: dict[int, journal.Entry | None] = {}
    for block in range(data.division.n_blocks):
        known = journal.latest(data.round.journals_of(block))
        if data.has_block(block):
            accepted = read_json(data.round.failed(block)) or []
            found |= {index: known.get(index) for index in accepted}
        else:
            found |= {i: e for i, e in known.items() if e.kind == journal.FAILURE}
    return dict(sorted(found.items()))


def _told(
    failed: Mapping[int, journal.Entry | None],
) -> dict[int, dict[str, Any] | None]:
    entries = {index: entry for index, entry in failed.items() if entry is not None}
    told = dict(zip(entries, journal.failures(entries.values()), strict=True))
    return {index: told.get(index) for index in failed}

"""What is known of a round whose plan or division is damaged, from what else tells it.

Plan and division tell of each other, and the Snakefile of both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from psyrun.backend.orders import SPACE
from psyrun.planning.desired import PlanOptions, Sources, desired_of
from psyrun.planning.snakefile import Rendered
from psyrun.tasks.loading import Task
from psyrun.workdir import frames, journal
from psyrun.workdir.damage import try_to
from psyrun.workdir.division import Division, DivisionCounts
from psyrun.workdir.layout import Round, TaskLayout, block_of_journal
from psyrun.workdir.old_rounds import OF_ROWS
from psyrun.workdir.plan import Plan
from psyrun.workdir.progress import MergeRecord


class Numbers(NamedTuple):
    """What is known of a division; named as in `DivisionCounts`."""

    fingerprint: str
    n_blocks: int
    ext: str
    fetches: bool
    n_items: int | None = None
    n_open: int | None = None
    n_former: int = 0
    n_older: int = 0
    space_source: str = OF_ROWS
    order: str = SPACE
    n_whole: int | None = None

    @classmethod
    def of(cls, counts: DivisionCounts) -> Numbers:
        """Return those that are recorded."""
        return cls(*(getattr(counts, name) for name in cls._fields))


@dataclass(frozen=True)
class RecordRepair:
    """The records of the rounds of a task."""

    task: Task
    layout: TaskLayout

    def plan_for(self, number: int, numbers: Numbers) -> Plan:
        """Return the plan of a round."""
        round_ = self.layout.round(number)
        merged = try_to(MergeRecord.load, round_)
        stated = self._rendered(number)
        sources = Sources(numbers.fingerprint, numbers.space_source)
        desired = desired_of(self.task, PlanOptions(), sources)
        plan = Plan(
            **desired.settings,
            round=number,
            division=desired.division,
            order=numbers.order,
            fetches=numbers.fetches,
            n_blocks=numbers.n_blocks,
            block_ext=numbers.ext,
            keeps_all=None if numbers.n_older or numbers.n_former else False,
            result_ext=desired.ext,
            merge=desired.token,
            n_items=numbers.n_items,
        )
        plan = replace(plan, workdir=str(self.layout.folder.parent))
        if stated is not None:
            plan = replace(plan, resultfile=stated.resultfile, merge=stated.merge)
        if merged is not None:
            is_lacking = merged.n_failed > 0
            plan = replace(plan, resultfile=merged.into, accept_failures=is_lacking)
            plan = replace(plan, merge=merged.merge if stated is None else plan.merge)
        return replace(plan, result_ext=Path(plan.resultfile).suffix)

    def _rendered(self, number: int) -> Rendered | None:
        found = Rendered.read(self.layout.snakefile)
        return found if found is not None and found.round == number else None

    def numbers(self, number: int, round_: Round, division: Division | None) -> Numbers:
        """Return what is known of the division of a round, if its record is not."""
        counts = try_to(DivisionCounts.read, round_)
        if counts is not None:
            return Numbers.of(counts)
        plan = try_to(Plan.load, self.layout)
        stated = self._rendered(number)
        fetches = any(round_.blocks.glob(".*.rows.npy")) or round_.claims.exists()
        fetches &= not any(round_.blocks.glob(".*.failed.json"))
        if plan is not None and plan.round == number:
            numbers = Numbers(
                plan.fingerprint, plan.n_blocks, plan.block_ext, plan.fetches
            )._replace(space_source=plan.space_source, order=plan.order)
            if plan.part:
                # How large the whole space is, is not known.
                numbers = numbers._replace(n_whole=plan.n_items or 0)
        elif stated is not None:
            numbers = Numbers(
                stated.fingerprint, stated.n_blocks, stated.block_ext, fetches
            )
        else:
            numbers = self._numbers_of_files(round_, fetches)
        if plan is None or plan.round != number:
            numbers = numbers._replace(order=self.task.order)
        if division is None:
            return numbers
        return numbers._replace(
            n_blocks=division.n_blocks,
            n_items=len(division.space),
            n_open=len(division.open),
            n_whole=None if division.whole is None else len(division.whole),
        )

    def _numbers_of_files(self, round_: Round, fetches: bool) -> Numbers:
        """Return what the names of the files of jobs, and their journals, tell."""
        sessions = (
            entry
            for path in round_.all_journals()
            for entry in journal.scan(path)
            if entry.kind == frames.SESSION
        )
        session = next(journal.failures(sessions), {})
        blocks = [p for p in round_.blocks.glob("[0-9]*") if p.stem.isdecimal()]
        numbers = [int(path.stem) for path in blocks]
        numbers += map(block_of_journal, round_.all_journals())
        ext = blocks[0].suffix if blocks else self.task.store.ext
        fingerprint = str(session.get("fingerprint", ""))
        return Numbers(fingerprint, max(numbers, default=-1) + 1, ext, fetches)

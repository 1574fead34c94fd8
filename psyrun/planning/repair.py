"""Rebuilds what is damaged or gone of a work folder, from what is left.

Records come first, then spaces, then all else, as each is made from the former. What
cannot be used is set aside, never removed.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from psyrun.errors import DamagedFileError, PsyrunError, is_refusal
from psyrun.planning.block_repair import BlockRepair, damaged_lists
from psyrun.planning.inspection import Inspection
from psyrun.planning.kept_repair import KeptRepair
from psyrun.planning.record_repair import Numbers, RecordRepair
from psyrun.planning.space_repair import SpaceRepair
from psyrun.steps.agreement import check_agreement, files_of
from psyrun.steps.row_check import RowCheck
from psyrun.steps.work_queue import close_claims
from psyrun.store import Store
from psyrun.store.registry import store_with
from psyrun.tasks.loading import Task
from psyrun.workdir import journal
from psyrun.workdir.damage import is_in_use, rounds_in_use, set_aside, try_to
from psyrun.workdir.division import Division, DivisionCounts
from psyrun.workdir.layout import MERGE, SPLIT, Round, TaskLayout
from psyrun.workdir.merged_rows import MergedRows
from psyrun.workdir.plan import Plan
from psyrun.workdir.progress import MergeRecord
from psyrun.workdir.row_sources import rows_of
from psyrun.workdir.second_names import put_lists_back, put_rows_back
from psyrun.workdir.step_note import step_note


@dataclass(eq=False)
class Repair:
    """Rebuilds records of a task, whose lock is held.

    Attributes
    ----------
    said : list of str
        What was done, one line for each file.
    """

    task: Task
    layout: TaskLayout
    said: list[str] = field(default_factory=list)
    _repairs: dict[Path, BlockRepair] = field(default_factory=dict, init=False)

    @cached_property
    def _records(self) -> RecordRepair:
        return RecordRepair(self.task, self.layout)

    @cached_property
    def _spaces(self) -> SpaceRepair:
        return SpaceRepair(self.task, self.layout, self._records, self._store)

    def _store(self, ext: str) -> Store:
        return store_with(ext, self.task.store)

    def mend_records(self) -> bool:
        """Rebuild plan, divisions and records of merges; return if one was damaged.

        Only small files are read.
        """
        before = len(self.said)
        for number, round_ in rounds_in_use(self.layout).items():
            self._mend_division(number, round_)
        self._mend_plan()
        for round_ in self.layout.rounds().values():
            self._mend_merge_record(round_)
            self._put_back(round_)
        return len(self.said) > before

    def mend_rows(self, *, is_thorough: bool = False) -> bool:
        """Mend what rows are taken from; see `mend_blocks`."""
        is_mended = self.mend_spaces() | self.mend_lists() | self.mend_merged_rows()
        is_mended |= self.mend_blocks(is_thorough=is_thorough)
        return is_mended | self.mend_kept(is_thorough=is_thorough)

    def mend_spaces(self) -> bool:
        """Rebuild frozen spaces that cannot be read, and what workers agreed on."""
        before = len(self.said)
        for number, round_ in rounds_in_use(self.layout).items():
            if round_.space.exists() and not self._has_sound_space(round_):
                self._rebuild_space(number, round_)
            self._mend_agreement(round_)
        return len(self.said) > before

    def mend_blocks(self, *, is_thorough: bool = False) -> bool:
        """Make damaged blocks anew, or set them aside.

        They are read only if they seem to have been changed, a step of their round has
        found damage, or `is_thorough`.
        """
        before = len(self.said)
        inspection = Inspection(self.layout, self._store)
        for round_ in rounds_in_use(self.layout).values():
            if (repair := self._block_repair(round_)) is None:
                continue
            is_quick = not (is_thorough or _has_reported_damage(round_))
            faults = inspection.of_blocks(round_, repair.counts, is_quick=is_quick)
            for fault in faults:
                if (block := _block_of(fault.path)) is not None:
                    self._mend_block(round_, block, fault.problem)
        return len(self.said) > before

    def mend_kept(self, *, is_thorough: bool = False) -> bool:
        """Make rows anew that were taken over from earlier rounds; see `mend_blocks`.

        Before they are merged, each round has a file of its own of them.
        """
        before = len(self.said)
        for round_ in self.layout.rounds().values():
            if (blocks := self._block_repair(round_)) is None:
                continue
            repair = KeptRepair(self.layout, self._records, blocks)
            is_quick = not (is_thorough or _has_reported_damage(round_))
            if problem := repair.problem(is_quick=is_quick):
                done = repair.mend()
                self._repairs.pop(round_.folder)
                self._say(round_.kept(blocks.counts.ext), problem, done)
        return len(self.said) > before

    def mend_merged_rows(self) -> bool:
        """Have the rows of merged rounds again of which the result is still right."""
        before = len(self.said)
        for round_ in self.layout.rounds().values():
            merged = try_to(MergeRecord.load, round_)
            found = try_to(MergedRows.load, round_)
            path = None if found is None else found.path(round_)
            if merged and found and path and path.exists() and found.problem(round_):
                result = Path(merged.into)
                if not found.file.problem_of(result):
                    problem = _aside(path, round_.damaged)
                    put_rows_back(round_, result.suffix)
                    self._say(path, problem, f"is {result} again")
        return len(self.said) > before

    def mend_lists(self) -> bool:
        """Make lists of accepted failures anew, without which nothing can be merged."""
        before = len(self.said)
        for round_ in rounds_in_use(self.layout).values():
            counts = try_to(DivisionCounts.load, round_)
            for block, is_merged in damaged_lists(round_, counts.ext) if counts else ():
                self._mend_list(round_, block, is_merged=is_merged)
        return len(self.said) > before

    def _mend_list(self, round_: Round, block: int, *, is_merged: bool) -> None:
        path = round_.failed(block)
        problem = "is damaged" if path.exists() else "is gone"
        if not is_merged:
            self._mend_block(round_, block, f"its list {path.name} {problem}")
        elif (repair := self._block_repair(round_)) is not None:
            repair.mend_list(block)
            self._say(path, problem, "made anew from what the result lacks")

    def mend_files(self) -> None:
        """Set aside all other files that are damaged; rows that are left come back."""
        stores = self._store
        for fault in Inspection(self.layout, stores).faults():
            block = _block_of(fault.path)
            if block is not None:
                self._mend_block(Round(fault.path.parents[1]), block, fault.problem)
            elif fault.can_be_spared and fault.path.exists():
                kept = set_aside(fault.path, self.layout.damaged)
                self._say(fault.path, fault.problem, f"set aside as {kept}")

    def _say(self, path: Path, problem: str, done: str) -> None:
        self.said.append(f"{self.task.name}: {path}: {problem}; {done}")

    # Plan and divisions

    def _mend_division(self, number: int, round_: Round) -> None:
        counts = try_to(DivisionCounts.read, round_)
        if not _has_right_size(round_, counts):
            self._rebuild_space(number, round_)
        elif counts is None:
            self._rebuild_counts(number, round_)

    def _rebuild_counts(self, number: int, round_: Round) -> None:
        problem = _aside(round_.division, round_.damaged)
        division = try_to(Division.load, round_)
        if division is None:
            self._rebuild_space(number, round_)
            return
        numbers = self._records.numbers(number, round_, division)
        division.save(round_, self._records.plan_for(number, numbers))
        self._say(round_.division, problem, "rebuilt from the frozen space")

    def _rebuild_space(self, number: int, round_: Round) -> None:
        problem = _aside(round_.space, round_.damaged)
        done = self._spaces.rebuild(number, round_)
        self._say(round_.space, problem, done)

    def _mend_plan(self) -> None:
        if not _is_damaged(self.layout):
            return
        problem = _aside(self.layout.state, self.layout.damaged)
        known = {
            number: counts
            for number, round_ in self.layout.rounds().items()
            if (counts := try_to(DivisionCounts.load, round_)) is not None
        }
        if not known:
            self._say(self.layout.state, problem, "nothing was computed yet")
            return
        number = max(known)
        numbers = Numbers.of(known[number])
        self._records.plan_for(number, numbers).save(self.layout)
        self._say(
            self.layout.state, problem, f"rebuilt from the records of round {number}"
        )

    # Blocks

    def _mend_block(self, round_: Round, block: int, problem: str) -> None:
        if (repair := self._block_repair(round_)) is None:
            return
        done = repair.mend(block)
        self._say(round_.block(block, repair.counts.ext), problem, done)

    def _has_sound_space(self, round_: Round) -> bool:
        # Most spaces are needed again for the blocks.
        known = self._block_repair(round_)
        return known is not None or try_to(Division.load, round_) is not None

    def _block_repair(self, round_: Round) -> BlockRepair | None:
        if round_.folder not in self._repairs:
            counts = try_to(DivisionCounts.load, round_)
            division = try_to(Division.load, round_)
            if counts is None or division is None:
                return None
            known_as = self.task.known_as
            repair = BlockRepair(round_, counts, division, self._store, known_as)
            self._repairs[round_.folder] = repair
        return self._repairs[round_.folder]

    # Merges and agreements

    def _mend_merge_record(self, round_: Round) -> None:
        if round_.merged.exists() and try_to(MergeRecord.load, round_) is None:
            problem = _aside(round_.merged, round_.damaged)
            self._say(round_.merged, problem, "the result is merged again")

    def _put_back(self, round_: Round) -> None:
        """Have files again that are there by another name only."""
        counts = try_to(DivisionCounts.load, round_)
        if counts is None:
            return
        put_lists_back(round_, counts.ext)
        try_to(put_rows_back, round_, counts.ext)
        is_begun = is_in_use(round_) and not round_.merged.exists()
        if counts.fetches and is_begun and not round_.claims.exists():
            # It is not known any more what was fetched: jobs only end what they have.
            close_claims(round_.claims, counts.n_open)

    def _mend_agreement(self, round_: Round) -> None:
        """Find out anew what the workers of a round have agreed on."""
        problem, files = _problem_of_agreement(round_), files_of(round_.keys)
        counts = try_to(DivisionCounts.load, round_)
        division = try_to(Division.load, round_)
        if not problem or counts is None or division is None:
            return
        for path in files:
            set_aside(path, round_.damaged)
        paths = round_.all_journals()
        recorded = rows_of(journal.latest(paths, verify=True))
        in_order = sorted(recorded.values(), key=lambda entry: entry.start)
        with suppress(PsyrunError):
            self._check_rows(round_, counts, division, journal.rows(in_order))
        if files or recorded:
            self._say(round_.keys, problem, "rebuilt from the rows in the journals")

    def _check_rows(
        self,
        round_: Round,
        counts: DivisionCounts,
        division: Division,
        rows: Iterable[dict[str, Any]],
    ) -> None:
        kept = division.kept_types, division.kept_large
        check = RowCheck(self._store(counts.ext), round_.keys, *kept)
        for row in rows:
            check(row)


def _has_right_size(round_: Round, counts: DivisionCounts | None) -> bool:
    """Whether a frozen space may be what was written, without reading it."""
    if not round_.space.exists():
        return False
    recorded = None if counts is None else counts.space
    return recorded is None or recorded.size == round_.space.stat().st_size


def _has_reported_damage(round_: Round) -> bool:
    """Whether a step of a round has failed that may have found damaged rows."""
    notes = map(step_note, (round_.error(MERGE), round_.error(SPLIT)))
    return any(note is not None for note in notes)


def _block_of(path: Path) -> int | None:
    """Return the block whose store file a path is, if it is one."""
    is_block = path.parent.name in ("blocks", "finished") and path.stem.isdecimal()
    return int(path.stem) if is_block else None


def _problem_of_agreement(round_: Round) -> str:
    if not round_.all_journals():
        return ""
    if not round_.keys.exists() or not round_.keys.stat().st_size:
        return "is gone"
    try:
        check_agreement(round_.keys)
    except PsyrunError as error:
        if is_refusal(error):
            raise
        return "is damaged, and set aside"
    return ""


def _is_damaged(layout: TaskLayout) -> bool:
    """Whether there is no plan that can be read, although there should be."""
    try:
        Plan.load(layout)
    except DamagedFileError:
        return True
    return False


def _aside(path: Path, folder: Path) -> str:
    """Set a file aside and return what is wrong with it."""
    if not path.exists():
        return "is gone"
    return f"is damaged, and set aside as {set_aside(path, folder)}"

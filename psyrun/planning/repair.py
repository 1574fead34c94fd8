"""Rebuilds what is damaged or gone of a work folder, from what is left.

Plan and division tell of each other, and the Snakefile of both. The space is that of
the task file if its source is the same and the rows fit to it; else it is made from the
parameters in the rows. What cannot be used is set aside, never removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from psyrun.backend import equal_ranges
from psyrun.errors import DamagedFileError, PsyrunError
from psyrun.planning.block_repair import BlockRepair
from psyrun.planning.desired import PlanOptions, desired_of
from psyrun.planning.inspection import Inspection
from psyrun.planning.snakefile import Rendered
from psyrun.pspace import Param, ParameterSpace
from psyrun.pspace.matching import match_stored
from psyrun.pspace.param import select
from psyrun.steps.agreement import check_agreement, files_of
from psyrun.steps.row_check import RowCheck
from psyrun.store import Store
from psyrun.store.arrays import Indices, take
from psyrun.store.registry import store_with
from psyrun.store.rows import ColumnDict, count_rows
from psyrun.tasks.loading import Task
from psyrun.tasks.version import Version, version_of
from psyrun.utils.text import counted
from psyrun.workdir import frames, journal
from psyrun.workdir.checksums import BlockRecord
from psyrun.workdir.damage import rounds_in_use, set_aside, try_to
from psyrun.workdir.division import Division, DivisionCounts
from psyrun.workdir.failures import accepted_failures
from psyrun.workdir.layout import Round, TaskLayout
from psyrun.workdir.plan import Plan
from psyrun.workdir.progress import MergeRecord, block_files
from psyrun.workdir.row_sources import columns_of, rows_of


class _Numbers(NamedTuple):
    """What is known of a division; named as in `DivisionCounts`."""

    fingerprint: str
    n_blocks: int
    ext: str
    fetches: bool
    n_items: int | None = None
    n_open: int | None = None
    n_former: int = 0
    n_older: int = 0


@dataclass
class _Rows:
    """Rows that were found of a round.

    Attributes
    ----------
    indices : ndarray of int64, or None
        Their assignments in the space; None if these are not known.
    """

    columns: ColumnDict
    indices: Indices | None = None


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
        return len(self.said) > before

    def mend_spaces(self) -> bool:
        """Rebuild frozen spaces that cannot be read, and what workers agreed on."""
        before = len(self.said)
        for number, round_ in rounds_in_use(self.layout).items():
            if round_.space.exists() and try_to(Division.load, round_) is None:
                self._rebuild_space(number, round_)
            self._mend_agreement(round_)
        return len(self.said) > before

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
        numbers = self._numbers(number, round_, division)
        division.save(round_, self._plan_for(number, numbers))
        self._say(round_.division, problem, "rebuilt from the frozen space")

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
        plan = self._plan_for(number, _numbers_of(known[number]), tuple(known))
        plan.save(self.layout)
        self._say(
            self.layout.state, problem, f"rebuilt from the records of round {number}"
        )

    def _plan_for(
        self, number: int, numbers: _Numbers, rounds: tuple[int, ...] = ()
    ) -> Plan:
        """Return the plan of a round; `rounds` are all that there are."""
        round_ = self.layout.round(number)
        merged = try_to(MergeRecord.load, round_)
        stated = self._rendered(number)
        desired = desired_of(self.task, PlanOptions(), numbers.fingerprint)
        plan = Plan(
            **desired.settings,
            round=number,
            division=desired.division,
            fetches=numbers.fetches,
            n_blocks=numbers.n_blocks,
            block_ext=numbers.ext,
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
        elif numbers.n_open == numbers.n_items:
            superseded = tuple(n for n in rounds if n != number)
            plan = replace(plan, superseded=superseded)
        return replace(plan, result_ext=Path(plan.resultfile).suffix)

    def _rendered(self, number: int) -> Rendered | None:
        found = Rendered.read(self.layout.snakefile)
        return found if found is not None and found.round == number else None

    def _numbers(
        self, number: int, round_: Round, division: Division | None
    ) -> _Numbers:
        """Return what is known of the division of a round, if its record is not."""
        counts = try_to(DivisionCounts.read, round_)
        if counts is not None:
            return _numbers_of(counts)
        plan = try_to(Plan.load, self.layout)
        stated = self._rendered(number)
        fetches = any(round_.blocks.glob(".*.rows.npy")) or round_.claims.exists()
        fetches &= not any(round_.blocks.glob(".*.failed.json"))
        if plan is not None and plan.round == number:
            numbers = _Numbers(
                plan.fingerprint, plan.n_blocks, plan.block_ext, plan.fetches
            )
        elif stated is not None:
            numbers = _Numbers(
                stated.fingerprint, stated.n_blocks, stated.block_ext, fetches
            )
        else:
            numbers = self._numbers_of_files(round_, fetches)
        if division is None:
            return numbers
        return numbers._replace(
            n_blocks=division.n_blocks,
            n_items=len(division.space),
            n_open=len(division.open),
        )

    def _numbers_of_files(self, round_: Round, fetches: bool) -> _Numbers:
        """Return what the names of the files of jobs, and their journals, tell."""
        sessions = (
            entry
            for path in sorted(round_.journals.glob("*.journal"))
            for entry in journal.scan(path)
            if entry.kind == frames.SESSION
        )
        session = next(journal.failures(sessions), {})
        blocks = [p for p in round_.blocks.glob("[0-9]*") if p.stem.isdecimal()]
        numbers = [int(path.stem) for path in blocks]
        numbers += [
            int(path.name.partition("-")[0])
            for path in round_.journals.glob("[0-9]*-*.journal")
        ]
        ext = blocks[0].suffix if blocks else self.task.store.ext
        fingerprint = str(session.get("fingerprint", ""))
        return _Numbers(fingerprint, max(numbers, default=-1) + 1, ext, fetches)

    # Blocks

    def _mend_block(self, round_: Round, block: int, problem: str) -> None:
        counts = try_to(DivisionCounts.load, round_)
        division = try_to(Division.load, round_)
        if counts is None or division is None:
            return
        repair = BlockRepair(round_, counts, division, self._store)
        origin = repair.mend(block)
        done = f"made anew from {origin}" if origin else _SET_ASIDE
        self._say(round_.block(block, counts.ext), problem, done)

    # Merges and agreements

    def _mend_merge_record(self, round_: Round) -> None:
        if round_.merged.exists() and try_to(MergeRecord.load, round_) is None:
            problem = _aside(round_.merged, round_.damaged)
            self._say(round_.merged, problem, "the result is merged again")

    def _mend_agreement(self, round_: Round) -> None:
        """Find out anew what the workers of a round have agreed on."""
        problem, files = _problem_of_agreement(round_), files_of(round_.keys)
        counts = try_to(DivisionCounts.load, round_)
        division = try_to(Division.load, round_)
        if not problem or counts is None or division is None:
            return
        for path in files:
            set_aside(path, round_.damaged)
        paths = sorted(round_.journals.glob("*.journal"))
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

    # Spaces

    @cached_property
    def _version(self) -> Version:
        layout = self.layout
        return version_of(self.task, layout.digests, layout.source, layout.loaded)

    def _store(self, ext: str) -> Store:
        return store_with(ext, self.task.store)

    def _rebuild_space(self, number: int, round_: Round) -> None:
        problem = _aside(round_.space, round_.damaged)
        numbers = self._numbers(number, round_, None)
        is_same = self._version.named([numbers.fingerprint]) == numbers.fingerprint
        rows = self._rows(round_, numbers, len(self.task.pspace) if is_same else None)
        found = self._space(numbers, rows, is_same=is_same)
        if found is None:
            self._salvage(number, round_, numbers, problem)
            return
        space, origin = found
        if origin == _UNKNOWN:
            numbers = numbers._replace(fingerprint="")
        division = Division(space, numbers.n_blocks)
        before = try_to(DivisionCounts.read, round_)
        division.save(round_, self._plan_for(number, numbers))
        _take_over_blocks(round_, before)
        self._say(round_.space, problem, f"rebuilt from {origin}")

    def _space(
        self, numbers: _Numbers, rows: _Rows, *, is_same: bool
    ) -> tuple[ParameterSpace, str] | None:
        """Return the space that a round had, and where it is from."""
        space, indices = self.task.pspace, rows.indices
        if indices is None:
            return None
        is_same = is_same and numbers.n_items in (None, len(space))
        if is_same and self._fit(space, rows):
            return space, "the task file"
        n_items = numbers.n_items or (len(space) if is_same else len(indices))
        points = self._parameters(rows.columns)
        if is_same:
            # A random space: what is evaluated already stays as it is.
            return _filled(space, indices, points), "the rows and the task file"
        columns = {key: [np.nan] * n_items for key in points}
        for key, values in points.items():
            for index, value in zip(indices, values, strict=True):
                columns[key][index] = value
        if not columns:
            return None
        is_complete = len(indices) == n_items
        return Param(**columns), "the rows" if is_complete else _UNKNOWN

    def _parameters(self, columns: ColumnDict) -> ColumnDict:
        keys = [k for k in self.task.pspace.keys() if k in columns]  # noqa: SIM118
        return {key: columns[key] for key in keys}

    def _fit(self, space: ParameterSpace, rows: _Rows) -> bool:
        """Whether rows have the parameters of their assignments in a space."""
        points, indices = self._parameters(rows.columns), rows.indices
        if indices is None or not points:
            return True
        if indices.max(initial=-1) >= len(space):
            return False
        found = match_stored(select(space, indices), points, list(points))
        return np.array_equal(found, np.arange(len(indices)))

    def _rows(self, round_: Round, numbers: _Numbers, n_items: int | None) -> _Rows:
        """Return the rows of a round, with their assignments if these are known."""
        n_items = n_items if numbers.n_items is None else numbers.n_items
        if (of_result := self._rows_of_result(round_, n_items)) is not None:
            return of_result
        parts = list(self._parts(round_, numbers, n_items))
        columns = self._store(numbers.ext).concatenate([p.columns for p in parts])
        is_kept = numbers.n_open != numbers.n_items
        is_kept |= round_.kept(numbers.ext).exists()
        if is_kept or any(part.indices is None for part in parts):
            return _Rows(columns)
        found = [part.indices for part in parts if part.indices is not None]
        return _Rows(columns, np.concatenate([np.empty(0, np.int64), *found]))

    def _rows_of_result(self, round_: Round, n_items: int | None) -> _Rows | None:
        """Return the rows of the result, if it has those of a space of this size."""
        columns = self._result(round_)
        blocks = [_number(path) for path in round_.blocks.glob(".*.failed.json")]
        lists = [try_to(accepted_failures, round_, block) for block in blocks]
        failed = [index for each in lists for index in each or ()]
        if columns is None or n_items != count_rows(columns) + len(failed):
            return None
        lacking = np.array(failed, dtype=np.int64)
        return _Rows(columns, np.setdiff1d(np.arange(n_items), lacking))

    def _result(self, round_: Round) -> ColumnDict | None:
        """Return what the last merge of a round wrote, None if that is changed."""
        merged = try_to(MergeRecord.load, round_)
        if merged is None or not merged.is_complete(round_):
            return None
        store = self._store(Path(merged.into).suffix)
        for path in (Path(merged.into), *round_.folder.glob(f"rows-*{store.ext}")):
            is_known = merged.result is None or not merged.result.problem_of(path)
            columns = try_to(store.load, path) if is_known else None
            if columns is not None and count_rows(columns) == merged.n_rows:
                return columns
        return None

    def _parts(
        self, round_: Round, numbers: _Numbers, n_items: int | None
    ) -> Iterator[_Rows]:
        """Yield the rows of each file of a round that can be read."""
        store = self._store(numbers.ext)
        finished = block_files(round_, numbers.ext)
        sizes: dict[int, Indices] = {}
        if n_items is not None and numbers.n_blocks:
            ranges = equal_ranges(n_items, numbers.n_blocks)
            sizes = {b: np.arange(*each) for b, each in enumerate(ranges)}
        unreadable = set()
        for block, path in finished.items():
            columns = try_to(store.load, path)
            if columns is None:
                unreadable.add(block)
            elif n_rows := count_rows(columns):
                listed = _listed(round_, block)
                indices = sizes.get(block) if listed is None else listed
                is_right = indices is not None and len(indices) == n_rows
                yield _Rows(columns, indices if is_right else None)
        paths = [
            path
            for path in sorted(round_.journals.glob("*.journal"))
            if int(path.name.partition("-")[0]) not in finished.keys() - unreadable
        ]
        recorded = rows_of(journal.latest(paths, verify=True))
        if recorded:
            columns = columns_of(journal.rows(recorded.values()), store)
            yield _Rows(columns, np.fromiter(recorded, np.int64, len(recorded)))

    def _salvage(
        self, number: int, round_: Round, numbers: _Numbers, problem: str
    ) -> None:
        """Put all rows of a round into a new one, whose space is that of the rows.

        The next run finds them there by their parameters.
        """
        rows, n_former = self._all_rows(round_, numbers)
        if not (n_rows := count_rows(rows)):
            kept = set_aside(round_.folder, round_.damaged)
            done = f"there are no rows; the round is set aside as {kept}"
            self._say(round_.space, problem, done)
            return
        new = max(self.layout.rounds()) + 1
        store, target = self._store(numbers.ext), self.layout.round(new)
        target.folder.mkdir()
        store.save(target.kept(store.ext), rows)
        n_items = n_rows - n_former
        division = Division(
            Param(**take(self._parameters(rows), np.arange(n_items))),
            0,
            np.arange(n_items),
            np.arange(n_items, n_rows),
            take(self._parameters(rows), np.arange(n_items, n_rows)),
            (numbers.fingerprint if not numbers.n_older else "",),
            np.zeros(n_rows, np.int64),
        )
        saved = numbers._replace(n_blocks=0, n_items=n_items, n_open=0)
        division.save(target, self._plan_for(new, saved))
        plan = self._plan_for(new + 1, saved)
        is_same = n_items == numbers.n_items and not n_former
        replace(
            plan, keep="round", keep_rounds=(new,), same_space=is_same, superseded=()
        ).save(self.layout)
        set_aside(round_.folder, round_.damaged)
        self._say(round_.space, problem, f"its {counted(n_rows, 'row')} are kept")

    def _all_rows(self, round_: Round, numbers: _Numbers) -> tuple[ColumnDict, int]:
        """Return all rows of a round, those that are not in its space last."""
        if (columns := self._result(round_)) is not None:
            return columns, numbers.n_former
        store = self._store(numbers.ext)
        kept = try_to(store.load, round_.kept(store.ext))
        parts = [] if kept is None else [kept]
        parts += [part.columns for part in self._parts(round_, numbers, None)]
        return store.concatenate(parts), 0


_SET_ASIDE = "set aside; 'psy run' evaluates what only it held"
_UNKNOWN = "the rows; what is missing of it is not known any more"


def _has_right_size(round_: Round, counts: DivisionCounts | None) -> bool:
    """Whether a frozen space may be what was written, without reading it."""
    if not round_.space.exists():
        return False
    recorded = None if counts is None else counts.space
    return recorded is None or recorded.size == round_.space.stat().st_size


def _take_over_blocks(round_: Round, before: DivisionCounts | None) -> None:
    """Record of blocks that their assignments are those of the space as it is now."""
    now = DivisionCounts.load(round_)
    former = None if before is None else before.space
    for path in round_.blocks.glob(".*.json"):
        number = path.name.strip(".").removesuffix(".json")
        record = (
            try_to(BlockRecord.load, round_, int(number))
            if number.isdecimal()
            else None
        )
        if now is None or record is None or record.space == now.space:
            continue
        if former is None or record.space == former:
            replace(record, space=now.space).save(round_, int(number))


def _number(path: Path) -> int:
    return int(path.name.strip(".").partition(".")[0])


def _block_of(path: Path) -> int | None:
    """Return the block whose store file a path is, if it is one."""
    is_block = path.parent.name in ("blocks", "finished") and path.stem.isdecimal()
    return int(path.stem) if is_block else None


def _problem_of_agreement(round_: Round) -> str:
    if not any(round_.journals.glob("*.journal")):
        return ""
    if not round_.keys.exists() or not round_.keys.stat().st_size:
        return "is gone"
    try:
        check_agreement(round_.keys)
    except PsyrunError:
        return "is damaged, and set aside"
    return ""


def _is_damaged(layout: TaskLayout) -> bool:
    """Whether there is no plan that can be read, although there should be."""
    try:
        Plan.load(layout)
    except DamagedFileError:
        return True
    return False


def _numbers_of(counts: DivisionCounts) -> _Numbers:
    return _Numbers(*(getattr(counts, name) for name in _Numbers._fields))


def _aside(path: Path, folder: Path) -> str:
    """Set a file aside and return what is wrong with it."""
    if not path.exists():
        return "is gone"
    return f"is damaged, and set aside as {set_aside(path, folder)}"


def _listed(round_: Round, block: int) -> Indices | None:
    try:
        indices: Indices = np.load(round_.rows(block))
    except (OSError, ValueError, EOFError):
        return None
    return indices


def _filled(
    space: ParameterSpace, indices: Indices, points: Mapping[str, Any]
) -> ParameterSpace:
    """Return a space with other points at some indices."""
    columns = {key: list(values) for key, values in space.build().items()}
    for key, values in points.items():
        for index, value in zip(indices, values, strict=True):
            columns[key][index] = value
    return Param(**columns)

"""Makes the rows anew that a round has taken over, from where they were before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from psyrun.planning.block_repair import BlockRepair
from psyrun.planning.record_repair import Numbers, RecordRepair
from psyrun.pspace.candidates import Candidates
from psyrun.pspace.tolerance import KnownAs
from psyrun.store import Store
from psyrun.store.arrays import Indices, take
from psyrun.store.rows import ColumnDict
from psyrun.utils.checksums import Checksum
from psyrun.utils.files import duplicate, write_json
from psyrun.utils.text import counted
from psyrun.workdir.comparison import AssignedRows
from psyrun.workdir.damage import set_aside, try_to
from psyrun.workdir.division import Division, DivisionCounts
from psyrun.workdir.layout import Round, TaskLayout
from psyrun.workdir.merged_rows import MergedRows
from psyrun.workdir.plan import Plan
from psyrun.workdir.replaced import replaced_in
from psyrun.workdir.result_file import recorded_results
from psyrun.workdir.reuse import from_rounds
from psyrun.workdir.row_sources import ordered
from psyrun.workdir.rows import RoundData
from psyrun.workdir.rows_there import fingerprint_of, rows_of_rounds
from psyrun.workdir.taken import pieces_of, taken_of


@dataclass(frozen=True)
class KeptRepair:
    """The kept rows of a round, whose space and numbers can be read.

    Parameters
    ----------
    blocks : BlockRepair
        Its blocks.
    """

    layout: TaskLayout
    records: RecordRepair
    blocks: BlockRepair

    @property
    def _round(self) -> Round:
        return self.blocks.round

    @property
    def _store(self) -> Store:
        return self.blocks.stores(self.blocks.counts.ext)

    @property
    def _path(self) -> Path:
        return self._round.kept(self._store.ext)

    @property
    def _known_as(self) -> KnownAs:
        return self.records.task.known_as

    @property
    def _n_rows(self) -> int:
        versions = self.blocks.division.versions
        return -1 if versions is None else len(versions)

    def problem(self, *, is_quick: bool) -> str:
        """Return what is wrong with the file; empty if nothing is, or nobody needs it.

        If it `is_quick`, only its size counts.
        """
        known = self.blocks.counts.kept
        if known is None or try_to(MergedRows.load, self._round) is not None:
            return ""
        size = self._path.stat().st_size if self._path.exists() else -1
        return "" if is_quick and size == known.size else known.problem_of(self._path)

    def mend(self) -> str:
        """Make the file anew, and return how in a few words.

        If that is not possible, its rows are those that the round has not.
        """
        if self._path.exists():
            set_aside(self._path, self._round.damaged)
        for source in self._same_files():
            duplicate(source, self._path)
            return "made anew from the result"
        plan = try_to(Plan.load, self.layout)
        origins = [("the result", self._from_result)]
        if plan is not None and self.layout.round(plan.round) == self._round:
            origins.append(("the rows of before", lambda: self._of_before(plan)))
        for origin, write in origins:
            if try_to(write) and self._is_right():
                self._record()
                return f"made anew from {origin}"
        self._path.unlink(missing_ok=True)
        return self._without(() if plan is None else plan.keep_rounds)

    def _same_files(self) -> Iterator[Path]:
        """Yield files that have what the kept file had."""
        paths = [Path(path) for path in recorded_results(self.layout)]
        for round_ in self.layout.rounds().values():
            paths += round_.folder.glob(f"rows-*{self._store.ext}")
        known = self.blocks.counts.kept
        for path in paths:
            if known is not None and not known.problem_of(path):
                yield path

    def _from_result(self) -> bool:
        """Take the rows from the result, which has those of the space and the others.

        Return whether there is one of this round.
        """
        found, division = self.blocks.of_result, self.blocks.division
        kept = division.kept
        if found is None or kept is None or division.n_former:
            return False
        indices = np.flatnonzero(kept >= 0)
        if not np.isin(indices, found.indices).all():
            return False
        rows = np.empty(len(indices), np.int64)
        rows[kept[indices]] = np.searchsorted(found.indices, indices)
        self._store.save(self._path, take(found.columns, rows))
        return True

    def _of_before(self, plan: Plan) -> bool:
        """Take the rows from where split took them; return whether they are there."""
        if plan.keep == "result":
            columns = self.blocks.stores(plan.result_ext).load(plan.resultfile)
            self._store.save(self._path, self._completed(columns))
            return True
        if plan.keep != "round":
            return False
        known_as = KnownAs() if plan.same_space else self._known_as
        rounds = [*map(self._data, plan.keep_rounds)]
        there = rows_of_rounds(
            [(data, fingerprint_of(data)) for data in rounds],
            same_space=plan.same_space,
            may_stay=plan.may_stay,
            replaced=[replaced_in(data, plan.honoured) for data in rounds],
        ).with_defaults(known_as)
        whole = self.blocks.division.whole_space
        among = Candidates.of(whole, plan.part, there.points)
        found = from_rounds(
            known_as.as_in(among.space, there.points),
            there.among(among),
            plan.names,
            keeps_all=plan.keeps_all is not False,
            is_chosen=among.is_chosen,
        )
        with self._store.writer(self._path) as writer:
            for rows in pieces_of(taken_of(rounds, found.used)):
                writer.append(rows if plan.same_space else self._completed(rows))
        return True

    def _completed(self, rows: ColumnDict) -> ColumnDict:
        """Return rows with the defaults of parameters that they lack, as split does."""
        excluded = self.records.task.exclude_from_result
        keys = set(self._known_as.defaults).difference(excluded)
        return self._known_as.completed_columns(rows, keys)

    def _data(self, number: int) -> RoundData:
        round_ = self.layout.round(number)
        found = try_to(MergedRows.load, round_)
        path = None if found is None else found.path(round_)
        if found and path and path.exists() and found.problem(round_, quick=False):
            set_aside(path, round_.damaged)
        counts = DivisionCounts.load(round_)
        ext = self.blocks.counts.ext if counts is None else counts.ext
        return RoundData(round_, self.blocks.stores(ext))

    def _is_right(self) -> bool:
        division = self.blocks.division
        if self._store.count(self._path) != self._n_rows or division.kept is None:
            return False
        indices = np.flatnonzero(division.kept >= 0)
        rows = AssignedRows(self._store, self._path, indices, division.kept[indices])
        return not rows.problem(division.space, division.kept_compared)

    def _record(self) -> None:
        counts = replace(self.blocks.counts, kept=Checksum.of(self._path))
        write_json(self._round.division, asdict(counts))

    def _without(self, before: tuple[int, ...]) -> str:
        """Go on without these rows: in a new round, with those that are left.

        Rounds of before may have some of them.
        """
        counts, division = self.blocks.counts, self.blocks.division
        new = max(self.layout.rounds()) + 1
        indices = self._write_evaluated(self.layout.round(new))
        numbers = Numbers.of(counts)._replace(n_blocks=0)
        if n_rows := len(indices):
            kept = np.full(len(division.space), -1, np.int64)
            kept[indices] = np.arange(n_rows)
            Division(
                division.space,
                0,
                kept,
                np.empty(0, np.int64),
                {},
                (counts.fingerprint,),
                np.zeros(n_rows, np.int64),
                whole=division.whole,
                part=division.part,
            ).save(self.layout.round(new), self.records.plan_for(new, numbers))
        rounds = (*((new,) if n_rows else ()), *before)
        replace(
            self.records.plan_for(new + 1, numbers),
            keep="round" if rounds else "",
            keep_rounds=rounds,
            same_space=rounds == (new,),
            superseded=(),
        ).save(self.layout)
        set_aside(self._round.folder, self._round.damaged)
        n_lost = len(division.space) - n_rows
        return f"gone; {counted(n_lost, 'assignment')} may be evaluated again"

    def _write_evaluated(self, target: Round) -> Indices:
        """Write the rows of the blocks of the round, and return their assignments."""
        data = RoundData(self._round, self._store, _ignore, _ignore)
        blocks = range(self.blocks.division.n_blocks)
        sources = [each for each in map(data.source, blocks) if len(each.indices)]
        if not sources:
            return np.empty(0, np.int64)
        target.folder.mkdir()
        with self._store.writer(target.kept(self._store.ext)) as writer:
            for rows in data.in_order(ordered(sources)):
                writer.append(rows)
        return np.sort(np.concatenate([each.indices for each in sources]))


def _ignore(*_: object) -> None:
    pass

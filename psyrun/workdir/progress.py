"""How far a task is, from the records of its jobs: nothing is unpickled."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from psyrun.utils.checksums import Checksum
from psyrun.utils.files import damaged, read_json, write_json
from psyrun.utils.records import checked, is_name, of_record, read_record
from psyrun.workdir import frames, journal
from psyrun.workdir.checksums import BlockRecord
from psyrun.workdir.division import DivisionCounts
from psyrun.workdir.layout import Round, TaskLayout
from psyrun.workdir.plan import Plan

_LATE = 60.0  # seconds
Failures: TypeAlias = dict[str, dict[str, Any]]
"""The records of failed assignments, by their numbers."""
FileStamp: TypeAlias = tuple[int, ...]
"""Of a file: other numbers once it was replaced."""


@dataclass(frozen=True)
class Tally:
    """Numbers of assignments.

    Attributes
    ----------
    done, failed : int
        With a row, and without one because the last evaluation failed.
    total : int
        In the space; 0 while that is not known.
    """

    done: int = 0
    failed: int = 0
    total: int = 0

    @property
    def is_open(self) -> bool:
        """Whether some have no outcome yet, or it is not known how many there are."""
        return not self.total or self.done + self.failed < self.total

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.done + other.done,
            self.failed + other.failed,
            self.total + other.total,
        )


@dataclass
class _UnfinishedBlock:
    """What was read of the growing journals of one block."""

    positions: dict[Path, int] = field(default_factory=dict)
    gaps: dict[Path, tuple[int, float]] = field(default_factory=dict)
    rows: dict[int, float] = field(default_factory=dict)
    failed: set[int] = field(default_factory=set)
    withdrawn: set[tuple[int, float]] = field(default_factory=set)

    def read_more(self, path: Path) -> None:
        # The journals are removed when their round is merged.
        with suppress(FileNotFoundError):
            position, rows = self.positions.get(path, 0), self.rows
            for kind, index, begun, first, end in journal.outcomes(path, position):
                # There may be very many of them.
                if kind == frames.ROW and not self.withdrawn and index not in rows:
                    rows[index] = begun
                else:
                    self._take(kind, index, begun)
                if first == position or self._is_damage(path, position):
                    position = end
            self.positions[path] = position

    def _is_damage(self, path: Path, gap: int) -> bool:
        """Whether what is no record stays none: network disks show some late."""
        found, since = self.gaps.get(path, (gap, time.monotonic()))
        if found != gap:
            since = time.monotonic()
        self.gaps[path] = gap, since
        return time.monotonic() - since > _LATE

    def _take(self, kind: int, index: int, begun: float) -> None:
        if kind == frames.ROW and (index, begun) not in self.withdrawn:
            self.rows[index] = max(begun, self.rows.get(index, begun))
        elif kind in (frames.FAILURE, frames.WITHDRAWAL):
            self.failed.add(index)
        if kind == frames.WITHDRAWAL:
            self.withdrawn.add((index, begun))
            if self.rows.get(index) == begun:
                del self.rows[index]

    @property
    def tally(self) -> Tally:
        return Tally(len(self.rows), len(self.failed - self.rows.keys()))


class _AcceptedFailures:
    """Counts the failures of finished blocks, reading each record once."""

    def __init__(self, round_: Round) -> None:
        self._round = round_
        self._counts: dict[int, tuple[FileStamp, int]] = {}

    def count(self, finished: set[int]) -> int:
        # A block gets its record before its file: this list is newer than that of
        # the files, so that it has all records.
        found: dict[int, tuple[FileStamp, int]] = {}
        for entry in _entries(self._round.blocks):
            block = _block_of_record(entry.name)
            if block in finished:
                with suppress(FileNotFoundError):
                    found[block] = self._read(block, stamp_of(entry.stat()))
        self._counts = found
        return sum(n_failed for _, n_failed in found.values())

    def _read(self, block: int, stamp: FileStamp) -> tuple[FileStamp, int]:
        before = self._counts.get(block)
        if before is not None and before[0] == stamp:
            return before
        return stamp, len(_failures(self._round.failed(block)))


def _failures(path: Path) -> Failures:
    record = read_json(path)
    return {} if record is None else checked(path, record, Failures)


def _block_of_record(name: str) -> int:
    """Return the block whose failures a file lists; -1 for another file."""
    match name.split("."):
        case ["", number, "failed", "json"] if number.isdecimal():
            return int(number)
    return -1


def stamp_of(status: os.stat_result) -> FileStamp:
    """Return what changes when a file is replaced."""
    return status.st_ino, status.st_mtime_ns, status.st_size


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    # Much faster than Path.glob, where a folder has ten thousand files.
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


class RoundProgress:
    """How far a round is; each tally reads only what is new."""

    def __init__(self, round_: Round) -> None:
        self._round = round_
        self._unfinished: dict[int, _UnfinishedBlock] = {}
        self._accepted = _AcceptedFailures(round_)
        self._n_rows: dict[int, int] = {}

    def tally(self) -> Tally:
        """Count assignments."""
        counts = DivisionCounts.load(self._round)
        if counts is None:
            return Tally()
        merged = MergeRecord.load(self._round)
        if merged is not None:
            n_failed = merged.n_failed
            return Tally(counts.n_items - n_failed, n_failed, counts.n_items)
        finished = self._finished(counts)
        failed = self._accepted.count(finished)
        done = counts.n_items - counts.n_open + self._n_of(finished, failed, counts)
        tally = Tally(done - failed, failed, counts.n_items)
        self._read_journals(finished)
        return sum((block.tally for block in self._unfinished.values()), tally)

    def _finished(self, counts: DivisionCounts) -> set[int]:
        """Return the blocks whose assignments are counted by those of their files."""
        emptied = {
            int(stem)
            for entry in _entries(self._round.finished)
            if (stem := entry.name.removesuffix(counts.ext)).isdecimal()
        }
        # Which assignments a job fetched is known from its journals, as long as these
        # have them.
        finished = finished_blocks(self._round, counts.ext)
        return emptied if counts.fetches else finished | emptied

    def _n_of(self, finished: set[int], failed: int, counts: DivisionCounts) -> int:
        """Return how many assignments finished blocks have, also those that failed."""
        if not counts.fetches:
            sizes = counts.sizes
            return sum(sizes[block] for block in finished)
        for block in finished - self._n_rows.keys():
            record = BlockRecord.load(self._round, block)
            self._n_rows[block] = 0 if record is None else record.n_rows
        return failed + sum(self._n_rows[block] for block in finished)

    def _read_journals(self, finished: set[int]) -> None:
        for block in finished & self._unfinished.keys():
            del self._unfinished[block]
        folder = self._round.journals
        for name in sorted(entry.name for entry in _entries(folder)):
            number, _, rest = name.partition("-")
            # Other programs may have left files there, such as ``._0-0.journal``.
            if not rest.endswith(".journal") or not number.isdecimal():
                continue
            if (block := int(number)) not in finished:
                journals = self._unfinished.setdefault(block, _UnfinishedBlock())
                journals.read_more(folder / name)


def finished_blocks(round_: Round, ext: str, folder: Path | None = None) -> set[int]:
    """Return the blocks of a round that have their store file.

    With `folder`, those that have one there.
    """
    names = (entry.name for entry in _entries(folder or round_.blocks))
    stems = (name.removesuffix(ext) for name in names if name.endswith(ext))
    return {int(stem) for stem in stems if stem.isdecimal()}


def block_files(round_: Round, ext: str) -> dict[int, Path]:
    """Return the store files of the blocks that are finished, by one of their names."""
    entries = [*_entries(round_.finished), *_entries(round_.blocks)]
    named = ((entry.name.removesuffix(ext), entry.path) for entry in entries)
    found = {int(stem): Path(path) for stem, path in named if stem.isdecimal()}
    return dict(sorted(found.items()))


@dataclass(frozen=True)
class MergeRecord:
    """What a merge wrote.

    Attributes
    ----------
    merge : str
        Name of the merge.
    into : str
        The result file.
    n_rows, n_failed : int
        Rows in it, and assignments that it lacks.
    failed_before, cut_off_before : int
        Assignments that were evaluated again because they had failed, or because
        their job was killed.
    result : Checksum or None
        Of the result file; None where an earlier version of psyrun wrote it.
    modified : int or None
        When the result file was written, in nanoseconds since the epoch.
    described : str or None
        Digest of the `Description` that the result has; None if that is not known.
    """

    merge: str
    into: str
    n_rows: int
    n_failed: int = 0
    failed_before: int = 0
    cut_off_before: int = 0
    result: Checksum | None = None
    modified: int | None = None
    described: str | None = None

    def problem_of_result(self, path: Path, *, quick_in: Round | None = None) -> str:
        """Return why a file is not the result that was written; empty if it is.

        With `quick_in`, the round of the merge, a file of the right size is read only
        if it was modified since. Of a result that an earlier version of psyrun wrote
        it is only known whether it is there.
        """
        try:
            status = path.stat()
        except FileNotFoundError:
            return "is gone"
        if self.result is None:
            return ""
        is_same = quick_in is not None and is_untouched(
            quick_in, self.modified, status.st_mtime_ns
        )
        if is_same and status.st_size == self.result.size:
            return ""
        return self.result.problem_of(path)

    def save(self, round_: Round) -> None:
        """Write the record of a round."""
        write_json(round_.merged, asdict(self))

    @classmethod
    def load(cls, round_: Round) -> MergeRecord | None:
        """Read the record of a round, None where no merge got that far."""
        record: MergeRecord | None = read_record(round_.merged, cls)
        if record is not None and not all(map(is_name, (record.merge, record.into))):
            raise damaged(round_.merged, "has names that no file can have")
        return record

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> MergeRecord:
        """Return one from JSON; `ValueError` if it is none."""
        return of_record(cls, record)

    def is_complete(self, round_: Round) -> bool:
        """Whether the merge ended well.

        If it did not, Snakemake has removed its mark, and has put back the
        result that was there before.
        """
        return round_.merge_mark(self.merge).exists()


def is_untouched(round_: Round, modified: int | None, now: int) -> bool:
    """Whether nobody wrote to the result of a round, by the time of the file.

    Snakemake gives all that a job has made a later time, the mark of the merge at last.
    """
    if modified is None or now < modified:
        return False
    marks = round_.folder.glob(round_.merge_mark("*").name)
    return now == modified or any(now <= mark.stat().st_mtime_ns for mark in marks)


def changed_result(layout: TaskLayout, path: Path, root: Path = Path()) -> str:
    """Return why a result file is not what the last merge wrote; empty if it is.

    Its path is relative to `root`, the project folder. Nothing is said of a file that
    no merge of the task wrote.
    """
    for round_ in reversed(layout.rounds().values()):
        merged = MergeRecord.load(round_)
        if merged is not None and merged.into == str(path):
            file = root / path
            is_known = merged.is_complete(round_) and file.exists()
            if not is_known:
                return ""
            return merged.problem_of_result(file, quick_in=round_)
    return ""


def told_of_change(path: Path, problem: str) -> str:
    """Return a sentence that says what `changed_result` has found."""
    return f"{path}: it {problem}, so it was changed or damaged."


def is_merged(layout: TaskLayout, plan: Plan) -> bool:
    """Whether the result of a plan is there, and nothing is missing."""
    round_ = layout.round(plan.round)
    merged = MergeRecord.load(round_)
    return (
        merged is not None
        and merged.is_complete(round_)
        and merged.merge == plan.merge
        and merged.into == plan.resultfile
        and not merged.problem_of_result(Path(plan.resultfile), quick_in=round_)
        and len(finished_blocks(round_, plan.block_ext)) == plan.n_blocks
    )

"""How far a task is, read from what its jobs have recorded.

Nothing is unpickled and no task file is imported.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from psyrun.utils.files import damaged, read_json
from psyrun.workdir import journal
from psyrun.workdir.division import DivisionCounts
from psyrun.workdir.layout import Round, TaskLayout
from psyrun.workdir.plan import Plan


@dataclass(frozen=True)
class Tally:
    """Numbers of assignments.

    Attributes
    ----------
    done : int
        With a row.
    failed : int
        Without a row, because their last evaluation failed.
    total : int
        In the space; 0 while that is not known.
    """

    done: int = 0
    failed: int = 0
    total: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.done + other.done,
            self.failed + other.failed,
            self.total + other.total,
        )


@dataclass
class _OpenBlock:
    """What was read of the growing journals of one block."""

    positions: dict[Path, int] = field(default_factory=dict)
    rows: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)

    def read_on(self, path: Path) -> None:
        # A journal is gone as soon as its round is merged.
        with suppress(FileNotFoundError):
            start = self.positions.get(path, 0)
            for kind, index, end in journal.outcomes(path, start):
                self.positions[path] = end
                if kind == journal.ROW:
                    self.rows.add(index)
                elif kind == journal.FAILURE:
                    self.failed.add(index)

    @property
    def tally(self) -> Tally:
        return Tally(len(self.rows), len(self.failed - self.rows))


class _Lacking:
    """How many assignments finished blocks go without; each record is read once."""

    def __init__(self, round_: Round) -> None:
        self._round = round_
        self._known: dict[int, tuple[tuple[int, ...], int]] = {}

    def count(self, finished: set[int]) -> int:
        # A block gets its record before its file: this list is newer than that of
        # the files, so that it has all records.
        found: dict[int, tuple[tuple[int, ...], int]] = {}
        for entry in _entries(self._round.blocks):
            block = _block_of_record(entry.name)
            if block in finished:
                with suppress(FileNotFoundError):
                    found[block] = self._read(block, _version(entry.stat()))
        self._known = found
        return sum(n_lacking for _, n_lacking in found.values())

    def _read(
        self, block: int, version: tuple[int, ...]
    ) -> tuple[tuple[int, ...], int]:
        known = self._known.get(block)
        if known is not None and known[0] == version:
            return known
        return version, len(read_json(self._round.failed(block)) or ())


def _block_of_record(name: str) -> int:
    """Return whose failures a file lists, by its name; -1 if it is another file."""
    match name.split("."):
        case ["", number, "failed", "json"] if number.isdecimal():
            return int(number)
    return -1


def _version(status: os.stat_result) -> tuple[int, ...]:
    return status.st_ino, status.st_mtime_ns, status.st_size


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    # Much faster than Path.glob, where a folder has ten thousand files.
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


class RoundProgress:
    """How far a round is; each look reads only what is new.

    Parameters
    ----------
    round_ : Round
        Paths of the round.
    """

    def __init__(self, round_: Round) -> None:
        self._round = round_
        self._open: dict[int, _OpenBlock] = {}
        self._lacking = _Lacking(round_)

    def tally(self) -> Tally:
        """Count assignments."""
        counts = DivisionCounts.load(self._round)
        if counts is None:
            return Tally()
        merged = MergeRecord.load(self._round)
        if merged is not None:
            n_failed = merged.n_failed
            return Tally(counts.n_items - n_failed, n_failed, counts.n_items)
        # Which assignments a job fetched stands in its journals only.
        finished = set() if counts.fetches else finished_blocks(self._round, counts.ext)
        sizes = counts.sizes
        lacking = self._lacking.count(finished)
        done = counts.n_items - counts.n_open + sum(sizes[b] for b in finished)
        tally = Tally(done - lacking, lacking, counts.n_items)
        self._read_on(finished)
        return sum((block.tally for block in self._open.values()), tally)

    def _read_on(self, finished: set[int]) -> None:
        for block in finished & self._open.keys():
            del self._open[block]
        folder = self._round.journals
        for name in sorted(entry.name for entry in _entries(folder)):
            number, _, rest = name.partition("-")
            if rest.endswith(".journal") and int(number) not in finished:
                self._open.setdefault(int(number), _OpenBlock()).read_on(folder / name)


def finished_blocks(round_: Round, ext: str) -> set[int]:
    """Return the blocks of a round that have their store file."""
    names = (entry.name for entry in _entries(round_.blocks))
    stems = (name.removesuffix(ext) for name in names if name.endswith(ext))
    return {int(stem) for stem in stems if stem.isdecimal()}


@dataclass(frozen=True)
class MergeRecord:
    """What a merge wrote.

    Attributes
    ----------
    merge : str
        Name of the merge.
    into : str
        The result file.
    n_rows : int
        Rows in it.
    n_failed : int
        Assignments that it goes without.
    failed_before : int
        Assignments that were evaluated again because they had failed.
    cut_off_before : int
        Assignments that were evaluated again because their job was killed.
    """

    merge: str
    into: str
    n_rows: int
    n_failed: int = 0
    failed_before: int = 0
    cut_off_before: int = 0

    @classmethod
    def load(cls, round_: Round) -> MergeRecord | None:
        """Return the record of a round, None where no merge got that far.

        Raises
        ------
        StoreError
            If it is damaged.
        """
        record = read_json(round_.merged)
        try:
            return None if record is None else cls(**record)
        except TypeError as error:
            raise damaged(round_.merged, "has other entries than expected") from error

    def is_complete(self, round_: Round) -> bool:
        """Whether the merge ended well.

        If it did not, Snakemake has removed its mark, and has put back the
        result that was there before.
        """
        return round_.merge_mark(self.merge).exists()


def is_merged(layout: TaskLayout, plan: Plan) -> bool:
    """Whether the result of a plan is there, and nothing is open."""
    round_ = layout.round(plan.round)
    merged = MergeRecord.load(round_)
    return (
        merged is not None
        and merged.is_complete(round_)
        and merged.merge == plan.merge
        and merged.into == plan.resultfile
        and Path(plan.resultfile).exists()
        and len(finished_blocks(round_, plan.block_ext)) == plan.n_blocks
    )

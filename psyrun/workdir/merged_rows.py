"""The rows of a merged round, which are those of its result: one file, two names."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from psyrun.errors import StoreError
from psyrun.utils.checksums import Checksum
from psyrun.utils.files import (
    damaged,
    explained,
    file_beside,
    link,
    read_json,
    write_json,
)
from psyrun.utils.records import is_name, read_record
from psyrun.workdir.layout import Round
from psyrun.workdir.progress import MergeRecord, finished_blocks, is_untouched

if TYPE_CHECKING:
    from psyrun.store.arrays import Indices


@dataclass(frozen=True)
class MergedRows:
    """What is recorded of them.

    Attributes
    ----------
    name : str
        Name of the file in the folder of the round.
    n_rows : int
        How many rows it has: those of the space in its order, then the others.
    lacks : tuple of int
        Assignments of the space that have no row in it.
    file : Checksum
        What it is recognized by.
    modified : int
        When it was written, in nanoseconds since the epoch.
    compared : tuple of str
        Parameters that have the values of the assignments in its rows.
    """

    name: str
    n_rows: int
    lacks: tuple[int, ...]
    file: Checksum
    modified: int
    compared: tuple[str, ...] = ()

    @classmethod
    def load(cls, round_: Round) -> MergedRows | None:
        """Read the record of a round, None where blocks have its rows.

        If it is gone, that of the merge says the same. Raises `StoreError` if it is
        damaged, and neither is there.
        """
        try:
            return cls.read(round_) or cls._of_merge(round_)
        except StoreError:
            if found := cls._of_merge(round_):
                return found
            raise

    @classmethod
    def _of_merge(cls, round_: Round) -> MergedRows | None:
        merged = MergeRecord.load(round_)
        if merged is None or merged.result is None or merged.modified is None:
            return None
        lacks = cls.lacking(round_)
        if len(lacks) != merged.n_failed:
            return None
        of_file = (merged.n_rows, tuple(lacks), merged.result, merged.modified)
        found = (cls(path.name, *of_file) for path in round_.folder.glob("rows-*"))
        return next((each for each in found if not each.problem(round_)), None)

    @staticmethod
    def lacking(round_: Round) -> list[int]:
        """Return the assignments that have no row, as the blocks list them."""
        failed = round_.failure_lists()
        return sorted(int(index) for path in failed for index in read_json(path) or ())

    @classmethod
    def read(cls, round_: Round) -> MergedRows | None:
        """Read the record itself; None if there is none.

        Raises `StoreError` if it is damaged.
        """
        found: MergedRows | None = read_record(round_.merged_rows, cls)
        if found is not None and not found._is_sound:
            raise damaged(round_.merged_rows, "has entries that cannot be")
        return found

    @property
    def _is_sound(self) -> bool:
        is_here = is_name(self.name) and Path(self.name).name == self.name
        return is_here and self.n_rows >= 0 and min(self.lacks, default=0) >= 0

    def path(self, round_: Round) -> Path:
        """Return where the file is."""
        return round_.folder / self.name

    def problem(self, round_: Round, *, quick: bool = True) -> str:
        """Return why the file is not the one that was recorded; empty if it is.

        If `quick`, it is read only if it was modified since.
        """
        path = self.path(round_)
        with suppress(FileNotFoundError):
            status = path.stat()
            is_same = status.st_size == self.file.size
            if quick and is_same and self._is_untouched(round_, status.st_mtime_ns):
                return ""
        return self.file.problem_of(path)

    def _is_untouched(self, round_: Round, now: int) -> bool:
        return is_untouched(round_, self.modified, now)

    def indices(self, n_items: int) -> Indices:
        """Return the assignments of the space that have a row, ascending."""
        import numpy as np

        found: Indices = np.arange(n_items)
        return np.delete(found, list(self.lacks)) if self.lacks else found


def sound_rows(round_: Round) -> MergedRows | None:
    """Return the record of the rows of a round if their file seems to be sound."""
    found = MergedRows.load(round_)
    return None if found is None or found.problem(round_) else found


def keep_rows(
    round_: Round,
    result: Path,
    n_rows: int,
    lacks: list[int],
    file: Checksum,
    compared: Iterable[str] = (),
) -> bool:
    """Let the result be what has the rows of a round; return whether that is possible.

    The frozen space gets a second name as well: rows belong to it.
    """
    name = f"rows-{secrets.token_hex(4)}{result.suffix}"
    path = round_.folder / name
    if not link(result, path) or not link(round_.space, round_.merged_space):
        path.unlink(missing_ok=True)
        return False
    modified = path.stat().st_mtime_ns
    of_file = n_rows, tuple(lacks), file, modified
    record = MergedRows(name, *of_file, compared=tuple(sorted(compared)))
    write_json(round_.merged_rows, asdict(record))
    for other in round_.folder.glob("rows-*"):
        if other != path:
            other.unlink()
    return True


def empty_blocks(round_: Round, ext: str) -> None:
    """Replace the blocks of a round by empty files, which are all that Snakemake asks.

    Lists of accepted failures stay.
    """
    for block in finished_blocks(round_, ext):
        empty_block(round_, block, ext)
    for path in (round_.kept(ext), file_beside(round_.kept(ext))):
        path.unlink(missing_ok=True)


def empty_block(round_: Round, block: int, ext: str) -> None:
    """Put an empty file in the place of a block.

    Whoever has it open goes on reading what it was.
    """
    path = round_.block(block, ext)
    beside = path.with_name(f".{path.name}.empty")
    with explained(path):
        round_.blocks.mkdir(exist_ok=True)
        # Without it, nothing says that the block is to have rows.
        round_.block_record(block).unlink(missing_ok=True)
        if is_emptied(round_, block, path):
            return
        beside.touch()
        beside.replace(path)
        for listed in (round_.rows(block), round_.costs(block)):
            listed.unlink(missing_ok=True)


def is_emptied(round_: Round, block: int, path: Path) -> bool:
    """Whether a file stands for a block whose rows are those of the result."""
    with suppress(FileNotFoundError):
        return not path.stat().st_size and not round_.block_record(block).exists()
    return False


def lost_blocks(round_: Round, ext: str) -> set[int]:
    """Return the blocks whose rows are gone with the result."""
    finished = finished_blocks(round_, ext)
    emptied = {b for b in finished if is_emptied(round_, b, round_.block(b, ext))}
    return emptied if emptied and sound_rows(round_) is None else set()


def forget_lost(round_: Round, ext: str) -> int:
    """Have blocks made again whose rows are gone with the result; return how many."""
    lost = lost_blocks(round_, ext)
    for block in lost:
        round_.block(block, ext).unlink(missing_ok=True)
    if lost:
        round_.merged_rows.unlink(missing_ok=True)
        for path in round_.folder.glob("rows-*"):
            path.unlink(missing_ok=True)
    return len(lost)

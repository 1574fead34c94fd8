"""What is recorded of finished files, by which it is noticed if one has changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from psyrun.errors import StoreError, is_refusal
from psyrun.utils.checksums import Checksum
from psyrun.utils.files import read_json, write_json
from psyrun.utils.records import checked
from psyrun.workdir.layout import Round

# Snakemake gives what a job has made a later time, when it sees that the job has ended.
_TOUCHED = 600 * 10**9  # nanoseconds


@dataclass(frozen=True)
class BlockRecord:
    """What the files of a finished block are recognized by.

    Attributes
    ----------
    n_rows : int
        Rows in its store file.
    file, rows, failed : Checksum or None
        Of its store file, of the list of its assignments and of that of accepted
        failures; None where there is no such list.
    space : Checksum or None
        Of the frozen space that its assignments are counted in.
    block : int or None
        Its number.
    modified : int or None
        When its store file was written, in nanoseconds since the epoch.
    compared : tuple of str
        Parameters that have the values of its assignments in all rows.
    costs : Checksum or None
        Of what the rows have cost. It may be lost.
    """

    n_rows: int
    file: Checksum
    rows: Checksum | None = None
    failed: Checksum | None = None
    space: Checksum | None = None
    block: int | None = None
    modified: int | None = None
    compared: tuple[str, ...] = ()
    costs: Checksum | None = None

    def save(self, round_: Round, block: int) -> None:
        """Write the record of a block, before the block gets its name."""
        write_json(round_.block_record(block), asdict(self))

    @classmethod
    def load(cls, round_: Round, block: int) -> BlockRecord | None:
        """Read the record of a block; None where an earlier version wrote the block.

        Raises `StoreError` if it is damaged.
        """
        path = round_.block_record(block)
        entries = read_json(path)
        if entries is None:
            return None
        if isinstance(entries, dict):
            # Former versions wrote it, but did not compare anything.
            entries.pop("overridden", None)
        record: BlockRecord = checked(path, entries, cls)
        return record


def seems_changed(round_: Round, block: int, file: Path) -> bool:
    """Whether the store file of a block may not be what was written: it is not read.

    Raises `StoreError` if the record is damaged. A block without one seems to be right.
    """
    record = BlockRecord.load(round_, block)
    if record is None:
        return False
    status = file.stat()
    if status.st_size != record.file.size:
        return True
    written = status.st_mtime_ns if record.modified is None else record.modified
    return not 0 <= status.st_mtime_ns - written < _TOUCHED


def problem_of_block(
    round_: Round, block: int, file: Path, space: Checksum | None = None
) -> str:
    """Return in one line what is wrong with a finished block; empty if nothing is.

    All of its files are read. `file` is its store file, and `space` is what the
    checksum of the space has to be. A block without a record is not judged.
    """
    try:
        record = BlockRecord.load(round_, block)
        if record is None:
            return ""
        if record.block not in (None, block):
            return f"{file}: is block {record.block}"
        if None not in (space, record.space) and record.space != space:
            return f"{file}: holds rows of another space"
        for path, checksum in _files(record, round_, block, file):
            if problem := _problem(path, checksum):
                return f"{path}: {problem}"
    except StoreError as error:
        if is_refusal(error):
            raise
        return str(error)
    return ""


def _files(
    record: BlockRecord, round_: Round, block: int, file: Path
) -> Iterator[tuple[Path, Checksum | None]]:
    yield file, record.file
    yield round_.rows(block), record.rows
    # A list that was left of another block says nothing of this one.
    if record.failed is not None:
        yield round_.failed(block), record.failed


def _problem(path: Path, checksum: Checksum | None) -> str:
    if checksum is not None:
        return checksum.problem_of(path)
    return "is there, although there was no such list" if path.exists() else ""

"""Paths of one round: a division of the space among jobs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from psyrun.workdir.layout.names import FAILURE_LIST, JOURNAL, matching, names_in


@dataclass(frozen=True)
class Round:
    """Paths of one round, ``<workdir>/<task>/round-<number>``."""

    folder: Path

    @property
    def space(self) -> Path:
        """The frozen space and what is kept of earlier rounds."""
        return self.folder / "space.pkl"

    @property
    def division(self) -> Path:
        """Numbers of assignments and blocks, as JSON."""
        return self.folder / "split.json"

    @property
    def blocks(self) -> Path:
        """The folder of the process jobs' store files."""
        return self.folder / "blocks"

    def block(self, block: int | str, ext: str) -> Path:
        """Store file of one process job."""
        return self.blocks / f"{block}{ext}"

    @property
    def finished(self) -> Path:
        """The folder of second names of blocks."""
        return self.folder / "finished"

    def finished_block(self, block: int, ext: str) -> Path:
        """Second name of the store file of a process job, which Snakemake leaves alone.

        It removes the first one if the job is killed before it ends. Blocks whose
        journals have lost their rows have one.
        """
        return self.finished / f"{block}{ext}"

    def failed(self, block: int) -> Path:
        """List of accepted failures, which a block's store file lacks, as JSON."""
        return self.blocks / f".{block}.failed.json"

    def rows(self, block: int) -> Path:
        """List of the assignments in a block's store file, if not as divided."""
        return self.blocks / f".{block}.rows.npy"

    def block_record(self, block: int) -> Path:
        """Checksums of a block's store file and of its lists, as JSON."""
        return self.blocks / f".{block}.json"

    def costs(self, block: int) -> Path:
        """Costs of the rows of a block."""
        return self.blocks / f".{block}.costs"

    def lists(self, block: int) -> tuple[Path, ...]:
        """Files that tell what the rows in a block's store file are."""
        lists = self.rows(block), self.failed(block), self.costs(block)
        return *lists, self.block_record(block)

    def new_block(self, block: int, ext: str, token: str) -> Path:
        """Store file of one process job while it is written, by who has that token.

        A job that was suspended, and has lost its lock, may write another one.
        """
        return self.blocks / f".{block}-{token}.new{ext}"

    def new_blocks(self, block: int, ext: str) -> list[Path]:
        """All such files of one process job that exist."""
        names = [n for n in names_in(self.blocks) if n.startswith(f".{block}-")]
        return [self.blocks / name for name in names if name.endswith(f".new{ext}")]

    @property
    def damaged(self) -> Path:
        """The folder of files of the task that could not be used, of all rounds."""
        return self.folder.parent / "damaged"

    def kept(self, ext: str) -> Path:
        """Rows taken over from an earlier round or result."""
        return self.folder / f"kept{ext}"

    @property
    def replaced(self) -> Path:
        """Which of its rows are evaluated again, for which versions of the task."""
        return self.folder / "replaced.npz"

    @property
    def journals(self) -> Path:
        """The folder of the journals."""
        return self.folder / "journal"

    def journal(self, block: int, worker: int, session: str = "") -> Path:
        """Journal of one worker of one process job.

        Nobody else writes to it, as each job has a `session` of its own; those of
        former versions had none.
        """
        return self.journals / f"{block}-{worker}{_ending(session)}.journal"

    def journals_of(self, block: int) -> list[Path]:
        """All journals of one process job that exist."""
        return matching(self.journals, JOURNAL, f"{block}-")

    def all_journals(self) -> list[Path]:
        """All journals that exist.

        Other programs may have left files there, such as ``._0-0.journal``.
        """
        return matching(self.journals, JOURNAL)

    def failure_lists(self) -> list[Path]:
        """All lists of accepted failures that exist."""
        return matching(self.blocks, FAILURE_LIST)

    def in_flight(self, block: int, session: str = "") -> Path:
        """File with what the workers of a process job evaluate at the moment."""
        return self.journals / f"{block}{_ending(session)}.slots"

    def last_in_flight(self) -> dict[int, tuple[str, Path]]:
        """Return the last one of these files of each block, and its session.

        An earlier one may still be written to, by a job that was suspended and has
        lost its lock.
        """
        found: dict[int, tuple[str, Path]] = {}
        for name in sorted(names_in(self.journals)):
            number, _, session = name.removesuffix(".slots").partition("-")
            if name.endswith(".slots") and number.isdecimal():
                block, path = int(number), self.journals / name
                found[block] = max(found.get(block, ("", path)), (session, path))
        return found

    def in_flight_of(self, block: int) -> Path:
        """Return the last one of these files of one block, which may not exist."""
        return self.last_in_flight().get(block, ("", self.in_flight(block)))[1]

    def journal_of_reader(self, block: int, session: str) -> Path:
        """Journal of the rows that a process job could not read any more."""
        return self.journals / f"{block}-read{_ending(session)}.journal"

    def journal_of_queue(self, block: int, session: str) -> Path:
        """Journal of what ended process jobs in a queue, which they could not write."""
        return self.journals / f"{block}-queue{_ending(session)}.journal"

    def suspects(self, block: int) -> Path:
        """List of assignments, one of which has ended a process job, as JSON."""
        return self.journals / f"{block}.suspects"

    @property
    def claims(self) -> Path:
        """The folder of claims, where jobs fetch their work."""
        return self.folder / "claims"

    @property
    def keys(self) -> Path:
        """Names and types of the values in each row of this round, as JSON."""
        return self.folder / "keys.json"

    def merge_mark(self, name: str) -> Path:
        """Empty file by which Snakemake knows that a merge has ended.

        The result file does not show that: it may be an earlier one.
        """
        return self.folder / f"merged-{name}"

    @property
    def merged(self) -> Path:
        """What the last merge wrote, as JSON."""
        return self.folder / "merged.json"

    @property
    def merged_rows(self) -> Path:
        """What is recorded of the rows of a merged round, as JSON."""
        return self.folder / "rows.json"

    @property
    def costs_of_rows(self) -> Path:
        """What these rows have cost, where the format has no room for that."""
        return self.folder / "costs-of-rows"

    @property
    def prediction(self) -> Path:
        """What the task was predicted to cost when this round began, as JSON."""
        return self.folder / "prediction.json"

    @property
    def jobs(self) -> Path:
        """What its jobs have asked a queue for, and used of that, as JSON."""
        return self.folder / "jobs.json"

    @property
    def expected_end(self) -> Path:
        """When the evaluations will be done, as its run expects, as JSON."""
        return self.folder / "expected-end.json"

    @property
    def merged_space(self) -> Path:
        """Second name of the frozen space that these rows belong to."""
        return self.folder / "space-of-rows.pkl"

    @property
    def locks(self) -> Path:
        """The folder of the running jobs' locks."""
        return self.folder / "locks"

    @property
    def errors(self) -> Path:
        """The folder of what is recorded of steps that failed."""
        return self.folder / "errors"

    def error(self, step: str) -> Path:
        """Why a step such as ``merge`` or ``process-3`` failed, as JSON."""
        return self.errors / f"{step}.json"

    def lock(self, step: str) -> Path:
        """Lock of one step, such as ``merge`` or ``process-3``."""
        return self.locks / step

    @property
    def hanging(self) -> Path:
        """The folder of notes about processes that seem to hang."""
        return self.folder / "hanging"

    def hanging_of(self, step: str) -> Path:
        """Which processes of a step seem to hang, as JSON."""
        return self.hanging / f"{step}.json"


def _ending(session: str) -> str:
    return f"-{session}" if session else ""

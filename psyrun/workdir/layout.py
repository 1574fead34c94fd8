"""Every path that psyrun writes or ships.

A task owns one folder, ``<workdir>/<task>``::

    Snakefile             what `psy run` generated
    environment.yaml      the software that its rules need
    state.json            the plan that was accepted last
    digests.json          digests of large files
    source.json           what was found out about the source
    version.json          files that the task reads and does not list
    versions/             what versions of the task consisted of
    origin.json           where the folder was made
    description.json      dimensions, coordinates and units of its results
    prediction.json       what it was predicted to cost last
    lock                  who runs the task now
    snakemake.log         what Snakemake printed
    <task>:split.log …    what each job printed
    plain-names           whether ":" in these names is "."
    stop                  asks the controller to stop
    run.json              who runs it, or how its last run ended
    run.log               what `psy run` printed
    results.json          where its merges have written to
    loaded/               which files of code its jobs loaded
    provenance/           source, commit and libraries of each version
    queue/                what was submitted to a queue
    waiting.json          why its jobs wait there
    controller/           controllers that were put in a queue
    damaged/              files that could not be used, below it as they were here
    notices/              what jobs found out that their run has to say
    result.<ext>          the result, unless `resultfile` says otherwise
    round-<n>/            one division of the space among jobs
        space.pkl         the frozen space
        split.json        how it was divided
        kept.<ext>        rows taken over from earlier rounds
        blocks/<i>.<ext>  the rows of each process job
        blocks/.<i>.costs what these rows have cost
        blocks/.<i>.json  the checksum of these files
        finished/         second names of all of these
        journal/          one record per assignment, while jobs run
        claims/           which work was fetched (load balancing)
        locks/            which jobs run
        hanging/          which of their processes seem to hang
        rows-<name>.<ext> the rows of a merged round: a second name of its result
        rows.json         what is recorded of them
        costs-of-rows     what they have cost, if they do not tell that themselves
        prediction.json   what was predicted to be the cost when it began
        jobs.json         what its jobs have asked a queue for
        expected-end.json when the evaluations will be done
        merged.json       what the last merge wrote
        merged-<name>     that it ended, for Snakemake
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from psyrun.utils.files import damaged
from psyrun.utils.records import is_name, read_record

SPLIT, PROCESS, MERGE = "split", "process", "merge"
RECORDS = ".psyrun"
"""Name of the folder beside task files with what is recorded of them."""


def _ending(session: str) -> str:
    return f"-{session}" if session else ""


_JOURNAL = re.compile(r"[0-9]+-.+\.journal", re.DOTALL)
_ROUND = re.compile(r"round-([0-9]+)")
_FAILURE_LIST = re.compile(r"\.[0-9]+\.failed\.json")
_LOCK = re.compile(rf"{SPLIT}|{PROCESS}-[0-9]+|{MERGE}")


def locks_in(folder: Path) -> list[Path]:
    """Return the locks of jobs in a folder, stale ones included."""
    return _matching(folder, _LOCK)


def _matching(folder: Path, names: re.Pattern[str], start: str = "") -> list[Path]:
    found = [name for name in _names(folder) if name.startswith(start)]
    return [folder / name for name in sorted(found) if names.fullmatch(name)]


def block_of_journal(path: Path) -> int:
    """Return the block that a journal is of, by its name."""
    return int(path.name.partition("-")[0])


class Place(NamedTuple):
    """Where a journal belongs: numbers of a round and of a block in it."""

    round: int
    block: int

    @classmethod
    def of(cls, path: Path) -> Place | None:
        """Return where a journal stands, None outside of work folders."""
        found = _ROUND.fullmatch(path.parent.parent.name)
        if found is None or not _JOURNAL.fullmatch(path.name):
            return None
        return cls(int(found[1]), block_of_journal(path))


def _names(folder: Path) -> list[str]:
    # A folder may have the files of thousands of jobs, each of which asks.
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        return [entry.name for entry in entries]
    return []


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
        names = [n for n in _names(self.blocks) if n.startswith(f".{block}-")]
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
        return _matching(self.journals, _JOURNAL, f"{block}-")

    def all_journals(self) -> list[Path]:
        """All journals that exist.

        Other programs may have left files there, such as ``._0-0.journal``.
        """
        return _matching(self.journals, _JOURNAL)

    def failure_lists(self) -> list[Path]:
        """All lists of accepted failures that exist."""
        return _matching(self.blocks, _FAILURE_LIST)

    def in_flight(self, block: int, session: str = "") -> Path:
        """File with what the workers of a process job evaluate at the moment."""
        return self.journals / f"{block}{_ending(session)}.slots"

    def last_in_flight(self) -> dict[int, tuple[str, Path]]:
        """Return the last one of these files of each block, and its session.

        An earlier one may still be written to, by a job that was suspended and has
        lost its lock.
        """
        found: dict[int, tuple[str, Path]] = {}
        for name in sorted(_names(self.journals)):
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


@dataclass(frozen=True)
class TaskLayout:
    """Paths of one task, ``<workdir>/<task>``."""

    folder: Path

    @classmethod
    def of(cls, workdir: str | Path, name: str) -> TaskLayout:
        """Return the layout of task `name` below `workdir`."""
        return cls(Path(workdir) / name)

    @property
    def name(self) -> str:
        """Name of the task."""
        return self.folder.name or self.folder.absolute().name

    @property
    def snakefile(self) -> Path:
        """The generated Snakefile."""
        return self.folder / "Snakefile"

    @property
    def environment(self) -> Path:
        """Conda environment file that the generated rules name."""
        return self.folder / "environment.yaml"

    @property
    def state(self) -> Path:
        """The accepted plan."""
        return self.folder / "state.json"

    @property
    def snakemake_log(self) -> Path:
        """What Snakemake itself printed."""
        return self.folder / "snakemake.log"

    @property
    def lock(self) -> Path:
        """Lock of the whole task."""
        return self.folder / "lock"

    @property
    def stop(self) -> Path:
        """Empty file that asks the task's controller to stop."""
        return self.folder / "stop"

    @property
    def run_record(self) -> Path:
        """Who runs the task, or how its last run ended."""
        return self.folder / "run.json"

    @property
    def run_log(self) -> Path:
        """What the last run that began with this task printed."""
        return self.folder / "run.log"

    @property
    def queue(self) -> Path:
        """The folder of the arrays that were submitted to a queue."""
        return self.folder / "queue"

    @property
    def waiting(self) -> Path:
        """Why its jobs wait in a queue, as that has said last, as JSON."""
        return self.folder / "waiting.json"

    @property
    def controllers(self) -> Path:
        """The folder of controllers that were put in a queue."""
        return self.folder / "controller"

    @property
    def damaged(self) -> Path:
        """The folder of files that could not be used, below it as they were here."""
        return self.folder / "damaged"

    @property
    def notices(self) -> Path:
        """The folder of what jobs found out that their run has to say."""
        return self.folder / "notices"

    @property
    def digests(self) -> Path:
        """Digests of large files that the task depends on."""
        return self.folder / "digests.json"

    @property
    def source(self) -> Path:
        """What was found out about the source of the task."""
        return self.folder / "source.json"

    @property
    def version(self) -> Path:
        """Which files its task reads that are not in `file_dep`."""
        return self.folder / "version.json"

    @property
    def versions(self) -> Path:
        """The folder of records of what its versions consisted of."""
        return self.folder / "versions"

    @property
    def provenance(self) -> Path:
        """The folder of records of where the rows of each version come from."""
        return self.folder / "provenance"

    @property
    def loaded(self) -> Path:
        """The folder of records of the code that its jobs loaded."""
        return self.folder / "loaded"

    @property
    def origin(self) -> Path:
        """Where the folder was made, as JSON."""
        return self.folder / "origin.json"

    @property
    def description(self) -> Path:
        """Names, coordinates and units of the results, as JSON."""
        return self.folder / "description.json"

    @property
    def prediction(self) -> Path:
        """What the task was predicted to cost last, as JSON."""
        return self.folder / "prediction.json"

    @property
    def settling(self) -> Path:
        """Lock of whoever makes a copy of the folder independent."""
        return self.folder / ".lock.settling"

    @property
    def results(self) -> Path:
        """Where merges have written results to, as JSON."""
        return self.folder / "results.json"

    def round(self, number: int) -> Round:
        """Paths of one round."""
        return Round(self.folder / f"round-{number}")

    def rounds(self) -> dict[int, Round]:
        """All rounds on disk by number."""
        found = {
            int(path.name.removeprefix("round-")): Round(path)
            for path in self.folder.glob("round-*")
            if path.name.removeprefix("round-").isdecimal()
        }
        return dict(sorted(found.items()))

    def log(self, step: str, block: int | str | None = None) -> Path:
        """Log file of a job, named as in ``<task>:process:3.log``.

        Where a disk has no such names, it is ``<task>.process.3.log``.
        """
        name = self.job(step, block)
        if self.plain_names.exists():
            name = name.replace(":", ".")
        return self.folder / f"{name}.log"

    @property
    def plain_names(self) -> Path:
        """A file that is there if there can be no ``:`` in the names of others."""
        return self.folder / "plain-names"

    def logs(self) -> list[Path]:
        """All log files of jobs that are there."""
        return sorted(self.folder.glob(f"{self.name}[:.]*.log"))

    def job(self, step: str, block: int | str | None = None) -> str:
        """Name of a job, such as ``square:process:3``."""
        return ":".join([self.name, step, *([] if block is None else [str(block)])])


def record_of_task(taskdir: Path, name: str) -> Path:
    """Where it is recorded in which work folder a task was run last."""
    return taskdir / RECORDS / f"{name}.json"


@dataclass(frozen=True)
class TaskRecord:
    """What is known of a task without running its file.

    Attributes
    ----------
    workdir, resultfile : str
        As they were when it was run last; empty if that is not known.
    file_dep : tuple of str
        Files that it depends on.
    """

    workdir: str
    resultfile: str = ""
    file_dep: tuple[str, ...] = ()

    @classmethod
    def load(cls, taskdir: Path, name: str) -> TaskRecord | None:
        """Read the record of a task, None where there is none.

        Raises `StoreError` if it is damaged.
        """
        path = record_of_task(taskdir, name)
        record: TaskRecord | None = read_record(path, cls)
        if record and not all(
            map(is_name, (record.workdir, record.resultfile, *record.file_dep))
        ):
            raise damaged(path, "has names that no file can have")
        return record


def layout_of(taskdir: Path, name: str, default: str = "psy-work") -> TaskLayout:
    """Return the paths of a task without running its file.

    A task without a record is looked for in the work folder `default`.
    """
    record = TaskRecord.load(taskdir, name)
    return TaskLayout.of(default if record is None else record.workdir, name)

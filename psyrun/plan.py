"""What a task asks for, what is known of it, and the plan to follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from psyrun.backend.base import Backend
from psyrun.errors import PsyrunError

FORMAT = 1


@dataclass(frozen=True)
class Wanted:
    """What a task asks for.

    Attributes
    ----------
    task : str
        Name of the task.
    taskfile : str
        Its file, relative to the project folder where possible.
    workdir : str
        Folder for intermediate files.
    fingerprint : str
        Of all source that its rows depend on.
    n_items : int
        Number of assignments in the space as it is evaluated now.
    backend : Backend
        How the space is shared out among jobs.
    max_jobs, min_items : int
        Most process jobs, fewest assignments in each.
    pool_size : int
        Worker processes of each process job.
    accept_failures : bool
        Whether assignments that failed are gone without.
    max_failures : int or None
        How many assignments may fail before it is hopeless to go on.
    ext : str
        File extension of the task's store, with its dot.
    resultfile : str
        Where the result goes.
    python : str
        Command that starts Python for the jobs.
    overwrite_dirty : bool
        Whether outdated rows may be thrown away.
    token : str
        A name that no merge had before.
    """

    task: str
    taskfile: str
    workdir: str
    fingerprint: str
    n_items: int
    backend: Backend
    max_jobs: int
    min_items: int
    pool_size: int
    accept_failures: bool
    max_failures: int | None
    ext: str
    resultfile: str
    python: str
    overwrite_dirty: bool
    token: str

    @property
    def division(self) -> str:
        """What a change of divides the missing assignments anew."""
        return f"{self.backend.name} {self.max_jobs} {self.min_items}"

    def n_blocks(self, n_items: int) -> int:
        """Return the number of blocks for `n_items` assignments."""
        if n_items == 0:
            return 0
        return self.backend.n_blocks(n_items, self.max_jobs, self.min_items)


@dataclass(frozen=True)
class Plan:
    """An accepted plan, as it is recorded and as the Snakefile states it.

    Attributes
    ----------
    task, taskfile, workdir, fingerprint, pool_size, resultfile, python
        As in `Wanted`.
    accept_failures, max_failures
        As in `Wanted`.
    round : int
        Number of the division of the space.
    division : str
        What the division was made from.
    fetches : bool
        Whether process jobs fetch their work.
    n_blocks : int
        Number of process jobs.
    block_ext : str
        File extension of the blocks' store.
    result_ext : str
        File extension of the result's store.
    keep : str
        Where rows are taken over from: ``""`` (nowhere), ``"round"`` (the
        rounds `keep_rounds`) or ``"result"`` (the result file).
    keep_rounds : tuple of int
        Numbers of the rounds to take rows from. Where several have a row, that
        of the first is taken.
    superseded : tuple of int
        Numbers of the rounds whose rows are not taken over. They are there
        until the new result is, for whoever thinks better of it.
    same_space : bool
        Whether the space of the one round of `keep_rounds` stays, so that it
        isn't sampled again.
    merge : str
        Name of the merge; a new name makes Snakemake merge again.
    """

    task: str
    taskfile: str
    workdir: str
    fingerprint: str
    pool_size: int
    accept_failures: bool
    max_failures: int | None
    resultfile: str
    python: str
    round: int
    division: str
    fetches: bool
    n_blocks: int
    block_ext: str
    result_ext: str
    keep: str = ""
    keep_rounds: tuple[int, ...] = ()
    superseded: tuple[int, ...] = ()
    same_space: bool = False
    merge: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the plan as it is recorded."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, record: dict[str, Any], where: str) -> Plan:
        """Return a recorded plan.

        Raises
        ------
        PsyrunError
            If the record is of another version of psyrun.
        """
        try:
            if record["format"] == FORMAT:
                values = {k: v for k, v in record.items() if k != "format"}
                for name in ("keep_rounds", "superseded"):
                    values[name] = tuple(values[name])
                return cls(**values)
        except (AttributeError, KeyError, TypeError):
            pass
        raise PsyrunError(
            f"{where}: was not written by this version of psyrun. Keep the result "
            "file if you need it, remove the folder with 'psy clean', then run again."
        )


@dataclass(frozen=True)
class Known:
    """What is found on disk of a task.

    Attributes
    ----------
    plan : Plan or None
        The plan that was accepted last.
    is_split : bool
        Whether its round has a frozen space.
    missing_blocks : tuple of int
        Blocks of its round that have no store file.
    merged : str or None
        Name of the last merge of its round, None where none has ended.
    merged_into : str
        Where that merge wrote to; empty if it did not end well.
    has_result : bool
        Whether the wanted result file exists.
    occupied : tuple of int
        Rounds in whose folders something was computed.
    keep : str
        Where rows can be taken over from, as in `Plan`.
    keep_rounds : tuple of int
        All rounds with rows, the newest first.
    returned : int
        The round among these that was made by what the task is again now; 0 if
        there is none.
    has_jobs : bool
        Whether jobs of its round are queued or running, to be adopted.
    count_open : callable
        Takes the number of a round, and returns how many of its assignments
        have no row yet.
    count_failed : callable
        Returns how many of the last round have failed.
    count_new : callable
        Takes numbers of rounds, none for the result file, and returns how many
        assignments of the wanted space have no row there.
    """

    plan: Plan | None = None
    is_split: bool = False
    missing_blocks: tuple[int, ...] = ()
    merged: str | None = None
    merged_into: str = ""
    has_result: bool = False
    occupied: tuple[int, ...] = ()
    keep: str = ""
    keep_rounds: tuple[int, ...] = ()
    returned: int = 0
    has_jobs: bool = False
    count_open: Callable[[int], int] = field(default=lambda number: 0)
    count_failed: Callable[[], int] = field(default=lambda: 0)
    count_new: Callable[[tuple[int, ...]], int] = field(default=lambda numbers: 0)


@dataclass(frozen=True)
class Decision:
    """What to do.

    Attributes
    ----------
    plan : Plan
        The plan to follow.
    split : bool
        Whether the space is to be frozen and divided.
    blocks : tuple of int
        The process jobs to run.
    merge : bool
        Whether to merge.
    is_dirty : bool
        Whether rows of an older state of the task would be thrown away.
    """

    plan: Plan
    split: bool = False
    blocks: tuple[int, ...] = ()
    merge: bool = False
    is_dirty: bool = False

    @property
    def is_done(self) -> bool:
        """Whether everything is up to date."""
        return not (self.split or self.blocks or self.merge)

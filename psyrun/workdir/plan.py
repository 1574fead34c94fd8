"""The plan that a task follows, as it is recorded and as its Snakefile states it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Literal

from psyrun.backend.orders import SPACE
from psyrun.errors import PsyrunError
from psyrun.utils.files import damaged, read_json, write_json
from psyrun.utils.numbers import numbers_in
from psyrun.utils.records import RecordedTypeError, is_name, of_record
from psyrun.utils.text import counted
from psyrun.workdir.damage import rounds_in_use
from psyrun.workdir.layout import TaskLayout

FORMAT = 1
MOST_BLOCKS = 10_000_000
"""More than a file system has room for, of any task."""
DEFAULT_PYTHON = "python3"
"""In the rules it stands for the Python that Snakemake runs in."""


@dataclass(frozen=True)
class TaskSettings:
    """What a plan has from its task as it is.

    Attributes
    ----------
    fingerprint : str
        Of the version of the task that the plan is for.
    space_source : str
        Fingerprint of the source of its space; empty where an earlier version of
        psyrun made the plan, whose `fingerprint` tells of both.
    accept_failures : bool
        Whether the result may lack the assignments that failed.
    max_failures : int or None
        How many assignments may fail before jobs stop.
    python : str
        Command that starts Python for the jobs.
    threads : int, 'auto' or None
        How many threads numerical libraries have in each worker.
    limit : float or None
        How many seconds one evaluation may take, where that is less than the task
        file allows.
    keep_blocks : bool
        Whether the files of process jobs stay when their rows are in the result.
    seeding : str
        What random numbers the space gives to `execute`, as `fingerprint` and
        `space_source` tell it, too; empty if it has no replicates.
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
    keep_blocks: bool = field(default=False, kw_only=True)
    space_source: str = field(default="", kw_only=True)
    seeding: str = field(default="", kw_only=True)
    threads: int | Literal["auto"] | None = field(default="auto", kw_only=True)
    limit: float | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Plan(TaskSettings):
    """An accepted plan.

    Attributes
    ----------
    round : int
        Number of the division of the space.
    division : str
        Backend and numbers that the division was made from.
    fetches : bool
        Whether process jobs fetch their work.
    n_blocks : int
        Number of process jobs.
    block_ext, result_ext : str
        File extensions of the stores of blocks and result.
    keep : str
        Where rows are taken from: ``""`` (nowhere), ``"round"`` (the rounds
        `keep_rounds`) or ``"result"`` (the result file).
    keep_rounds : tuple of int
        Rounds to take rows from; the first that has an assignment's row counts.
    superseded : tuple of int
        Rounds whose rows are to be replaced, kept on disk until the new result is
        there in case the user changes their mind.
    keeps_all : bool or None
        Whether the result also has rows of other versions of the task, where there are
        none of this one, and of assignments that are no longer in the space. None, for
        yes, where an earlier version of psyrun made the plan.
    all_of : tuple of int or None
        The rounds of which all rows may be kept then; None for all of `keep_rounds`. Of
        the others, only rows of this version and of the space are.
    also : tuple of str
        Other fingerprints that stand for the same version of the task.
    rerun : str or None
        What was to be evaluated again, although its rows are valid, as the user has
        said it (``--rerun``); empty if that is not known any more.
    takes_replaced : bool
        Whether rows are taken after all that were marked to be evaluated again.
    same_space : bool
        Whether the space of the first round of `keep_rounds` stays, so that it
        isn't sampled again.
    merge : str
        Name of the merge; a new name makes Snakemake merge again.
    order : str
        In which order assignments are evaluated.
    part : tuple of str
        Which part of the space the run was to evaluate, as `part_of` of
        `psyrun.pspace.candidates` reads it (``psy run -p``, or the pilots of ``psy
        plan``); empty for all of it. Rows of the rest that are there stay.
    n_items : int or None
        About how many assignments the space has: split may sample it anew. None
        where an earlier version of psyrun made the plan.
    """

    round: int
    division: str
    fetches: bool
    n_blocks: int
    block_ext: str
    result_ext: str
    keep: str = ""
    keep_rounds: tuple[int, ...] = ()
    superseded: tuple[int, ...] = ()
    keeps_all: bool | None = None
    all_of: tuple[int, ...] | None = None
    also: tuple[str, ...] = ()
    same_space: bool = False
    merge: str = ""
    order: str = SPACE
    n_items: int | None = field(default=None, compare=False)
    rerun: str | None = None
    takes_replaced: bool = False
    part: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All fingerprints that stand for the version of the task."""
        return (self.fingerprint, *self.also)

    @property
    def arguments(self) -> str:
        """What to give ``psy run`` to go on with it."""
        return run_arguments(self.part, self.task)

    @property
    def may_stay(self) -> list[bool] | None:
        """Whether all rows of each of `keep_rounds` may be kept; None for all."""
        if self.all_of is None:
            return None
        return [number in self.all_of for number in self.keep_rounds]

    @property
    def honoured(self) -> tuple[str, ...]:
        """The fingerprints for which rows that are marked are evaluated again."""
        return () if self.takes_replaced else self.names

    @property
    def is_of_pilots(self) -> bool:
        """Whether it is for assignments that tell of the costs of the others."""
        return numbers_in(self.part) is not None

    @property
    def is_former(self) -> bool:
        """Whether an earlier version of psyrun made the plan."""
        return not self.space_source

    def save(self, layout: TaskLayout) -> None:
        """Record the plan as the one that was accepted last."""
        write_json(layout.state, {"format": FORMAT, **asdict(self)})

    @classmethod
    def load(cls, layout: TaskLayout) -> Plan | None:
        """Return the plan that was accepted last, None for a task that is new.

        Raises `DamagedFileError` if it cannot be read, or is gone while rows of the
        task are there.
        """
        record = read_json(layout.state)
        if record is None:
            if rounds_in_use(layout):
                raise damaged(layout.state, "is gone, but there are rows of the task")
            return None
        number = record.get("format") if isinstance(record, dict) else None
        try:
            if record.pop("format") == FORMAT:
                plan = of_record(cls, record)
                if plan._is_sound:
                    return plan
        except (AttributeError, KeyError, TypeError, RecordedTypeError):
            pass
        problem = "was not written by this version of psyrun"
        if isinstance(number, int) and number > FORMAT:
            raise PsyrunError(
                f"{layout.state}: {problem}, but by a newer one. Install that again."
            )
        raise damaged(layout.state, problem)

    @property
    def _is_sound(self) -> bool:
        paths = (self.taskfile, self.workdir, self.resultfile)
        return (
            all(map(is_name, paths))
            and 0 <= self.n_blocks <= MOST_BLOCKS
            and self.pool_size > 0
        )

    @classmethod
    def required(cls, layout: TaskLayout) -> Plan:
        """Return the plan that was accepted last; as `load`, but raise if none was."""
        plan = cls.load(layout)
        if plan is None:
            raise PsyrunError(
                f"{layout.state}: there is no plan yet. Start the task with 'psy run'."
            )
        return plan


def never_run(name: str) -> str:
    """Return what is said of a task that has no plan yet, and what to do."""
    return f"was never run. Start it with 'psy run {name}'."


def arguments_in(layout: TaskLayout) -> str:
    """Return what to give ``psy run`` to go on with a task: its part, and its name."""
    part: Sequence[str] = ()
    with suppress(PsyrunError):
        plan = Plan.load(layout)
        part = () if plan is None else plan.part
    return run_arguments(part, layout.name)


def chosen_text(name: str, n_items: int, n_whole: int, part: Iterable[str]) -> str:
    """Return a line that says how many assignments of a task are in a part."""
    what = ", ".join(part)
    return f"{name}: {n_items} of {counted(n_whole, 'assignment')} chosen ({what})"


def run_arguments(part: Sequence[str], *tasks: str) -> str:
    """Return what to give ``psy run`` to evaluate a part of the spaces of some tasks.

    Without a part, or with one that is named by numbers, which only ``psy plan`` does,
    that is just the names of the tasks.
    """
    texts = [] if numbers_in(part) is not None else part
    options = [word for text in texts for word in ("-p", shlex.quote(text))]
    return " ".join([*options, *tasks])

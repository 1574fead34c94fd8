"""What is said of a sweep before it is run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psyrun.estimate import Estimate, Range
from psyrun.planning.proposals.situation import Situation


@dataclass(frozen=True)
class WallTime:
    """How long a run takes from its first job to its last.

    Attributes
    ----------
    n_jobs : int
        Number of process jobs.
    cores : int
        Cores that are busy at once.
    wall, longest_job : Range
        Seconds of all, and of the job that takes longest. Time in a queue is not
        counted.
    is_current : bool
        Whether that is what the task file asks for now.
    """

    n_jobs: int
    cores: int
    wall: Range
    longest_job: Range
    is_current: bool


@dataclass(frozen=True)
class Region:
    """A part of the space.

    Attributes
    ----------
    where : str
        The part in words, such as ``n = 64 to 512``.
    share : float
        Which part of all assignments it has.
    memory : float
        Bytes that the largest of them is predicted to need.
    """

    where: str
    share: float
    memory: float


@dataclass(frozen=True)
class JobMemory:
    """What memory is needed.

    Attributes
    ----------
    assignment, job : Range
        Bytes of the largest assignment, and of a job with its workers.
    regions : tuple of Region
        Parts along the parameter that it depends on most, if it differs.
    """

    assignment: Range
    job: Range
    regions: tuple[Region, ...]


@dataclass(frozen=True)
class Setting:
    """A value for the task file, and why.

    Attributes
    ----------
    name : str
        The special variable, such as ``max_jobs`` or ``scheduler_args``.
    key : str or None
        The entry of it, such as ``timelimit``, as the task file calls it; None if the
        variable has no entries.
    now, value : object
        What it is, None if it is not set, and what is proposed.
    reason : str
        In a few words.
    """

    name: str
    key: str | None
    now: Any
    value: Any
    reason: str

    @property
    def is_new(self) -> bool:
        """Whether something else is proposed than there is."""
        return bool(self.now != self.value)

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.key or self.name


@dataclass(frozen=True)
class Proposal:
    """What a sweep will cost, and how it is best run.

    Attributes
    ----------
    estimate : Estimate
        What its assignments are predicted to cost.
    situation : Situation
        What was known beside it.
    core_hours : Range
        What the jobs that are still to run reserve, in core-hours.
    price : Range or None
        The same times `rate`; None if there is no rate.
    walls : tuple of WallTime
        As the task file asks for it, and otherwise; the smallest first.
    memory : JobMemory or None
        None if no pilot has told its memory.
    disk : float or None
        Bytes of the result; None if it is not known what a row has.
    settings : tuple of Setting
        What is proposed, also where that is what there is.
    warnings : tuple of str
        What needs attention; sentences without a full stop.
    """

    estimate: Estimate
    situation: Situation
    core_hours: Range
    price: Range | None
    walls: tuple[WallTime, ...]
    memory: JobMemory | None
    disk: float | None
    settings: tuple[Setting, ...]
    warnings: tuple[str, ...]

    @property
    def changes(self) -> tuple[Setting, ...]:
        """The settings that are not in the task file yet."""
        return tuple(setting for setting in self.settings if setting.is_new)

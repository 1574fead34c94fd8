"""The desired and the current state of a task, from which `decide` works out a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from psyrun.backend import Backend
from psyrun.backend.orders import SPACE
from psyrun.errors import TaskError
from psyrun.tasks.config import DIVIDING
from psyrun.utils.numbers import numbers_in
from psyrun.workdir.plan import Plan, TaskSettings


@dataclass(frozen=True)
class Desired(TaskSettings):
    """What a task asks for.

    Attributes
    ----------
    n_items : int
        Number of assignments in the space as it is evaluated now.
    backend : Backend
        How the space is shared out among jobs.
    max_jobs : int or None
        Most process jobs; None for any number.
    min_items : int
        Fewest assignments in each.
    order : str
        In which order assignments are evaluated.
    predict_times : bool
        Whether blocks are to take equally long, once times can be predicted.
    ext : str
        File extension of the task's store, with its dot.
    token : str
        A name that no merge had before.
    also : tuple of str
        Other fingerprints that stand for the same version of the task.
    is_fresh : bool
        Whether rows that are there are to be replaced (``--fresh``).
    rerun : str or None
        What is to be evaluated again, although its rows are valid (``--rerun``).
    overwrite_dirty : bool
        Whether rows of older versions may be replaced.
    described : str
        Digest of what the task file says of its results.
    part : tuple of str
        Which part of the space is to be evaluated (``-p``); empty for all.
    n_whole : int or None
        If a part is: assignments in the whole space, of which that has `n_items`.
    """

    n_items: int
    backend: Backend
    max_jobs: int | None
    min_items: int
    ext: str
    token: str
    also: tuple[str, ...] = ()
    is_fresh: bool = False
    rerun: str | None = None
    overwrite_dirty: bool = True
    described: str = ""
    order: str = SPACE
    predict_times: bool = True
    part: tuple[str, ...] = ()
    n_whole: int | None = None

    @property
    def is_of_pilots(self) -> bool:
        """Whether assignments are to be evaluated that tell the costs of the others."""
        return numbers_in(self.part) is not None

    @property
    def names(self) -> frozenset[str]:
        """All fingerprints that stand for the version of the task."""
        return frozenset((self.fingerprint, *self.also))

    def is_same_code(self, last: Plan) -> bool:
        """Whether a plan is for the same version of the task."""
        return not self.names.isdisjoint((last.fingerprint, *last.also))

    def is_same_space(self, source: RowSource) -> bool:
        """Whether rows are of the space that this source gives."""
        if source.space_source:
            return source.space_source == self.space_source
        # Once, the fingerprint told of the space as well.
        return source.fingerprint in self.names

    @property
    def division(self) -> str:
        """What a change of divides the missing assignments anew."""
        # Plans of before tell of no order, which is that of the space, nor of this.
        usual = {"order": SPACE, "predict_times": True}
        names = [n for n in DIVIDING if n not in usual or getattr(self, n) != usual[n]]
        values = [getattr(self, name) for name in names]
        return " ".join(v.name if isinstance(v, Backend) else str(v) for v in values)

    def n_blocks(self, n_items: int) -> int:
        """Return the number of blocks for `n_items` assignments."""
        if n_items == 0:
            return 0
        most = n_items if self.max_jobs is None else self.max_jobs
        return self.backend.n_blocks(n_items, most, self.min_items)

    @property
    def settings(self) -> dict[str, Any]:
        """What the plan has from the task as it is."""
        return {each.name: getattr(self, each.name) for each in fields(TaskSettings)}


class RowSource(NamedTuple):
    """What the rows of a round are from; see `TaskSettings`."""

    fingerprint: str
    space_source: str = ""
    is_complete: bool = False
    """Whether its rows were merged."""


@dataclass(frozen=True)
class RowNumbers:
    """How many rows there are for a space.

    Attributes
    ----------
    n_items : int
        Assignments in the space, or in the part of it that has a row or is to be
        evaluated.
    n_open : int
        Those to evaluate.
    n_kept, n_older : int
        Those with a row of this version of the task, and of another one.
    n_redone : int
        Those to evaluate that have a row of another version, which could be kept.
    n_rerun : int
        Those to evaluate that have a row which was marked to be evaluated again.
    n_former : int
        Rows that stay in the result, of assignments that are no longer in the space.
    n_left_out : int
        Rows of this version that were in the result, or were to be, and are not any
        more.
    is_part : bool
        Whether others of the space have no valid row, and are not to be evaluated.
    """

    n_items: int
    n_open: int
    n_kept: int = 0
    n_older: int = 0
    n_redone: int = 0
    n_former: int = 0
    n_left_out: int = 0
    n_rerun: int = 0
    is_part: bool = False


@dataclass(frozen=True)
class Current:
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
        Where that merge wrote to; empty if it did not end well, or the file is not
        what it wrote.
    described : str or None
        Digest of what is said in the result of that merge; None if it is not known.
    has_result : bool
        Whether the desired result file exists.
    occupied_rounds : tuple of int
        Rounds in whose folders something was computed.
    sources : mapping of int to RowSource
        Rounds that rows can be taken from, the newest first.
    n_left_out : int
        Rows that its round did not take over.
    n_others : int
        Rows that it took over although another version made them, or their assignments
        are no longer in the space.
    has_marks : bool
        Whether rows of its round are marked to be evaluated again.
    is_part : bool
        Whether its round has a part of the space only.
    has_jobs : bool
        Whether jobs of its round are queued or running, to be adopted.
    count_open : callable
        Takes the number of a round, and returns how many of its assignments
        have no row yet.
    count_failed : callable
        Returns how many of the last round have failed.
    count_rows : callable
        Takes `KeptRows`, and returns the `RowNumbers` of the space with them.
    """

    plan: Plan | None = None
    is_split: bool = False
    missing_blocks: tuple[int, ...] = ()
    merged: str | None = None
    merged_into: str = ""
    described: str | None = None
    has_result: bool = False
    occupied_rounds: tuple[int, ...] = ()
    sources: Mapping[int, RowSource] = field(default_factory=dict)
    n_left_out: int = 0
    n_others: int = 0
    has_marks: bool = False
    is_part: bool = False
    has_jobs: bool = False
    count_open: Callable[[int], int] = field(default=lambda number: 0)
    count_failed: Callable[[], int] = field(default=lambda: 0)
    count_rows: Callable[[KeptRows], RowNumbers] = field(
        default=lambda kept: RowNumbers(0, 0)
    )

    @property
    def rounds(self) -> tuple[int, ...]:
        """The rounds that rows can be taken from, the newest first."""
        return tuple(self.sources)

    @property
    def own_rounds(self) -> tuple[int, ...]:
        """The same without those whose rows the last plan replaces."""
        plan = self.plan
        # Earlier versions of psyrun named those of other versions of the task so.
        superseded = () if plan is None or plan.is_former else plan.superseded
        return tuple(n for n in self.sources if n not in superseded)

    def rounds_of(self, desired: Desired) -> tuple[int, ...]:
        """Return those of the own rounds that have rows of the space as it is now."""
        sources = self.sources
        return tuple(n for n in self.own_rounds if desired.is_same_space(sources[n]))

    @property
    def has_unknown_rows(self) -> bool:
        """Whether there is a result, but nothing is known of its rows."""
        return self.has_result and not self.sources

    @property
    def next_round(self) -> int:
        """Number of a round in whose folder nothing was computed yet."""
        number = 1 if self.plan is None else self.plan.round + self.is_split
        # Jobs of another plan of that round must not be taken for those of the new one.
        number += self.has_jobs and not self.is_split
        occupied = self.occupied_rounds
        return number if number not in occupied else max(occupied) + 1


@dataclass(frozen=True)
class KeptRows:
    """The rows that a new round takes over, in the terms of `Plan`."""

    keep: str = ""
    rounds: tuple[int, ...] = ()
    keeps_all: bool = False
    same_space: bool = False
    all_of: tuple[int, ...] = ()
    takes_replaced: bool = False


class IncomparableError(TaskError):
    """Values of a space cannot be compared with those of the rows that are there."""

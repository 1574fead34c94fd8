"""The part of a space that a run is to evaluate (``psy run -p``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psyrun.errors import PsyrunError
from psyrun.planning.current import whole_space
from psyrun.planning.states import Current, Desired
from psyrun.pspace.candidates import check_different, part_of
from psyrun.tasks.loading import Task
from psyrun.utils.numbers import numbers_in
from psyrun.workdir.plan import chosen_text, run_arguments


@dataclass(frozen=True)
class Chosen:
    """A part of a space.

    Attributes
    ----------
    n_items : int
        Number of its assignments.
    n_whole : int
        Number of those of the whole space.
    texts : sequence of str
        How the user has said it.
    """

    n_items: int
    n_whole: int
    texts: Sequence[str]

    def said_of(self, name: str) -> str:
        """Return a line that says how many assignments are chosen."""
        return chosen_text(name, self.n_items, self.n_whole, self.texts)


def chosen_of(
    task: Task, texts: Sequence[str], desired: Desired, current: Current
) -> Chosen:
    """Return the part of the space of a task that is to be evaluated.

    Raises
    ------
    PsyrunError
        If a name is no parameter, a value is not there, or no assignment is left.
    """
    name, option = task.name, _option(texts)
    space = whole_space(task, desired, current)
    try:
        check_different(space)
        n_items = len(part_of(texts).of(space))
    except PsyrunError as error:
        raise PsyrunError(
            f"task {name!r}: {option}: {error} 'psy space {name}' shows "
            "which there are."
        ) from error.__cause__
    return Chosen(n_items, len(space), texts)


def _option(texts: Sequence[str]) -> str:
    """Return what asks for a part that texts name."""
    return "-p" if numbers_in(texts) is None else "psy plan"


def check_not_replaced(name: str, current: Current, texts: Sequence[str]) -> None:
    """Refuse a part where rows of before are to be replaced, and so would not stay.

    Raises `PsyrunError` if a run with ``--fresh`` was not finished.
    """
    superseded = () if current.plan is None else current.plan.superseded
    if not set(superseded).isdisjoint(current.rounds):
        raise PsyrunError(
            f"task {name!r}: {_option(texts)} keeps the rows that are there, but "
            "a run with --fresh that was not finished replaces them. Finish it with "
            f"'psy run {name}', or keep them with 'psy run --continue "
            f"{run_arguments(texts, name)}'."
        )

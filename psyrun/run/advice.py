"""What the summary of a run says to do next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from psyrun.planning.desired import PlanOptions
from psyrun.planning.prepare import TaskRun
from psyrun.workdir.plan import run_arguments


class Advice(NamedTuple):
    """What may be said to do after a run that has not done all, as sentences.

    Attributes
    ----------
    go_on, after_jobs : str
        What to type next, also if jobs in a queue go on by themselves.
    when_fixed : str
        What to type after a cause was fixed, as the end of a sentence.
    keeping : str
        What keeps rows that were to be replaced; empty if none are.
    in_queue, detached : str
        What goes on although this job, or this terminal, ends; empty if nothing does.
    """

    go_on: str
    after_jobs: str
    when_fixed: str
    keeping: str = ""
    in_queue: str = ""
    detached: str = ""

    @classmethod
    def of(cls, tasks: Sequence[TaskRun]) -> Advice:
        """Return what is said of tasks that were run together."""
        names = [task.name for task in tasks]
        # They are the same for all of them.
        options = tasks[0].options if tasks else PlanOptions()
        if options.is_of_pilots:
            return cls.to_plan(" ".join(names))
        return cls.to_run(run_arguments(options.part, *names))

    @classmethod
    def to_plan(cls, names: str) -> Advice:
        """Return what is said where pilots were to be evaluated."""
        go_on = f"Go on with 'psy plan {names}'"
        after_jobs = f"{go_on} when its jobs have ended."
        return cls(f"{go_on}.", after_jobs, f"then 'psy plan {names}'.")

    @classmethod
    def to_run(cls, arguments: str) -> Advice:
        """Return what is said after ``psy run``."""
        go_on = f"Go on with 'psy run {arguments}'."
        keep = f"psy run --continue {arguments}"
        return cls(
            go_on,
            go_on,
            # With this option it does not matter what was changed to fix it.
            f"then '{keep}'.",
            f" The rows that were to be replaced are still there: '{keep}' keeps them.",
            f" 'psy run --detach=job {arguments}' goes on in the queue.",
            f" 'psy run --detach {arguments}' survives a logout.",
        )

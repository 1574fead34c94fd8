"""Where in its space a task fails, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from psyrun.errors import PsyrunError
from psyrun.workdir.consistent_reads import retry_while_changing
from psyrun.workdir.division import Division, DivisionCounts
from psyrun.workdir.failures import Failure, Outcomes, outcomes_of
from psyrun.workdir.layout import Round, TaskLayout
from psyrun.workdir.plan import Plan
from psyrun.workdir.progress import MergeRecord, finished_blocks

if TYPE_CHECKING:
    from psyrun.results.rules import Rule, Rules
    from psyrun.store.arrays import Indices

NO_PATTERN = "no pattern in their parameters"
_FEWEST = 2  # failures that have something in common
_FEWEST_WITHOUT = 5  # from which on it says something that there is no pattern


@dataclass(frozen=True)
class TaskFailures:
    """The failures of a task, and the rules of them.

    Attributes
    ----------
    failures : sequence of Failure
        The failed assignments of its last round, in their order.
    """

    failures: Sequence[Failure]
    _round: Round | None = None
    _outcomes: Outcomes = field(default_factory=lambda: Outcomes([]))

    @classmethod
    def load(cls, layout: TaskLayout) -> TaskFailures:
        """Read the failures of a task; its space is read when a rule is wanted."""
        plan = Plan.load(layout)
        if plan is None:
            return cls([])
        round_ = layout.round(plan.round)
        outcomes = retry_while_changing(lambda: outcomes_of(round_))
        return cls(outcomes.failures, round_, outcomes)

    @property
    def was_run(self) -> bool:
        """Whether the task was ever run."""
        return self._round is not None

    @cached_property
    def _rules(self) -> Rules | None:
        """Those in the frozen space; None if it cannot be read without more.

        Values of classes that the task file defines would need the file to be run.
        """
        from psyrun.results.rules import Rules

        if self._round is not None:
            with suppress(PsyrunError, OSError, ImportError, AttributeError):
                division = Division.load(self._round)
                known = _known(self._round, division, self._outcomes)
                return Rules(division.space, known)
        return None

    def rule(self, failures: Iterable[Failure] | None = None) -> Rule | None:
        """Return the rule of some failures, by default of all; None without pattern."""
        import numpy as np

        chosen = self.failures if failures is None else failures
        indices = [failure.index for failure in chosen]
        if len(indices) < _FEWEST or self._rules is None:
            return None
        return self._rules.of(np.array(indices, np.int64))

    def in_words(self) -> str:
        """Say where it fails, or that there is no pattern; empty if that is no news."""
        if len(self.failures) < _FEWEST or self._rules is None:
            return ""
        if self._rules.n_known <= len(self.failures):
            return ""
        rule = self.rule()
        if rule is not None:
            return rule.sentence()
        return NO_PATTERN if len(self.failures) >= _FEWEST_WITHOUT else ""


def _known(round_: Round, division: Division, outcomes: Outcomes) -> Indices | None:
    """Return the assignments of which the outcome is known; None for all of them."""
    import numpy as np

    from psyrun.workdir.rows import indices_of_block

    counts = DivisionCounts.load(round_)
    if counts is None or MergeRecord.load(round_) is not None:
        return None
    is_known = np.zeros(len(division.space), np.bool_)
    if division.kept is not None:
        is_known |= division.kept >= 0
    for folder in (round_.blocks, round_.finished):
        for block in finished_blocks(round_, counts.ext, folder):
            is_known[indices_of_block(round_, division, block)] = True
    there = outcomes.in_journals
    is_known[np.fromiter(there, np.int64, len(there))] = True
    is_known[[failure.index for failure in outcomes.failures]] = True
    return None if is_known.all() else np.flatnonzero(is_known)

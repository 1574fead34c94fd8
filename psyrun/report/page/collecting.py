"""What the page shows of a task, read from its records and results."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.pspace.axes import Dimension
from psyrun.pspace.columns import Indices
from psyrun.report.axis import Kind, is_length_of_time, plain
from psyrun.report.choice import REPEATS
from psyrun.report.page.columns import (
    Label,
    Measured,
    Parameter,
    are_too_many,
    levels_of,
)
from psyrun.report.page.timeline import Timeline, timeline_of
from psyrun.report.quantity import NoNumberError, numbers_of
from psyrun.report.sweep import newest_rows
from psyrun.results.cost_rules import TIME_NOISE, costliest
from psyrun.results.costs import cost_columns, costs_of_failures
from psyrun.results.efficiency import JobUse, efficiency_of
from psyrun.results.failure_rules import TaskFailures
from psyrun.results.load import RecordedTask
from psyrun.results.provenance import provenance_of
from psyrun.results.rules import Rules
from psyrun.store.costs import Costs
from psyrun.utils.text import counted, shortened, value_text
from psyrun.workdir.consistent_reads import retry_while_changing

DONE, TO_DO, FAILED, RUNNING = range(4)
"""What became of an assignment; a running job holds those that are `RUNNING`."""
_MOST_LISTED = 2_000_000  # assignments that are rows of the page although not evaluated
_LONGEST_CONSTANT = 300
_MIB = 2.0**-20


@dataclass(frozen=True)
class Sweep:
    """A task as the page shows it.

    Attributes
    ----------
    name : str
        The task.
    n_assignments : int
        How many the space has.
    n_of_status : dict of int to int
        How many of them are `DONE`, `FAILED`, `RUNNING` and `TO_DO`.
    indices : ndarray of int64, shape (n_rows,)
        The assignments that are listed, by their number in the space.
    status : ndarray of int8, shape (n_rows,)
        What became of each.
    parameters, results, costs : list
        What is known of each. Costs are ``time`` in seconds and ``memory`` in MiB, as
        far as any is known.
    constants : dict of str to str
        Parameters that have one value everywhere.
    versions : ndarray of int64, shape (n_rows,)
        The place in `version_names` of the version that made the row; 0 if it is not
        known.
    version_names : list of str
        Begins of fingerprints; the first is empty.
    current_versions : collection of str
        Those of these names that the last plan was for.
    failures : TaskFailures
        The failed assignments, and where they are in words.
    origin : dict of str to dict
        What is known of each version; see `psyrun.provenance`.
    notes : list of str
        What the page leaves out, in words.
    slowest : str
        Which rows are the slowest tenth, in words; empty if there is no pattern.
    largest : str
        The same of the tenth with most memory.
    timeline : Timeline or None
        When rows were evaluated, as far as that is known.
    n_not_chosen : int
        How many of those that are `TO_DO` no run was to evaluate.
    uses : sequence of JobUse
        What jobs in a queue have used of what was reserved for them.
    """

    name: str
    n_assignments: int
    n_of_status: Mapping[int, int]
    indices: Indices
    status: NDArray[np.int8]
    parameters: list[Parameter]
    results: list[Measured]
    costs: list[Measured]
    constants: Mapping[str, str]
    versions: Indices
    version_names: list[str]
    current_versions: Collection[str]
    failures: TaskFailures
    origin: Mapping[str, Mapping[str, Any]]
    notes: list[str] = field(default_factory=list)
    slowest: str = ""
    largest: str = ""
    timeline: Timeline | None = None
    n_not_chosen: int = 0
    uses: Sequence[JobUse] = ()

    def __len__(self) -> int:
        """Return the number of assignments that are listed."""
        return len(self.indices)


def collect(
    task: RecordedTask, running: Collection[int] = (), *, asks_queue: bool = True
) -> Sweep:
    """Return what the page shows of a task.

    Parameters
    ----------
    task : RecordedTask
        The task; it may be running.
    running : collection of int
        Assignments that running jobs hold.
    asks_queue : bool
        Whether to find out, perhaps from its queue, what its jobs have used.

    Raises
    ------
    PsyrunError
        If it was never run, or its records cannot be read.
    """
    task.plan  # noqa: B018  says that it was never run
    return retry_while_changing(lambda: _Reading(task, running, asks_queue).sweep())


class _Reading:
    """One look at the records of a task."""

    def __init__(
        self, task: RecordedTask, running: Collection[int], asks_queue: bool
    ) -> None:
        self._task, self._running, self._asks_queue = task, running, asks_queue
        self._source = newest_rows(task, needs_costs=False)
        self._known = self._source.known
        self.notes: list[str] = []
        self._single: dict[str, Any] = {}

    def sweep(self) -> Sweep:
        costs, names = self._costs, self._source.costs().versions
        parameters = self._parameters()
        constants = {} if self._known is None else dict(self._known.grid.attributes)
        return Sweep(
            name=self._task.layout.name,
            n_assignments=self._n_assignments + self._n_not_chosen,
            n_of_status=self._n_of_status,
            indices=self._indices,
            status=self._status,
            parameters=parameters,
            results=self._results(),
            costs=costs,
            constants={
                key: plain(shortened(value_text(value), _LONGEST_CONSTANT))
                for key, value in (constants | self._single).items()
            },
            versions=self._spread(self._costs_of_rows.columns["version"], 0),
            version_names=[name[:12] for name in names],
            current_versions={name[:12] for name in self._task.plan.names},
            failures=self._failures,
            origin=provenance_of(self._task),
            notes=self._with_general_notes(),
            slowest=self._costliest(costs, "time", "slowest rows", TIME_NOISE),
            largest=self._costliest(costs, "memory", "rows with most memory"),
            timeline=timeline_of(
                self._costs_of_rows, costs_of_failures(self._failures.failures)
            ),
            n_not_chosen=self._n_not_chosen,
            uses=self._uses() if self._asks_queue else (),
        )

    # Which assignments ----------------------------------------------------------

    @property
    def _n_assignments(self) -> int:
        known = self._known
        return self._source.count() if known is None else len(known.space)

    @property
    def _n_not_chosen(self) -> int:
        return 0 if self._known is None else self._known.n_not_chosen

    @cached_property
    def _rows(self) -> Indices:
        """The assignment of each row, ascending."""
        known = self._known
        if known is None:
            return np.arange(self._source.count())
        return np.arange(known.n_rows) if known.indices is None else known.indices

    @cached_property
    def _failed(self) -> Indices:
        failed = () if self._known is None else self._known.failed
        found = np.fromiter(failed, np.int64, len(failed))
        # One may have got its row while failures were read.
        return np.setdiff1d(found, self._rows)

    @cached_property
    def _failures(self) -> TaskFailures:
        return TaskFailures.load(self._task.layout)

    @cached_property
    def _indices(self) -> Indices:
        """The assignments to list."""
        if self._n_assignments <= _MOST_LISTED:
            return np.arange(self._n_assignments)
        ended = np.union1d(self._rows, self._failed)
        hidden = self._n_assignments - len(ended)
        if hidden:
            self.notes.append(
                f"{counted(hidden, 'assignment')} that are not evaluated yet are "
                "counted, but not shown over the axes: the space is too large."
            )
        return ended

    @cached_property
    def _places(self) -> Indices:
        """Where rows stand among the assignments that are listed."""
        return np.searchsorted(self._indices, self._rows)

    @cached_property
    def _status(self) -> NDArray[np.int8]:
        found = np.full(len(self._indices), TO_DO, np.int8)
        running = np.fromiter(self._running, np.int64, len(self._running))
        found[np.isin(self._indices, running)] = RUNNING
        found[np.isin(self._indices, self._failed)] = FAILED
        found[self._places] = DONE
        return found

    @property
    def _n_of_status(self) -> dict[int, int]:
        n_of = {
            code: int(np.sum(self._status == code)) for code in (DONE, FAILED, RUNNING)
        }
        n_all = self._n_assignments + self._n_not_chosen
        return {**n_of, TO_DO: n_all - sum(n_of.values())}

    def _spread(self, values: NDArray[Any], fill: float) -> NDArray[Any]:
        """Return an array over what is listed of one over rows."""
        found = np.full(len(self._indices), fill, values.dtype)
        found[self._places] = values
        return found

    # What is known of them ------------------------------------------------------

    def _parameters(self) -> list[Parameter]:
        if self._known is None:
            return self._columns_as_parameters()
        grid, found = self._known.grid, []
        places = grid.places(self._indices)
        for number, dimension in enumerate(grid.dimensions):
            after = int(np.prod(grid.shape[number + 1 :], dtype=np.int64))
            along = places // after % grid.shape[number]
            found += self._along(dimension, along)
        return found

    def _along(self, dimension: Dimension, along: Indices) -> list[Parameter]:
        if not dimension.keys:
            levels = np.arange(dimension.size, dtype=np.float64)
            label = self._label(dimension.name)
            return [Parameter(label, "number", levels, along, is_repeat=True)]
        columns = ((key, dimension.values(key)) for key in dimension.keys)
        found = (self._parameter(key, values, along) for key, values in columns)
        return [each for each in found if each is not None]

    def _parameter(
        self, key: str, values: NDArray[Any], along: Indices
    ) -> Parameter | None:
        kind, levels, of_place = levels_of(values)
        if len(levels) == 1:
            self._single[key] = values[0]
            return None
        if are_too_many(kind, levels):
            self.notes.append(
                f"{key}: is no axis of the page, as it has {len(levels)} different "
                "texts."
            )
            return None
        unit = "s" if is_length_of_time(values) else ""
        label, is_repeat = self._label(key, unit), key.lower() in REPEATS
        return Parameter(label, kind, levels, of_place[along], is_repeat)

    def _columns_as_parameters(self) -> list[Parameter]:
        """Return all columns that are numbers, as it is not known what they are."""
        kind: Kind = "number"
        found = []
        for measured in self._results():
            levels, codes = np.unique(measured.values, return_inverse=True)
            found.append(Parameter(measured.label, kind, levels, codes))
        return found

    def _label(self, key: str, unit: str = "") -> Label:
        return Label.of(key, self._source.description.attrs.get(key, {}), unit)

    def _results(self) -> list[Measured]:
        found = []
        for key in self._result_names():
            column = self._source.read([key], None)[key]
            values = self._numbers(key, column)
            if values is not None:
                label = self._label(key, "s" if is_length_of_time(column) else "")
                found.append(Measured(label, self._spread(values, np.nan)))
        return found

    def _numbers(self, key: str, column: Any) -> NDArray[np.float64] | None:
        """Return a result as numbers, one for each row; None if it has none."""
        try:
            values = numbers_of(key, column)
        except NoNumberError as error:
            self.notes.append(plain(f"{key}: is not shown. It {error}."))
            return None
        if values.ndim == 1:
            return values[: len(self._rows)]
        self.notes.append(
            plain(f"{key}: is not shown, as it is an array. 'psy plot' shows it.")
        )
        return None

    def _result_names(self) -> list[str]:
        known = self._known
        keys = self._source.keys()
        if known is None:
            return keys
        parameters = known.space.keys()
        # One may have results in its place.
        return [key for key in keys if key not in parameters]

    @cached_property
    def _costs_of_rows(self) -> Costs:
        return self._source.costs().take(np.arange(len(self._rows)))

    @property
    def _costs(self) -> list[Measured]:
        columns = cost_columns(self._costs_of_rows)
        labels = {
            "cost_duration": (Label("time", "time of the evaluation", "s"), 1.0),
            "cost_peak_memory": (
                Label("memory", "peak memory of the evaluation", "MiB"),
                _MIB,
            ),
        }
        found = [
            Measured(label, self._spread(columns[key] * factor, np.nan))
            for key, (label, factor) in labels.items()
        ]
        return [each for each in found if np.isfinite(each.values).any()]

    def _uses(self) -> list[JobUse]:
        layout, plan = self._task.layout, self._task.plan
        return efficiency_of(
            layout, plan, costs=self._costs_of_rows, failures=self._failures.failures
        )

    def _costliest(
        self, costs: list[Measured], name: str, what: str, noise: float = 0.0
    ) -> str:
        """Say which rows cost most, a tenth of all; empty if there is no pattern."""
        measured = [each for each in costs if each.label.name == name]
        if self._known is None or not measured:
            return ""
        values = measured[0].values
        found = costliest(values, noise)
        if found is None:
            return ""
        known = self._indices[np.isfinite(values)]
        rule = Rules(self._known.space, known).of(self._indices[found])
        return "" if rule is None else rule.sentence(what)

    def _with_general_notes(self) -> list[str]:
        known = self._known
        if known is None and len(self._rows):
            self.notes.append(
                "Which assignments the rows are of is not known, so that all columns "
                f"are axes.{self._source.advice}"
            )
        if self._n_not_chosen:
            self.notes.append(
                f"{counted(self._n_not_chosen, 'assignment')} that 'psy run -p' did "
                "not choose are counted as to do, but not shown over the axes."
            )
        if known is not None and known.n_former:
            self.notes.append(
                f"{counted(known.n_former, 'row')} of assignments that are no longer "
                "in the space are left out."
            )
        return self.notes

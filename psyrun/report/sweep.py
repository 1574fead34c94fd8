"""What a task has so far, for plots: results, costs and parameters of its rows."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from psyrun.errors import PsyrunError
from psyrun.pspace.axes import ASSIGNMENT, Dimension, Grid
from psyrun.pspace.columns import Indices
from psyrun.report.axis import Axis, Levels, is_length_of_time, plain
from psyrun.report.quantity import (
    COSTS,
    FAILED,
    FAILED_LABEL,
    NoNumberError,
    Quantity,
    cost_quantity,
    is_scalar,
    label_of,
    numbers_of,
)
from psyrun.results.columns import as_array
from psyrun.results.forms import Request, source_of
from psyrun.results.known_rows import KnownRows, number_of_result
from psyrun.results.labelled import axes_of, check_length
from psyrun.results.load import RecordedTask
from psyrun.results.sources import Source
from psyrun.utils.text import counted, shortened

_MOST_NAMES = 8  # in a message
_LONGEST_NAME = 40


def nearest_first(name: str, known: Iterable[str]) -> str:
    """Return names that there are, those most like another one first."""
    others = list(dict.fromkeys(known))
    ratios = {
        each: difflib.SequenceMatcher(None, name.lower(), each.lower()).ratio()
        for each in others
    }
    ordered = sorted(others, key=lambda each: -ratios[each])
    shown = [shortened(plain(each), _LONGEST_NAME) for each in ordered[:_MOST_NAMES]]
    hidden = len(ordered) - len(shown)
    return ", ".join(shown) + (f" and {hidden} more" if hidden else "")


@dataclass(frozen=True)
class Parameter:
    """A parameter that rows differ in.

    Attributes
    ----------
    name : str
        Its name.
    number : int
        The dimension of the space that it belongs to.
    is_repeat : bool
        Whether the dimension only counts repeats, without any parameter.
    """

    name: str
    number: int
    is_repeat: bool = False


class Sweep:
    """The rows of a task, or of a data file.

    Parameters
    ----------
    name : str
        What they are called in messages.
    source : Source
        The rows, with what they have cost if that is to be plotted.
    cost : {None, "time", "memory", "failed"}
        What rows have cost, if that is to be plotted.
    is_task : bool
        Whether it is a task.
    arguments : str
        What to give ``psy run`` to go on with it, by default its name.

    Raises
    ------
    PsyrunError
        If there is no row.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        cost: str | None = None,
        *,
        is_task: bool = True,
        arguments: str = "",
    ) -> None:
        self.name, self.is_task = name, is_task
        self._arguments = arguments or name
        self._cost, self._source = cost, source
        self._known = self._source.known
        self._levels: dict[str, Levels] = {}
        self.n_failed = 0 if self._known is None else len(self._known.failed)
        self.n_rows = (
            self._source.count() if self._known is None else self._known.n_rows
        )
        self.n_assignments = (
            self.n_rows
            if self._known is None
            else len(self._known.space) + self._known.n_not_chosen
        )
        self._check_not_empty()

    @classmethod
    def of(cls, found: RecordedTask | Path, cost: str | None = None) -> Sweep:
        """Return the rows that a task has so far, or those of a file."""
        source = newest_rows(found, needs_costs=cost in COSTS)
        if isinstance(found, Path):
            return cls(str(found), source, cost, is_task=False)
        arguments = found.plan.arguments
        return cls(found.layout.name, source, cost, arguments=arguments)

    def _check_not_empty(self) -> None:
        n_there = self.n_rows + (self.n_failed if self._cost == FAILED else 0)
        if n_there:
            return
        what = f"task {self.name!r}" if self.is_task else self.name
        if self.n_failed:
            raise PsyrunError(
                f"{what}: all {counted(self.n_failed, 'assignment')} that ended have "
                f"failed. See why with 'psy failed {self.name}', and where with 'psy "
                f"plot {self.name} --cost failed'."
            )
        advice = f"Go on with 'psy run {self._arguments}', or try again later."
        raise PsyrunError(
            f"{what}: no assignment is finished yet, so that there is nothing to plot."
            f" {advice if self.is_task else ''}".rstrip()
        )

    @property
    def n_open(self) -> int:
        """How many assignments have neither a row nor failed."""
        return max(0, self.n_assignments - self.n_rows - self.n_failed)

    # What is plotted -----------------------------------------------------------

    @property
    def results(self) -> list[str]:
        """The names of the columns that are no parameters."""
        if self._known is None:
            return self._source.keys()
        added, own = set(self._source.always()), set(self._known.space.keys())
        return [key for key in self._source.keys() if key not in added | own]  # noqa: SIM118

    def quantity(self, result: str | None) -> Quantity:
        """Return a result by its name, or the first that is a number; or the cost.

        Raises
        ------
        PsyrunError
            If there is no such result, or it is no number.
        """
        if self._cost == FAILED:
            failed = np.zeros(self.n_rows + self.n_failed)
            failed[self.n_rows :] = 1.0
            return Quantity(FAILED, FAILED_LABEL, failed)
        if self._cost is not None:
            columns = self._source.read(self._source.always(), None)
            found = cost_quantity(self._cost, columns)
            return Quantity(found.name, found.label, found.values[: self.n_rows])
        if result is None:
            return self._first_number()
        return self._named(result)

    def _named(self, result: str) -> Quantity:
        self._check_is_result(result)
        try:
            return self._read(result)
        except NoNumberError as error:
            others = [key for key in self.results if key != result]
            there = (
                f" Other results: {nearest_first(result, others)}." if others else ""
            )
            raise PsyrunError(f"plot: the result {result!r} {error}.{there}") from None

    def _check_is_result(self, result: str) -> None:
        if result in self.results:
            return
        known, others = self._known, nearest_first(result, self.results)
        if known is not None and result in known.space.keys():  # noqa: SIM118
            column = self._source.read([result], None)
            if result in known.compared or known.has_values_of(result, column[result]):
                raise PsyrunError(
                    f"plot: {result!r} is a parameter, and no result. Plot over it "
                    f"with '--over {result}'. Results: {others}."
                )
            return
        raise PsyrunError(f"plot: there is no result {result!r}. Results: {others}.")

    def _first_number(self) -> Quantity:
        along: Quantity | None = None
        for key in self.results:
            try:
                found = self._read(key)
            except NoNumberError:
                continue
            if is_scalar(found.values):
                return found
            along = along or found
        if along is not None:
            return along
        names = nearest_first("", self.results) or "none"
        raise PsyrunError(
            f"{self.name}: no result is a number. Results: {names}. Return a number in "
            "'execute', or plot the time with '--cost time'."
        )

    def _read(self, key: str) -> Quantity:
        column = self._source.read([key], None)[key]
        attrs = self._source.description.attrs.get(key, {})
        label = label_of(key, attrs, "s" if is_length_of_time(column) else "")
        return Quantity(key, label, numbers_of(key, column)[: self.n_rows])

    # What it is plotted over ---------------------------------------------------

    @cached_property
    def is_grid(self) -> bool:
        """Whether the axes of the rows are known, and more than a list of points."""
        if self._known is None:
            return False
        dimensions = self._grid.dimensions
        return not (
            len(dimensions) == 1
            and dimensions[0].name == ASSIGNMENT
            and len(dimensions[0].keys) > 1
        )

    @property
    def has_parameters(self) -> bool:
        """Whether it is known which columns are parameters."""
        return self._known is not None

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """The parameters that can be axes, by name; those of a dimension together."""
        if self._known is None:
            return {key: Parameter(key, i) for i, key in enumerate(self._source.keys())}
        found: dict[str, Parameter] = {}
        for number, dimension in enumerate(self._grid.dimensions):
            for key in dimension.keys:
                found[key] = Parameter(key, number)
            if not dimension.keys and dimension.name not in found:
                found[dimension.name] = Parameter(dimension.name, number, True)
        return found

    @property
    def constants(self) -> Collection[str]:
        """The parameters that are the same everywhere."""
        return () if self._known is None else self._grid.attributes.keys()

    def dimension_name(self, number: int) -> str:
        """Return what a dimension of the space is called."""
        if self._known is None:
            return list(self.parameters)[number]
        return self._grid.dimensions[number].name

    @property
    def n_dimensions(self) -> int:
        """Number of dimensions of the space; of what is no grid none."""
        return len(self._grid.dimensions) if self.is_grid else 0

    def levels(self, name: str) -> Levels:
        """Return the levels of a parameter."""
        if name not in self._levels:
            self._levels[name] = Levels.of(self._values(name))
        return self._levels[name]

    def _values(self, name: str) -> Any:
        if self._known is None:
            return _one_each(name, self._source.read([name], None)[name])
        parameter = self.parameters[name]
        dimension: Dimension = self._grid.dimensions[parameter.number]
        if parameter.is_repeat:
            return np.arange(dimension.size)
        return dimension.values(name)

    def axis(self, name: str) -> Axis:
        """Return the levels of a parameter, and that of each row or failure."""
        attrs = self._source.description.attrs.get(name, {})
        label = label_of(name, attrs, self.levels(name).unit)
        places = self._places_along(self.parameters[name].number)
        return Axis.of(name, label, self.levels(name), places)

    def own_axis(self, quantity: Quantity) -> Axis:
        """Return the axis of a result that is an array; a code for each of its places.

        Raises `PsyrunError` if the task file says something else of it.
        """
        description, length = self._source.description, quantity.values.shape[1]
        (name,) = axes_of(description, quantity.name, (length,))
        check_length(description, name, length, quantity.name)
        values = description.coords.get(name, np.arange(length))
        label = label_of(name, description.attrs.get(name, {}))
        while name in self.parameters:
            name += "_"
        return Axis.of(name, label, Levels.of(values), np.arange(length))

    def _places_along(self, number: int) -> Indices:
        if self._known is None:
            return np.arange(self.n_rows)
        shape = self._grid.shape
        after = int(np.prod(shape[number + 1 :], dtype=np.int64))
        return self._places // after % shape[number]

    @property
    def _grid(self) -> Grid:
        assert self._known is not None
        return self._known.grid

    @cached_property
    def _places(self) -> Indices:
        """The place in the grid of each row, and of each failure if those count."""
        known = self._known
        assert known is not None
        rows = np.arange(self.n_rows) if known.indices is None else known.indices
        if self._cost == FAILED:
            failed = np.sort(np.fromiter(known.failed, np.int64, len(known.failed)))
            rows = np.concatenate([rows, failed])
        return known.grid.places(rows)


def _one_each(name: str, column: Any) -> Any:
    array = as_array(name, column)
    if array.ndim == 1:
        return array
    found = np.empty(len(array), object)
    found[:] = [str(each) for each in array]
    return found


def newest_rows(found: RecordedTask | Path, *, needs_costs: bool) -> Source:
    """Return all rows that there are; from the result file if it has them."""
    request = Request(costs=needs_costs)
    if isinstance(found, RecordedTask) and not _is_in_result(found):
        source = source_of(found, request, True, with_axes=True)
        has_any = source.count() or _known_size(source.known)
        if has_any or not found.resultfile.exists():
            return source
    return source_of(found, request, False)


def _known_size(known: KnownRows | None) -> int:
    return 0 if known is None else len(known.space)


def _is_in_result(task: RecordedTask) -> bool:
    """Whether the result has all rows of the last division of the space."""
    number = task.plan.round
    try:
        return number_of_result(task) == number
    except (PsyrunError, OSError):
        return False

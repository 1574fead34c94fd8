"""A result in a file, wherever that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from psyrun.pspace.axes import ASSIGNMENT
from psyrun.results.forms import Request, loaded_as, source_of
from psyrun.results.load import find_rows
from psyrun.results.provenance import provenance_of
from psyrun.results.sources import Source
from psyrun.utils.files import Filename
from psyrun.workdir.consistent_reads import retry_while_changing

_T = TypeVar("_T")


@dataclass(frozen=True)
class Axis:
    """A dimension of a result.

    Attributes
    ----------
    name : str
        The parameter; of several parameters their names, joined by ``_``.
    parameters : tuple of str
        The parameters that have a value for each place along it.
    size : int
        Number of places.
    """

    name: str
    parameters: tuple[str, ...]
    size: int


class Result:
    """What a data file, or the result of a task, holds.

    Nothing is read before it is asked for, and only as much as is asked for. The file
    must be of a store that can be found by its extension.

    Parameters
    ----------
    task_or_path : path-like
        A data file, also one that was sent without its project; or the name of a task
        or its work folder, as for `psyrun.load`.
    taskdir : path-like, optional
        As for `psyrun.load`.

    Raises
    ------
    PsyrunError
        If there is no such file or task. Methods and attributes raise it as
        `psyrun.load` does.
    """

    def __init__(self, task_or_path: Filename, taskdir: Filename | None = None) -> None:
        self._found, _ = find_rows(task_or_path, False, taskdir)
        self._name = str(task_or_path)

    def __repr__(self) -> str:
        return f"Result({self._name!r})"

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._read(lambda source: source.count())

    @property
    def columns(self) -> list[str]:
        """The names of parameters and results."""
        return self._read(lambda source: source.keys())

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The dimensions that `to_xarray` gives.

        If it is not known which rows are of which assignments, there is only
        ``assignment``.
        """
        return self._read(_axes_of)

    @property
    def attrs(self) -> dict[str, dict[str, Any]]:
        """What the task file says of parameters, results and axes, such as units."""
        attrs = self._read(lambda source: source.description.attrs)
        return {key: dict(each) for key, each in attrs.items()}

    @property
    def versions(self) -> dict[str, dict[str, Any]]:
        """Where the rows of each version of the task come from.

        The names are those in the column ``cost_version``; see `psyrun.provenance`.
        """
        return retry_while_changing(lambda: provenance_of(self._found))

    @property
    def origin(self) -> dict[str, Any]:
        """What wrote the file: ``task``, version of ``psyrun``, ``written`` (when).

        That is in seconds since the epoch. It is empty if nothing is known.
        """
        about = self._read(lambda source: source.about())
        return {
            key: about[key] for key in ("task", "psyrun", "written") if key in about
        }

    def to_dict(
        self,
        columns: Sequence[str] | None = None,
        where: Mapping[str, Any] | None = None,
        *,
        costs: bool = False,
        former: bool = False,
    ) -> dict[str, Any]:
        """Return the columns, as the store loads them; see `psyrun.load`."""
        found: dict[str, Any] = self._load(
            Request(None, columns, where, None, costs, former)
        )
        return found

    def to_pandas(
        self,
        columns: Sequence[str] | None = None,
        where: Mapping[str, Any] | None = None,
        tidy: str | None = None,
        *,
        costs: bool = False,
        former: bool = False,
    ) -> Any:
        """Return a data frame of pandas; see `psyrun.load`."""
        return self._load(Request("pandas", columns, where, tidy, costs, former))

    def to_polars(
        self,
        columns: Sequence[str] | None = None,
        where: Mapping[str, Any] | None = None,
        *,
        costs: bool = False,
        former: bool = False,
    ) -> Any:
        """Return a data frame of polars; see `psyrun.load`."""
        return self._load(Request("polars", columns, where, None, costs, former))

    def to_arrow(
        self,
        columns: Sequence[str] | None = None,
        where: Mapping[str, Any] | None = None,
        *,
        costs: bool = False,
        former: bool = False,
    ) -> Any:
        """Return a table of Arrow; see `psyrun.load`."""
        return self._load(Request("arrow", columns, where, None, costs, former))

    def to_xarray(
        self,
        columns: Sequence[str] | None = None,
        where: Mapping[str, Any] | None = None,
        *,
        costs: bool = False,
        former: bool = False,
    ) -> Any:
        """Return a dataset of xarray; see `psyrun.load`."""
        return self._load(Request("xarray", columns, where, None, costs, former))

    def _load(self, request: Request) -> Any:
        request.check()
        return self._read(lambda source: loaded_as(source, request), request)

    def _read(self, read: Callable[[Source], _T], request: Request | None = None) -> _T:
        wanted = Request() if request is None else request
        return retry_while_changing(
            lambda: read(source_of(self._found, wanted, partial=False))
        )


def _axes_of(source: Source) -> tuple[Axis, ...]:
    if source.known is None:
        return (Axis(ASSIGNMENT, (), source.count()),)
    dimensions = source.known.grid.dimensions
    return tuple(Axis(each.name, tuple(each.keys), each.size) for each in dimensions)

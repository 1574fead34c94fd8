"""A result in the form that an analysis wants, and only what it asks for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from psyrun.errors import PsyrunError
from psyrun.pspace.axes import ASSIGNMENT, Dimension
from psyrun.pspace.columns import Indices
from psyrun.pspace.space import ParameterSpace, Table
from psyrun.results.added import WithCosts, with_former
from psyrun.results.extras import check_form, library_for
from psyrun.results.frames import to_arrow, to_pandas, to_polars
from psyrun.results.known_rows import KnownRows
from psyrun.results.labelled import Cells, dataset
from psyrun.results.load import RecordedTask, warn_caller
from psyrun.results.sources import FileSource, PartialSource, ResultSource, Source
from psyrun.results.where import Part, checked_where, part_of, where_in_columns
from psyrun.store.rows import count_rows, no_column
from psyrun.utils.text import counted
from psyrun.workdir.consistent_reads import ConcurrentChangeError

_T = TypeVar("_T")
_PIECE_BYTES = 1 << 23


@dataclass(frozen=True)
class Request:
    """What is asked for of a result; see `psyrun.load`."""

    as_: str | None = None
    columns: Sequence[str] | None = None
    where: Mapping[str, Any] | None = None
    tidy: str | None = None
    costs: bool = False
    former: bool = False

    def check(self) -> None:
        """Raise `PsyrunError` if that cannot be had of any result."""
        check_form(self.as_)
        if self.tidy is not None and self.as_ != "pandas":
            raise PsyrunError("tidy: is for as_='pandas' only. Add that.")
        if isinstance(self.columns, str):
            raise PsyrunError(f"columns: give a list, such as [{self.columns!r}].")
        if self.as_ is not None:
            library_for(self.as_)


def source_of(
    found: RecordedTask | Path,
    request: Request,
    partial: bool,
    *,
    with_axes: bool = False,
) -> Source:
    """Return where the rows of a task, or of a data file, are read from.

    Axes of rows so far are known if they are needed, or with `with_axes`. Rows and
    columns that are asked for in addition are there.
    """
    source = _source_of(found, request, partial, with_axes=with_axes)
    if request.former:
        source = with_former(source, found, partial=partial)
    return WithCosts(source) if request.costs else source


def _source_of(
    found: RecordedTask | Path, request: Request, partial: bool, *, with_axes: bool
) -> Source:
    is_labelled = request.as_ == "xarray"
    if isinstance(found, Path):
        return FileSource(found, is_labelled=is_labelled)
    if partial:
        needs_axes = with_axes or is_labelled or bool(request.where)
        return PartialSource(found, needs_axes, request.costs, request.former)
    return ResultSource(found)


def loaded_as(source: Source, request: Request) -> Any:
    """Return a result in the form that is asked for.

    Raises `PsyrunError` if it has no such columns or values.
    """
    keys = keys_asked_for(source, request)
    if request.as_ == "xarray":
        return _labelled(source, request, keys)
    rows = rows_asked_for(source, request)
    columns = source.read(keys, rows)
    if request.as_ == "pandas":
        return to_pandas(columns, source.description, request.tidy)
    if request.as_ == "polars":
        return to_polars(columns, source.description)
    return to_arrow(columns, source.description) if request.as_ == "arrow" else columns


def keys_asked_for(source: Source, request: Request) -> list[str] | None:
    """Return the columns that are asked for; None for all."""
    source.refuse_doubles(request.columns)
    if request.columns is None:
        return None
    known, asked = source.keys(), list(request.columns)
    for key in asked:
        if key not in known:
            raise PsyrunError(f"{source.name}: {no_column(key, known)}")
    return [*asked, *(key for key in source.always() if key not in asked)]


def rows_asked_for(source: Source, request: Request) -> Indices | None:
    """Return the rows that are asked for, in the order of the space; None for all."""
    if not request.where:
        checked_where(request.where, (), ())
        return None
    known = source.known
    if known is None:
        columns = source.keys()
        wanted = checked_where(request.where, columns, ())
        return where_in_columns(source.read(list(wanted), None), wanted)
    part = part_asked_for(source, known, request)
    rows = np.arange(len(known.space)) if part.rows is None else np.sort(part.rows)
    found = known.rows_of(rows[rows >= 0])
    return found[found >= 0]


def part_asked_for(source: Source, known: KnownRows, request: Request) -> Part:
    """Return the part of the grid that is asked for."""
    others = source.keys() if request.where else ()
    return part_of(known.grid, request.where, others)


def _labelled(source: Source, request: Request, keys: Sequence[str] | None) -> Any:
    cells, wanted, rows = labelled_cells(source, request, keys)
    columns = source.read(wanted, rows) if wanted else {}
    _check_number(source, columns, cells)
    return dataset(columns, cells, source.description)


def labelled_cells(
    source: Source, request: Request, keys: Sequence[str] | None
) -> tuple[Cells, list[str], Indices | None]:
    """Return the grid that is asked for, and which columns and rows it is made of.

    The rows are in C order of their places; None stands for all of them.
    """
    known = source.known
    names = source.keys() if keys is None else list(keys)
    if known is None:
        return _without_axes(source, request, names)
    if known.n_former:
        rows = counted(known.n_former, "row")
        warn_caller(
            f"{source.name}: {rows} of assignments that are no longer in the space "
            f"{'is' if known.n_former == 1 else 'are'} left out. as_='pandas' has all."
        )
    part = part_asked_for(source, known, request)
    cells = Cells(part, _rows_at(part, known), known.failed)
    wanted = [key for key in names if not _is_parameter(source, known, key)]
    return cells, wanted, cells.wanted


def _check_number(source: Source, columns: Mapping[str, Any], cells: Cells) -> None:
    """Raise an error if a run has replaced the rows since they were looked up."""
    rows = cells.wanted
    expected = math.prod(cells.part.shape) if rows is None else len(rows)
    if columns and count_rows(columns) != expected:
        raise ConcurrentChangeError(
            f"{source.name}: changed while it was read. Try again."
        )


def _is_parameter(source: Source, known: KnownRows, key: str) -> bool:
    """Whether a column has the values of a parameter, and not results of its name."""
    if key not in known.space.keys():  # noqa: SIM118
        return False
    if key in known.compared:
        return True
    return known.has_values_of(key, source.read([key], None)[key])


def _rows_at(part: Part, known: KnownRows) -> Indices | None:
    """Return the row of the result at each place; None if all are there, in order."""
    assignments = part.rows
    if assignments is None:
        if known.indices is None and not known.n_former:
            return None
        assignments = np.arange(len(known.space))
    found = known.rows_of(np.maximum(assignments, 0))
    return np.where(assignments < 0, -1, found)


def _without_axes(
    source: Source, request: Request, names: list[str]
) -> tuple[Cells, list[str], Indices | None]:
    """Return columns of which it is not known which are parameters."""
    rows = rows_asked_for(source, request)
    if names and not source.has_no_axes:
        warn_caller(
            f"{source.name}: its axes are not known, so that all columns are variables "
            f"along {ASSIGNMENT!r}.{source.advice}"
        )
    n_rows = source.count() if rows is None else len(rows)
    nothing: ParameterSpace = Table({}, n_rows)
    part = Part((Dimension(ASSIGNMENT, nothing),), {}, None)
    return Cells(part), names, rows

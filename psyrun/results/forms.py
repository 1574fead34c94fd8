"""A result in the form that an analysis wants, and only what it asks for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from psyrun.errors import PsyrunError, StoreError
from psyrun.pspace.axes import ASSIGNMENT, Dimension
from psyrun.pspace.columns import Indices
from psyrun.pspace.space import ParameterSpace, Table
from psyrun.results.columns import as_array
from psyrun.results.costs import ATTRS, cost_columns, refuse_own_columns
from psyrun.results.extras import check_form, library_for
from psyrun.results.frames import to_arrow, to_pandas, to_polars
from psyrun.results.kept import kept_with
from psyrun.results.known_rows import KnownRows, RowsSoFar, rows_of_result
from psyrun.results.labelled import Cells, dataset
from psyrun.results.load import RecordedTask, warn_caller
from psyrun.results.where import Part, checked_where, part_of, where_in_columns
from psyrun.store.arrays import take
from psyrun.store.base import Store
from psyrun.store.costs import ARRAYS as COST_ARRAYS
from psyrun.store.costs import Costs
from psyrun.store.metadata import metadata_of
from psyrun.store.registry import store_for
from psyrun.store.rows import count_rows, no_column
from psyrun.utils.text import counted
from psyrun.workdir.consistent_reads import ConcurrentChangeError, is_concurrent_change
from psyrun.workdir.description import Description

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

    def check(self) -> None:
        """Raise `PsyrunError` if that cannot be had of any result."""
        check_form(self.as_)
        if self.tidy is not None and self.as_ != "pandas":
            raise PsyrunError("tidy: is for as_='pandas' only. Add that.")
        if isinstance(self.columns, str):
            raise PsyrunError(f"columns: give a list, such as [{self.columns!r}].")
        if self.as_ is not None:
            library_for(self.as_)


class Source(Protocol):
    """Where rows are read from.

    Attributes
    ----------
    name : str
        What it is called in messages.
    known : KnownRows or None
        Which assignments the rows are of.
    description : Description
        What the task file says of them.
    advice : str
        What to do if it is not known which they are.
    """

    advice: str = ""
    name: str
    known: KnownRows | None
    description: Description

    def keys(self) -> list[str]:
        """Return the names of the columns."""

    def read(
        self, keys: Sequence[str] | None, rows: Indices | None
    ) -> Mapping[str, Any]:
        """Return some columns, and some rows of them; None stands for all."""

    def count(self) -> int:
        """Return the number of rows."""

    def pieces(
        self, keys: Sequence[str], rows: Indices | None
    ) -> Iterator[Mapping[str, Any]]:
        """Yield as `read` returns, in pieces that fit into memory, at least one.

        The rows ascend. What is in memory anyway comes in one piece.
        """
        yield self.read(keys, rows)

    def costs(self) -> Costs:
        """Return what the rows have cost."""


class StoredRows(Source):
    """Rows of a file, which is read no more often than its store makes necessary."""

    def __init__(self, name: str, reader: Reader) -> None:
        self.name = name
        self._reader = reader
        self._keys: list[str] | None = None
        self._all: Mapping[str, Any] | None = None

    def keys(self) -> list[str]:
        """Return the names of the columns."""
        if self._keys is None:
            self._keys = self._reader(self._look)
        return self._keys

    def _look(self, store: Store, path: Path) -> list[str]:
        if type(store).keys is not Store.keys:
            return store.keys(path)
        # That would load the file once, and reading it would once more.
        self._all = store.load(path)
        return list(self._all)

    def read(
        self, keys: Sequence[str] | None, rows: Indices | None
    ) -> Mapping[str, Any]:
        """Return some columns, and some rows of them; None stands for all."""
        if self._all is None:
            return self._reader(lambda store, path: store.pick(path, keys, rows))
        return _picked(self._all, keys, rows)

    def count(self) -> int:
        """Return the number of rows."""
        if self._all is not None:
            return count_rows(self._all)
        return self._reader(lambda store, path: store.count(path))

    def pieces(
        self, keys: Sequence[str], rows: Indices | None
    ) -> Iterator[Mapping[str, Any]]:
        """Yield as `read` returns, in pieces if the store can read such.

        Raises `ConcurrentChangeError` at the end if the file was replaced meanwhile.
        """
        before = self._reader(_stamped)
        if self._all is None and self._reader(lambda store, _: store.loads_slices):
            yield from self._slices(keys, rows)
        elif self._all is None and self._reader(_has_pieces):
            yield from _of_pieces(self._reader(_begun), keys, rows)
        else:
            yield self.read(keys, rows)
        if self._reader(_stamped) != before:
            raise ConcurrentChangeError(
                f"{self.name}: changed while it was read. Try again."
            )

    def costs(self) -> Costs:
        """Return what the rows have cost, as far as that is known."""
        return self._reader(_costs_of_file)

    def _slices(
        self, keys: Sequence[str], rows: Indices | None
    ) -> Iterator[Mapping[str, Any]]:
        wanted = np.arange(self.count()) if rows is None else rows
        step = max(1, _PIECE_BYTES // max(1, _row_bytes(self.read(keys, wanted[:1]))))
        for begin in range(0, max(1, len(wanted)), step):
            yield self.read(keys, wanted[begin : begin + step])


def _stamped(_: Store, path: Path) -> tuple[int, ...]:
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _has_pieces(store: Store, _: Path) -> bool:
    return type(store).pieces is not Store.pieces


def _begun(store: Store, path: Path) -> Iterator[Mapping[str, Any]]:
    """Return the pieces of a file, once the first of them was read."""
    pieces = store.pieces(path)
    return chain([next(pieces)], pieces)


def _of_pieces(
    pieces: Iterator[Mapping[str, Any]], keys: Sequence[str], rows: Indices | None
) -> Iterator[Mapping[str, Any]]:
    """Yield some columns and rows of pieces; the rows ascend."""
    end, is_empty = 0, True
    for piece in pieces:
        begin, end = end, end + count_rows(piece)
        own = None
        if rows is not None:
            first, last = np.searchsorted(rows, [begin, end])
            own = rows[first:last] - begin
        if own is None or len(own):
            is_empty = False
            yield _picked(piece, keys, own)
    if is_empty:
        yield _picked(piece, keys, np.empty(0, np.int64))


def _row_bytes(piece: Mapping[str, Any]) -> int:
    """Return about how much memory a row takes."""
    arrays = (as_array(key, column) for key, column in piece.items())
    return sum(array.nbytes // max(1, len(array)) for array in arrays)


def _costs_of_file(store: Store, path: Path) -> Costs:
    n_rows = store.count(path)
    try:
        return Costs.of(metadata_of(store, path, COST_ARRAYS), n_rows, path)
    except StoreError as error:
        if is_concurrent_change(error):
            raise
        warn_caller(f"{error} It is not known what its rows have cost.")
        return Costs.unknown(n_rows)


class Reader(Protocol):
    """Returns what a function makes of a file, given its store."""

    def __call__(self, read: Callable[[Store, Path], _T]) -> _T:
        """Call a function with the store and the file."""


class FileSource(StoredRows):
    """A data file, which may say itself what its rows are of."""

    advice = " For axes, load the task that it is of, by its name."

    def __init__(self, path: Path, request: Request) -> None:
        store = store_for(path)
        super().__init__(str(path), lambda read: read(store, path))
        self._is_labelled = request.as_ == "xarray"
        self._description: Description | None = None

    # Most of what is asked for of a file needs neither of these.
    @property
    def known(self) -> KnownRows | None:  # type: ignore[override]
        """Which assignments the rows are of, if the file says that."""
        return self._kept[0]

    @property
    def description(self) -> Description:
        """What the file says of them."""
        return self._kept[1] if self._description is None else self._description

    @description.setter
    def description(self, description: Description) -> None:
        self._description = description

    @cached_property
    def _kept(self) -> tuple[KnownRows | None, Description]:
        known, description, problem = self._reader(_kept_with)
        if problem:
            self.advice = f" {problem}"
            if not self._is_labelled:
                warn_caller(f"{problem} Its axes are not known.")
        return known, description


def _kept_with(store: Store, path: Path) -> tuple[KnownRows | None, Description, str]:
    try:
        return kept_with(store, path)
    except StoreError as error:
        if is_concurrent_change(error):
            raise
        return None, Description(), str(error)


class ResultSource(StoredRows):
    """The result file of a task."""

    def __init__(self, task: RecordedTask) -> None:
        super().__init__(str(task.resultfile), self._with_store)
        self._task = task
        self._store: Store | None = None
        self.known = rows_of_result(task)
        self.description = _description_of(task)

    def _with_store(self, read: Callable[[Store, Path], _T]) -> _T:
        """Find the store once, unless it turns out to be the wrong one."""
        if self._store is not None:
            with suppress(PsyrunError, ImportError, AttributeError):
                return read(self._store, self._task.resultfile)

        def first(store: Store, path: Path) -> _T:
            found = read(store, path)
            self._store = store
            return found

        return self._task.read_result(first)


@dataclass
class PartialSource(Source):
    """The rows that a task has so far."""

    task: RecordedTask
    needs_axes: bool
    needs_costs: bool = False

    def __post_init__(self) -> None:
        self.name = f"task {self.task.layout.name!r}"
        self.description = _description_of(self.task)
        if self.needs_axes or self.needs_costs:
            found = RowsSoFar.of(self.task, with_former=not self.needs_axes)
            self._columns, self._costs = found.columns, found.costs
            self.known = found.known if self.needs_axes else None
        else:
            self._columns, self.known = self.task.rows_so_far(), None

    def keys(self) -> list[str]:
        """Return the names of the columns."""
        return list(self._columns)

    def read(
        self, keys: Sequence[str] | None, rows: Indices | None
    ) -> Mapping[str, Any]:
        """Return some columns, and some rows of them; None stands for all."""
        return _picked(self._columns, keys, rows)

    def count(self) -> int:
        """Return the number of rows."""
        return count_rows(self._columns)

    def costs(self) -> Costs:
        """Return what the rows have cost."""
        return self._costs


def _picked(
    columns: Mapping[str, Any], keys: Sequence[str] | None, rows: Indices | None
) -> Mapping[str, Any]:
    found = {key: columns[key] for key in (columns if keys is None else keys)}
    return found if rows is None else take(found, rows)


def source_of(
    found: RecordedTask | Path,
    request: Request,
    partial: bool,
    *,
    with_axes: bool = False,
) -> Source:
    """Return where the rows of a task, or of a data file, are read from.

    Axes of rows so far are known if they are needed, or with `with_axes`.
    """
    if isinstance(found, Path):
        return FileSource(found, request)
    if partial:
        needs_axes = request.as_ == "xarray" or bool(request.where)
        return PartialSource(found, with_axes or needs_axes, request.costs)
    return ResultSource(found)


def _description_of(task: RecordedTask) -> Description:
    try:
        return Description.load(task.layout)
    except StoreError as error:
        warn_caller(f"{error} Results have no names of axes and no units.")
        return Description()


def loaded_as(source: Source, request: Request) -> Any:
    """Return a result in the form that is asked for.

    Raises `PsyrunError` if it has no such columns or values.
    """
    keys = keys_asked_for(source, request)
    if request.costs:
        refuse_own_columns(source.name, source.keys() if keys is None else keys)
        if request.as_ is not None:
            attrs = {**source.description.attrs, **ATTRS}
            source.description = replace(source.description, attrs=attrs)
    if request.as_ == "xarray":
        return _labelled(source, request, keys)
    rows = rows_asked_for(source, request)
    columns = source.read(keys, rows)
    columns = _with_costs(source, request, columns, rows)
    if request.as_ == "pandas":
        return to_pandas(columns, source.description, request.tidy)
    if request.as_ == "polars":
        return to_polars(columns, source.description)
    return to_arrow(columns, source.description) if request.as_ == "arrow" else columns


def _with_costs(
    source: Source, request: Request, columns: Mapping[str, Any], rows: Indices | None
) -> Mapping[str, Any]:
    """Add the columns with costs, if they are asked for."""
    if not request.costs:
        return columns
    costs = source.costs()
    n_rows = len(costs) if rows is None else len(rows)
    if (columns and count_rows(columns) != n_rows) or (
        rows is not None and len(rows) and rows.max() >= len(costs)
    ):
        raise ConcurrentChangeError(
            f"{source.name}: changed while it was read. Try again."
        )
    return {**columns, **cost_columns(costs if rows is None else costs.take(rows))}


def keys_asked_for(source: Source, request: Request) -> list[str] | None:
    """Return the columns that are asked for; None for all."""
    if request.columns is None:
        return None
    known = source.keys()
    for key in request.columns:
        if key not in known:
            raise PsyrunError(f"{source.name}: {no_column(key, known)}")
    return list(request.columns)


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
    columns = _with_costs(source, request, columns, rows)
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
    if names:
        warn_caller(
            f"{source.name}: its axes are not known, so that all columns are variables "
            f"along {ASSIGNMENT!r}.{source.advice}"
        )
    n_rows = source.count() if rows is None else len(rows)
    nothing: ParameterSpace = Table({}, n_rows)
    part = Part((Dimension(ASSIGNMENT, nothing),), {}, None)
    return Cells(part), names, rows

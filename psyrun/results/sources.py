"""Where rows are read from: data files, results, and what there is so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from psyrun.errors import PsyrunError, StoreError
from psyrun.pspace.columns import Indices
from psyrun.results.columns import as_array
from psyrun.results.kept import kept_with
from psyrun.results.known_rows import KnownRows, RowsSoFar, rows_of_result
from psyrun.results.load import RecordedTask, warn_caller
from psyrun.store.arrays import take
from psyrun.store.base import Store
from psyrun.store.costs import ARRAYS as COST_ARRAYS
from psyrun.store.costs import Costs
from psyrun.store.metadata import metadata_of
from psyrun.store.registry import store_for
from psyrun.store.rows import count_rows
from psyrun.workdir.consistent_reads import ConcurrentChangeError, is_concurrent_change
from psyrun.workdir.description import Description

_T = TypeVar("_T")
_PIECE_BYTES = 1 << 23


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
    has_no_axes : bool
        Whether that is as it should be, as they are of more than the space.
    """

    advice: str = ""
    has_no_axes: bool = False
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

    def about(self) -> Mapping[str, Any]:
        """Return what a file says of itself; nothing if it says nothing."""
        return {}

    def always(self) -> list[str]:
        """Return the columns that are there whatever columns are asked for."""
        return []

    def refuse_doubles(self, keys: Sequence[str] | None) -> None:
        """Raise `PsyrunError` if some columns, None for all, are there twice."""
        return


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
        return picked(self._all, keys, rows)

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

    def about(self) -> Mapping[str, Any]:
        """Return what the file says of itself; nothing if it says nothing."""
        return self._reader(_about)

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
            yield picked(piece, keys, own)
    if is_empty:
        yield picked(piece, keys, np.empty(0, np.int64))


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

    def __init__(self, path: Path, *, is_labelled: bool) -> None:
        store = store_for(path)
        super().__init__(str(path), lambda read: read(store, path))
        self._is_labelled = is_labelled
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

    @property
    def current_versions(self) -> list[str] | None:
        """The names of the version that the result was written for, None if unknown."""
        found = self.about().get("current_versions")
        return list(map(str, found)) if isinstance(found, list) else None

    @cached_property
    def _kept(self) -> tuple[KnownRows | None, Description]:
        known, description, problem = self._reader(_kept_with)
        if problem:
            self.advice = f" {problem}"
            if not self._is_labelled:
                warn_caller(f"{problem} Its axes are not known.")
        return known, description


def _about(store: Store, path: Path) -> Mapping[str, Any]:
    metadata = metadata_of(store, path, ())
    return {} if metadata is None else metadata.about


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
        self.description = description_of(task)

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
    needs_former: bool = False

    def __post_init__(self) -> None:
        self.name = f"task {self.task.layout.name!r}"
        self.description = description_of(self.task)
        if self.needs_axes or self.needs_costs or self.needs_former:
            with_former = self.needs_former or not self.needs_axes
            found = RowsSoFar.of(
                self.task, with_former=with_former, with_seeds=self.needs_costs
            )
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
        return picked(self._columns, keys, rows)

    def count(self) -> int:
        """Return the number of rows."""
        return count_rows(self._columns)

    def costs(self) -> Costs:
        """Return what the rows have cost."""
        return self._costs


def picked(
    columns: Mapping[str, Any], keys: Sequence[str] | None, rows: Indices | None
) -> Mapping[str, Any]:
    """Return some columns, and some rows of them; None stands for all."""
    found = {key: columns[key] for key in (columns if keys is None else keys)}
    return found if rows is None else take(found, rows)


def description_of(task: RecordedTask) -> Description:
    """Return what a task file says of results; nothing if the record is damaged."""
    try:
        return Description.load(task.layout)
    except StoreError as error:
        warn_caller(f"{error} Results have no names of axes and no units.")
        return Description()

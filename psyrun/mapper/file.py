"""A data file that a function fills."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.mapper.calls import (
    Function,
    Row,
    evaluated,
    evaluated_apart,
    name_of,
    with_progress,
)
from psyrun.mapper.columns import as_names, tabulate, warn_ineffective
from psyrun.mapper.versions import RowVersions, with_seeding
from psyrun.pspace import ParameterSpace
from psyrun.pspace.absent import Arguments
from psyrun.pspace.matching import match_stored
from psyrun.pspace.param import select
from psyrun.pspace.replicates import REPLICATE, seeding_text
from psyrun.store import AutodetectStore, Store
from psyrun.store.registry import store_for
from psyrun.tasks.fingerprint.functions import function_version
from psyrun.utils.files import Filename
from psyrun.utils.former import warn_user

Indices = NDArray[np.int64]

# An append may rewrite the whole file: let it take a tenth of the time at most.
_APPEND_SHARE = 0.1
_MOST_RANGES = 3


class DataFile:
    """A file with rows of a space, and what a function has to add to it.

    Parameters
    ----------
    fn : callable
        The function.
    pspace : ParameterSpace
        The space.
    filename : path-like
        The file, which need not exist.
    store : Store or None
        Reads and writes it.
    exclude : sequence of str or None
        Names that the file does not hold.
    renews : bool or None
        Whether rows of other versions of the function are evaluated again. None keeps
        them, with a warning.
    """

    def __init__(
        self,
        fn: Function,
        pspace: ParameterSpace,
        filename: Filename,
        store: Store | None,
        exclude: Sequence[str] | None,
        renews: bool | None,
    ) -> None:
        if store is None or isinstance(store, AutodetectStore):
            store = store_for(filename)
        self._fn, self._pspace, self._filename, self._store = (
            fn,
            pspace,
            filename,
            store,
        )
        self._excluded = as_names(exclude)
        self._keys = [key for key in pspace.keys() if key not in self._excluded]  # noqa: SIM118
        old = store.load(filename) if Path(filename).exists() else {}
        self._n_old = max((len(column) for column in old.values()), default=0)
        # Refuses a function that takes no random numbers of replicates.
        Arguments(fn, pspace)
        self._version = with_seeding(function_version(fn), seeding_text(pspace))
        self._versions = RowVersions(filename, self._n_old)
        are_replicates = self._are_replicates(old)
        is_other = self._versions.others(self._version, are_replicates)
        self._find(old, is_other, renews)

    def _are_replicates(self, old: Mapping[str, Any]) -> NDArray[np.bool_]:
        """Return which rows have the number of a replicate, or may have had it."""
        if REPLICATE not in old:
            return np.full(self._n_old, REPLICATE in self._excluded)
        return np.array([each == each for each in old[REPLICATE]], dtype=bool)

    def _find(
        self, old: Mapping[str, Any], is_other: NDArray[np.bool_], renews: bool | None
    ) -> None:
        """Find the rows of the space, and those that are to give way to new ones."""
        former, current = np.flatnonzero(is_other), np.flatnonzero(~is_other)
        self._former = np.full(len(self._pspace), -1)
        if not len(former):
            self._places = match_stored(self._pspace, old, self._keys)
        elif renews:
            self._places = self._among(old, current)
            self._former = self._among(old, former)
        else:
            self._places = self._among(old, np.concatenate([current, former]))
            if renews is None:
                self._warn(is_other)
        self.todo: Indices = np.flatnonzero(self._places < 0)

    def _among(self, old: Mapping[str, Any], rows: Indices) -> Indices:
        """Return the row of each point among some, in this order, or -1."""
        some = {
            key: column[rows]
            if isinstance(column, np.ndarray)
            else [column[row] for row in rows.tolist()]
            for key, column in old.items()
        }
        found = match_stored(self._pspace, some, self._keys)
        # The last one stands for what was not found.
        return np.append(rows, -1)[found]

    def _warn(self, is_other: NDArray[np.bool_]) -> None:
        """Tell of rows that the function would perhaps not return any more."""
        stale = np.flatnonzero(np.append(is_other, False)[self._places])
        if not len(stale):
            return
        what = ("row", "is") if len(stale) == 1 else ("rows", "are")
        changed = f"{name_of(self._fn)}()"
        changed += " or the seed of replicates" if seeding_text(self._pspace) else ""
        text = (
            f"{self._filename}: {what[0]} {_ranges(stale)} of {len(self._pspace)} "
            f"{what[1]} from before {changed} was changed. renew=True "
            "evaluates them again; renew=False keeps them without this warning."
        )
        warn_user(UserWarning(text))

    def fill(self, n_jobs: int, interval: float, *, shows_progress: bool) -> None:
        """Evaluate what the file lacks, and append it there."""
        appender = _Appender(self._store, self._filename, self._keys, interval)
        try:
            if len(self.todo):
                self._versions.begin(self._version)
                self._evaluate(appender, n_jobs, shows_progress=shows_progress)
        finally:
            self._finish(np.array(appender.appended, dtype=np.int64))

    def _evaluate(
        self, appender: _Appender, n_jobs: int, *, shows_progress: bool
    ) -> None:
        space, n_points = select(self._pspace, self.todo), len(self._pspace)
        if n_jobs == 1:
            rows = evaluated(self._fn, space)
        else:
            rows = evaluated_apart(self._fn, space, keeps_rows=True, n_jobs=n_jobs)
        shown = with_progress(
            rows,
            n_points,
            is_shown=shows_progress,
            n_before=n_points - len(self.todo),
        )
        unseen = set(self._excluded)
        with appender:
            for position, row in shown:
                unseen.difference_update(row)
                kept = {k: v for k, v in row.items() if k not in self._excluded}
                appender.add(position, kept)
        warn_ineffective(unseen)

    def _finish(self, positions: Indices) -> None:
        """Bring new rows into the order of the space, and drop those they replace."""
        has_row = self._places >= 0
        has_row[self.todo[positions]] = True
        replaced = self._former[has_row & (self._former >= 0)]
        kept = np.delete(np.arange(self._n_old), replaced)
        versions = self._versions.all + [self._version] * len(positions)
        order = np.concatenate([kept, self._n_old + np.argsort(positions)])
        is_in_order = np.array_equal(order, np.arange(len(versions)))
        if not is_in_order and self._store.count(self._filename) != len(versions):
            # Another call has appended rows meanwhile.
            return
        if not is_in_order:
            self._versions.forget()
            zeros = np.zeros(len(order), dtype=np.int64)
            self._store.merge_rows(self._filename, [self._filename], zeros, order)
        elif not len(positions):
            self._versions.give_up()
            return
        self._versions.end([versions[row] for row in order.tolist()])
        now = np.full(self._n_old, -1)
        now[kept] = np.arange(len(kept))
        self._places = np.append(now, -1)[self._places]
        self._places[self.todo[np.sort(positions)]] = len(kept) + np.arange(
            len(positions)
        )

    def read(self) -> dict[str, list[Any]]:
        """Return the rows of the space, in its order."""
        if not len(self._places):
            return {key: [] for key in self._keys}
        columns = self._store.load(self._filename)
        others = (key for key in columns if key not in set(self._keys))
        rows = self._places.tolist()
        return {
            key: [columns[key][row] for row in rows] for key in (*self._keys, *others)
        }


def _ranges(numbers: Indices) -> str:
    """Return ascending numbers in short, such as ``0 to 4, 7``."""
    parts = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    texts = [
        str(part[0]) if len(part) == 1 else f"{part[0]} to {part[-1]}"
        for part in parts[:_MOST_RANGES]
    ]
    return ", ".join([*texts, *(["..."] if len(parts) > _MOST_RANGES else [])])


class _Appender:
    """Rows on their way to a file."""

    def __init__(
        self, store: Store, filename: Filename, keys: Sequence[str], interval: float
    ) -> None:
        self._store, self._filename, self._keys = store, filename, keys
        self._interval = interval
        self._rows: list[tuple[int, Row]] = []
        self._next = time.monotonic() + interval
        self.appended: list[int] = []
        """Positions of the rows that are in the file."""

    def __enter__(self) -> _Appender:
        return self

    def __exit__(self, *exception: object) -> None:
        self._append()

    def add(self, position: int, row: Row) -> None:
        """Take a row; append it now or later."""
        self._store.check(row)
        self._rows.append((position, row))
        if time.monotonic() >= self._next:
            self._append()

    def _append(self) -> None:
        if not self._rows:
            return
        start = time.monotonic()
        columns = tabulate((row for _, row in self._rows), self._keys)
        self._store.append(self._filename, columns)
        self.appended += [position for position, _ in self._rows]
        self._rows = []
        end = time.monotonic()
        self._next = end + max(self._interval, (end - start) / _APPEND_SHARE)

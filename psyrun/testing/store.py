"""The contract of stores, for tests of plug-ins."""

# The names of the tests say what they are about.
# ruff: noqa: D102

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import StoreError
from psyrun.store import Store

__all__ = ["StoreContract", "as_lists", "refuses", "same"]
ColumnLists = dict[str, list[Any]]
_OLD: ColumnLists = {"n": [1, 2, 3], "x": [0.5, -1.5, 1e300]}
_NEW: ColumnLists = {"n": [4, 5], "x": [2.5, 3.5]}
_METADATA: dict[str, NDArray[Any]] = {
    "about": np.frombuffer(b'{"format": 1}', np.uint8),
    "host": np.array([0, 1, 1], np.uint16),
    "start": np.array([0.25, 1.5, 3e9]),
}
_AS_LISTS = {key: array.tolist() for key, array in _METADATA.items()}
_TYPES = [array.dtype for array in _METADATA.values()]


class StoreContract:
    """What psyrun relies on in a `psyrun.store.Store`.

    Subclasses set `store`. The tests write numbers only, which every store
    has to hold, to files in pytest's `tmp_path`.

    Attributes
    ----------
    store : Store
        The store to test.
    """

    store: ClassVar[Store]

    def _file(self, folder: Path) -> Path:
        return folder / f"rows{self.store.ext}"

    def _saved(self, folder: Path, data: ColumnLists = _OLD) -> Path:
        self.store.save(self._file(folder), data)
        return self._file(folder)

    def test_the_extension_begins_with_a_full_stop(self) -> None:
        assert self.store.ext.startswith(".")

    def test_it_is_made_without_arguments(self) -> None:
        assert type(self.store)().ext == self.store.ext

    def test_it_can_be_pickled(self) -> None:
        assert pickle.loads(pickle.dumps(self.store)).ext == self.store.ext

    def test_what_is_saved_is_loaded(self, tmp_path: Path) -> None:
        assert as_lists(self.store.load(self._saved(tmp_path))) == _OLD

    def test_file_names_may_be_strings(self, tmp_path: Path) -> None:
        self.store.save(str(self._file(tmp_path)), _OLD)
        assert as_lists(self.store.load(str(self._file(tmp_path)))) == _OLD

    def test_nan_and_infinity_are_kept(self, tmp_path: Path) -> None:
        loaded = self.store.load(self._saved(tmp_path, {"x": [math.inf, math.nan]}))
        assert same(as_lists(loaded), {"x": [math.inf, math.nan]})

    def test_saving_replaces_the_file(self, tmp_path: Path) -> None:
        path = self._saved(tmp_path)
        self.store.save(path, _NEW)
        assert as_lists(self.store.load(path)) == _NEW

    def test_saving_leaves_no_other_file(self, tmp_path: Path) -> None:
        path = self._saved(tmp_path)
        self.store.append(path, _NEW)
        assert list(tmp_path.iterdir()) == [path]

    def test_some_columns_and_rows_are_picked(self, tmp_path: Path) -> None:
        path, rows = self._saved(tmp_path), np.array([2, 0, 2])
        assert as_lists(self.store.pick(path)) == _OLD
        assert as_lists(self.store.pick(path, ["x"])) == {"x": _OLD["x"]}
        assert list(self.store.pick(path, ["x", "n"])) == ["x", "n"]
        assert as_lists(self.store.pick(path, ["n"], rows)) == {"n": [3, 1, 3]}
        assert as_lists(self.store.pick(path, ["n"], rows[:0])) == {"n": []}

    def test_columns_and_rows_that_are_not_there_are_refused(
        self, tmp_path: Path
    ) -> None:
        path = self._saved(tmp_path)
        refuses(lambda: self.store.pick(path, ["z"]))
        refuses(lambda: self.store.pick(path, ["n"], np.array([3])))

    def test_one_row_is_loaded(self, tmp_path: Path) -> None:
        loaded = self.store.load(self._saved(tmp_path), row=1)
        assert as_lists(loaded) == {"n": [2], "x": [-1.5]}

    def test_negative_rows_count_from_the_end(self, tmp_path: Path) -> None:
        loaded = self.store.load(self._saved(tmp_path), row=-3)
        assert as_lists(loaded) == {"n": [1], "x": [0.5]}

    def test_a_range_of_rows_is_loaded(self, tmp_path: Path) -> None:
        loaded = self.store.load(self._saved(tmp_path), row=slice(1, None))
        assert as_lists(loaded) == {"n": [2, 3], "x": [-1.5, 1e300]}

    def test_a_row_that_does_not_exist_is_an_error(self, tmp_path: Path) -> None:
        path = self._saved(tmp_path)
        refuses(lambda: self.store.load(path, row=3))
        refuses(lambda: self.store.load(path, row=-4))

    def test_a_file_that_does_not_exist_is_an_error(self, tmp_path: Path) -> None:
        refuses(lambda: self.store.load(self._file(tmp_path)))
        refuses(lambda: self.store.count(self._file(tmp_path)))

    def test_columns_of_different_length_are_an_error(self, tmp_path: Path) -> None:
        path = self._saved(tmp_path)
        refuses(lambda: self.store.save(path, {"a": [1], "b": [1, 2]}))
        assert as_lists(self.store.load(path)) == _OLD

    def test_rows_and_keys_are_counted(self, tmp_path: Path) -> None:
        path = self._saved(tmp_path)
        assert self.store.count(path) == 3
        assert list(self.store.keys(path)) == ["n", "x"]

    def test_appending_creates_the_file(self, tmp_path: Path) -> None:
        self.store.append(self._file(tmp_path), _OLD)
        assert as_lists(self.store.load(self._file(tmp_path))) == _OLD

    def test_appended_rows_come_last(self, tmp_path: Path) -> None:
        path = self._saved(tmp_path)
        self.store.append(path, _NEW)
        expected = {key: _OLD[key] + _NEW[key] for key in _OLD}
        assert as_lists(self.store.load(path)) == expected

    def test_appending_no_rows_changes_nothing(self, tmp_path: Path) -> None:
        path = self._saved(tmp_path)
        self.store.append(path, {"other": []})
        assert as_lists(self.store.load(path)) == _OLD

    def test_keys_that_some_rows_lack_are_filled_with_nan(self, tmp_path: Path) -> None:
        path = self._saved(tmp_path, {"a": [0.5], "b": [1.5]})
        self.store.append(path, {"b": [2.5], "c": [3.5]})
        loaded = as_lists(self.store.load(path))
        nan = math.nan
        assert same(loaded, {"a": [0.5, nan], "b": [1.5, 2.5], "c": [nan, 3.5]})

    def test_a_file_without_rows_takes_rows(self, tmp_path: Path) -> None:
        path = self._saved(tmp_path, {"n": [], "x": []})
        assert self.store.count(path) == 0
        self.store.append(path, _NEW)
        assert as_lists(self.store.load(path)) == _NEW

    def test_the_pieces_of_a_file_are_its_rows(self, tmp_path: Path) -> None:
        pieces = list(self.store.pieces(self._saved(tmp_path)))
        assert as_lists(self.store.concatenate(pieces)) == _OLD

    def test_metadata_are_no_rows(self, tmp_path: Path) -> None:
        path = self._saved(tmp_path)
        assert self.store.read_metadata(path) == {}
        if not self.store.keeps_metadata:
            refuses(lambda: self.store.write_metadata(path, _METADATA))
            return
        self.store.write_metadata(path, _METADATA)
        found = self.store.read_metadata(path)
        assert {key: array.tolist() for key, array in found.items()} == _AS_LISTS
        assert [array.dtype for array in found.values()] == _TYPES
        assert list(self.store.read_metadata(path, ["start", "other"])) == ["start"]
        assert as_lists(self.store.load(path)) == _OLD
        assert list(self.store.keys(path)) == ["n", "x"]
        assert self.store.count(path) == 3
        self.store.append(path, _NEW)
        assert as_lists(self.store.load(path, row=-1)) == {"n": [5], "x": [3.5]}

    def test_numbers_pass_the_check(self) -> None:
        self.store.check({"n": 1, "x": 0.5})

    def test_a_writer_writes_all_rows_in_order(self, tmp_path: Path) -> None:
        with self.store.writer(self._file(tmp_path)) as writer:
            writer.append(_OLD)
            writer.append(_NEW)
        expected = {key: _OLD[key] + _NEW[key] for key in _OLD}
        assert as_lists(self.store.load(self._file(tmp_path))) == expected

    def test_a_writer_keeps_the_old_file_until_its_end(self, tmp_path: Path) -> None:
        path = self._saved(tmp_path)
        with self.store.writer(path) as writer:
            writer.append(_NEW)
            assert as_lists(self.store.load(path)) == _OLD
        assert as_lists(self.store.load(path)) == _NEW

    def test_a_writer_that_fails_leaves_nothing_behind(self, tmp_path: Path) -> None:
        def fail() -> None:
            with self.store.writer(self._file(tmp_path)) as writer:
                writer.append(_NEW)
                raise StoreError("on purpose")

        refuses(fail)
        assert list(tmp_path.iterdir()) == []


def as_lists(columns: dict[str, Any]) -> ColumnLists:
    """Return columns as lists of Python numbers, whatever sequence a store gives."""
    return {key: [_plain(value) for value in column] for key, column in columns.items()}


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


def same(a: Any, b: Any) -> bool:
    """Return whether two values are equal, where nan equals nan."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b or (a != a and b != b))


def refuses(call: Callable[[], Any]) -> None:
    """Check that a call raises a `StoreError` of one line."""
    try:
        call()
    except StoreError as error:
        assert len(str(error).splitlines()) == 1, str(error)
    else:
        raise AssertionError("expected a StoreError")

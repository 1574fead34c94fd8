"""Python's own format: holds everything that can be pickled."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import Any, ClassVar

from psyrun.errors import StoreError, one_line
from psyrun.store.base import Store
from psyrun.store.rows import Columns, count_rows, select_rows
from psyrun.utils import unpickling
from psyrun.utils.files import Filename, damaged, explained, replacing
from psyrun.utils.typing import override

# Spoils of a broken pickle can be of nearly any type; these two say that the
# file is whole and that a class it needs is not there.
_NOT_IMPORTABLE = (AttributeError, ImportError)
_PLAIN = frozenset({bool, int, float, complex, str, bytes, type(None)})


class PickleStore(Store):
    """Keep rows in a pickle of one dictionary of lists.

    Values come back as the objects that they were. Rows may hold values of
    different types and shapes; a key that a row lacks is filled with nan.
    Appending reads and rewrites the whole file. As with every pickle, loading
    a file from someone you do not trust can run their code.

    Parameters
    ----------
    protocol : int, optional
        Pickle protocol of the files that are written; by default the newest.
    """

    ext: ClassVar[str] = ".pkl"

    protocol: int = pickle.HIGHEST_PROTOCOL

    def __init__(self, protocol: int = pickle.HIGHEST_PROTOCOL) -> None:
        self.protocol = protocol

    @override
    def save(self, filename: Filename, data: Columns) -> None:
        count_rows(data)
        columns = {key: list(column) for key, column in data.items()}
        with replacing(filename) as beside, explained(filename), beside.open("wb") as f:
            try:
                pickle.dump(columns, f, protocol=self.protocol)
            except OSError:
                raise
            except Exception as error:
                for key, values in columns.items():
                    for value in values:
                        check_picklable(key, value)
                raise StoreError(f"{filename}: {one_line(error)}") from error

    @override
    def load(
        self, filename: Filename, row: int | slice | None = None
    ) -> dict[str, Any]:
        columns = _unpickle(filename)
        if not _is_columns(columns):
            raise damaged(filename, "was not written by PickleStore")
        return select_rows(columns, row, filename)

    @override
    def check(self, row: Mapping[str, Any]) -> None:
        """Raise an error if a value cannot be pickled."""
        for key, value in row.items():
            check_picklable(key, value)


def check_picklable(key: str, value: Any) -> None:
    """Raise a `StoreError` with the key if a value cannot be pickled."""
    if type(value) in _PLAIN or not _may_hold_objects(value):
        return
    try:
        # A buffer callback spares large arrays the copy.
        pickle.dumps(value, protocol=5, buffer_callback=_ignore)
    except Exception as error:
        raise StoreError(
            f"key {key!r} holds a value of type {type(value).__name__} that cannot "
            f"be pickled ({one_line(error)}), so that no store can hold it; return "
            "numbers, arrays, text or lists of them instead."
        ) from error


def _may_hold_objects(value: Any) -> bool:
    # Numbers and arrays of NumPy say so, without NumPy being imported here.
    return bool(getattr(getattr(value, "dtype", None), "hasobject", True))


def _ignore(buffer: pickle.PickleBuffer) -> None:
    """Leave a buffer out of the pickle."""


def _unpickle(filename: Filename) -> Any:
    with explained(filename), open(filename, "rb") as file:  # noqa: PTH123
        try:
            return unpickling.load(file)
        except OSError:
            raise
        except _NOT_IMPORTABLE as error:
            raise StoreError(
                f"{filename}: holds objects of a class that cannot be imported here "
                f"({one_line(error)}); make its module importable."
            ) from error
        except Exception as error:
            raise damaged(filename, "is not a pickle or not whole") from error


def _is_columns(data: object) -> bool:
    if not isinstance(data, dict):
        return False
    try:
        count_rows(data)
    except StoreError:
        return False
    return True

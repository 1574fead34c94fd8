"""Rows as they stand in journals: pickles that can be read back."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any

from psyrun.errors import StoreError, one_line
from psyrun.utils import unpickling
from psyrun.utils.unpickling import PLAIN

_LARGE = 1 << 20  # bytes of a payload
_CONTAINERS = frozenset({dict, list, tuple, set, frozenset})
_FEW = 100  # items of a container, which take no longer than to pickle them


class UnreadableRowError(StoreError):
    """A row that was recorded cannot be read."""


def check_row(row: Mapping[str, Any]) -> None:
    """Raise a `StoreError` if a row cannot be pickled, and read again here."""
    payload, is_plain = _pickled_objects(row)
    if not is_plain:
        _check_readable(row, payload, reading_error)


def pickled(
    row: Mapping[str, Any], read_back: Callable[[bytes], str]
) -> tuple[bytes, bool]:
    """Return the pickle of a row, and whether it is plain: readable wherever NumPy is.

    Raises `StoreError` if it cannot be pickled and read again, with `read_back`, which
    returns why that fails.
    """
    if _is_plain(row):
        try:
            return pickle.dumps(row, pickle.HIGHEST_PROTOCOL), True
        except Exception as error:
            raise _unpicklable(row, error) from error
    payload, is_plain = _pickled_objects(row)
    if not is_plain:
        _check_readable(row, payload, read_back)
    return payload, is_plain


def _is_plain(value: Any) -> bool:
    """Whether it is quickly seen that a value can be read wherever NumPy is."""
    kind = type(value)
    if kind in PLAIN:
        return True
    if kind in _CONTAINERS and len(value) <= _FEW:
        items = value.values() if kind is dict else value
        return PLAIN.issuperset(map(type, items)) or all(map(_is_plain, items))
    is_numpy = kind.__module__ == "numpy" and hasattr(value, "dtype")
    return is_numpy and not value.dtype.hasobject


def _pickled_objects(row: Mapping[str, Any]) -> tuple[bytes, bool]:
    """Return the pickle of a row, and whether it holds nothing but plain values."""
    file = io.BytesIO()
    pickler = _Pickler(file)
    try:
        pickler.dump(row)
    except Exception as error:
        raise _unpicklable(row, error) from error
    return file.getvalue(), pickler.is_plain


def _unpicklable(row: Mapping[str, Any], error: Exception) -> StoreError:
    # Stores are not needed to read journals.
    from psyrun.store.pickle import check_picklable

    for key, value in row.items():
        check_picklable(key, value)
    return StoreError(f"the row cannot be pickled ({one_line(error)}).")


class _Pickler(pickle.Pickler):
    """Pickles, and notes whether there were objects that may not be readable again."""

    def __init__(self, file: io.BytesIO, **settings: Any) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL, **settings)
        self.is_plain = True

    def reducer_override(self, value: Any) -> Any:
        # Python calls it for all but numbers, text and its own containers.
        is_named = isinstance(value, type) or callable(value)
        module = str(getattr(value if is_named else type(value), "__module__", ""))
        is_known = module.partition(".")[0] == "numpy" or value is complex
        if not is_known and type(value) is not complex:
            self.is_plain = False
        return NotImplemented


def _check_readable(
    row: Mapping[str, Any], payload: bytes, read_back: Callable[[bytes], str]
) -> None:
    if len(payload) > _LARGE and _is_readable_in_place(row):
        return
    cause = read_back(payload)
    if not cause:
        return
    for key, value in row.items():
        if type(value) not in PLAIN and (own := _own_cause(value, read_back)):
            kind = f" of type {type(value).__name__}"
            raise StoreError(refusal(f"key {key!r} holds a value{kind}", own))
    raise StoreError(refusal("the row holds values", cause))


def _own_cause(value: Any, read_back: Callable[[bytes], str]) -> str:
    return read_back(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))


def _is_readable_in_place(row: Mapping[str, Any]) -> bool:
    """Whether a row can be read back, without copies of its large arrays."""
    buffers: list[pickle.PickleBuffer] = []
    file = io.BytesIO()
    try:
        _Pickler(file, buffer_callback=buffers.append).dump(row)
        # Nobody may change them: they are the user's.
        views = [buffer.raw().toreadonly() for buffer in buffers]
        pickle.loads(file.getvalue(), buffers=views)
    except Exception:
        return False
    return True


def reading_error(payload: bytes) -> str:
    """Return why a pickle cannot be read in this process; empty if it can."""
    try:
        unpickling.loads(payload)
    # Whatever it is, the user's classes have raised it.
    except (Exception, SystemExit) as error:
        return one_line(error)
    return ""


def refusal(what: str, cause: str) -> str:
    """Return the message about a row that cannot be read, for a cause."""
    return (
        f"{what} that cannot be read back from its pickle ({cause}). Return numbers, "
        "arrays, text or lists of them instead, or objects that can be unpickled where "
        "only the task file was imported."
    )


def key_at_fault(payload: bytes, names: Collection[object]) -> object:
    """Return the key of the value that a row cannot be read for, if that is clear."""
    # This one, written in Python, shows how far it came.
    unpickler = pickle._Unpickler(io.BytesIO(payload))
    with suppress(Exception, SystemExit):
        unpickler.load()
    # Keys and values collect above the mark that follows the dictionary.
    depths = [*getattr(unpickler, "metastack", []), getattr(unpickler, "stack", [])]
    items = depths[1] if len(depths) > 1 else depths[0][1:]
    keys = [item for item in items[::2] if type(item) in PLAIN and item in names]
    return keys[-1] if keys else None

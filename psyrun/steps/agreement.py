"""What the workers of a round agree on, by files that whoever is first writes.

They may be on different machines, and start at different times.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np

from psyrun.errors import RecordError, StoreError, one_line
from psyrun.store.arrays import Array, RowType
from psyrun.utils.files import (
    damaged,
    place,
    read_placed,
    seal,
    synchronise,
    unseal,
    write_text,
)

T = TypeVar("T")
Key: TypeAlias = Hashable
_BROKEN = (
    AttributeError,
    LookupError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class FirstValue:
    """What is known of a value in the first row of a round.

    Attributes
    ----------
    type : RowType or None
        Its type, if the store has typed columns.
    is_missing : bool
        Whether it has nothing, as a single nan or an empty array, so that others may
        have another number of axes.
    """

    type: RowType | None = None
    is_missing: bool = True

    @classmethod
    def of(cls, array: Array) -> FirstValue:
        """Return what is known of a value."""
        return cls(RowType(array.dtype, array.shape), is_missing(array))


def is_missing(array: Array) -> bool:
    """Whether a value is a single nan or has no elements."""
    if array.ndim == 0 and array.dtype.kind in "fc":
        return bool(np.isnan(array))
    return array.size == 0


def agree_on_first(
    reference: Path, mine: dict[Key, FirstValue]
) -> dict[Key, FirstValue]:
    """Return the values of the round's first row, which may be this one.

    Raises `RecordError` if the file is damaged.
    """
    record = [[key, *_recorded(first)] for key, first in mine.items()]
    return _agree(reference, record, _first_values)


def agree_on_word(reference: Path, name: str, mine: str) -> str:
    """Return what was said first about something with a name, which may be this.

    Raises `RecordError` if the file, which stands beside `reference`, is damaged.
    """
    path = reference.with_name(f"{reference.stem}-{name}{reference.suffix}")
    return _agree(path, mine, _word)


def check_agreement(reference: Path) -> None:
    """Refuse with `RecordError` what was agreed on, if one of its files is damaged."""
    if reference.exists():
        agree_on_first(reference, {})
    for path in files_of(reference):
        if path != reference:
            agree_on_word(reference, path.stem.removeprefix(f"{reference.stem}-"), "")


def files_of(reference: Path) -> list[Path]:
    """Return the files of what was agreed on."""
    stem, suffix = reference.stem, reference.suffix
    others = sorted(reference.parent.glob(f"{stem}-*{suffix}"))
    others = [path for path in others if not path.stem.endswith("-again")]
    return [path for path in (reference, *others) if path.exists()]


def _agree(path: Path, mine: object, read: Callable[[Any], T]) -> T:
    own = json.dumps(seal(mine))
    if not path.exists() and place(path, own):
        # Rows rely on it.
        synchronise(path.parent)
    try:
        text = read_placed(path)
        if not text:
            text = _agree_again(path, own)
        return read(unseal(json.loads(text)))
    except _BROKEN as error:
        problem = f"is damaged ({one_line(error)})"
        raise RecordError(str(damaged(path, problem))) from error


def _agree_again(path: Path, own: str) -> str:
    """Agree on what a file holds that a power failure has left empty.

    It is not removed: somebody else may have removed it already, and agreed anew.
    """
    again = path.with_name(f"{path.stem}-again{path.suffix}")
    place(again, own)
    text = read_placed(again)
    # All that do so write the same; else the next one comes here, too.
    with suppress(StoreError):
        write_text(path, text)
    return text


def _word(record: Any) -> str:
    if not isinstance(record, str):
        raise TypeError(f"{record!r} is no word")
    return record


def _recorded(first: FirstValue) -> list[Any]:
    if first.type is None:
        return [None, None, first.is_missing]
    descr = np.lib.format.dtype_to_descr(first.type.dtype)
    return [repr(descr), first.type.shape, first.is_missing]


def _first_values(record: Any) -> dict[Key, FirstValue]:
    if isinstance(record, dict):
        return {key: _former_value(found) for key, found in record.items()}
    return {
        key: FirstValue(_read(descr, shape), is_missing)
        for key, descr, shape, is_missing in record
    }


def _read(descr: str | None, shape: list[int]) -> RowType | None:
    if descr is None:
        return None
    dtype = np.lib.format.descr_to_dtype(ast.literal_eval(descr))
    return RowType(dtype, tuple(shape))


def _former_value(found: tuple[str, list[int]] | None) -> FirstValue:
    """Return a value of a file that psyrun wrote before keys could be numbers."""
    if found is None:
        return FirstValue()
    dtype, shape = found
    return FirstValue(RowType(np.dtype(dtype), tuple(shape)))

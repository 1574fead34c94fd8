"""Whether a row can be kept: by its store, and beside the other rows."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psyrun.errors import RecordError, ResultError, one_line


@dataclass
class RowCheck:
    """Check that a row can be kept: by its store, and beside the other rows.

    Attributes
    ----------
    by_store : callable
        Raises `StoreError` if the store cannot hold the values.
    reference : Path
        File with the keys of the first row of the round, made by whoever is
        first.
    """

    by_store: Callable[[Mapping[str, Any]], None]
    reference: Path
    _keys: frozenset[str] | None = field(default=None, init=False)

    def __call__(self, row: Mapping[str, Any]) -> None:
        """Check one row.

        Raises
        ------
        StoreError
            If the store cannot hold one of its values.
        ResultError
            If it has other keys than the other rows.
        RecordError
            If the file with their keys is damaged.
        """
        self.by_store(row)
        if self._keys is None:
            self._keys = _agree_on_keys(self.reference, row)
        if row.keys() != self._keys:
            raise ResultError(_difference(row.keys(), self._keys))


def _agree_on_keys(reference: Path, row: Iterable[str]) -> frozenset[str]:
    """Return the keys of the round's first row, which may be this one."""
    mark = f"{socket.gethostname()}-{os.getpid()}"
    mine = reference.with_name(f".{reference.name}.{mark}")
    try:
        mine.write_text(json.dumps(list(row)), encoding="utf-8")
        os.link(mine, reference)
    except FileExistsError:
        pass
    finally:
        mine.unlink(missing_ok=True)
    try:
        return frozenset(json.loads(reference.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise RecordError(
            f"{reference}: is damaged ({one_line(error)}). Remove it, then run again."
        ) from error


def _difference(found: Iterable[str], expected: Iterable[str]) -> str:
    lacking = sorted(set(expected) - set(found), key=repr)
    surplus = sorted(set(found) - set(expected), key=repr)
    parts = [f"lacks {', '.join(map(repr, lacking))}"] if lacking else []
    parts += [f"has also {', '.join(map(repr, surplus))}"] if surplus else []
    return (
        f"execute returned other keys than for the first assignment: the row "
        f"{' and '.join(parts)}. Return the same keys for all assignments, with nan "
        "where there is no value."
    )

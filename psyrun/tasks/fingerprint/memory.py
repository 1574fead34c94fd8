"""What was found out about the source of a task, kept as long as it is the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from psyrun.tasks.fingerprint.files import Files, is_still

_T = TypeVar("_T")


class Memory:
    """Facts about source.

    Parameters
    ----------
    key : object
        What the facts depend on besides the files that they are taken from.
    record : object
        What `record` has returned before, if anything.

    Attributes
    ----------
    files : list of Files
        What new facts are taken from.
    """

    def __init__(self, key: object, record: Any) -> None:
        self.files: list[Files] = []
        self._key = key
        self._before: list[Any] = []
        self._facts: dict[str, Any] = {}
        self._is_new = False
        if _is_valid(record, key):
            self._facts |= record["facts"]
            self._before += record["files"]

    def get(self, name: str, find: Callable[[], _T]) -> _T:
        """Return a fact, which is found out if it is not known."""
        if name not in self._facts:
            self._facts[name] = find()
            self._is_new = True
        found: _T = self._facts[name]
        return found

    def record(self) -> dict[str, Any] | None:
        """Return all facts and what they are taken from; None if none is new."""
        if not self._is_new:
            return None
        files = [*self._before, *(each.record() for each in self.files)]
        return {"key": self._key, "files": files, "facts": self._facts}


def _is_valid(record: Any, key: object) -> bool:
    try:
        return bool(
            isinstance(record, dict)
            and record["key"] == key
            and isinstance(record["facts"], dict)
            and all(map(is_still, record["files"]))
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        # It is only there to save time.
        return False

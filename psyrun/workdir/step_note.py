"""Notes of steps that failed: why, in `Round.error`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from psyrun.errors import StoreError
from psyrun.utils.records import read_record


def step_note(path: Path) -> dict[str, Any] | None:
    """Return the type, message and exit status of an error; None if there is no note.

    A damaged one counts as none: the log of the step tells as well.
    """
    with suppress(StoreError, OSError):
        note = read_record(path, dict[str, Any])
        if note is not None and _is_sound(note):
            return dict(note)
    return None


def _is_sound(note: dict[str, Any]) -> bool:
    status = note.get("exit_status", 2)
    texts = (note.get("type"), note.get("message"))
    return all(isinstance(text, str) for text in texts) and type(status) is int

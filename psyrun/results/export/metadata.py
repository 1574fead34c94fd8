"""What a file that is handed on says of itself."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from psyrun.errors import StoreError
from psyrun.pspace.axes import ASSIGNMENT
from psyrun.results.load import RecordedTask
from psyrun.results.provenance import provenance_of, within
from psyrun.results.sources import Source
from psyrun.results.where import Part
from psyrun.utils import __version__
from psyrun.utils.text import text_of

KEY = "psyrun"
"""Under which it is found in files that have room for it."""
_VERSION = 1
_MOST_TEXT = 1 << 18  # characters of source and changes


def metadata_of(
    source: Source, part: Part | None, found: RecordedTask | Path
) -> dict[str, Any]:
    """Return what is known of a result, for JSON.

    Parameters
    ----------
    source : Source
        The rows.
    part : Part or None
        The grid of those that are exported; None if it is not known.
    found : RecordedTask or Path
        The task, or the data file.
    """
    description = source.description
    return {
        "version": _VERSION,
        "axes": _axes(source, part),
        "constants": {} if part is None else _plain(part.attributes),
        "dims": {key: list(names) for key, names in description.dims.items()},
        "coords": _plain(description.coords),
        "attrs": _plain(description.attrs),
        "origin": {
            "task": found.layout.name if isinstance(found, RecordedTask) else None,
            "psyrun": __version__,
            "exported": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "versions": _versions(found),
        },
    }


def _versions(found: RecordedTask | Path) -> dict[str, Any]:
    # Rows are worth more than what is known of them.
    with suppress(StoreError, OSError):
        known: dict[str, Any] = _plain(within(provenance_of(found), _MOST_TEXT))
        return known
    return {}


def _axes(source: Source, part: Part | None) -> list[dict[str, Any]]:
    if part is None:
        return [{"name": ASSIGNMENT, "parameters": [], "size": source.count()}]
    return [
        {"name": each.name, "parameters": each.keys, "size": each.size}
        for each in part.dimensions
    ]


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; what it has no word for is a text."""
    if isinstance(value, str | bool | int | float) or value is None:
        return value
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if hasattr(value, "items"):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return text_of(value)

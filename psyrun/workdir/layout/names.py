"""The steps, and how files of theirs are found by their names."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

SPLIT, PROCESS, MERGE = "split", "process", "merge"

JOURNAL = re.compile(r"[0-9]+-.+\.journal", re.DOTALL)
FAILURE_LIST = re.compile(r"\.[0-9]+\.failed\.json")
_ROUND = re.compile(r"round-([0-9]+)")
_LOCK = re.compile(rf"{SPLIT}|{PROCESS}-[0-9]+|{MERGE}")


def names_in(folder: Path) -> list[str]:
    """Return the names of all that is in a folder, which may not exist."""
    # A folder may have the files of thousands of jobs, each of which asks.
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        return [entry.name for entry in entries]
    return []


def matching(folder: Path, names: re.Pattern[str], start: str = "") -> list[Path]:
    """Return the files of a folder with such names, in their order."""
    found = [name for name in names_in(folder) if name.startswith(start)]
    return [folder / name for name in sorted(found) if names.fullmatch(name)]


def locks_in(folder: Path) -> list[Path]:
    """Return the locks of jobs in a folder, stale ones included."""
    return matching(folder, _LOCK)


def block_of_journal(path: Path) -> int:
    """Return the block that a journal is of, by its name."""
    return int(path.name.partition("-")[0])


class Place(NamedTuple):
    """Where a journal belongs: numbers of a round and of a block in it."""

    round: int
    block: int

    @classmethod
    def of(cls, path: Path) -> Place | None:
        """Return where a journal stands, None outside of work folders."""
        found = _ROUND.fullmatch(path.parent.parent.name)
        if found is None or not JOURNAL.fullmatch(path.name):
            return None
        return cls(int(found[1]), block_of_journal(path))
